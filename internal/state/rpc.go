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
	by       Caller
	caller   *session // nil: it has none, and waits for the reply with this ticket
	ticket   uint64
	number   uint64   // the caller's own
	provider *session // who is asked
	tried    []*session
	accepted bool
	asks     bool   // the caller may make it because of what records say: it is asked again before somebody gets what it carries
	slow     bool   // somebody did not accept in time
	deadline *timer // of what is waited for
}

func (s *Scope) rpcProvide(c RPCProvide) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	return s.names(RPCs, c.Names, func(name string) *wire.Error {
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
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	if refused := checkCount(len(c.Names), "names"); refused != nil {
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

// rpcRequest begins a call. Who has a session is told that it is on its way, and later how it ended; who has none is told only that.
func (s *Scope) rpcRequest(c RPCRequest) {
	p, refused := s.asker(&c.By, false)
	if refused == nil {
		refused = s.mayCall(c, p)
	}
	switch {
	case refused == nil:
		s.begin(c, p)
		if p != nil {
			s.done(nil, s.waits(ofRPC(c.Name)))
		}
	case p == nil:
		s.emit(Reply{Error: refused, Ticket: c.Ticket, Waits: s.waits()})
	default:
		s.fail(refused, s.waits())
	}
}

// mayCall checks a request of a session, or of somebody without one.
func (s *Scope) mayCall(c RPCRequest, p *session) *wire.Error {
	if refused := checkName(c.Name); refused != nil {
		return refused
	}
	if refused := CheckPayload("request", c.Value, wire.MaxRPCBytes); refused != nil {
		return refused
	}
	if denied := s.mayUse(c.By, RPCs, Request, c.Name, c.Value); denied != nil {
		return denied
	}
	switch {
	case s.callBytes+len(c.Value) > MaxCallBytes:
		return beyond(MaxCallBytes, "bytes of calls without a result")
	case p == nil && s.strangers == MaxCallsWithoutSession:
		return beyond(MaxCallsWithoutSession, "calls of callers without a session")
	case p == nil:
	case slices.ContainsFunc(p.open, func(x *call) bool { return x.number == c.Call }):
		return badRequest("there is a call with this number already", "count calls up")
	case len(p.open) == wire.MaxOpenCalls:
		return beyond(wire.MaxOpenCalls, "calls without a result")
	case p.openBytes()+len(c.Value) > wire.MaxOpenCallBytes:
		return beyond(wire.MaxOpenCallBytes, "bytes of calls without a result")
	}
	return nil
}

// openBytes are the values of what the session asked for and has no result of.
func (p *session) openBytes() (n int) {
	for _, c := range p.open {
		n += len(c.value)
	}
	return n
}

// begin asks the first provider.
func (s *Scope) begin(c RPCRequest, p *session) {
	s.lastCall = s.count(s.lastCall)
	made := &call{id: s.lastCall, name: c.Name, value: c.Value, by: c.By, caller: p, ticket: c.Ticket, number: c.Call, asks: s.depends}
	made.deadline = &timer{call: made}
	s.calls[made.id] = made
	s.callBytes += len(made.value)
	if p == nil {
		s.strangers++
	} else {
		p.open = append(p.open, made)
	}
	s.ask(made)
}

// mayGoOn asks for a call as when it was made, and ends it where it is not allowed any more.
func (s *Scope) mayGoOn(c *call) bool {
	by := c.by
	if c.caller != nil {
		by = c.caller.caller
	}
	refused := s.apart(func() *wire.Error { return s.mayUse(by, RPCs, Request, c.name, c.value) })
	c.asks = s.depends
	if refused != nil {
		s.finish(c, nil, refused)
	}
	return refused == nil
}

// ask asks the next provider, or ends the call if there is none.
func (s *Scope) ask(c *call) {
	if len(c.tried) > 0 && c.asks && !s.mayGoOn(c) {
		return
	}
	var near, far []*session
	for _, p := range s.providers[c.name] {
		switch {
		case slices.Contains(c.tried, p):
		case p.node == c.node():
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
		s.finish(c, nil, wire.NewError(wire.CodeTimeout, "no provider accepted in time", "call again later"))
		return
	default:
		s.finish(c, nil, wire.NewError(wire.CodeNoProvider, "nobody provides "+c.name+", or everybody rejected the call", "wait until somebody provides it"))
		return
	}
	p := near[s.random.IntN(len(near))]
	// It may have been allowed by what a record said then.
	l := link{kind: wire.ProvidedRPC, name: c.name}
	if refused := s.mayKeep(p, l); refused != nil {
		s.forbid(p, l, refused)
		s.ask(c)
		return
	}
	c.provider, c.accepted = p, false
	c.tried, p.asked = append(c.tried, p), append(p.asked, c)
	s.expect(c, s.config.AcceptTime)
	s.tellOne(p, wire.TypeRPCCall, wire.RPCCall{
		Scope: s.config.Scope, Name: c.name, Call: c.id, Value: c.value, From: c.by.Identity,
	}, ofRPC(c.name))
}

// node is where the caller is.
func (c *call) node() string {
	if c.caller == nil {
		return ""
	}
	return c.caller.node
}

func (s *Scope) expect(c *call, within time.Duration) { s.timers.set(c.deadline, s.now.Add(within)) }

// lapse ends a wait that was in vain.
func (s *Scope) lapse(c *call) {
	if c.accepted {
		s.finish(c, nil, wire.NewError(wire.CodeTimeout, "the provider did not answer in time", "it may have done what was asked: look before it is called again"))
		return
	}
	c.slow = true
	s.release(c)
	s.ask(c)
}

// asked finds a call of which this session is the provider.
func (s *Scope) asked(by Caller, id uint64) (*call, *wire.Error) {
	p, refused := s.asker(&by, true)
	if refused != nil {
		return nil, refused
	}
	if c := s.calls[id]; c != nil && c.provider == p {
		return c, nil
	}
	return nil, noCall()
}

func noCall() *wire.Error {
	return wire.NewError(wire.CodeNotFound, "nobody waits for this any more: the call has ended, or another provider was asked", "do nothing for this call")
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
	if refused := CheckPayload("answer", c.Value, wire.MaxRPCBytes); refused != nil {
		return refused
	}
	switch {
	case asked.asks && !s.mayGoOn(asked):
		return noCall()
	case c.Failure != "":
		s.finish(asked, nil, wire.NewError(wire.CodeRPCFailed, c.Failure, ""))
	default:
		s.finish(asked, c.Value, nil)
	}
	return nil
}

// finish tells the caller how a call ended.
func (s *Scope) finish(c *call, value []byte, refused *wire.Error) {
	body := wire.RPCResult{Scope: s.config.Scope, Call: c.number, Value: value}
	if p := c.caller; p != nil {
		p.open = slices.DeleteFunc(p.open, func(x *call) bool { return x == c })
		body.Error = refused
		s.tellOne(p, wire.TypeRPCResult, body, ofRPC(c.name))
	} else if refused != nil {
		s.emit(Reply{Error: refused, Ticket: c.ticket, Waits: s.waits(ofRPC(c.name))})
	} else {
		s.emit(Reply{Type: wire.TypeRPCResult, Body: body, Ticket: c.ticket, Waits: s.waits(ofRPC(c.name))})
	}
	s.forget(c)
}

// forget takes a call away.
func (s *Scope) forget(c *call) {
	delete(s.calls, c.id)
	s.callBytes -= len(c.value)
	s.timers.stop(c.deadline)
	s.release(c)
	if c.caller == nil {
		s.strangers--
	}
	c.value, c.caller, c.tried = nil, nil, nil
}

// release takes a call from its provider.
func (s *Scope) release(c *call) {
	if p := c.provider; p != nil {
		p.asked = slices.DeleteFunc(p.asked, func(x *call) bool { return x == c })
		c.provider = nil
	}
}

// abandon leaves what a session was asked to others, as it has vanished: all, or calls of one name.
func (s *Scope) abandon(p *session, name string) {
	for _, c := range slices.Clone(p.asked) {
		if name == "" || c.name == name {
			s.release(c)
			s.ask(c)
		}
	}
}
