package client

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Call is what a provider is asked.
type Call struct {
	Name  string
	Value json.RawMessage // nil: there is none
	From  string          // identity
}

// Provider answers calls.
type Provider struct {
	// Accepts tells whether a call is taken; else the next provider is asked. Nil: all are. It must not use the Room.
	Accepts func(Call) bool
	// Answer returns the answer, nil: none, or an error, whose text the caller is told. It runs on a goroutine of its own; ctx ends with the Room, and
	// after the 30 s that a server gives a provider at most: nobody waits for the answer any more then, and MaxAnswering does not count the call.
	Answer func(ctx context.Context, c Call) (any, error)
	// Ended, unless nil, is called when it has ended, and not by stop: it is not allowed any more, or the room is over.
	Ended func(error)
}

// Provide answers calls of an RPC, until stop is called. It returns when the server knows, and is kept while the connection is lost.
func (s *State) Provide(ctx context.Context, name string, p Provider) (stop func(), err error) {
	s.room.mu.Lock()
	taken := len(s.provided.of(name)) > 0
	s.room.mu.Unlock()
	if taken {
		return nil, wire.NewError(wire.CodeBadRequest, "this client provides "+name+" already", "end the first provider")
	}
	return s.provided.use(ctx, name, p)
}

// Request asks a provider, which has 10 s to answer, or what the server was given. A nil value is none, and so is a nil answer. It fails with the codes no-provider, timeout, or
// rpc-failed and what the provider says; with ErrConnection it is not known whether it was carried out.
func (s *State) Request(ctx context.Context, name string, value any) (json.RawMessage, error) {
	b, err := payload("request", value, wire.MaxRPCBytes)
	if err != nil {
		return nil, err
	}
	type answer struct {
		value json.RawMessage
		err   error
	}
	answers := make(chan answer, 1)
	s.room.mu.Lock()
	call, id := s.rpcs.request(name, b, func(value json.RawMessage, err error) { answers <- answer{value, err} })
	s.room.mu.Unlock()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		s.room.mu.Lock()
		defer s.room.mu.Unlock()
		if s.room.session.forget(id) {
			delete(s.rpcs.open, call)
		}
		return nil, ctx.Err()
	}
}

// rpcs are the calls of one scope, those of this client and those that it answers. All of it is guarded by the Room's mu.
type rpcs struct {
	state *State
	open  map[uint64]*openCall // by number of the call
}

// openCall is one of this client that has no result.
type openCall struct {
	request uint64 // its number
	done    func(json.RawMessage, error)
}

// request begins a call. It returns its number, and that of the request.
func (r *rpcs) request(name string, value json.RawMessage, done func(json.RawMessage, error)) (call, id uint64) {
	if len(r.open) >= wire.MaxOpenCalls {
		done(nil, wire.NewError(wire.CodeLimit, "too many calls have no result yet", "wait for some of them"))
		return 0, 0
	}
	room := r.state.room
	room.lastCall++
	call = room.lastCall
	c := &openCall{done: done}
	r.open[call] = c
	c.request = room.session.request(wire.TypeRPCRequest, wire.RPCRequest{Scope: r.state.scope, Name: name, Call: call, Value: value}, func(_ wire.Message, err error) {
		if err != nil {
			r.end(call, nil, err)
		}
	})
	return call, c.request
}

func (r *rpcs) end(call uint64, value json.RawMessage, err error) {
	if c := r.open[call]; c != nil {
		delete(r.open, call)
		c.done(value, err)
	}
}

// result: a call of this client has ended.
func (r *rpcs) result(e wire.RPCResult) { r.end(e.Call, e.Value, refusal(e.Error)) }

// lose: the server has forgotten the calls that have no result. Those that it was not sent yet it will be.
func (r *rpcs) lose(err error) {
	for _, call := range slices.Sorted(maps.Keys(r.open)) {
		if c := r.open[call]; c != nil && !r.state.room.session.isUnsent(c.request) { // what is told of one may end others
			r.end(call, nil, err)
		}
	}
}

// called: this client is asked. It begins when the server has agreed: it may have asked somebody else meanwhile.
func (r *rpcs) called(e wire.RPCCall) {
	scope, room, users := r.state.scope, r.state.room, r.state.provided.of(e.Name)
	c := Call{e.Name, e.Value, e.From}
	reject := func() {
		r.state.insist(wire.TypeRPCReject, func() any { return wire.RPCReject{Scope: scope, Call: e.Call} }, ignore)
	}
	if len(users) == 0 || room.answering >= MaxAnswering || users[0].given.Accepts != nil && !users[0].given.Accepts(c) {
		reject()
		return
	}
	room.answering++
	r.state.ask(wire.TypeRPCAccept, wire.RPCAccept{Scope: scope, Call: e.Call}, func(_ wire.Message, err error) {
		gone := users[0].stopped.Load() // meanwhile
		if err == nil && gone {
			reject()
		}
		if err != nil || gone || room.session.state == Ended {
			room.answering-- // another one is asked
			return
		}
		room.answers.Go(func() { r.answer(users[0].given, e.Call, c) })
	})
}

// answer runs on a goroutine of its own, which the Room waits for.
func (r *rpcs) answer(p Provider, call uint64, c Call) {
	room := r.state.room
	ctx, cancel := context.WithTimeout(room.session.life, state.MaxAnswerTime)
	defer cancel()
	isInTime := context.AfterFunc(ctx, func() {
		room.mu.Lock()
		defer room.mu.Unlock()
		room.answering--
	})
	value, err := p.Answer(ctx, c)
	a := wire.RPCAnswer{Scope: r.state.scope, Call: call}
	if err == nil {
		a.Value, err = payload("answer", value, wire.MaxRPCBytes)
	}
	if err != nil {
		a.Failure = failure(err)
	}
	room.mu.Lock()
	defer room.mu.Unlock()
	if !isInTime() {
		return
	}
	room.answering--
	r.state.insist(wire.TypeRPCAnswer, func() any { return a }, ignore) // perhaps nobody waits for it any more
}

// failure is what the caller is told.
func failure(err error) string {
	text := []rune(err.Error())
	for len(string(text)) > maxFailureBytes {
		text = text[:min(len(text)-1, maxFailureBytes)]
	}
	if len(text) == 0 {
		return "the provider failed"
	}
	return string(text)
}
