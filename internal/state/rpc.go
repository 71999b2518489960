package state

import (
	"slices"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// call is a request on its way.
type call struct {
	id       uint64 // in the scope
	name     string
	value    []byte
	caller   *session
	number   uint64   // the caller's own
	provider *session // who is asked
	tried    []*session
	accepted bool
	slow     bool      // somebody did not accept in time
	deadline time.Time // of what is waited for
}

func (s *Scope) rpcProvide(c RPCProvide) *wire.Error {
	p, refused := s.asker(c.By, true)
	if refused != nil {
		return refused
	}
	return s.names(c.Names, func(name string) *wire.Error {
		if denied := s.mayUse(p.caller, RPCs, Provide, name, nil); denied != nil {
			return denied
		}
		l := link{kind: wire.ProvidedRPC, name: name}
		switch {
		case p.links[l]:
			return nil
		case p.provided == wire.MaxProvided:
			return beyond(wire.MaxProvided, "RPCs that one session provides")
		}
		p.links[l] = true
		p.provided++
		s.providers[name] = append(s.providers[name], p)
		return nil
	})
}

func (s *Scope) rpcUnprovide(c RPCUnprovide) *wire.Error {
	p, refused := s.asker(c.By, true)
	if refused != nil {
		return refused
	}
	for _, name := range c.Names {
		s.unlink(p, link{kind: wire.ProvidedRPC, name: name})
	}
	return nil
}

// withdraw takes a provider away. What it has been asked before is still its to answer. The link is gone already.
func (s *Scope) withdraw(p *session, name string) {
	rest := slices.DeleteFunc(s.providers[name], func(x *session) bool { return x == p })
	if s.providers[name] = rest; len(rest) == 0 {
		delete(s.providers, name)
	}
}

func (s *Scope) rpcRequest(c RPCRequest) *wire.Error {
	p, refused := s.asker(c.By, true)
	if refused != nil {
		return refused
	}
	if refused := checkName(c.Name); refused != nil {
		return refused
	}
	if refused := checkPayload("request", c.Value, wire.MaxRPCBytes); refused != nil {
		return refused
	}
	if denied := s.mayUse(p.caller, RPCs, Request, c.Name, c.Value); denied != nil {
		return denied
	}
	switch {
	case slices.ContainsFunc(p.open, func(x *call) bool { return x.number == c.Call }):
		return badRequest("there is a call with this number already", "count calls up")
	case len(p.open) == wire.MaxOpenCalls:
		return beyond(wire.MaxOpenCalls, "calls without a result")
	}
	s.lastCall++
	made := &call{id: s.lastCall, name: c.Name, value: c.Value, caller: p, number: c.Call}
	s.calls[made.id] = made
	p.open = append(p.open, made)
	s.ask(made)
	return nil
}

// ask asks the next provider, or ends the call if there is none.
func (s *Scope) ask(c *call) {
	var near, far []*session
	for _, p := range s.providers[c.name] {
		switch {
		case slices.Contains(c.tried, p):
		case p.node == c.caller.node:
			near = append(near, p)
		default:
			far = append(far, p)
		}
	}
	if len(near) == 0 {
		near = far
	}
	switch {
	case len(near) > 0:
	case c.slow:
		s.finish(c, nil, wire.NewError(wire.CodeTimeout, "no provider accepted in time", ""))
		return
	default:
		s.finish(c, nil, wire.NewError(wire.CodeNoProvider, "nobody provides "+c.name+", or everybody rejected the call", ""))
		return
	}
	p := near[s.random.IntN(len(near))]
	c.provider, c.accepted = p, false
	c.tried, p.asked = append(c.tried, p), append(p.asked, c)
	s.expect(c, s.config.AcceptTime)
	s.tellOne(p, wire.TypeRPCCall, wire.RPCCall{
		Scope: s.config.Scope, Name: c.name, Call: c.id, Value: c.value, From: c.caller.caller.Identity,
	})
}

func (s *Scope) expect(c *call, within time.Duration) {
	c.deadline = s.now.Add(within)
	s.timers.add(timer{at: c.deadline, call: c})
}

// lapse ends a wait that was in vain.
func (s *Scope) lapse(c *call, at time.Time) {
	switch {
	case s.calls[c.id] != c || !c.deadline.Equal(at):
	case c.accepted:
		s.finish(c, nil, wire.NewError(wire.CodeTimeout, "the provider did not answer in time", ""))
	default:
		c.slow = true
		s.release(c)
		s.ask(c)
	}
}

// asked finds a call of which this session is the provider.
func (s *Scope) asked(by Caller, id uint64) (*call, *wire.Error) {
	p, refused := s.asker(by, true)
	if refused != nil {
		return nil, refused
	}
	if c := s.calls[id]; c != nil && c.provider == p {
		return c, nil
	}
	return nil, wire.NewError(wire.CodeNotFound, "nobody waits for this any more: the call has ended, or another provider was asked", "do nothing for this call")
}

func (s *Scope) rpcAccept(c RPCAccept) *wire.Error {
	asked, refused := s.asked(c.By, c.Call)
	if refused != nil || asked.accepted {
		return refused
	}
	asked.accepted = true
	s.expect(asked, s.config.AnswerTime)
	return nil
}

func (s *Scope) rpcReject(c RPCReject) *wire.Error {
	asked, refused := s.asked(c.By, c.Call)
	if refused != nil {
		return refused
	}
	s.release(asked)
	s.ask(asked)
	return nil
}

func (s *Scope) rpcAnswer(c RPCAnswer) *wire.Error {
	asked, refused := s.asked(c.By, c.Call)
	switch {
	case refused != nil:
		return refused
	case !asked.accepted:
		return badRequest("the call was not accepted", "send rpc-accept first, and begin after its reply")
	case len(c.Failure) > MaxFailureBytes:
		return tooLarge("failure", MaxFailureBytes)
	}
	if refused := checkPayload("answer", c.Value, wire.MaxRPCBytes); refused != nil {
		return refused
	}
	if c.Failure != "" {
		s.finish(asked, nil, wire.NewError(wire.CodeRPCFailed, c.Failure, ""))
	} else {
		s.finish(asked, c.Value, nil)
	}
	return nil
}

// finish tells the caller how a call ended.
func (s *Scope) finish(c *call, value []byte, refused *wire.Error) {
	p := c.caller
	p.open = slices.DeleteFunc(p.open, func(x *call) bool { return x == c })
	s.tellOne(p, wire.TypeRPCResult, wire.RPCResult{Scope: s.config.Scope, Call: c.number, Value: value, Error: refused})
	s.forget(c)
}

// forget takes a call away.
func (s *Scope) forget(c *call) {
	delete(s.calls, c.id)
	s.release(c)
}

// release takes a call from its provider.
func (s *Scope) release(c *call) {
	if p := c.provider; p != nil {
		p.asked = slices.DeleteFunc(p.asked, func(x *call) bool { return x == c })
		c.provider = nil
	}
}

// abandon leaves what a session was asked to others, as it has vanished.
func (s *Scope) abandon(p *session) {
	for _, c := range slices.Clone(p.asked) {
		s.release(c)
		s.ask(c)
	}
}
