package client_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/client"
	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
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

// noMedia is a shard that nothing is asked of here.
type noMedia struct{}

func (noMedia) Do(media.Command) bool                           { return true }
func (noMedia) Reserve(netip.Addr) (media.Place, media.Refusal) { return media.Place{}, media.Admitted }
func (noMedia) Refuses(netip.Addr) media.Refusal                { return media.Admitted }

// noList is the name of a record that may not become a list, noEntry of what may not be in one. Of the record noPast nobody may read what it was as
// a list, and of noOne whether he is there. Of names that begin with costly one request may ask for one alone.
const noList, noEntry, noPast, noOne, costly = "no list", "no entry", "no past", "no one", "costly"

// house is a server without media: rooms, scopes, sessions, and the carrier of WebSockets.
type house struct {
	http.Handler
	bus   bus.Bus
	close func()
}

func newHouse() (*house, error) {
	b, quiet := local.New(), slog.New(slog.DiscardHandler)
	r, err := rooms.New(rooms.Config{
		Bus: b, Shards: []rooms.Media{noMedia{}}, Candidates: func() []sdp.Candidate { return nil }, Random: rand.Reader, Log: quiet,
	})
	if err != nil {
		return nil, err
	}
	c, err := scopes.NewService(context.Background(), scopes.ServiceConfig{
		Bus: b, Log: local.NewLog(1 << 30), Linger: 30 * time.Second, Random: rand.Reader, Logger: quiet,
		May: func(scope wire.Scope, _ string) func(state.Access) *wire.Error {
			may := permit.Default(scope, true)
			return func(a state.Access) *wire.Error {
				if strings.HasPrefix(a.Name, costly) {
					if refused := a.Step(state.MaxSteps/2 + 1); refused != nil {
						return refused
					}
				}
				if entries, list := a.New.Entries(); list && (a.Name == noList || slices.Contains(entries, noEntry)) {
					return wire.NewError(wire.CodeForbidden, "no such list, please", "")
				}
				if _, list := a.Old.Entries(); list && a.Name == noPast && a.Action == state.Read {
					return wire.NewError(wire.CodeForbidden, "it was a list", "")
				}
				if a.Kind == state.Presence && a.Name == noOne {
					return wire.NewError(wire.CodeForbidden, "who is he", "")
				}
				return may(a)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	o, err := signal.NewOrigins(nil, nil)
	if err != nil {
		return nil, err
	}
	s := signal.New(signal.Config{Bus: b, State: true})
	mux := http.NewServeMux()
	mux.Handle(ws.Path, ws.New(s, o))
	return &house{mux, b, func() {
		s.Close()
		_ = c.Close()
		r.Close()
		_ = b.Close()
	}}, nil
}

// pipes are a network inside a test: what is dialled is accepted.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// cable is one client's way to the server, which can be cut and stay cut.
type cable struct {
	pipes *pipes
	http  *http.Client

	mu     sync.Mutex
	conn   *line
	isSlow bool // from the next connection on
	holdAt int  // on the next connections the client hears nothing more when it has written so often; 0: it does
	down   bool
}

// line is a connection on which the client can be kept from hearing the server, or the server from hearing the client.
type line struct {
	net.Conn
	isSlow bool
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	held   chan struct{} // closed when the client hears again; nil: it does
	holdAt int           // it does not when it has written so much more often; 0: it does
	mute   bool          // the server does not hear the client
}

func (l *line) Write(b []byte) (int, error) {
	l.mu.Lock()
	mute := l.mute
	if l.holdAt--; l.holdAt == 0 {
		l.held = make(chan struct{})
	}
	l.mu.Unlock()
	if mute {
		return len(b), nil
	}
	return l.Conn.Write(b)
}

func (l *line) Read(b []byte) (int, error) {
	if l.isSlow { // what the client does on one message it does before the next one comes
		b = b[:min(len(b), 64)]
		time.Sleep(time.Microsecond)
	}
	n, err := l.Conn.Read(b)
	l.mu.Lock()
	held := l.held
	l.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-l.closed:
			return 0, net.ErrClosed // never heard
		}
	}
	return n, err
}

func (l *line) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}

// hold lets the client hear nothing until release is called or the connection is cut.
func (c *cable) hold() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, held := c.conn, make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.held = nil
		close(held)
	}
}

// holdWhen lets the client hear nothing more on the next connections when it has written so often; 0: it does.
func (c *cable) holdWhen(written int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holdAt = written
}

// mute lets the server hear nothing until the connection is cut.
func (c *cable) mute() {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.conn
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mute = true
}

func (c *cable) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, net.ErrClosed
	}
	near, far := net.Pipe()
	select {
	case c.pipes.accepted <- far:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.conn = &line{Conn: near, isSlow: c.isSlow, holdAt: c.holdAt, closed: make(chan struct{})}
	return c.conn, nil
}

// cut ends the connection. While it is down there is no other.
func (c *cable) cut(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = false
}

// town is a house with its clients, in virtual time.
type town struct {
	*testing.T
	house  *house
	pipes  *pipes
	rooms  []*client.Room
	giveUp time.Duration // of who joins
}

// inTown runs a scenario.
func inTown(t *testing.T, run func(t *town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h, err := newHouse()
		if err != nil {
			t.Fatal(err)
		}
		c := &town{T: t, house: h, pipes: &pipes{accepted: make(chan net.Conn, 16), closed: make(chan struct{})}}
		server, served := &http.Server{Handler: h}, make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(c.pipes)
		}()
		run(c)
		for _, r := range c.rooms {
			r.Leave()
			<-r.Done()
		}
		h.close()
		_ = server.Close()
		<-served
	})
}

// cable lays one to the house.
func (t *town) cable() *cable {
	c := &cable{pipes: t.pipes}
	c.http = &http.Client{Transport: &http.Transport{DialContext: c.dial, DisableKeepAlives: true}}
	return c
}

// join lets somebody in, and waits until everybody can know.
func (t *town) join(identity string) (*client.Room, *cable) {
	t.Helper()
	c := t.cable()
	r, err := client.Join(t.Context(), "http://house", client.Options{Room: "tea", Identity: identity, HTTPClient: c.http, GiveUp: t.giveUp})
	if err != nil {
		t.Fatal(err)
	}
	t.rooms = append(t.rooms, r)
	synctest.Wait() // shared state lets it in a moment later than the room
	return r, c
}

func (t *town) record(r *client.Room, name string, o client.RecordOptions) *client.Record {
	t.Helper()
	x, err := r.State().Record(t.Context(), name, o)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// must ends a test that cannot go on.
func (t *town) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// heard keeps what a function of the application was called with.
type heard struct {
	mu  sync.Mutex
	all []string
}

func (h *heard) add(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, fmt.Sprintf(format, args...))
}

// take returns it once nothing moves any more.
func (h *heard) take() []string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all
	h.all = nil
	return all
}

func (t *town) heard(h *heard, want ...string) {
	t.Helper()
	if got := h.take(); !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
}

func pass(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}
