package signal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// noMedia takes every command and does nothing: these tests are about messages.
type noMedia struct{}

func (noMedia) Do(media.Command) bool { return true }

func (noMedia) Reserve(netip.Addr) (media.Place, media.Refusal) { return media.Place{}, media.Admitted }
func (noMedia) Refuses(netip.Addr) media.Refusal                { return media.Admitted }

// node is signalling with real rooms on a real bus.
type node struct {
	*testing.T
	bus     *faultyBus
	rooms   *rooms.Service
	service *signal.Service
	log     *bytes.Buffer
	sockets []*socket
}

// scenario runs in a bubble: time is virtual, and every goroutine must have ended when it returns.
func scenario(t *testing.T, keys func() auth.Keys, run func(n *node)) {
	t.Helper()
	scenarioWith(t, signal.Config{Keys: keys}, nil, run)
}

// scenarioWith also starts what serves on the bus beside rooms, if that is not nil, and stops it in the end.
func scenarioWith(t *testing.T, c signal.Config, start func(n *node) (state rooms.Keeper, stop func()), run func(n *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &node{T: t, bus: &faultyBus{Bus: local.New()}, log: &bytes.Buffer{}}
		var state rooms.Keeper
		if start != nil {
			var stop func()
			state, stop = start(n)
			defer stop()
		}
		var err error
		n.rooms, err = rooms.New(rooms.Config{
			State: state, Bus: n.bus, Shards: []rooms.Media{noMedia{}}, Candidates: func() []sdp.Candidate { return nil },
			Fingerprint: sdp.Fingerprint{Algorithm: "sha-256", Value: strings.Repeat(":AA", 32)[1:]}, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.NewJSONHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Bus, c.Log = n.bus, log
		n.service = signal.New(c)
		run(n)
		for _, s := range n.sockets {
			if s.open {
				s.cut()
			}
		}
		n.service.Close()
		n.rooms.Close()
		if s := n.service.Stats(); s.Sessions+s.Calls+s.Unauthenticated != 0 {
			t.Errorf("left over: %+v", s)
		}
		if err := n.bus.Close(); err != nil {
			t.Error(err)
		}
	})
}

// faultyBus can lose messages and keep requests waiting.
type faultyBus struct {
	bus.Bus
	mu   sync.Mutex
	lose func(m []byte) bool
	hang bool
	held func(m []byte) <-chan struct{} // of a request that waits: closed when it goes on; nil: it does not wait
	fail string                         // the next request that contains it is a fault of the server
	gone atomic.Uint64                  // messages that queues of shared state count as lost beside their own
}

// Subscribe lets queues of shared state count what gone says.
func (b *faultyBus) Subscribe(subject string, capacity int) (bus.Subscription, error) {
	s, err := b.Bus.Subscribe(subject, capacity)
	if err == nil && strings.HasPrefix(subject, "scope-session.") {
		s = lossy{s, &b.gone}
	}
	return s, err
}

type lossy struct {
	bus.Subscription
	gone *atomic.Uint64
}

func (l lossy) Lost() uint64 { return l.Subscription.Lost() + l.gone.Load() }

func (b *faultyBus) Publish(subject string, m []byte) error {
	b.mu.Lock()
	lose := b.lose != nil && b.lose(m)
	b.mu.Unlock()
	if lose {
		return nil
	}
	return b.Bus.Publish(subject, m)
}

func (b *faultyBus) Request(ctx context.Context, subject string, m []byte) ([]byte, error) {
	b.mu.Lock()
	hang, held, fail := b.hang, b.held, b.fail != "" && bytes.Contains(m, []byte(b.fail))
	if fail {
		b.fail = ""
	}
	b.mu.Unlock()
	if fail {
		panic("broken")
	}
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if held != nil {
		if goesOn := held(m); goesOn != nil {
			select {
			case <-goesOn:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	return b.Bus.Request(ctx, subject, m)
}

// hold keeps requests waiting that contain a text, until the function that it returns is called.
func (b *faultyBus) hold(text string) func() {
	goesOn := make(chan struct{})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = func(m []byte) <-chan struct{} {
		if bytes.Contains(m, []byte(text)) {
			return goesOn
		}
		return nil
	}
	return func() { close(goesOn) }
}

func (b *faultyBus) failOn(request string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = request
}

func (b *faultyBus) set(lose func([]byte) bool, hang bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lose, b.hang = lose, hang
}

// socket is one attachment with a client behind it.
type socket struct {
	n    *node
	a    *signal.Attachment
	open bool
	// guarded by mu
	mu      sync.Mutex
	got     []wire.Message
	raw     bytes.Buffer
	ended   error
	reading chan struct{} // a token for each message that may be taken; nil: all
	done    chan struct{}
}

// connect opens a socket whose client reads everything.
func (n *node) connect() *socket { return n.connectReading(nil) }

// connectReading opens one whose client reads as many messages as it is given tokens, until reading is closed.
func (n *node) connectReading(reading chan struct{}) *socket {
	a, err := n.service.Attach(netip.Addr{})
	if err != nil {
		n.Fatal(err)
	}
	s := &socket{n: n, a: a, open: true, reading: reading, done: make(chan struct{})}
	n.sockets = append(n.sockets, s)
	go s.read()
	return s
}

func (s *socket) read() {
	defer close(s.done)
	for {
		if s.reading != nil {
			select {
			case <-s.reading:
			case <-s.a.Context().Done():
			}
		}
		b, err := s.next()
		s.mu.Lock()
		if err != nil {
			s.ended = err
			s.mu.Unlock()
			s.a.Lost()
			return
		}
		var m wire.Message
		if err := json.Unmarshal(b, &m); err != nil {
			s.n.Errorf("not a message: %s", b)
		}
		s.got = append(s.got, m)
		s.raw.Write(b)
		s.mu.Unlock()
	}
}

// next waits for one message.
func (s *socket) next() ([]byte, error) {
	for {
		if err := s.a.Wait(); err != nil {
			return nil, err
		}
		if b, ok := s.a.Take(nil); ok {
			return b, nil
		}
	}
}

// cut loses the socket, and returns what the client had read.
func (s *socket) cut() []wire.Message {
	s.a.Lost()
	<-s.done
	s.release()
	return s.got
}

func (s *socket) release() {
	if s.open {
		s.open = false
		s.a.Release()
	}
}

// end waits until the server has closed the socket, and returns why.
func (s *socket) end() signal.End {
	<-s.done
	s.release()
	e, _ := s.ended.(signal.End)
	return e
}

// messages returns what has arrived once nothing moves any more.
func (s *socket) messages() []wire.Message {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]wire.Message(nil), s.got...)
}

func (s *socket) last() wire.Message {
	all := s.messages()
	if len(all) == 0 {
		s.n.Fatal("nothing has arrived")
	}
	return all[len(all)-1]
}

func (s *socket) send(id uint64, kind string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		s.n.Fatal(err)
	}
	r, err := json.Marshal(wire.Request{ID: id, Type: kind, Body: b})
	if err != nil {
		s.n.Fatal(err)
	}
	return s.a.Receive(r)
}

// reply sends a request and returns what answers it.
func (s *socket) reply(id uint64, kind string, body any) wire.Message {
	before := len(s.messages())
	_ = s.send(id, kind, body)
	for _, m := range s.messages()[before:] {
		if m.Reply == id {
			return m
		}
	}
	s.n.Fatalf("%s %d was not answered", kind, id)
	return wire.Message{}
}

// refused is reply, with the code of the error that it must be.
func (s *socket) refused(id uint64, kind string, body any) wire.Code {
	m := s.reply(id, kind, body)
	if m.Type != wire.TypeError {
		s.n.Fatalf("%s was answered by %s %s", kind, m.Type, m.Body)
	}
	return code(m)
}

func code(m wire.Message) wire.Code { return body[wire.Error](m).Code }

func body[T any](m wire.Message) T {
	var b T
	if err := json.Unmarshal(m.Body, &b); err != nil {
		panic(fmt.Sprintf("%s: %v", m.Body, err))
	}
	return b
}

// join joins as an identity and returns joined.
func (s *socket) join(identity string) wire.Joined {
	s.n.Helper()
	m := s.reply(1, wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: "tea", Identity: identity})
	if m.Type != wire.TypeJoined || m.Seq != 1 {
		s.n.Fatalf("join: %+v", m)
	}
	return body[wire.Joined](m)
}

// resume resumes on this socket after seq and returns resumed.
func (s *socket) resume(j wire.Joined, id, seq uint64) wire.Resumed {
	s.n.Helper()
	m := s.reply(id, wire.TypeResume, wire.Resume{Protocol: wire.Protocol, Session: j.Session, Token: j.ResumeToken, Seq: seq})
	if m.Type != wire.TypeResumed || m.Seq != 0 {
		s.n.Fatalf("resume: %s %s", m.Type, m.Body)
	}
	return body[wire.Resumed](m)
}

// talker is somebody in the room who says things as fast as the room takes them.
type talker struct {
	n       *node
	session string
	said    int
}

func (n *node) talker() *talker {
	k := &talker{n: n, session: "talker"}
	k.ask(rooms.Request{Type: wire.TypeJoin, Carrier: rooms.CarrierWS, Join: &rooms.Admission{
		Identity: "talker", Grants: wire.Grants{PublishData: true, Admin: true},
	}})
	return k
}

func (k *talker) ask(r rooms.Request) {
	k.n.Helper()
	r.Session = k.session
	reply, err := rooms.Do(k.n.Context(), k.n.bus, "tea", r)
	if err != nil || reply.Error != nil {
		k.n.Fatal(r.Type, err, reply.Error)
	}
}

// say sends chat messages "1", "2", …; whoever reads at all keeps up with it.
func (k *talker) say(n int) {
	for i := range n {
		if i%50 == 49 {
			synctest.Wait()
		}
		k.said++
		k.ask(rooms.Request{Type: wire.TypeChat, Body: fmt.Appendf(nil, `{"text":"%d"}`, k.said)})
	}
}

func (k *talker) kick(identity string) {
	k.ask(rooms.Request{Type: wire.TypeKick, Body: fmt.Appendf(nil, `{"identity":%q}`, identity)})
}

// contiguous checks that numbers go on from after without a hole.
func contiguous(t *testing.T, after uint64, all []wire.Message) uint64 {
	t.Helper()
	for _, m := range all {
		if m.Seq == 0 && (m.Type == wire.TypeResumed || m.Type == wire.TypeError) {
			continue
		}
		if m.Seq != after+1 {
			t.Errorf("number %d follows %d (%s)", m.Seq, after, m.Type)
			return after
		}
		after = m.Seq
	}
	return after
}

// chats returns the texts of chat events, in order.
func chats(all []wire.Message) []string {
	var texts []string
	for _, m := range all {
		if m.Type == wire.TypeChatReceived {
			texts = append(texts, body[wire.ChatMessage](m).Text)
		}
	}
	return texts
}

// numbers are the texts of the first n things that a talker says.
func numbers(n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprint(i + 1)
	}
	return texts
}

func count(all []wire.Message, kind string) int {
	n := 0
	for _, m := range all {
		if m.Type == kind {
			n++
		}
	}
	return n
}

func pass(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}
