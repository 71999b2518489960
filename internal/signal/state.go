package signal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// bothScopes are those that a session belongs to.
var bothScopes = []wire.Scope{wire.ScopeRoom, wire.ScopeServer}

// share is a session's part in shared state. Without one, the node keeps none.
type share struct {
	// static after construction
	events bus.Subscription
	doors  map[wire.Scope]*door // one for each of bothScopes

	// atomic
	caller atomic.Pointer[state.Caller] // replaced where its grants change

	// owned by the session's loop
	lost uint64 // events.Lost() at the last event

	// guarded by Session.mu
	resets int // so often all that the session has in scopes was ended
}

// newShare begins a session's part: the queue of what scopes tell it.
func (s *Service) newShare(p *seat, source netip.Addr, identity string, grants wire.Grants) *share {
	if !s.config.State {
		return nil
	}
	events, err := s.config.Bus.Subscribe(scopes.SessionSubject(p.id), stateQueue)
	if err != nil {
		s.config.Log.Error("subscribe to a session's events of state", "error", err)
		return nil
	}
	by := state.Caller{Session: p.id, Identity: identity, Room: p.room, Grants: grants, Source: datagram.Source(source)}
	h := &share{events: events, doors: map[wire.Scope]*door{}}
	h.caller.Store(&by)
	for _, scope := range bothScopes {
		h.doors[scope] = newDoor()
	}
	return h
}

// by is who asks.
func (h *share) by() state.Caller { return *h.caller.Load() }

// regrant makes the session what it may do now in both scopes, which end what it may not do any more.
func (s *Session) regrant(g wire.Grants) {
	if s.share == nil || s.share.by().Grants == g {
		return
	}
	by := s.share.by()
	by.Grants = g
	s.share.caller.Store(&by)
	for _, scope := range bothScopes {
		s.service.running.Add(1) // the loop is counted too
		go func() {              // ends when the scope has answered, or not in requestTime
			defer s.service.running.Done()
			defer s.surviveAside()
			_, _ = s.service.letIn(&s.seat, s.share, scope) // where it does not answer, it does this before all else
		}()
	}
}

// surviveAside is to be deferred by goroutines that work for the session beside its loop.
func (s *Session) surviveAside() {
	if fault := recover(); fault != nil {
		s.service.report(fault)
		s.broken.Store(true)
		nudge(s.wake)
	}
}

// leaveState ends the session's part. It may be called more than once.
func (s *Service) leaveState(p *seat, h *share) {
	if h == nil {
		return
	}
	h.events.Close()
	for _, scope := range bothScopes {
		d := h.doors[scope]
		d.lock() // behind a request that is letting it in
		d.left = true
		d.unlock()
		s.scopeRequest(p, h, scopes.Request{Scope: scope, Type: scopes.TypeDetach})
	}
}

// letIn attaches a session to a scope, and reports whether it asked for that: not where the session is over, whose client may still ask over
// its old socket.
func (s *Service) letIn(p *seat, h *share, scope wire.Scope) (bool, *wire.Error) {
	d := h.doors[scope]
	d.lock()
	defer d.unlock()
	if d.left {
		return false, nil
	}
	return true, s.scopeRequest(p, h, scopes.Request{Scope: scope, Type: scopes.TypeAttach})
}

// scopeRequest asks for something that has no answer, and logs where it could not be done.
func (s *Service) scopeRequest(p *seat, h *share, r scopes.Request) *wire.Error {
	_, refused := s.askScope(p, h, r)
	if refused != nil {
		s.config.Log.Error("ask shared state to "+r.Type, "error", refused)
	}
	return refused
}

// askScope sends a request to a scope. Like ask, it does not end with a socket.
func (s *Service) askScope(p *seat, h *share, r scopes.Request) (scopes.Answer, *wire.Error) {
	r.Room, r.By = p.room, h.by()
	return s.askScopeIn(context.Background(), r)
}

func (s *Service) askScopeIn(ctx context.Context, r scopes.Request) (scopes.Answer, *wire.Error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	return s.request(ctx, r)
}

func (s *Service) request(ctx context.Context, r scopes.Request) (scopes.Answer, *wire.Error) {
	b, err := s.config.Bus.Request(ctx, scopes.Subject, r.Encode())
	if errors.Is(err, bus.ErrNoResponders) {
		return scopes.Answer{}, noState()
	}
	var a scopes.Answer
	if err == nil {
		a, err = scopes.DecodeAnswer(b)
	}
	switch {
	case err != nil && ctx.Err() != nil && state.IsRequest(r.Type): // it may have been begun
		return scopes.Answer{}, scopes.Unfinished(r.Type)
	case err != nil:
		return scopes.Answer{}, s.fault("ask shared state to "+r.Type, err)
	}
	return a, a.Error
}

func noState() *wire.Error {
	return wire.NewError(wire.CodeUnsupported, "this server does not keep shared state", "start it without --no-state")
}

// askState begins a request of state. The reply comes among what the scope tells, so that the next request need not wait for it.
func (s *Session) askState(a *Attachment, r wire.Request) {
	if refused := s.begin(a, r); refused != nil {
		s.answerState(r.ID, refusal(r.ID, refused), refused)
	}
}

func (s *Session) begin(a *Attachment, r wire.Request) *wire.Error {
	if s.share == nil {
		return noState()
	}
	scope, command, refused := state.Decode(s.share.by(), r.Type, r.Body)
	if refused == nil {
		refused = s.paceState(state.Cost(command) - 1)
	}
	asks := &asked{typ: r.Type, body: r.Body, scope: scope, command: command}
	if refused == nil && asks.reads() && !s.waitForRoom(a) {
		return nil // whoever resumes the session repeats it
	}
	if refused == nil {
		refused = s.note(r.ID, asks)
	}
	if refused != nil {
		return refused
	}
	if held, refused := s.hold(r.ID, asks); held || refused != nil {
		return refused
	}
	busy, refused := s.request(r.ID, asks, false)
	if busy {
		return s.shut(r.ID, asks)
	}
	return refused
}

// request sends a request that is noted to its scope. It reports busy where the scope takes nothing now; a patient one waits for that.
func (s *Session) request(id uint64, a *asked, patient bool) (busy bool, refused *wire.Error) {
	r := scopes.Request{Room: s.seat.room, By: s.share.by(), Type: a.typ, Body: a.body, Reply: id, Patient: patient}
	ctx := scopes.WithDecoded(context.Background(), r, a.scope, a.command)
	if busy, refused = s.send(ctx, a.scope, r); busy && !patient {
		return busy, refused
	}
	a.command = nil
	if refused != nil {
		s.mu.Lock()
		s.forgetAsked(id)
		s.mu.Unlock()
	}
	return busy, refused
}

// send asks for something that is noted, as r.Reply. No reset comes in between.
func (s *Session) send(ctx context.Context, scope wire.Scope, r scopes.Request) (busy bool, refused *wire.Error) {
	d := s.share.doors[scope]
	if r.Patient {
		d.lock()
	} else if !d.tryLock() {
		return true, overloaded("shared state does not take requests now")
	}
	defer d.unlock()
	s.sent(r.Reply, true)
	answer, refused := s.service.askScopeIn(ctx, r)
	if answer.Busy {
		s.sent(r.Reply, false)
	}
	return answer.Busy, refused
}

// stateReply passes on the reply to a request. Who is not attached, as the scope has been opened anew, is attached, and asks again, behind whoever asks
// meanwhile.
func (s *Session) stateReply(e scopes.Event) {
	var refused *wire.Error
	if e.Type == wire.TypeError {
		refused = &wire.Error{}
		if err := json.Unmarshal(e.Body, refused); err != nil {
			refused = s.service.fault("read a refusal of state", err)
		}
	}
	s.mu.Lock()
	a := s.underway[e.Reply]
	again := a != nil && refused != nil && refused.Code == wire.CodeSessionExpired && !a.again
	if again {
		a.again = true
	}
	s.mu.Unlock()
	answer := entry{reply: e.Reply, typ: e.Type, body: e.Body}
	if again {
		again, _ = s.service.letIn(&s.seat, s.share, a.scope)
	}
	if again {
		r := scopes.Request{Room: s.seat.room, By: s.share.by(), Type: a.typ, Body: a.body, Reply: e.Reply, Patient: true}
		if _, refused = s.send(context.Background(), a.scope, r); refused == nil {
			return
		}
		answer = refusal(e.Reply, refused)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statePace.owe(state.ReplyCost(len(answer.body)))
	if refused != nil && refused.Current != nil && !s.fits(len(answer.body)) { // several times a large record: not all writes can be told of it at once
		refused = overloaded("the write was not carried out, and too much waits for this client to tell it the record that is there")
		answer = refusal(e.Reply, refused)
	}
	if s.forgetAsked(e.Reply) != nil { // else it was given up
		answer.asked = true
		s.answerLocked(e.Reply, answer, refused) // at once: whoever waits for room is to see it under way, or waiting for the socket
	}
}

// answerState is answer, of a request of state.
func (s *Session) answerState(id uint64, e entry, refused *wire.Error) {
	e.asked = true
	s.answer(id, e, refused)
}

// logged reads the room's log, which has an order of its own.
func (s *Session) logged(r wire.Request) (entry, *wire.Error) {
	refused := noState()
	if s.share != nil {
		refused = s.paceState(logCost - 1)
	}
	var typ string
	var body json.RawMessage
	if refused == nil {
		ctx, cancel := context.WithTimeout(context.Background(), requestTime)
		defer cancel()
		by := s.share.by()
		by.Session = ""
		typ, body, refused = s.service.readLog(ctx, s.seat.room, by, r.Body)
	}
	if refused != nil {
		return refusal(r.ID, refused), refused
	}
	s.mu.Lock()
	s.statePace.owe(state.ReplyCost(len(body)))
	s.mu.Unlock()
	return entry{reply: r.ID, typ: typ, body: body}, nil
}

// paceState takes what a request costs from the allowance of requests of state.
func (s *Session) paceState(cost int) *wire.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.statePace.take(time.Now(), cost, wire.MaxStateBurst, wire.StateRequestsPerSecond) {
		return nil
	}
	s.service.counts.tooFast.Add(1)
	return &wire.Error{
		Code: wire.CodeRate, Message: fmt.Sprintf("more than %d requests of state a second", wire.StateRequestsPerSecond),
		Next: "send fewer, and put several operations into one write", RetrySeconds: 1,
	}
}

// stateReady receives when scopes have told something; nil, from which nothing comes, where there are none.
func (s *Session) stateReady() <-chan struct{} {
	if s.share == nil {
		return nil
	}
	return s.share.events.Ready()
}

// stateEvent takes one message of a scope.
func (s *Session) stateEvent(b []byte) {
	e, err := scopes.DecodeEvent(b)
	if err != nil {
		s.service.config.Log.Error("read an event of state", "error", err)
		return
	}
	if e.Reply != 0 {
		s.stateReply(e)
	}
	if s.share.events.Lost() != s.share.lost {
		s.resetState()
		for _, scope := range bothScopes {
			s.emit(entry{typ: wire.TypeStateLost, body: encode(wire.StateLost{Scope: scope})})
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Reply == 0 && !s.over && s.resync != wanted { // a resync ends what this is about
		s.add(entry{typ: e.Type, body: e.Body})
	}
}

// resetState ends all that the session has in both scopes, and forgets what they have told of it, apart from replies.
func (s *Session) resetState() {
	if s.share == nil {
		return
	}
	replies, lost := s.resetScopes()
	for _, e := range replies {
		s.stateReply(e)
	}
	if lost {
		s.giveUp((*asked).any)
		return
	}
	s.giveUp((*asked).subscribes) // a reply that waits for a disk would come after what says that they have ended
}

// resetScopes asks both scopes at once, while nothing else does, and returns the replies among what they have told until then, and whether
// some of that was lost.
func (s *Session) resetScopes() (replies []scopes.Event, lost bool) {
	for _, scope := range bothScopes {
		d := s.share.doors[scope]
		d.lock()
		defer d.unlock()
	}
	var asking sync.WaitGroup
	for _, scope := range bothScopes {
		asking.Go(func() { // ends when the scope has answered, or not in requestTime
			defer s.surviveAside()
			s.service.scopeRequest(&s.seat, s.share, scopes.Request{Scope: scope, Type: scopes.TypeReset})
		})
	}
	asking.Wait()
	for b, ok := s.share.events.Next(); ok; b, ok = s.share.events.Next() {
		if e, err := scopes.DecodeEvent(b); err == nil && e.Reply != 0 {
			replies = append(replies, e)
		}
	}
	n := s.share.events.Lost()
	lost, s.share.lost = n != s.share.lost, n
	s.mu.Lock()
	s.share.resets++
	s.mu.Unlock()
	return replies, lost
}
