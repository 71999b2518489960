package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/client"
	"github.com/parley-rtc/parley/internal/api"
	"github.com/parley-rtc/parley/internal/auth/authtest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/journal"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/permit"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/internal/signal/ws"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type noMedia struct{}

func (noMedia) Do(media.Command) bool                           { return true }
func (noMedia) Reserve(netip.Addr) (media.Place, media.Refusal) { return media.Place{}, media.Admitted }
func (noMedia) Refuses(netip.Addr) media.Refusal                { return media.Admitted }

// office is a server without media, on loopback.
type office struct {
	*testing.T
	url     string
	handler http.Handler
	spent   int // cost of what was asked; more than allowed is refused
	most    int
}

// open opens one; with keys in token mode.
func open(t *testing.T, c signal.Config) *office {
	t.Helper()
	b, quiet := local.New(), slog.New(slog.DiscardHandler)
	j, err := journal.New(journal.Config{
		Bus: b, Log: local.NewLog(1 << 30), Changes: local.NewLog(1 << 30), Logger: quiet,
		ReadsAny: func(string, state.Caller, string) bool { return true },
		Denied: func(ctx context.Context, room string, by state.Caller, records []string) (map[string]bool, error) {
			return scopes.Denied(ctx, b, room, by, records)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := rooms.New(rooms.Config{
		Bus: b, Shards: []rooms.Media{noMedia{}}, Candidates: func() []sdp.Candidate { return nil }, Random: rand.Reader, Journal: j, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := scopes.NewService(t.Context(), scopes.ServiceConfig{
		Bus: b, Log: local.NewLog(1 << 30), Linger: time.Minute, Random: rand.Reader, Logger: quiet, Note: j.Note,
		May: func(scope wire.Scope, _ string) func(state.Access) *wire.Error {
			return permit.Default(scope, c.Keys == nil)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	origins, err := signal.NewOrigins([]string{"https://app.example"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{T: t, most: 10_000}
	c.Bus = b
	sessions := signal.New(c)
	mux := http.NewServeMux()
	mux.Handle(ws.Path, ws.New(sessions, origins))
	mux.Handle(api.StatePath, api.NewState(sessions, origins, o))
	mux.Handle(api.GrantsPath, api.NewGrants(sessions, origins, o))
	mux.Handle(api.DocumentPath, api.ServeDocument())
	server := httptest.NewServer(mux)
	o.url, o.handler = server.URL, mux
	t.Cleanup(func() {
		sessions.Close()
		_ = s.Close()
		r.Close()
		j.Close()
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return o
}

// Admit implements api.Allowance.
func (o *office) Admit(_ *http.Request, cost int) *wire.Error {
	if o.spent += cost; o.spent > o.most {
		return &wire.Error{Code: wire.CodeRate, RetrySeconds: 1}
	}
	return nil
}

// Owe implements api.Allowance.
func (o *office) Owe(_ *http.Request, cost int) { o.spent += cost }

// post sends a body and returns status and answer.
func (o *office) post(body string, headers ...string) (int, string) {
	o.Helper()
	return o.postTo(api.StatePath, body, headers...)
}

func (o *office) postTo(path, body string, headers ...string) (int, string) {
	o.Helper()
	r, err := http.NewRequest(http.MethodPost, o.url+path, strings.NewReader(body))
	if err != nil {
		o.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return o.do(r)
}

func (o *office) do(r *http.Request) (int, string) {
	o.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		o.Fatal(err)
	}
	defer answer.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(answer.Body); err != nil {
		o.Fatal(err)
	}
	return answer.StatusCode, strings.TrimSpace(b.String())
}

// batch asks in a room and returns results, each as its type and body, or its code.
func (o *office) batch(items string) (got []string) {
	o.Helper()
	status, answer := o.post(`{"room":"tea","identity":"clock","items":[` + items + `]}`)
	var results api.Results
	if err := json.Unmarshal([]byte(answer), &results); err != nil || status != http.StatusOK {
		o.Fatal(status, answer, err)
	}
	for _, r := range results.Results {
		if r.Error != nil {
			got = append(got, string(r.Error.Code))
		} else {
			got = append(got, r.Type+string(r.Body))
		}
	}
	return got
}

// Rule: items are carried out in their order, each by itself; sessions see what they do; what needs a session is refused.
func TestBatch(t *testing.T) {
	o := open(t, signal.Config{State: true})
	ctx := t.Context()
	room, err := client.Join(ctx, o.url, client.Options{Room: "tea", Identity: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		room.Leave()
		<-room.Done()
	}()
	waved := make(chan client.Event, 1)
	if _, err := room.State().Subscribe(ctx, "wave", func(e client.Event) { waved <- e }, nil); err != nil {
		t.Fatal(err)
	}
	board, err := room.State().Record(ctx, "board", client.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	changed := make(chan string, 1)
	if _, err := board.Subscribe("", func(b client.Change) { changed <- string(b.Value) }); err != nil {
		t.Fatal(err)
	}
	got := o.batch(`
		{"type":"record-write","body":{"name":"board","operations":[{"op":"set","path":"time","value":"<9:00>"}]}},
		{"type":"record-write","body":{"name":"board","version":7,"operations":[{"op":"set","path":"time","value":1}]}},
		{"type":"record-read","body":{"records":[{"name":"board","path":"time"},{"name":"none"}]}},
		{"type":"presence-read"},
		{"type":"record-subscribe","body":{"records":[{"name":"board"}]}},
		{"type":"event-publish","body":{"name":"wave","value":1}},
		{"type":"record-delete","body":{"name":"none"}}`)
	want := []string{
		`written{"incarnation":1,"version":1}`, "conflict",
		`records{"results":[{"record":{"name":"board","path":"time","incarnation":1,"version":1,"value":"<9:00>"}},{"error":{"code":"not-found","message":"there is no such record","next":"create it by writing it"}}]}`,
		`present{"identities":["ann"]}`, "bad-request", "ok{}", "not-found",
	}
	for i := range got {
		got[i] = regexp.MustCompile(`"incarnation":\d+`).ReplaceAllString(got[i], `"incarnation":1`)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if b := <-changed; b != `{"time":"<9:00>"}` {
		t.Errorf("ann sees %s", b)
	}
	if e := <-waved; string(e.Value) != "1" || e.From != "clock" {
		t.Errorf("ann was told %+v", e)
	}
	if err := room.Chat(ctx, "hello", ""); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; { // an entry can be read soon after its event
		got := o.batch(`{"type":"log-read","body":{"after":0}}`)
		if strings.Contains(got[0], "participant-joined") && strings.Contains(got[0], `"hello"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log: %s", got[0])
		}
	}
}

// Rule: a call of a batch is answered when it has ended, with the answer, or as why it failed; the items behind it wait for that.
func TestBatchCalls(t *testing.T) {
	o := open(t, signal.Config{State: true})
	room, err := client.Join(t.Context(), o.url, client.Options{Room: "tea", Identity: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		room.Leave()
		<-room.Done()
	}()
	answer := func(ctx context.Context, c client.Call) (any, error) {
		if string(c.Value) == "[]" {
			return nil, errors.New("numbers, please")
		}
		return c.From, room.State().Publish(ctx, "asked", c.Value)
	}
	if _, err := room.State().Provide(t.Context(), "add", client.Provider{Answer: answer}); err != nil {
		t.Fatal(err)
	}
	got := o.batch(`
		{"type":"rpc-request","body":{"name":"add","value":[2,3]}},
		{"type":"rpc-request","body":{"name":"add","value":[]}},
		{"type":"rpc-request","body":{"name":"none"}},
		{"type":"rpc-request","body":{"scope":"server","name":"add"}},
		{"type":"rpc-accept","body":{"call":1}},
		{"type":"presence-read"}`)
	want := []string{
		`rpc-result{"scope":"room","call":0,"value":"clock"}`, "rpc-failed", "no-provider", "no-provider", "bad-request", `present{"identities":["ann"]}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Rule: what is wrong with a whole batch is a problem of the request, and nothing of it is carried out.
func TestRefusedBatches(t *testing.T) {
	o := open(t, signal.Config{State: true})
	item := `{"type":"presence-read"}`
	for name, c := range map[string]struct {
		body    string
		headers []string
		status  int
	}{
		"no JSON":        {`{`, nil, 400},
		"no items":       {`{"room":"tea","items":[]}`, nil, 400},
		"no room":        {`{"items":[` + item + `]}`, nil, 400},
		"deep":           {strings.Repeat("[", 40), nil, 400},
		"not UTF-8":      {"{\"room\":\"\xff\"}", nil, 400},
		"too many items": {`{"room":"tea","items":[` + strings.Repeat(item+",", api.MaxItems) + item + `]}`, nil, 413},
		"too large":      {`{"room":"` + strings.Repeat("x", api.MaxBodyBytes) + `"}`, nil, 413},
		"another type":   {`{"room":"tea","items":[` + item + `]}`, []string{"Content-Type", "text/plain"}, 415},
		"another origin": {`{"room":"tea","items":[` + item + `]}`, []string{"Origin", "https://other.example"}, 403},
		"our origin":     {`{"room":"tea","items":[` + item + `]}`, []string{"Origin", "https://app.example"}, 200},
	} {
		if status, answer := o.post(c.body, c.headers...); status != c.status {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	r, _ := http.NewRequest(http.MethodGet, o.url+api.StatePath, nil)
	if status, _ := o.do(r); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
	off := open(t, signal.Config{})
	if status, answer := off.post(`{"room":"tea","items":[` + item + `]}`); status != http.StatusUnprocessableEntity || !strings.Contains(answer, "unsupported") {
		t.Errorf("without state: %d %s", status, answer)
	}
}

// Rule: items have the cost that they have in a session, and what is beyond is refused by itself; so is what follows large answers.
func TestBatchLimits(t *testing.T) {
	o := open(t, signal.Config{State: true})
	o.most = 15
	got := o.batch(`{"type":"presence-read"},{"type":"log-read"},{"type":"log-read"},{"type":"presence-read"}`)
	if got[0] != `present{"identities":[]}` || !strings.HasPrefix(got[1], "log{") || got[2] != "rate" || got[3] != "rate" {
		t.Errorf("got %q", got)
	}
	o.most = 10_000
	o.batch(`{"type":"record-write","body":{"name":"large","operations":[{"op":"set","path":"x","value":"` + strings.Repeat("x", 200<<10) + `"}]}}`)
	read := `,{"type":"record-read","body":{"records":[{"name":"large"}]}}`
	n := 0
	for _, r := range o.batch(strings.Repeat(read, 20)[1:]) {
		if r != "limit" {
			n++
		}
	}
	if n != api.MaxAnswerBytes/(200<<10)+1 {
		t.Errorf("%d answers", n)
	}
	// what refusals have in them counts as well
	conflict := `,{"type":"record-write","body":{"name":"large","version":9999,"operations":[{"op":"set","path":"x","value":1}]}}`
	spent := o.spent
	conflicts := o.batch(strings.Repeat(conflict, 20)[1:])
	if n = len(conflicts); slices.Contains(conflicts, "limit") {
		n = slices.Index(conflicts, "limit")
	}
	if n != api.MaxAnswerBytes/(200<<10)+1 || conflicts[0] != "conflict" || o.spent-spent < n*(1+state.ReplyCost(200<<10)) {
		t.Errorf("%d conflicts, which cost %d: %q", n, o.spent-spent, conflicts)
	}
	o.spent, o.most = 0, 2*(1+state.ReplyCost(200<<10))
	if got := o.batch(strings.Repeat(read, 3)[1:]); got[0] == "rate" || got[1] == "rate" || got[2] != "rate" {
		t.Errorf("replies cost nothing: %.10q", got)
	}
}

// Rule: who may not ask, or has asked too much, is told so before his body is read, and what is no request costs one as well.
func TestRefusedBeforeItIsRead(t *testing.T) {
	nonsense := `{"type":"nonsense"}`
	o := open(t, signal.Config{State: true})
	o.most = 2
	got := o.batch(nonsense + "," + nonsense + "," + nonsense)
	if got[0] != "bad-request" || got[1] != "bad-request" || got[2] != "rate" {
		t.Errorf("got %q", got)
	}
	closed := open(t, signal.Config{State: true, Keys: authtest.Keys})
	for _, c := range []struct {
		o     *office
		token string
		want  int
	}{{closed, "nonsense", http.StatusUnauthorized}, {o, "", http.StatusTooManyRequests}} {
		r := httptest.NewRequest(http.MethodPost, api.StatePath, iotest.ErrReader(errors.New("it was read")))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+c.token)
		answer := httptest.NewRecorder()
		if c.o.handler.ServeHTTP(answer, r); answer.Code != c.want {
			t.Errorf("%d in place of %d: %s", answer.Code, c.want, answer.Body)
		}
	}
}

// Rule: in token mode the token decides who asks, and where; without one nothing is carried out.
func TestToken(t *testing.T) {
	o := open(t, signal.Config{State: true, Keys: authtest.Keys})
	token := authtest.Good(time.Now(), nil)
	body := `{"items":[{"type":"event-publish","body":{"name":"x"}},{"type":"event-publish","body":{"scope":"server","name":"x"}}]}`
	if status, answer := o.post(body); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d %s", status, answer)
	}
	if status, answer := o.post(body, "Authorization", "Bearer nonsense"); status != http.StatusUnauthorized {
		t.Errorf("with nonsense: %d %s", status, answer)
	}
	if status, answer := o.post(body, "Authorization", "Bearer "+token); status != http.StatusOK || !strings.HasPrefix(answer, `{"results":[{"type":"ok","body":{}},{"error":{"code":"forbidden"`) {
		t.Errorf("with the token: %d %s", status, answer)
	}
	if status, answer := o.post(`{"room":"milk",`+body[1:], "Authorization", "Bearer "+token); status != http.StatusForbidden {
		t.Errorf("in another room: %d %s", status, answer)
	}
}

// Rule: the document is served, and has what can be asked, and nothing else.
func TestDocument(t *testing.T) {
	o := open(t, signal.Config{State: true})
	r, _ := http.NewRequest(http.MethodGet, o.url+api.DocumentPath, nil)
	status, answer := o.do(r)
	if status != http.StatusOK || answer != strings.TrimSpace(string(api.Document())) {
		t.Errorf("%d %s", status, answer)
	}
	var d struct {
		Components struct {
			Schemas map[string]struct {
				OneOf []struct{ Title string }
			}
		}
	}
	if err := json.Unmarshal([]byte(answer), &d); err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, x := range d.Components.Schemas["Item"].OneOf {
		titles = append(titles, x.Title)
	}
	if !slices.Equal(titles, signal.VisitorRequests) {
		t.Errorf("the document has %q, what can be asked is %q", titles, signal.VisitorRequests)
	}
	for _, ref := range strings.Split(answer, `"$ref": "#/components/schemas/`)[1:] {
		if name, _, _ := strings.Cut(ref, `"`); !strings.Contains(answer, `"`+name+`": {`) {
			t.Errorf("there is no schema %s", name)
		}
	}
}
