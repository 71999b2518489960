package host

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/wire"
)

// answered is what /v1/ice-servers says.
type answered struct {
	ICEServers []wire.ICEServer
	TTLSeconds int
}

// askICE asks a node for ICE servers, from an address, with headers.
func askICE(n *node, remote, query string, header ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f := &front{next: newICEHandler(n, originsOf(n)), plainHTTP: true}
	f.ServeHTTP(w, request(remote, "https://meet.example.org/v1/ice-servers"+query, header...))
	return w
}

func originsOf(n *node) signal.Origins {
	o, _ := signal.NewOrigins(n.cfg.Origins, hostOf) // checked by now
	return o
}

// For a connection to this server TURN is by TCP alone, since Chromium hears no media from an address that it knows as a STUN or TURN server by UDP; for those
// among participants it is by UDP too. TLS is told of where browsers take the certificate. What somebody else has is told as before.
func TestICEServersForWhom(t *testing.T) {
	n := startNode(t, "--turn-listen", "127.0.0.1:0", "--advertise", "203.0.113.7,2001:db8::7", "--ice-server", "stun:stun.example.org")
	defer n.stop()
	one, more := n.port.Local().Port(), n.turn.udp()
	if more == one || more == 0 {
		t.Fatalf("UDP at %d and %d", one, more)
	}
	for _, c := range []struct {
		query  string
		domain []string
		want   string
	}{
		{"?for=server", nil, "stun:stun.example.org turn:203.0.113.7:ONE?transport=tcp turn:[2001:db8::7]:ONE?transport=tcp"},
		{
			"?for=participant", nil, "stun:stun.example.org turn:203.0.113.7:ONE?transport=tcp turn:203.0.113.7:MORE?transport=udp " +
				"turn:[2001:db8::7]:ONE?transport=tcp turn:[2001:db8::7]:MORE?transport=udp stun:203.0.113.7:MORE stun:[2001:db8::7]:MORE",
		},
		{
			"?for=server",
			[]string{"meet.example.org"},
			"stun:stun.example.org turn:meet.example.org:ONE?transport=tcp turns:meet.example.org:ONE?transport=tcp",
		},
	} {
		n.cfg.Domain = c.domain
		w := askICE(n, "203.0.113.9:5", c.query)
		var got answered
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %s", c.query, w.Code, w.Body)
		}
		var urls []string
		for _, s := range got.ICEServers {
			urls = append(urls, s.URLs...)
			isTURN := strings.HasPrefix(s.URLs[0], "turn")
			if _, _, ok := n.turn.Key(nil, time.Now(), []byte(s.Username), false); ok != isTURN || (s.Credential != "") != isTURN {
				t.Errorf("%s: credentials %q %q of %v", c.query, s.Username, s.Credential, s.URLs)
			}
		}
		want := strings.NewReplacer("ONE", fmt.Sprint(one), "MORE", fmt.Sprint(more)).Replace(c.want)
		if text := strings.Join(urls, " "); text != want || got.TTLSeconds != 86400 {
			t.Errorf("%s: %s for %d s, want %s", c.query, text, got.TTLSeconds, want)
		}
		if h := w.Header(); h.Get("Cache-Control") != "no-store" || !slices.Contains(h.Values("Vary"), "Origin") || h.Get("Content-Type") != "application/json" {
			t.Errorf("%v", h)
		}
	}
}

// In open mode nobody says who he is, and many may be behind one address: what each is given counts by itself, and all together by the limit of their address.
func TestOpenModeCountsEachByItself(t *testing.T) {
	n := startNode(t, "--advertise", "203.0.113.7")
	defer n.stop()
	users := map[string]bool{}
	for range 3 {
		var got answered
		if err := json.Unmarshal(askICE(n, "203.0.113.9:5", "?for=server").Body.Bytes(), &got); err != nil || len(got.ICEServers) != 1 {
			t.Fatalf("%v, %v", got, err)
		}
		_, user, ok := n.turn.Key(nil, time.Now(), []byte(got.ICEServers[0].Username), false)
		if !ok {
			t.Fatal("they are not good")
		}
		users[user] = true
	}
	if len(users) != 3 {
		t.Errorf("three who ask are %d users", len(users))
	}
}

// Whoever asks wrongly, without a token where one is needed, from a foreign page, or too often, is told so.
func TestICEServersRefused(t *testing.T) {
	open := startNode(t)
	defer open.stop()
	closed := startNode(t, "--auth", "token", "--origins", "https://app.example")
	defer closed.stop()
	k := closed.keys.Load()
	token, err := auth.Sign(time.Now(), auth.Claims{
		Key: k.first, Identity: "ann", Room: "tea", Grants: wire.Grants{Subscribe: true}, Expires: time.Now().Add(time.Hour),
	}, k.keys)
	if err != nil {
		t.Fatal(err)
	}
	bearer := []string{"Authorization", "bearer " + token}
	for _, c := range []struct {
		name   string
		n      *node
		query  string
		header []string
		want   int
	}{
		{"open", open, "?for=server", nil, 200},
		{"for nobody", open, "", nil, 400},
		{"for somebody else", open, "?for=me", nil, 400},
		{"no token", closed, "?for=server", nil, 401},
		{"a bad token", closed, "?for=server", []string{"Authorization", "Bearer x"}, 401},
		{"another scheme", closed, "?for=server", []string{"Authorization", "Basic " + token}, 401},
		{"a token", closed, "?for=participant", bearer, 200},
		{"a foreign page", closed, "?for=server", append([]string{"Origin", "https://evil.example"}, bearer...), 403},
		{"a listed page", closed, "?for=server", append([]string{"Origin", "https://app.example"}, bearer...), 200},
	} {
		w := askICE(c.n, "203.0.113.9:5", c.query, c.header...)
		if w.Code != c.want || c.want == 401 && w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: %d %s, %v", c.name, w.Code, w.Body, w.Header())
		}
		if c.name == "a listed page" && w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" {
			t.Errorf("%s: %v", c.name, w.Header())
		}
	}
	h := newICEHandler(closed, originsOf(closed))
	ask := func(method string, header ...string) *httptest.ResponseRecorder {
		r := request("203.0.113.9:5", "https://meet.example.org/v1/ice-servers?for=server", header...)
		r.Method = method
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := ask("POST"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, OPTIONS" {
		t.Errorf("POST: %d %v", w.Code, w.Header())
	}
	w := ask("OPTIONS", "Origin", "https://app.example", "Access-Control-Request-Method", "GET")
	if x := w.Header(); w.Code != 204 || x.Get("Access-Control-Allow-Headers") != "Authorization" || x.Get("Access-Control-Allow-Methods") != "GET, OPTIONS" {
		t.Errorf("preflight: %d %v", w.Code, x)
	}
	for range iceServersBurst {
		w = ask("GET", bearer...)
	}
	if w.Code != 200 {
		t.Errorf("within the limit: %d", w.Code)
	}
	if w = ask("GET", bearer...); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("beyond the limit: %d %v", w.Code, w.Header())
	}
}

// What a participant may relay is counted together, wherever it got its credentials from; others are counted apart, and so are addresses in
// open mode.
func TestICEServersAreTheParticipants(t *testing.T) {
	n := startNode(t, "--auth", "token", "--advertise", "203.0.113.7")
	defer n.stop()
	k := n.keys.Load()
	user := func(s []wire.ICEServer) string {
		_, user, ok := n.turn.Key(nil, time.Now(), []byte(s[0].Username), false)
		if !ok {
			t.Errorf("%q has no key", s[0].Username)
		}
		return user
	}
	of := func(identity string) string {
		token, err := auth.Sign(time.Now(), auth.Claims{Key: k.first, Identity: identity, Room: "tea", Expires: time.Now().Add(time.Hour)}, k.keys)
		if err != nil {
			t.Fatal(err)
		}
		var got answered
		if err := json.Unmarshal(askICE(n, "203.0.113.9:5", "?for=server", "Authorization", "Bearer "+token).Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		return user(got.ICEServers)
	}
	joined := user(n.iceServersFor("tea", "ann", time.Time{}))
	if of("ann") != joined || of("bob") == joined {
		t.Errorf("ann is %s and %s, bob %s", joined, of("ann"), of("bob"))
	}
}

// Of however many key pairs all make good credentials, new ones are made by the first, and those of one that is gone are worth nothing.
func TestTURNKeysChange(t *testing.T) {
	ring := func(names string) *keyring {
		text := ""
		for _, name := range names {
			text += fmt.Sprintf("%c: %s\n", name, strings.Repeat(string(name), 32))
		}
		k, err := parseKeys([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return &k
	}
	var s turnServer
	now := time.Now()
	holds := func(username, password string) bool {
		key, _, _ := s.Key(nil, now, []byte(username), false)
		return string(key) == string(stun.AppendLongTermKey(nil, stun.MD5, username, memberRealm, password))
	}
	made := map[rune][2]string{}
	for _, first := range "abcdefgh" {
		if err := s.use(ring(string(first))); err != nil {
			t.Fatal(err)
		}
		username, password := s.credentials(now, now.Add(time.Hour), "tea", "ann")
		made[first] = [2]string{username, password}
	}
	for _, names := range []string{"habcdefg", "ab", "gh"} {
		if err := s.use(ring(names)); err != nil {
			t.Fatal(err)
		}
		for name, c := range made {
			if there := strings.ContainsRune(names, name); holds(c[0], c[1]) != there || s.Holds(now, []byte(c[0])) != there {
				t.Errorf("of the key pairs %s, credentials by %c: good %v", names, name, !there)
			}
		}
		username, password := s.credentials(now, now.Add(time.Hour), "tea", "ann")
		if made[rune(names[0])] != [2]string{username, password} {
			t.Errorf("of the key pairs %s, it is not the first that makes credentials", names)
		}
	}
}

// Without TURN there is nothing to tell of, and its connections are nobody's.
func TestNoTURN(t *testing.T) {
	n := startNode(t, "--no-turn", "--advertise", "203.0.113.7")
	defer n.stop()
	if got := n.iceServersAmong("tea", "ann", time.Time{}); len(got) != 0 || n.turn != nil {
		t.Errorf("%v", got)
	}
}

// The limit of iceServersBurst and iceServersEvery, for each source; sources may share a place of the table, which has limitedSources, and no more.
func TestSourceLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSourceLimit(3, time.Second)
		source := netip.MustParseAddr("203.0.113.9")
		admitted := func() (n int) {
			for range 10 {
				if l.admit(time.Now(), source) {
					n++
				}
			}
			return n
		}
		if n := admitted(); n != 3 {
			t.Errorf("%d at once", n)
		}
		time.Sleep(2 * time.Second)
		if n := admitted(); n != 2 {
			t.Errorf("%d after 2 s", n)
		}
		l.take(time.Now(), source, 5, true) // with what is used up, 8 s are owed, of which 3 may be used up at once
		time.Sleep(5 * time.Second)
		if n := admitted(); n != 0 {
			t.Errorf("%d while something is owed", n)
		}
		time.Sleep(time.Second)
		if n := admitted(); n != 1 {
			t.Errorf("%d when all but the limit is paid", n)
		}
		others := 0
		for i := range byte(100) {
			if l.admit(time.Now(), netip.AddrFrom4([4]byte{198, 51, 100, i})) {
				others++
			}
		}
		if others < 90 || len(l.paid) != limitedSources {
			t.Errorf("%d of 100 other sources are admitted, of a table of %d", others, len(l.paid))
		}
	})
}
