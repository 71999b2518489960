package ws_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/auth/authtest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/internal/signal/ws"
	"github.com/parley-rtc/parley/wire"
)

type noMedia struct{}

func (noMedia) Do(media.Command) bool { return true }

func (noMedia) Reserve(netip.Addr) (media.Place, media.Refusal) { return media.Place{}, media.Admitted }
func (noMedia) Refuses(netip.Addr) media.Refusal                { return media.Admitted }

// node is signalling with real rooms.
type node struct {
	*testing.T
	service *signal.Service
	handler http.Handler
	stop    func()
}

func newNode(t *testing.T, keys func() auth.Keys, allowed ...string) *node {
	t.Helper()
	b := local.New()
	r, err := rooms.New(rooms.Config{
		Bus: b, Shards: []rooms.Media{noMedia{}}, Candidates: func() []sdp.Candidate { return nil },
		Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	o, err := signal.NewOrigins(allowed, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{T: t, service: signal.New(signal.Config{Bus: b, Keys: keys})}
	n.handler = ws.New(n.service, o)
	n.stop = func() {
		n.service.Close()
		r.Close()
		_ = b.Close()
	}
	return n
}

// serve listens on loopback until the test ends.
func (n *node) serve() string {
	mux := http.NewServeMux()
	mux.Handle(ws.Path, n.handler)
	s := httptest.NewServer(mux)
	n.Cleanup(func() {
		n.stop()
		s.Close()
	})
	return s.URL + ws.Path
}

type client struct {
	*node
	conn *websocket.Conn
	id   uint64
}

func (n *node) dial(url string, o *websocket.DialOptions) *client {
	n.Helper()
	conn, _, err := websocket.Dial(n.Context(), url, o)
	if err != nil {
		n.Fatal(err)
	}
	conn.SetReadLimit(wire.MaxMessageBytes * 4)
	n.Cleanup(func() { _ = conn.CloseNow() })
	return &client{node: n, conn: conn}
}

func (c *client) send(kind string, body any) {
	c.id++
	b, err := json.Marshal(map[string]any{"id": c.id, "type": kind, "body": body})
	if err == nil {
		err = c.conn.Write(c.Context(), websocket.MessageText, b)
	}
	if err != nil {
		c.Fatal(err)
	}
}

func (c *client) next() wire.Message {
	c.Helper()
	kind, b, err := c.conn.Read(c.Context())
	var m wire.Message
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil || kind != websocket.MessageText {
		c.Fatal(kind, err)
	}
	return m
}

func (c *client) join(identity string) wire.Joined {
	c.Helper()
	c.send(wire.TypeJoin, wire.Join{Protocol: 1, Room: "tea", Identity: identity})
	m := c.next()
	var j wire.Joined
	if err := json.Unmarshal(m.Body, &j); err != nil || m.Type != wire.TypeJoined {
		c.Fatalf("%s %s", m.Type, m.Body)
	}
	return j
}

// ended reads until the server closes, and returns how, with the last message.
func (c *client) ended() (websocket.StatusCode, wire.Message) {
	var last wire.Message
	for {
		_, b, err := c.conn.Read(c.Context())
		if err != nil {
			return websocket.CloseStatus(err), last
		}
		if err := json.Unmarshal(b, &last); err != nil {
			c.Fatal(err)
		}
	}
}

func code(m wire.Message) wire.Code {
	var e struct{ Code wire.Code }
	_ = json.Unmarshal(m.Body, &e)
	return e.Code
}

// One text message carries one request or message, both ways; the subprotocol is selected where offered, compression never.
func TestSession(t *testing.T) {
	n := newNode(t, nil)
	url := n.serve()
	ann := n.dial(url, &websocket.DialOptions{Subprotocols: []string{"x", ws.Subprotocol}, CompressionMode: websocket.CompressionContextTakeover})
	if ann.conn.Subprotocol() != ws.Subprotocol {
		t.Errorf("subprotocol %q", ann.conn.Subprotocol())
	}
	ann.join("ann")
	bob := n.dial(url, nil)
	if j := bob.join("bob"); bob.conn.Subprotocol() != "" || len(j.Room.Participants) != 2 {
		t.Errorf("%q, %+v", bob.conn.Subprotocol(), j)
	}
	if m := ann.next(); m.Seq != 2 || m.Type != wire.TypeParticipantJoined {
		t.Errorf("%+v", m)
	}
	bob.send(wire.TypeChat, wire.Chat{Text: "hällo ☕"})
	if m := ann.next(); m.Type != wire.TypeChatReceived || !strings.Contains(string(m.Body), "hällo ☕") {
		t.Errorf("%+v", m)
	}
}

// A page that is left closes its socket with status 1001, and its participant leaves at once; any other close may be followed by a resume.
func TestGoingAway(t *testing.T) {
	n := newNode(t, nil)
	url := n.serve()
	ann := n.dial(url, nil)
	ann.join("ann")
	for _, c := range []struct {
		identity string
		status   websocket.StatusCode
	}{{"bob", websocket.StatusNormalClosure}, {"cid", websocket.StatusGoingAway}} {
		other := n.dial(url, nil)
		other.join(c.identity)
		if m := ann.next(); m.Type != wire.TypeParticipantJoined {
			t.Fatalf("%+v", m)
		}
		_ = other.conn.Close(c.status, "")
	}
	var left wire.ParticipantLeft
	if m := ann.next(); json.Unmarshal(m.Body, &left) != nil || m.Type != wire.TypeParticipantLeft || left.Identity != "cid" || left.Reason != wire.CodeLeft {
		t.Errorf("%+v", m)
	}
	ann.send(wire.TypePing, nil)
	if m := ann.next(); m.Type != wire.TypeOK {
		t.Errorf("bob's session can be resumed, but %+v", m)
	}
}

// The server says by the close status why a socket ends, after the last message.
func TestCloseStatuses(t *testing.T) {
	big := map[string]string{"x": strings.Repeat("x", wire.MaxMessageBytes)}
	for _, c := range []struct {
		name string
		do   func(c *client, url string)
		want websocket.StatusCode
		code wire.Code
	}{
		{"left", func(c *client, _ string) { c.join("ann"); c.send(wire.TypeLeave, nil) }, websocket.StatusNormalClosure, wire.CodeLeft},
		{"replaced by another session", func(c *client, url string) { c.join("ann"); c.dial(url, nil).join("ann") }, websocket.StatusNormalClosure, wire.CodeReplaced},
		{"binary", func(c *client, _ string) {
			c.join("ann")
			_ = c.conn.Write(c.Context(), websocket.MessageBinary, []byte("{}"))
		}, websocket.StatusUnsupportedData, ""},
		{"refused three times", func(c *client, _ string) {
			for range signal.MaxTries {
				c.send(wire.TypePing, nil)
			}
		}, websocket.StatusPolicyViolation, wire.CodeUnauthorized},
		{"too large before join", func(c *client, _ string) {
			c.send(wire.TypeJoin, map[string]string{"x": strings.Repeat("x", wire.MaxMessageBytesBeforeJoin)})
		}, websocket.StatusMessageTooBig, wire.CodeTooLarge},
		{"too large", func(c *client, _ string) { c.join("ann"); c.send(wire.TypeUpdate, big) }, websocket.StatusMessageTooBig, wire.CodeTooLarge},
		{"resumed elsewhere", func(c *client, url string) {
			j := c.join("ann")
			c.dial(url, nil).send(wire.TypeResume, wire.Resume{Protocol: 1, Session: j.Session, Token: j.ResumeToken, Seq: 1})
		}, 4000, ""},
		{"server closing", func(c *client, _ string) { c.join("ann"); go c.service.Close() }, websocket.StatusNormalClosure, wire.CodeDraining},
		{"server closing before join", func(c *client, _ string) { go c.service.Close() }, websocket.StatusGoingAway, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, nil)
			url := n.serve()
			s := n.dial(url, nil)
			c.do(s, url)
			if status, last := s.ended(); status != c.want || code(last) != c.code {
				t.Errorf("status %d after %s %s", status, last.Type, last.Body)
			}
		})
	}
}

// Only pages of this server and of listed origins may open a socket; a refusal is a 403 before the handshake.
func TestOriginMatrix(t *testing.T) {
	for _, c := range []struct {
		name, origin string
		listed       bool
		want         int
	}{
		{"none", "", false, 101},
		{"own", "own", false, 101},
		{"own, over TLS in front", "own-https", false, 101},
		{"own host, other port", "http://127.0.0.1:1", false, 403},
		{"foreign", "https://evil.example", false, 403},
		{"null", "null", false, 403},
		{"listed", "https://app.example", true, 101},
		{"listed, other scheme", "http://app.example", true, 403},
		{"below a listed one", "https://x.app.example", true, 403},
		{"looks like a listed one", "https://app.example.evil.example", true, 403},
		{"listed, with a user part", "https://app.example@evil.example", true, 403},
		{"own beside a list", "own", true, 101},
	} {
		t.Run(c.name, func(t *testing.T) {
			var allowed []string
			if c.listed {
				allowed = []string{"https://app.example"}
			}
			n := newNode(t, nil, allowed...)
			url := n.serve()
			header := http.Header{}
			switch host := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), ws.Path); c.origin {
			case "":
			case "own":
				header.Set("Origin", "http://"+host)
			case "own-https":
				header.Set("Origin", "https://"+host)
			default:
				header.Set("Origin", c.origin)
			}
			conn, answer, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: header})
			if err == nil {
				_ = conn.CloseNow()
			}
			if answer == nil || answer.StatusCode != c.want {
				t.Fatalf("answer %v, %v", answer, err)
			}
			if got := answer.Header.Get("Content-Type"); c.want == 403 && got != "application/problem+json" {
				t.Errorf("refused with %s", got)
			}
			if got := answer.Header.Get("Access-Control-Allow-Origin"); got != map[int]string{403: "*"}[c.want] {
				t.Errorf("%q may read the answer %d", got, c.want)
			}
		})
	}
}

// No forged token opens a session over a socket.
func TestForgeries(t *testing.T) {
	n := newNode(t, authtest.Keys)
	url := n.serve()
	good := n.dial(url, nil)
	good.send(wire.TypeJoin, wire.Join{Protocol: 1, Token: authtest.Good(time.Now(), nil)})
	if m := good.next(); m.Type != wire.TypeJoined {
		t.Fatalf("%s", m.Body)
	}
	for _, f := range authtest.Forgeries(time.Now()) {
		c := n.dial(url, nil)
		c.send(wire.TypeJoin, wire.Join{Protocol: 1, Room: authtest.Room, Token: f.Token})
		if m := c.next(); m.Type != wire.TypeError || code(m) != wire.CodeUnauthorized && code(m) != wire.CodeTooLarge {
			t.Errorf("%s: %s %s", f.Name, m.Type, m.Body)
		}
		_ = c.conn.CloseNow()
	}
}

// What is no WebSocket handshake is answered as HTTP, and leaves nothing behind.
func TestPlainHTTP(t *testing.T) {
	n := newNode(t, nil)
	answer, err := http.Get(n.serve())
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusUpgradeRequired || n.service.Stats().Unauthenticated != 0 {
		t.Errorf("%d, %+v", answer.StatusCode, n.service.Stats())
	}
}

// pipes is a network of in-memory connections, on which time is virtual. A pipe holds nothing: who does not read stops who writes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	a, b := net.Pipe()
	p.conns <- b
	return a, nil
}

// overPipes runs a server and a dialer in a bubble.
func overPipes(t *testing.T, run func(n *node, o *websocket.DialOptions)) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, nil)
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: n.handler, ReadHeaderTimeout: 5 * time.Second}
		served := make(chan error, 1)
		go func() { served <- server.Serve(p) }()
		transport := &http.Transport{DialContext: p.dial, DisableKeepAlives: true}
		run(n, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
		n.stop()
		transport.CloseIdleConnections()
		close(p.closed)
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// A client that answers pings stays, though it says nothing for minutes; one that is silent has lost its socket after 30 seconds, and
// its session 30 seconds later.
func TestPings(t *testing.T) {
	overPipes(t, func(n *node, o *websocket.DialOptions) {
		var pings atomic.Int64
		answering := *o
		answering.OnPingReceived = func(context.Context, []byte) bool { pings.Add(1); return true }
		ann := n.dial("http://parley.example", &answering)
		ann.join("ann")
		silent := *o
		silent.OnPingReceived = func(context.Context, []byte) bool { return false }
		bob := n.dial("http://parley.example", &silent)
		bob.join("bob")
		start := time.Now()
		lost := make(chan time.Duration, 1)
		go func() {
			_, _ = bob.ended()
			lost <- time.Since(start)
		}()
		ctx, cancel := context.WithTimeout(n.Context(), 3*time.Minute)
		defer cancel()
		left := time.Duration(0)
		for {
			_, b, err := ann.conn.Read(ctx)
			if err != nil {
				break
			}
			if strings.Contains(string(b), wire.TypeParticipantLeft) {
				left = time.Since(start)
			}
		}
		if d := <-lost; d < 30*time.Second || d > 31*time.Second {
			n.Errorf("the silent socket was lost after %v", d)
		}
		if left < time.Minute || left > 62*time.Second || pings.Load() < 17 || n.service.Stats().Sessions != 1 {
			n.Errorf("left after %v, %d pings, %+v", left, pings.Load(), n.service.Stats())
		}
	})
}

// A client that stops reading while a message is being written to it loses its socket within 10 seconds; others lose nothing.
func TestStuckWrite(t *testing.T) {
	overPipes(t, func(n *node, o *websocket.DialOptions) {
		ann, bob := n.dial("http://parley.example", o), n.dial("http://parley.example", o)
		ann.join("ann")
		bob.join("bob") // and never reads again
		heard := make(chan int, 1)
		go func() {
			count := 0
			for count < 20 {
				if m := ann.next(); m.Type == wire.TypeChatReceived {
					count++
				}
			}
			heard <- count
		}()
		start := time.Now()
		for i := range 20 {
			ann.send(wire.TypeChat, wire.Chat{Text: fmt.Sprint(i)})
		}
		if count, took := <-heard, time.Since(start); count != 20 || took > time.Second {
			n.Errorf("heard %d in %v", count, took)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if err := bob.conn.Write(n.Context(), websocket.MessageText, []byte("{}")); err == nil {
			n.Error("the socket is still open")
		}
	})
}
