package rooms_test

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// scene is a node without sockets and media: rooms, the bus, and what the rooms tell the media plane.
type scene struct {
	t       *testing.T
	bus     *local.Bus
	service *rooms.Service
	plane   *plane
	present *present
}

// present hears who comes and goes.
type present struct {
	mu   sync.Mutex
	said []string
	here map[string]int // by room and identity
}

// Entered implements rooms.Presence.
func (p *present) Entered(room, identity string) { p.note(room+"/"+identity, "enters", 1) }

// Left implements rooms.Presence.
func (p *present) Left(room, identity string, why wire.Code) {
	p.note(room+"/"+identity, string(why), -1)
}

func (p *present) note(who, what string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, who+" "+what)
	if p.here[who] += n; p.here[who] == 0 {
		delete(p.here, who)
	}
}

// plane takes commands as a shard does: into a bounded queue, or not at all. It knows what is open.
type plane struct {
	mu       sync.Mutex
	capacity int  // commands that it takes; below 0: any number
	poison   bool // the next command is a fault
	refusal  media.Refusal
	reserved int // places that were asked for, and might have cost others theirs
	taken    []media.Command
	sinks    map[media.TransportID]media.Sink
	closed   map[media.TransportID]bool
}

// Do implements rooms.Media.
func (p *plane) Do(c media.Command) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poison {
		p.poison = false
		panic("poisoned")
	}
	if p.capacity == 0 {
		return false
	}
	p.capacity--
	p.taken = append(p.taken, c)
	switch c := c.(type) {
	case media.OpenTransport:
		p.sinks[c.Transport] = c.Events
	case media.CloseTransport:
		delete(p.sinks, c.Transport)
		p.closed[c.Transport] = true
	}
	return true
}

// Reserve implements rooms.Media.
func (p *plane) Reserve(netip.Addr) (media.Place, media.Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reserved++
	return media.Place{}, p.refusal
}

// Refuses implements rooms.Media.
func (p *plane) Refuses(netip.Addr) media.Refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refusal
}

func (p *plane) set(capacity int, poison bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.capacity, p.poison = capacity, poison
}

// commands returns what was taken since the last call.
func (p *plane) commands() []media.Command {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.taken
	p.taken = nil
	return taken
}

// open returns the newest Transport that is open, and where its events go.
func (p *plane) open(t *testing.T) (media.TransportID, media.Sink) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var newest media.TransportID
	for id := range p.sinks {
		newest = max(newest, id)
	}
	if newest == 0 {
		t.Fatal("no transport is open")
	}
	return newest, p.sinks[newest]
}

func (p *plane) openTransports() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sinks)
}

const linger = 30 * time.Second

// run runs a test in a bubble, which ends only when every goroutine of the rooms has.
func run(t *testing.T, test func(t *testing.T, s *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, bus: local.New(), plane: &plane{
			capacity: -1, sinks: map[media.TransportID]media.Sink{}, closed: map[media.TransportID]bool{},
		}, present: &present{here: map[string]int{}}}
		var err error
		s.service, err = rooms.New(rooms.Config{
			Bus: s.bus, Shards: []rooms.Media{s.plane}, Linger: linger, Random: rand.Reader, Presence: s.present,
			Candidates: func() []sdp.Candidate {
				return []sdp.Candidate{{Foundation: "1", Priority: 1, Address: "127.0.0.1", Port: 8443}}
			},
			Fingerprint: sdp.Fingerprint{Algorithm: "sha-256", Value: strings.TrimSuffix(strings.Repeat("AB:", 32), ":")},
			Log:         slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			s.service.Close()
			if stats := s.service.Stats(); stats.Rooms+stats.Participants+stats.Hidden+stats.Publications != 0 {
				t.Errorf("left after Close: %+v", stats)
			}
			if len(s.present.here) != 0 {
				t.Errorf("present after Close: %v", s.present.here)
			}
		}()
		test(t, s)
	})
}

// session is the signalling side of one session.
type session struct {
	s      *scene
	id     string
	room   string
	events bus.Subscription
	seq    uint64 // of the last event read
	joined wire.Joined
}

var grants = wire.Grants{Publish: true, Subscribe: true, PublishData: true}

// session opens the queue of a session that has not joined.
func (s *scene) session(id string, capacity int) *session {
	s.t.Helper()
	events, err := s.bus.Subscribe(rooms.SessionSubject(id), capacity)
	if err != nil {
		s.t.Fatal(err)
	}
	return &session{s: s, id: id, room: "tea", events: events}
}

// join joins room "tea" as an identity of the same name.
func (s *scene) join(id string) *session {
	s.t.Helper()
	x := s.session(id, 256)
	x.join(rooms.CarrierWS, rooms.Admission{Identity: id, Grants: grants})
	return x
}

func (x *session) join(c rooms.Carrier, a rooms.Admission) rooms.Reply {
	x.s.t.Helper()
	reply := x.must(rooms.Request{Type: wire.TypeJoin, Carrier: c, Join: &a})
	decode(x.s.t, reply.Body, &x.joined)
	return reply
}

// ask sends a request with a body and returns the reply, be it a refusal.
func (x *session) ask(kind string, body any) rooms.Reply {
	x.s.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		x.s.t.Fatal(err)
	}
	return x.do(rooms.Request{Type: kind, Body: b})
}

func (x *session) do(r rooms.Request) rooms.Reply {
	x.s.t.Helper()
	r.Session = x.id
	reply, err := rooms.Do(x.s.t.Context(), x.s.bus, x.room, r)
	if err != nil {
		x.s.t.Fatalf("%s of %s: %v", r.Type, x.id, err)
	}
	return reply
}

func (x *session) must(r rooms.Request) rooms.Reply {
	x.s.t.Helper()
	reply := x.do(r)
	if reply.Error != nil {
		x.s.t.Fatalf("%s of %s refused: %v", r.Type, x.id, reply.Error)
	}
	return reply
}

func (x *session) refused(kind string, body any, code wire.Code) {
	x.s.t.Helper()
	if reply := x.ask(kind, body); reply.Error == nil || reply.Error.Code != code {
		x.s.t.Errorf("%s of %s: got %+v, want %s", kind, x.id, reply.Error, code)
	}
}

// offer offers a browser's description with microphone, camera, four pairs and two video-only slots.
func (x *session) offer(browser string) rooms.Reply {
	x.s.t.Helper()
	reply := x.ask(wire.TypeOffer, wire.Offer{
		SDP:    fixture(x.s.t, browser+"-session"),
		Tracks: []wire.OfferTrack{{Mid: "0", Source: wire.SourceMicrophone}, {Mid: "1", Source: wire.SourceCamera}},
		Slots: []wire.OfferSlot{
			{Audio: "2", Video: "3"},
			{Audio: "4", Video: "5"},
			{Audio: "6", Video: "7"},
			{Audio: "8", Video: "9"},
			{Video: "10"},
			{Video: "11"},
		},
	})
	if reply.Error != nil {
		x.s.t.Fatalf("offer of %s refused: %v", x.id, reply.Error)
	}
	return reply
}

func fixture(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../sdp/testdata/" + name + ".offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// read returns the next event, whose number must follow on the last.
func (x *session) read() rooms.Event {
	x.s.t.Helper()
	b, _ := bustest.Receive(x.events)
	return x.got(b)
}

// readAll reads what is there once nothing moves any more.
func (x *session) readAll() (events []rooms.Event) {
	x.s.t.Helper()
	synctest.Wait()
	for b, ok := x.events.Next(); ok; b, ok = x.events.Next() {
		events = append(events, x.got(b))
	}
	return events
}

func (x *session) got(b []byte) rooms.Event {
	x.s.t.Helper()
	var e rooms.Event
	decode(x.s.t, b, &e)
	if e.Seq != x.seq+1 {
		x.s.t.Fatalf("%s got event %d after %d", x.id, e.Seq, x.seq)
	}
	x.seq = e.Seq
	return e
}

// expect reads events of exactly these types.
func (x *session) expect(types ...string) []rooms.Event {
	x.s.t.Helper()
	var events []rooms.Event
	for _, want := range types {
		e := x.read()
		if e.Type != want {
			x.s.t.Fatalf("%s got %s %s, want %s", x.id, e.Type, e.Body, want)
		}
		events = append(events, e)
	}
	return events
}

// idle checks that nothing more has come.
func (x *session) idle() {
	x.s.t.Helper()
	if all := x.readAll(); len(all) != 0 {
		x.s.t.Fatalf("%s has %d more events, the first is %s %s", x.id, len(all), all[0].Type, all[0].Body)
	}
}

// ended reads on until the session's end, and returns why.
func (x *session) ended() wire.Ended {
	x.s.t.Helper()
	for {
		if e := x.read(); e.End {
			var ended wire.Ended
			decode(x.s.t, e.Body, &ended)
			return ended
		}
	}
}

func decode(t *testing.T, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
}
