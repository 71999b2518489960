package whip_test

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/auth/authtest"
	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/internal/signal/whip"
	"github.com/parley-rtc/parley/wire"
)

type noMedia struct{}

func (noMedia) Do(media.Command) bool { return true }

func (noMedia) Reserve(netip.Addr) (media.Place, media.Refusal) { return media.Place{}, media.Admitted }
func (noMedia) Refuses(netip.Addr) media.Refusal                { return media.Admitted }

// node is the handler over real rooms, on loopback.
type node struct {
	*testing.T
	url     string
	bus     bus.Bus
	rooms   *rooms.Service
	service *signal.Service
}

func newNode(t *testing.T, keys func() auth.Keys) *node {
	t.Helper()
	n := &node{T: t, bus: local.New()}
	candidates := func() []sdp.Candidate {
		return []sdp.Candidate{{Foundation: "1", Priority: 2130706431, Address: netip.MustParseAddr("127.0.0.1").String(), Port: 8443}}
	}
	var err error
	n.rooms, err = rooms.New(rooms.Config{
		Bus: n.bus, Shards: []rooms.Media{noMedia{}}, Candidates: candidates,
		Fingerprint: sdp.Fingerprint{Algorithm: "sha-256", Value: strings.Repeat(":AA", 32)[1:]}, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	origins, err := signal.NewOrigins([]string{"https://app.example"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.service = signal.New(signal.Config{Bus: n.bus, Keys: keys, ICEServers: func(string, string, time.Time) []wire.ICEServer {
		return []wire.ICEServer{{URLs: []string{"turns:parley.example:443?transport=tcp", "turn:parley.example:3478?transport=tcp"}, Username: `1:a"nn`, Credential: "c=="}, {URLs: []string{"turn:open.example"}}}
	}})
	mux := http.NewServeMux()
	for _, p := range whip.Paths {
		mux.Handle(p, whip.New(n.service, origins, candidates))
	}
	s := httptest.NewServer(mux)
	n.url = s.URL
	t.Cleanup(func() {
		s.Close()
		n.service.Close()
		n.rooms.Close()
		_ = n.bus.Close()
	})
	return n
}

// stats counts once the room has done what it was asked before: it counts after it has answered.
func (n *node) stats() rooms.Stats {
	n.Helper()
	if _, err := rooms.Do(n.Context(), n.bus, "tea", rooms.Request{Session: "nobody", Type: rooms.TypeSnapshot}); err != nil {
		n.Fatal(err)
	}
	return n.rooms.Stats()
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) problem() (p struct {
	Title, Detail, Code, Next string
	Status                    int
},
) {
	if a.header.Get("Content-Type") == "application/problem+json" {
		_ = json.Unmarshal([]byte(a.body), &p)
	}
	return p
}

// do sends a request; header has names and values in turn, and an empty value takes a header away.
func (n *node) do(method, path, body string, header ...string) answer {
	n.Helper()
	r, err := http.NewRequestWithContext(n.Context(), method, n.url+path, strings.NewReader(body))
	if err != nil {
		n.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	a, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		n.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		n.Fatal(err)
	}
	return answer{a.StatusCode, a.Header, string(b)}
}

func (n *node) post(path, body string, header ...string) answer {
	n.Helper()
	return n.do("POST", path, body, append([]string{"Content-Type", "application/sdp"}, header...)...)
}

// opened posts an offer that must be answered with 201.
func (n *node) opened(path, body string, header ...string) answer {
	n.Helper()
	a := n.post(path, body, header...)
	if a.status != http.StatusCreated {
		n.Fatalf("POST %s: %d %s", path, a.status, a.body)
	}
	return a
}

func offer(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../sdp/testdata/" + name + ".offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

var locationForm = regexp.MustCompile(`^/wh[ie]p/[^/]+/[A-Za-z0-9_-]{22}$`)

// A POST is answered with 201, an SDP answer, a Location on the same origin that nobody can guess, a strong ETag, and the ICE servers;
// a DELETE on it ends all.
func TestPublish(t *testing.T) {
	n := newNode(t, nil)
	a := n.opened("/whip/tea?identity=studio&x=y", offer(t, "chromium-publish"), "Origin", "https://app.example")
	location := a.header.Get("Location")
	if !locationForm.MatchString(location) || !regexp.MustCompile(`^"[^"]+"$`).MatchString(a.header.Get("ETag")) {
		t.Errorf("Location %s, ETag %s", location, a.header.Get("ETag"))
	}
	if a.header.Get("Content-Type") != "application/sdp" || !strings.HasPrefix(a.body, "v=0\r\n") || !strings.Contains(a.body, "a=recvonly") {
		t.Errorf("answer of %s: %s", a.header.Get("Content-Type"), a.body)
	}
	want := []string{
		`<turns:parley.example:443?transport=tcp>; rel="ice-server"; username="1:a\"nn"; credential="c=="; credential-type="password"`,
		`<turn:parley.example:3478?transport=tcp>; rel="ice-server"; username="1:a\"nn"; credential="c=="; credential-type="password"`,
		`<turn:open.example>; rel="ice-server"`,
	}
	if got := a.header.Values("Link"); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("Link: %s", got)
	}
	if len(a.header.Values("Set-Cookie")) != 0 || a.header.Get("Access-Control-Allow-Credentials") != "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", a.header)
	}
	if s := n.stats(); s.Participants != 1 || s.Publications != 2 {
		t.Errorf("%+v", s)
	}
	if d := n.do("DELETE", location, "", "If-Match", `"outdated"`); d.status != http.StatusOK {
		t.Errorf("DELETE: %d %s", d.status, d.body)
	}
	if s := n.stats(); s.Participants != 0 || n.service.Stats().Calls != 0 {
		t.Errorf("%+v", s)
	}
	if d := n.do("DELETE", location, ""); d.status != http.StatusNotFound {
		t.Errorf("DELETE again: %d", d.status)
	}
}

// Two sessions never get addresses or tags that resemble one another.
func TestLocationsDiffer(t *testing.T) {
	n := newNode(t, nil)
	seen := map[string]bool{}
	for range 20 {
		a := n.opened("/whip/tea", offer(t, "chromium-publish"))
		for _, s := range []string{a.header.Get("Location"), a.header.Get("ETag")} {
			if seen[s] {
				t.Errorf("%s came twice", s)
			}
			seen[s] = true
		}
	}
	if s := n.stats(); s.Participants != 20 {
		t.Errorf("%+v", s)
	}
}

// A viewer gets 404 with Retry-After until somebody publishes; then it is a participant that nobody sees.
func TestWatch(t *testing.T) {
	n := newNode(t, nil)
	watch := offer(t, "chromium-slots")
	for _, path := range []string{"/whep/tea", "/whep/tea?participant=studio"} {
		if a := n.post(path, watch); a.status != http.StatusNotFound || a.header.Get("Retry-After") == "" || a.problem().Code != "not-found" {
			t.Errorf("%s: %d %v %s", path, a.status, a.header, a.body)
		}
	}
	n.opened("/whip/tea?identity=studio", offer(t, "chromium-publish"))
	if a := n.post("/whep/tea?participant=nobody", watch); a.status != http.StatusNotFound || a.header.Get("Retry-After") == "" {
		t.Errorf("nobody: %d %s", a.status, a.body)
	}
	first := n.opened("/whep/tea", watch)
	second := n.opened("/whep/tea?participant=studio", watch)
	if !strings.HasPrefix(first.header.Get("Location"), "/whep/tea/") || !strings.Contains(first.body, "a=sendonly") {
		t.Errorf("%v\n%s", first.header, first.body)
	}
	if s := n.stats(); s.Hidden != 2 || s.Participants != 1 {
		t.Errorf("%+v", s)
	}
	wrong := strings.Replace(second.header.Get("Location"), "/whep/", "/whip/", 1)
	if d := n.do("DELETE", wrong, ""); d.status != http.StatusNotFound {
		t.Errorf("DELETE under the other protocol: %d", d.status)
	}
	if d := n.do("DELETE", second.header.Get("Location"), ""); d.status != http.StatusOK {
		t.Errorf("DELETE: %d", d.status)
	}
}

const (
	trickle = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" +
		"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n"
	fragment = "application/trickle-ice-sdpfrag"
)

// PATCH needs If-Match: the current tag takes candidates, * restarts ICE and changes the tag, all else is refused by its own status.
func TestPatch(t *testing.T) {
	n := newNode(t, nil)
	opened := n.opened("/whip/tea", offer(t, "chromium-publish"))
	location, tag := opened.header.Get("Location"), opened.header.Get("ETag")
	for _, c := range []struct {
		name, body string
		header     []string
		want       int
	}{
		{"candidates", trickle, []string{"Content-Type", fragment, "If-Match", tag}, 204},
		{"one of several tags", trickle, []string{"Content-Type", fragment, "If-Match", `"other", ` + tag}, 204},
		{"no If-Match", trickle, []string{"Content-Type", fragment}, 428},
		{"outdated tag", trickle, []string{"Content-Type", fragment, "If-Match", `"outdated"`}, 412},
		{"weak tag", trickle, []string{"Content-Type", fragment, "If-Match", "W/" + tag}, 412},
		{"tag without quotes", trickle, []string{"Content-Type", fragment, "If-Match", strings.Trim(tag, `"`)}, 412},
		{"SDP", trickle, []string{"Content-Type", "application/sdp", "If-Match", tag}, 415},
		{"no type", trickle, []string{"If-Match", tag}, 415},
		{"no fragment", "v=0\r\n", []string{"Content-Type", fragment, "If-Match", tag}, 400},
		{"too large", strings.Repeat("a=x\r\n", sdp.MaxFragmentBytes/5+1), []string{"Content-Type", fragment, "If-Match", tag}, 413},
		{"restart without credentials", "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n", []string{"Content-Type", fragment, "If-Match", "*"}, 400},
	} {
		if a := n.do("PATCH", location, c.body, c.header...); a.status != c.want {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		} else if c.want == 415 && a.header.Get("Accept-Patch") != fragment {
			t.Errorf("%s: %v", c.name, a.header)
		}
	}
	// RFC 9725 §4.3.3: a restart has updated credentials. With those of before it is none, however often it is asked for.
	offered, err := sdp.ParseOffer(offer(t, "chromium-publish"))
	if err != nil {
		t.Fatal(err)
	}
	before := strings.NewReplacer("EsAw", offered.ICE.Ufrag, "P2uYro0UCOQ4zxjKXaWCBui1", offered.ICE.Pwd).Replace(trickle)
	var same answer
	for range 2 {
		same = n.do("PATCH", location, before, "Content-Type", fragment, "If-Match", "*")
		if same.status != 200 || same.header.Get("ETag") != tag {
			t.Fatalf("the credentials of before: %d %v", same.status, same.header)
		}
	}
	if f, err := sdp.ParseFragment(same.body); err != nil || !strings.Contains(opened.body, "a=ice-ufrag:"+f.ICE.Ufrag+"\r\n") {
		t.Errorf("the credentials of before: %v\n%s", err, same.body)
	}
	fresh := strings.NewReplacer("EsAw", "NEWu", "P2uY", "NEWp").Replace(trickle)
	a := n.do("PATCH", location, fresh, "Content-Type", fragment, "If-Match", "*")
	if a.status != 200 || a.header.Get("Content-Type") != fragment || a.header.Get("ETag") == tag || a.header.Get("ETag") == "" {
		t.Fatalf("restart: %d %v %s", a.status, a.header, a.body)
	}
	f, err := sdp.ParseFragment(a.body)
	if err != nil || f.ICE.Ufrag == "" || len(f.Candidates) != 1 || strings.Contains(opened.body, f.ICE.Ufrag) || !f.End {
		t.Errorf("restart: %+v, %v", f, err)
	}
	if again := n.do("PATCH", location, fresh, "Content-Type", fragment, "If-Match", "*"); again.body != a.body || again.header.Get("ETag") != a.header.Get("ETag") {
		t.Errorf("the restart sent again: %v %s", again.header, again.body)
	}
	if a := n.do("PATCH", location, trickle, "Content-Type", fragment, "If-Match", tag); a.status != 412 {
		t.Errorf("the tag before the restart: %d", a.status)
	}
}

// Each fault has its status, and a problem with a code and a next step.
func TestRefusals(t *testing.T) {
	n := newNode(t, nil)
	good := offer(t, "chromium-publish")
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		want                     int
		code                     wire.Code
	}{
		{"no type", "POST", "/whip/tea", good, nil, 415, wire.CodeBadRequest},
		{"another type", "POST", "/whip/tea", good, []string{"Content-Type", "application/json"}, 415, wire.CodeBadRequest},
		{"two types", "POST", "/whip/tea", good, []string{"Content-Type", "application/sdp", "Content-Type", "text/plain"}, 415, wire.CodeBadRequest},
		{"answer not accepted", "POST", "/whip/tea", good, []string{"Content-Type", "application/sdp", "Accept", "application/json, text/*"}, 406, wire.CodeBadRequest},
		{"answer excluded", "POST", "/whip/tea", good, []string{"Content-Type", "application/sdp", "Accept", "*/*, application/sdp;q=0"}, 406, wire.CodeBadRequest},
		{"empty", "POST", "/whip/tea", "", []string{"Content-Type", "application/sdp"}, 400, wire.CodeSDP},
		{"no SDP", "POST", "/whip/tea", "hello", []string{"Content-Type", "application/sdp"}, 400, wire.CodeSDP},
		{"SDP too large", "POST", "/whip/tea", good + strings.Repeat("a=x\r\n", wire.MaxSDPBytes/5), []string{"Content-Type", "application/sdp"}, 413, wire.CodeTooLarge},
		{"no room", "POST", "/whip/", good, []string{"Content-Type", "application/sdp"}, 404, wire.CodeNotFound},
		{"room too long", "POST", "/whip/" + strings.Repeat("r", 129), good, []string{"Content-Type", "application/sdp"}, 413, wire.CodeTooLarge},
		{"room with a NUL", "POST", "/whip/a%00b", good, []string{"Content-Type", "application/sdp"}, 400, wire.CodeBadRequest},
		{"identity with a newline", "POST", "/whip/tea?identity=a%0Ab", good, []string{"Content-Type", "application/sdp"}, 400, wire.CodeBadRequest},
		{"GET", "GET", "/whip/tea", "", nil, 405, wire.CodeBadRequest},
		{"PUT", "PUT", "/whep/tea", "", nil, 405, wire.CodeBadRequest},
		{"DELETE of the endpoint", "DELETE", "/whip/tea", "", nil, 405, wire.CodeBadRequest},
		{"POST to a session", "POST", "/whip/tea/AAAAAAAAAAAAAAAAAAAAAA", good, []string{"Content-Type", "application/sdp"}, 405, wire.CodeBadRequest},
		{"unknown session", "DELETE", "/whip/tea/AAAAAAAAAAAAAAAAAAAAAA", "", nil, 404, wire.CodeNotFound},
		{"unknown session, PATCH", "PATCH", "/whip/tea/AAAAAAAAAAAAAAAAAAAAAA", trickle, []string{"Content-Type", fragment, "If-Match", "*"}, 404, wire.CodeNotFound},
		{"too deep", "DELETE", "/whip/tea/x/y", "", nil, 404, wire.CodeNotFound},
		{"foreign page", "POST", "/whip/tea", good, []string{"Content-Type", "application/sdp", "Origin", "https://evil.example"}, 403, wire.CodeForbidden},
	} {
		a := n.do(c.method, c.path, c.body, c.header...)
		p := a.problem()
		if a.status != c.want || p.Code != string(c.code) || p.Status != c.want || p.Detail == "" || p.Title == "" {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
		if c.want == 405 && a.header.Get("Allow") == "" || c.want == 415 && a.header.Get("Accept-Post") != "application/sdp" || a.header.Get("Location") != "" {
			t.Errorf("%s: %v", c.name, a.header)
		}
	}
	if s := n.service.Stats(); s.Calls != 0 || n.stats().Participants != 0 {
		t.Errorf("left over: %+v", s)
	}
	for _, accept := range []string{"application/sdp", "application/*", "*/*", "text/html, */*;q=0.1", "application/SDP;q=1", "*/*;q=0, application/sdp"} {
		n.opened("/whip/tea", good, "Accept", accept)
	}
}

// A draining server refuses with 503 and Retry-After.
func TestDraining(t *testing.T) {
	n := newNode(t, nil)
	n.rooms.Drain()
	if a := n.post("/whip/tea", offer(t, "chromium-publish")); a.status != 503 || a.header.Get("Retry-After") == "" || a.problem().Code != "draining" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

// Of several faults the first is told, in the order of docs/protocol.md, section 12.
func TestOrderOfRefusals(t *testing.T) {
	n := newNode(t, authtest.Keys)
	now, long := time.Now(), strings.Repeat("r", 129)
	watcher := authtest.Good(now, authtest.Object{"video": `{"room":"tea","roomJoin":true,"canPublish":false}`})
	large := strings.Repeat("a=x\r\n", wire.MaxSDPBytes/5+1)
	sdpType, gone := []string{"Content-Type", "application/sdp"}, "/whip/tea/AAAAAAAAAAAAAAAAAAAAAA"
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		want                     int
	}{
		{"origin before method", "GET", "/whip/tea", "", []string{"Origin", "https://evil.example"}, 403},
		{"method before type", "PUT", "/whip/tea", "", nil, 405},
		{"type before Accept", "POST", "/whip/tea", "", []string{"Accept", "text/html"}, 415},
		{"Accept before no token", "POST", "/whip/tea", "", append(sdpType[:2:2], "Accept", "text/html"), 406},
		{"no token before size", "POST", "/whip/tea", large, sdpType, 401},
		{"the token before size", "POST", "/whip/tea", large, append(sdpType[:2:2], bearer("x")...), 401},
		{"the token before names", "POST", "/whip/" + long, "", append(sdpType[:2:2], bearer("x")...), 401},
		{"size before names", "POST", "/whip/" + long, large, append(sdpType[:2:2], bearer(watcher)...), 413},
		{"names before what it allows", "POST", "/whep/tea?participant=" + long, "", append(sdpType[:2:2], bearer(watcher)...), 413},
		{"what it allows before the description", "POST", "/whip/tea", "", append(sdpType[:2:2], bearer(watcher)...), 403},
		{"no token before the session", "PATCH", gone, "", nil, 401},
		{"the session before the token", "PATCH", gone, "", bearer("x"), 404},
	} {
		if a := n.do(c.method, c.path, c.body, c.header...); a.status != c.want {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
	}
	location := n.opened("/whip/tea", offer(t, "chromium-publish"), bearer(authtest.Good(now, nil))...).header.Get("Location")
	if a := n.do("PATCH", location, "", bearer("x")...); a.status != 401 {
		t.Errorf("the token before the type: %d", a.status)
	}
}

// In token mode every request needs a token; a session answers only to the one that opened it, or to a valid one of the same room and
// identity. The session's address alone is worth nothing.
func TestTokens(t *testing.T) {
	n := newNode(t, authtest.Keys)
	good, now := offer(t, "chromium-publish"), time.Now()
	token := authtest.Good(now, nil)
	for _, header := range [][]string{nil, {"Authorization", "Basic YTpi"}, {"Authorization", token}, {"Authorization", "Bearer"}, {"Authorization", "Bearer a", "Authorization", "Bearer b"}} {
		a := n.post("/whip/tea", good, header...)
		if a.status != 401 || a.header.Get("WWW-Authenticate") != "Bearer" || a.problem().Code != "unauthorized" {
			t.Errorf("%v: %d %s", header, a.status, a.body)
		}
	}
	if a := n.post("/whip/tea?access_token="+token, good); a.status != 401 {
		t.Errorf("token in the URL: %d", a.status)
	}
	a := n.opened("/whip/tea", good, bearer(token)...)
	location := a.header.Get("Location")
	again := authtest.Good(now, authtest.Object{"jti": `"2"`})
	for _, c := range []struct {
		name   string
		header []string
		want   int
	}{
		{"none", nil, 401},
		{"nonsense", bearer("x.y.z"), 401},
		{"another identity", bearer(authtest.Good(now, authtest.Object{"sub": `"eve"`})), 403},
		{"another room", bearer(authtest.Good(now, authtest.Object{"video": `{"room":"coffee","roomJoin":true}`})), 403},
		{"the same rights", bearer(again), 412},
		{"the same token", bearer(token), 412},
	} {
		header := append([]string{"Content-Type", fragment, "If-Match", `"x"`}, c.header...)
		if a := n.do("PATCH", location, trickle, header...); a.status != c.want {
			t.Errorf("PATCH with %s: %d %s", c.name, a.status, a.body)
		}
		if c.want == 412 {
			continue
		}
		if a := n.do("DELETE", location, "", c.header...); a.status != c.want {
			t.Errorf("DELETE with %s: %d", c.name, a.status)
		}
	}
	if a := n.do("DELETE", location, "", bearer(again)...); a.status != 200 {
		t.Errorf("DELETE: %d", a.status)
	}
}

// The token decides room and identity and must have the grant; one token may have several viewers.
func TestGrants(t *testing.T) {
	n := newNode(t, authtest.Keys)
	publish, watch, now := offer(t, "chromium-publish"), offer(t, "chromium-slots"), time.Now()
	token := func(video string) []string { return bearer(authtest.Good(now, authtest.Object{"video": video})) }
	for _, c := range []struct {
		name, path, video string
		want              int
	}{
		{"no right to publish", "/whip/tea", `{"room":"tea","roomJoin":true,"canPublish":false}`, 403},
		{"another room", "/whip/coffee", `{"room":"tea","roomJoin":true}`, 403},
		{"another identity", "/whip/tea?identity=eve", `{"room":"tea","roomJoin":true}`, 403},
		{"own identity", "/whip/tea?identity=ann", `{"room":"tea","roomJoin":true,"canSubscribe":false}`, 201},
		{"no right to watch", "/whep/tea", `{"room":"tea","roomJoin":true,"canSubscribe":false}`, 403},
		{"watch", "/whep/tea", `{"room":"tea","roomJoin":true,"canPublish":false}`, 201},
		{"watch again", "/whep/tea", `{"room":"tea","roomJoin":true,"canPublish":false}`, 201},
	} {
		body := publish
		if strings.HasPrefix(c.path, "/whep") {
			body = watch
		}
		if a := n.post(c.path, body, token(c.video)...); a.status != c.want {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
	}
	if s := n.stats(); s.Participants != 1 || s.Hidden != 2 {
		t.Errorf("%+v", s)
	}
}

// No forged token publishes or watches.
func TestForgeries(t *testing.T) {
	n := newNode(t, authtest.Keys)
	for path, body := range map[string]string{"/whip/tea": offer(t, "chromium-publish"), "/whep/tea": offer(t, "chromium-slots")} {
		for _, f := range authtest.Forgeries(time.Now()) {
			if strings.ContainsAny(f.Token, "\n\x00") || strings.HasPrefix(f.Token, " ") {
				continue // no header can carry it, or the header has it without the space
			}
			if a := n.post(path, body, bearer(f.Token)...); a.status != 401 || strings.Contains(a.body, f.Token) && f.Token != "" {
				t.Errorf("%s, %s: %d %s", path, f.Name, a.status, a.body)
			}
		}
	}
}

// A room's name may hold anything but a slash that the path can escape, and Location leads back to it.
func TestRoomNames(t *testing.T) {
	n := newNode(t, nil)
	for _, room := range []string{"caf%C3%A9", "a%20b", "a%3Fb%23c", "a*%3E.b", "..."} {
		a := n.opened("/whip/"+room, offer(t, "chromium-publish"))
		if d := n.do("DELETE", a.header.Get("Location"), ""); d.status != 200 {
			t.Errorf("%s: DELETE %s: %d %s", room, a.header.Get("Location"), d.status, d.body)
		}
	}
	for _, path := range []string{"/whip/a%2Fb", "/whep/%2E%2E%2Fx", "/whip/%2E%2E"} {
		if a := n.post(path, offer(t, "chromium-publish")); a.status != 400 || !strings.Contains(a.body, "no link could lead there") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	a := n.opened("/whip/tea", offer(t, "chromium-publish"))
	if d := n.do("DELETE", strings.Replace(a.header.Get("Location"), "/tea/", "/coffee/", 1), ""); d.status != 404 {
		t.Errorf("DELETE under another room: %d", d.status)
	}
}

// A session that the room has ended (here: the same identity came again) is gone for its client too.
func TestReplaced(t *testing.T) {
	n := newNode(t, nil)
	first := n.opened("/whip/tea?identity=studio", offer(t, "chromium-publish"))
	id := first.header.Get("Location")[len("/whip/tea/"):]
	call, ok := n.service.FindCall(rooms.CarrierWHIP, id)
	if !ok || call.Identity() != "studio" {
		t.Fatal(call, ok)
	}
	second := n.opened("/whip/tea?identity=studio", offer(t, "chromium-publish"))
	<-call.Done()
	if a := n.do("DELETE", first.header.Get("Location"), ""); a.status != 404 {
		t.Errorf("the first: %d", a.status)
	}
	if a := n.do("DELETE", second.header.Get("Location"), ""); a.status != 200 {
		t.Errorf("the second: %d", a.status)
	}
}
