package host

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/wire"
)

// patience is for what comes at once where the machine is not busy.
const patience = 30 * time.Second

// until waits for something that a machine does sooner or later.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for start := time.Now(); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// startNode runs a whole server on a free port of the loopback interface.
func startNode(t testing.TB, args ...string) *node {
	t.Helper()
	return startLogging(t, slog.DiscardHandler, args...)
}

func startLogging(t testing.TB, log slog.Handler, args ...string) *node {
	t.Helper()
	var cli program
	p := process{env: func(string) (string, bool) { return "", false }}
	_, _, _, err := p.parse(&cli, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()}, args...))
	if err == nil {
		err = cli.Serve.complete(p.env)
	}
	if err != nil {
		t.Fatal(err)
	}
	n, err := newNode(&cli.Serve.Config, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// client trusts the node's private authority and nothing else.
func (n *node) client(t *testing.T) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(n.certs.ca.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}

// session is a WebSocket of a test.
type session struct {
	t    *testing.T
	conn *websocket.Conn
	ctx  context.Context
}

func dial(t *testing.T, n *node) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://127.0.0.1:%d/v1/session", n.port.Local().Port()), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(wire.MaxMessageBytes)
	return &session{t, conn, ctx}
}

func (s *session) send(kind string, body any) {
	s.t.Helper()
	if err := put(s.ctx, s.conn, 1, kind, body); err != nil {
		s.t.Fatal(err)
	}
}

// put sends a request.
func put(ctx context.Context, socket *websocket.Conn, id uint64, kind string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	m, err := json.Marshal(wire.Request{ID: id, Type: kind, Body: b})
	if err != nil {
		return err
	}
	return socket.Write(ctx, websocket.MessageText, m)
}

// await reads until a message of the kind comes.
func (s *session) await(kind string) wire.Message {
	s.t.Helper()
	for {
		_, b, err := s.conn.Read(s.ctx)
		if err != nil {
			s.t.Fatalf("waiting for %s: %v", kind, err)
		}
		var m wire.Message
		if err := json.Unmarshal(b, &m); err != nil {
			s.t.Fatal(err)
		}
		if m.Type == kind {
			return m
		}
		if m.Type == wire.TypeError {
			s.t.Fatalf("waiting for %s: %s", kind, b)
		}
	}
}

// readToEnd answers the server's close, as browsers do by themselves.
func (s *session) readToEnd() {
	for {
		if _, _, err := s.conn.Read(s.ctx); err != nil {
			return
		}
	}
}

// One port serves HTTPS, HTTP/2 and plain HTTP; its routes are there; what it measures passes Prometheus's linter; and nothing
// is left running when it has stopped.
func TestNodeServes(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	n := startNode(t)
	c := n.client(t)
	port := n.port.Local().Port()
	for _, path := range []string{"/healthz", "/readyz", "/version", "/trust", "/trust/style.css", "/metrics", "/", "/r/tea", "/sdk/", "/sdk/parley.js"} {
		for _, scheme := range []string{"http", "https"} {
			r, body := get(t, c, fmt.Sprintf("%s://localhost:%d%s", scheme, port, path))
			if r.StatusCode != 200 || r.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s%s: %d %v\n%s", scheme, path, r.StatusCode, r.Header, body)
			}
			if h2 := r.ProtoMajor == 2; h2 != (scheme == "https") {
				t.Errorf("%s%s: %s", scheme, path, r.Proto)
			}
		}
	}
	s := dial(t, n)
	s.send(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: "tea", Name: "Ann"})
	s.await(wire.TypeJoined)
	if _, body := get(t, c, fmt.Sprintf("http://localhost:%d/metrics", port)); !strings.Contains(body, "\nparley_participants 1\n") ||
		!strings.Contains(body, `parley_dropped_datagrams_total{owner="shard",reason="srtp_auth"} 0`) {
		t.Error(body)
	}
	problems, err := testutil.GatherAndLint(n.metrics.Gatherer())
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	stopped := make(chan struct{})
	go func() { n.stop(); close(stopped) }()
	s.await(wire.TypeEnded)
	s.readToEnd()
	<-stopped
	c.CloseIdleConnections()
}

// A page under a stranger's name that leads to this machine opens no session and reads no metrics; one under a name that the
// server is known by does.
func TestReboundNames(t *testing.T) {
	n := startNode(t, "--origins", "http://app.example.org:3000")
	defer n.stop()
	port := n.port.Local().Port()
	for name, want := range map[string]int{
		"evil.example": 403, "localhost.evil.example": 403, "localhost": 101, "127.0.0.1": 101, "app.example.org": 101, n.names[len(n.names)-1]: 101,
	} {
		host := fmt.Sprintf("%s:%d", name, port)
		conn, answer, err := websocket.Dial(t.Context(), fmt.Sprintf("ws://127.0.0.1:%d/v1/session", port), &websocket.DialOptions{
			Host: host, HTTPHeader: http.Header{"Origin": {"http://" + host}},
		})
		if err == nil {
			_ = conn.CloseNow()
		}
		if answer == nil || answer.StatusCode != want {
			t.Errorf("%s: %v, %v", name, answer, err)
		}
		r, _ := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://127.0.0.1:%d/metrics", port), nil)
		r.Host = host
		answer, err = http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if (answer.StatusCode == 200) != (want == 101) {
			t.Errorf("metrics by %s: %d", name, answer.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// While it drains, a node takes nobody new and says so, lets calls go on, and ends as soon as the last has left, or when told
// again.
func TestDrain(t *testing.T) {
	for _, impatient := range []bool{false, true} {
		n := startNode(t)
		s := dial(t, n)
		s.send(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: "tea"})
		s.await(wire.TypeJoined)
		drained, again := make(chan bool, 1), make(chan os.Signal, 1)
		go func() { drained <- n.drain(time.Hour, again) }()
		if told := s.await(wire.TypeDraining); string(told.Body) != `{"seconds":3600}` {
			t.Errorf("told %s", told.Body)
		}
		c := n.client(t)
		base := fmt.Sprintf("http://127.0.0.1:%d", n.port.Local().Port())
		if r, _ := get(t, c, base+"/readyz"); r.StatusCode != 503 {
			t.Errorf("readyz: %d while draining", r.StatusCode)
		}
		if r, _ := get(t, c, base+"/healthz"); r.StatusCode != 200 {
			t.Errorf("healthz: %d while draining", r.StatusCode)
		}
		late := dial(t, n)
		late.send(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: "coffee"})
		if _, b, err := late.conn.Read(late.ctx); err != nil || !strings.Contains(string(b), `"draining"`) {
			t.Errorf("a join while draining: %s, %v", b, err)
		}
		select {
		case <-drained:
			t.Error("drained although a session is there")
		default:
		}
		if impatient {
			again <- syscall.SIGTERM
		} else {
			s.send(wire.TypeLeave, wire.Leave{})
		}
		go s.readToEnd()
		go late.readToEnd()
		if told := <-drained; told != impatient {
			t.Errorf("told again: %v", told)
		}
		n.stop()
	}
}

// The second signal ends the server within a second or so, whoever holds it: a call that goes on, a client that never answers the
// server's close, a request whose body does not come.
func TestSecondSignal(t *testing.T) {
	for _, drained := range []bool{false, true} {
		n := startNode(t)
		stopped := make(chan struct{})
		n.stops = slices.Insert(n.stops, 0, func() { close(stopped) }) // as the last thing
		address := n.port.Local().String()
		s := dial(t, n) // which does not read, and so does not take part in closing
		s.send(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: "tea"})
		s.await(wire.TypeJoined)
		slow, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		if _, err := io.WriteString(slow, "POST /whip/tea HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv=0"); err != nil {
			t.Fatal(err)
		}
		limit := time.Hour
		if drained {
			limit = 0 // the first signal's wait is for those who are cut off
		}
		signals, ended := make(chan os.Signal, 1), make(chan error, 1)
		go func() { ended <- n.end(limit, signals) }()
		for !n.draining.Load() {
			time.Sleep(time.Millisecond)
		}
		start := time.Now()
		signals <- syscall.SIGTERM
		err = <-ended
		if took := time.Since(start); took > stopTimeout/2 { // exitTimeout where the machine is not busy; told once it would wait for stopTimeout
			t.Errorf("drained %v: ended after %v, %v", drained, took, err)
		}
		_, _ = slow.Close(), s.conn.CloseNow()
		<-stopped // a process is gone by now; here it may be at work in its data folder
	}
}

// Keys that change in the data folder count: tokens of new ones let in, sessions of old ones end. TestKeysAreReadSoon tells how soon.
func TestKeysAreReadAgain(t *testing.T) {
	n := startNode(t, "--auth", "token")
	defer n.stop()
	join := func(keys keyring) *session {
		token, err := auth.Sign(time.Now(), auth.Claims{
			Key: keys.first, Identity: keys.first, Room: "tea", Expires: time.Now().Add(time.Hour), Grants: wire.Grants{Subscribe: true},
		}, keys.keys)
		if err != nil {
			t.Fatal(err)
		}
		s := dial(t, n)
		s.send(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Token: token})
		return s
	}
	ann := join(*n.keys.Load())
	ann.await(wire.TypeJoined)
	if err := writePrivate(n.cfg.keysPath(), []byte("APInew: "+aSecret)); err != nil {
		t.Fatal(err)
	}
	var ended wire.Ended
	if err := json.Unmarshal(ann.await(wire.TypeEnded).Body, &ended); err != nil || ended.Code != wire.CodeUnauthorized {
		t.Errorf("%+v, %v", ended, err)
	}
	ann.readToEnd()
	bob := join(*n.keys.Load())
	bob.await(wire.TypeJoined)
	if n.keys.Load().first != "APInew" {
		t.Error(n.keys.Load().first)
	}
	go bob.readToEnd()
}

// In token mode only a valid token gets in, into the room that it names; parley token makes such tokens.
func TestTokenMode(t *testing.T) {
	n := startNode(t, "--auth", "token")
	defer n.stop()
	token, err := auth.Sign(time.Now(), auth.Claims{
		Key: n.keys.Load().first, Identity: "ann", Room: "tea", Expires: time.Now().Add(time.Hour), Grants: wire.Grants{Publish: true},
	}, n.keys.Load().keys)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		token string
		want  string
	}{{"", `"unauthorized"`}, {token + "x", `"unauthorized"`}, {token, `"identity":"ann"`}} {
		s := dial(t, n)
		s.send(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: "tea", Token: c.token})
		if _, b, err := s.conn.Read(s.ctx); err != nil || !strings.Contains(string(b), c.want) {
			t.Errorf("token %.10q…: %s, %v, want %s", c.token, b, err, c.want)
		}
		go s.readToEnd()
	}
}

// A port that is taken is refused with a next step, and what was built before is taken down.
func TestPortTaken(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cfg := *n.cfg
	cfg.Listen = n.port.Local().String()
	if _, err := newNode(&cfg, n.log); err == nil || !strings.Contains(err.Error(), "--listen chooses another port") {
		t.Errorf("error %v", err)
	}
}

// Watching looks for new addresses without disturbing what runs.
func TestWatch(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	before := n.currentCandidates()
	n.watch(time.Now())
	if after := n.currentCandidates(); len(after) != 2 || len(before) != 2 || after[0] != before[0] {
		t.Errorf("candidates %v, then %v", before, after)
	}
	if s := n.summary(false); s.port != n.port.Local().Port() || !s.loopback || s.authority == "" {
		t.Errorf("summary %+v", s)
	}
}
