package rooms

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/room"
	"github.com/parley-rtc/parley/wire"
)

// actor owns one room.
type actor struct {
	// static after construction
	service *Service
	name    string
	id      media.RoomID
	unserve func()
	inbox   chan call
	posted  chan struct{} // capacity 1: states has something
	stop    chan struct{} // closed by Service.Close
	done    chan struct{} // closed when the loop has ended

	// guarded by mu
	mu     sync.Mutex
	ended  bool
	states []media.Event // the newest of each Transport, and about the room, in the order of their first

	// owned by loop
	room       *room.Room
	sequences  map[string]uint64 // events that each session was sent
	identities map[string]string // of each session
	spread     *spread
	place      media.Place // for the Transport that the offer opens which is being handled
	owed       []order     // that a shard could not take; all that follow wait behind it
	sizes      sizes       // as counted in Service
	linger     *time.Timer // runs while lingering: the room is empty
	lingering  bool
	retry      *time.Timer // runs while something is owed
}

// call is a request on its way to the loop.
type call struct {
	ctx     context.Context
	session string
	source  netip.Addr
	command room.Command
	reply   chan []byte // capacity 1
}

func newActor(s *Service, name string, id uint64, chat []wire.ChatMessage) (*actor, error) {
	c := room.Config{Name: name, ID: id, Chat: chat}
	if _, err := io.ReadFull(s.config.Random, c.Seed[:]); err != nil {
		return nil, fmt.Errorf("seed room: %w", err)
	}
	a := &actor{
		service: s, name: name, id: media.RoomID(id), room: room.New(c),
		inbox: make(chan call, inboxCapacity), posted: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
		sequences: map[string]uint64{}, identities: map[string]string{},
	}
	unserve, err := s.config.Bus.Serve(Subject(name), a.serve)
	if err != nil {
		return nil, fmt.Errorf("serve room: %w", err)
	}
	a.unserve, a.spread = unserve, newSpread(a.id, s.places, s.config.SpreadFrom)
	return a, nil
}

// serve takes a request to the loop and waits for the reply, on the asker's goroutine.
func (a *actor) serve(ctx context.Context, b []byte) []byte {
	var r Request
	if err := json.Unmarshal(b, &r); err != nil {
		return a.service.refuse(badRequest("the request cannot be understood"))
	}
	command, refused := a.service.command(r)
	if refused != nil {
		return a.service.refuse(refused)
	}
	c := call{ctx: ctx, session: r.Session, source: r.Source, command: command, reply: make(chan []byte, 1)}
	select {
	case a.inbox <- c:
	case <-a.done:
		return encode(Reply{Closed: true})
	case <-ctx.Done():
		return a.service.refuse(overloaded())
	}
	select {
	case reply := <-c.reply:
		return reply
	case <-a.done:
	case <-ctx.Done():
	}
	select {
	case reply := <-c.reply: // at the same moment
		return reply
	default:
		return encode(Reply{Closed: true})
	}
}

// Post implements media.Sink. It keeps the newest event of each sort about each Transport and about the room, so that it never has to
// refuse one.
func (a *actor) Post(e media.Event) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return false
	}
	for i := range a.states {
		if s := &a.states[i]; s.Transport == e.Transport && (s.Starved == nil) == (e.Starved == nil) {
			a.states[i] = e
			return true
		}
	}
	a.states = append(a.states, e)
	select {
	case a.posted <- struct{}{}:
	default:
	}
	return true
}

// run is the loop. It ends when the room has been empty for a while, when the Service closes, or by a fault.
func (a *actor) run() {
	defer a.finish()
	defer a.survive()
	a.linger, a.retry = time.NewTimer(a.service.config.Linger), time.NewTimer(owedInterval)
	a.lingering = true
	for a.step() {
		a.arm()
		a.measure()
	}
}

// step waits for one thing to do and does it. It reports false at the end.
func (a *actor) step() bool {
	select {
	case c := <-a.inbox:
		a.handle(c)
	case <-a.posted:
		a.handleStates()
	case <-a.retry.C:
		a.pay()
	case <-a.linger.C:
		a.lingering = false
		return !a.room.Empty() || len(a.owed) > 0
	case <-a.stop:
		a.carryOut(nil, a.room.Apply(time.Now(), room.End{
			Code: wire.CodeDraining, Message: "this server is going down", Rejoin: true,
		}))
		return false
	}
	return true
}

// arm sets the timers to what the room is like now.
func (a *actor) arm() {
	switch empty := a.room.Empty(); {
	case empty && !a.lingering:
		a.linger.Reset(a.service.config.Linger)
		a.lingering = true
	case !empty && a.lingering:
		a.linger.Stop()
		a.lingering = false
	}
	if len(a.owed) > 0 {
		a.retry.Reset(owedInterval)
	} else {
		a.retry.Stop()
	}
}

// measure counts what is in the room for the Service.
func (a *actor) measure() {
	participants, hidden, publications := a.room.Sizes()
	a.count(sizes{participants, hidden, publications})
}

type sizes struct{ participants, hidden, publications int }

func (a *actor) count(now sizes) {
	a.service.participants.Add(int64(now.participants - a.sizes.participants))
	a.service.hidden.Add(int64(now.hidden - a.sizes.hidden))
	a.service.publications.Add(int64(now.publications - a.sizes.publications))
	a.sizes = now
}

// survive keeps a fault of one room from the others: its sessions end, and so do its Transports.
func (a *actor) survive() {
	fault := recover()
	if fault == nil {
		return
	}
	a.service.panics.Add(1)
	a.service.config.Log.Error("a room ended by a fault", "fault", fault, "stack", string(debug.Stack()))
	body := encode(wire.Ended{Code: wire.CodeInternal, Message: "the room ended by a fault of the server", Rejoin: true})
	for session := range a.sequences {
		a.publish(session, eventTail(0, wire.TypeEnded, body, true))
	}
	for id, t := range a.spread.transports {
		// If it cannot be taken, Post's refusal closes the Transport later.
		a.service.config.Shards[t.shard].Do(media.CloseTransport{Transport: id})
	}
}

// finish lets go of everything, and of those who still ask.
func (a *actor) finish() {
	a.service.retire(a)
	a.count(sizes{})
	a.place.Cancel() // a fault came before it was used
	for _, o := range a.owed {
		if c, ok := o.command.(media.OpenTransport); ok {
			c.Place.Cancel()
		}
	}
	for session := range a.identities { // there was a fault
		a.leave(session, wire.CodeInternal)
	}
	a.spread.end()
	a.linger.Stop()
	a.retry.Stop()
	a.mu.Lock()
	a.ended, a.states = true, nil
	a.mu.Unlock()
	close(a.done)
}

// handle carries out one request, unless nobody waits for it any more.
func (a *actor) handle(c call) {
	if c.ctx.Err() != nil {
		return
	}
	if refused := a.gate(c.command); refused != nil {
		c.reply <- a.service.refuse(refused)
		return
	}
	if o, ok := c.command.(room.Offer); ok {
		o.Shard = a.spread.place()
		o.Admit = func() *wire.Error { return a.reserve(o.Shard, c.source) }
		c.command = o
	}
	a.carryOut(&c, a.room.Apply(time.Now(), c.command))
	if leave, left := c.command.(room.Leave); left {
		a.leave(c.session, leave.Reason)
	}
}

// reserve takes a place for the Transport that an offer opens, before its client is told of one.
func (a *actor) reserve(shard int, source netip.Addr) *wire.Error {
	place, refusal := a.service.config.Shards[shard].Reserve(source)
	a.place = place
	return unplaced(refusal)
}

// gate refuses what there is no room for now.
func (a *actor) gate(c room.Command) *wire.Error {
	switch c.(type) {
	case room.Leave, room.Resync:
		return nil
	case room.Join:
		if a.service.draining.Load() {
			return draining()
		}
	}
	if len(a.owed) >= maxOwed {
		return overloaded()
	}
	return nil
}
