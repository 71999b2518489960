package signal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// bothScopes are those that a session belongs to.
var bothScopes = []wire.Scope{wire.ScopeRoom, wire.ScopeServer}

// share is a session's part in shared state. Without one, the node keeps none.
type share struct {
	// static after construction
	caller state.Caller
	events bus.Subscription

	// owned by the session's loop
	lost uint64 // events.Lost() at the last event

	// guarded by mu
	mu   sync.Mutex
	left bool // it is over, and nothing lets it in again
}

// enterState makes the session present in both scopes. Where that cannot be, it is tried again with its first request.
func (s *Service) enterState(p *seat, identity string, grants wire.Grants) *share {
	if !s.config.State {
		return nil
	}
	events, err := s.config.Bus.Subscribe(scopes.SessionSubject(p.id), stateQueue)
	if err != nil {
		s.config.Log.Error("subscribe to a session's events of state", "error", err)
		return nil
	}
	h := &share{caller: state.Caller{Session: p.id, Identity: identity, Grants: grants}, events: events}
	for _, scope := range bothScopes {
		s.scopeRequest(p, h, scopes.Request{Scope: scope, Type: scopes.TypeAttach})
	}
	return h
}

// leaveState ends the session's part. It may be called more than once.
func (s *Service) leaveState(p *seat, h *share) {
	if h == nil {
		return
	}
	h.mu.Lock() // behind a request that is letting it in
	h.left = true
	h.mu.Unlock()
	h.events.Close()
	for _, scope := range bothScopes {
		s.scopeRequest(p, h, scopes.Request{Scope: scope, Type: scopes.TypeDetach})
	}
}

// enterAgain attaches a session to a scope that does not know it, and reports whether it did: not where the session is over, whose client may
// still ask over its old socket.
func (s *Service) enterAgain(p *seat, h *share, scope wire.Scope) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.left {
		s.scopeRequest(p, h, scopes.Request{Scope: scope, Type: scopes.TypeAttach})
	}
	return !h.left
}

// scopeRequest asks for something that has no answer, and logs where it could not be done.
func (s *Service) scopeRequest(p *seat, h *share, r scopes.Request) {
	if _, refused := s.askScope(p, h, r); refused != nil {
		s.config.Log.Error("ask shared state to "+r.Type, "error", refused)
	}
}

// askScope sends a request to a scope. Like ask, it does not end with a socket.
func (s *Service) askScope(p *seat, h *share, r scopes.Request) (scopes.Answer, *wire.Error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	r.Room, r.By = p.room, h.caller
	b, err := s.config.Bus.Request(ctx, scopes.Subject, encode(r))
	if errors.Is(err, bus.ErrNoResponders) {
		return scopes.Answer{}, noState()
	}
	var a scopes.Answer
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil {
		return scopes.Answer{}, s.fault("ask shared state to "+r.Type, err)
	}
	return a, a.Error
}

func noState() *wire.Error {
	return wire.NewError(wire.CodeUnsupported, "this server does not keep shared state", "")
}

// performState carries out a request of state. Who is not attached, as the scope has been opened anew, is attached first.
func (s *Session) performState(r wire.Request) (entry, *wire.Error) {
	if s.share == nil || r.Type == wire.TypeLogRead {
		err := noState()
		return refusal(r.ID, err), err
	}
	scope, command, err := state.Decode(s.share.caller, r.Type, r.Body)
	if err == nil {
		err = s.paceState(command)
	}
	if err != nil {
		return refusal(r.ID, err), err
	}
	a, err := s.service.askScope(&s.seat, s.share, scopes.Request{Type: r.Type, Body: r.Body})
	if err != nil && err.Code == wire.CodeSessionExpired && s.service.enterAgain(&s.seat, s.share, scope) {
		a, err = s.service.askScope(&s.seat, s.share, scopes.Request{Type: r.Type, Body: r.Body})
	}
	if err != nil {
		return refusal(r.ID, err), err
	}
	return entry{reply: r.ID, typ: a.Type, body: a.Body}, nil
}

// paceState takes what the request costs from its own allowance.
func (s *Session) paceState(c state.Command) *wire.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.statePace.take(time.Now(), state.Cost(c), wire.MaxStateBurst, wire.StateRequestsPerSecond) {
		return nil
	}
	s.service.counts.tooFast.Add(1)
	return &wire.Error{
		Code: wire.CodeRate, Message: fmt.Sprintf("more than %d requests of state a second", wire.StateRequestsPerSecond),
		Next: "send fewer, and put several operations into one write", RetrySeconds: 1,
	}
}

// stateMessages is the queue of what scopes tell; nil, from which nothing comes, where there is none.
func (s *Session) stateMessages() <-chan []byte {
	if s.share == nil {
		return nil
	}
	return s.share.events.Messages()
}

// stateEvent takes one message of a scope.
func (s *Session) stateEvent(b []byte) {
	var e scopes.Event
	if err := json.Unmarshal(b, &e); err != nil {
		s.service.config.Log.Error("read an event of state", "error", err)
		return
	}
	if lost := s.share.events.Lost(); lost != s.share.lost {
		s.resetState()
		for _, scope := range bothScopes {
			s.emit(entry{typ: wire.TypeStateLost, body: encode(wire.StateLost{Scope: scope})})
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && s.resync != wanted { // a resync ends what this is about
		s.add(entry{typ: e.Type, body: e.Body})
	}
}

// resetState ends all that the session has in both scopes, and forgets what they have told of it.
func (s *Session) resetState() {
	if s.share == nil {
		return
	}
	for _, scope := range bothScopes {
		s.service.scopeRequest(&s.seat, s.share, scopes.Request{Scope: scope, Type: scopes.TypeReset})
	}
	for {
		select {
		case _, ok := <-s.share.events.Messages():
			if ok {
				continue
			}
		default:
		}
		s.share.lost = s.share.events.Lost()
		return
	}
}
