package natcheck

import (
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/stun"
)

// Behaviour is what a mapping or a filter depends on (RFC 4787 §4.1 and §5).
type Behaviour uint8

// Behaviours.
const (
	Unknown                 Behaviour = iota
	None                              // of a mapping: the address is the machine's own
	EndpointIndependent               // one mapping for all; of a filter: everybody gets in
	AddressDependent                  // one for each address; who was sent to gets in, from any port
	AddressAndPortDependent           // one for each address and port; who was sent to gets in, from that port
)

// Fault is why not everything could be found out.
type Fault uint8

// Faults.
const (
	Complete    Fault = iota
	NoAnswer          // nothing came from the server: there is none, or UDP is blocked
	Refused           // it answered with an error; see Result.Code
	NoOther           // it has no second address (no OTHER-ADDRESS)
	OtherSilent       // nothing came from its other endpoints
	NotChanged        // it refused to answer from elsewhere (CHANGE-REQUEST)
)

// Answer is yes or no, where that is known.
type Answer uint8

// Answers.
const (
	Untold Answer = iota
	No
	Yes
)

// Result is what a Check has found out.
type Result struct {
	Fault Fault
	Code  stun.Code // of the error where Refused

	Local  netip.AddrPort // of the mapping socket
	Mapped netip.AddrPort // the same as the server sees it
	Other  netip.AddrPort // the server's other address and port
	RTT    time.Duration  // to the server; 0: the first request was lost

	Mapping        Behaviour
	Filtering      Behaviour
	PreservesPorts Answer // the port outside is that inside (RFC 4787 §4.2.1)
	Hairpins       Answer // machines behind the NAT reach one another by their addresses outside (§6)
}

// Result tells what was found out up to now.
func (c *Check) Result() Result {
	first := &c.queries[direct]
	r := Result{Local: c.cfg.Local[MappingSocket], Mapped: first.mapped, Other: c.other, RTT: c.rtt, Code: first.code}
	switch {
	case first.state == refused:
		r.Fault = Refused
		return r
	case first.state != answered:
		r.Fault = NoAnswer
		return r
	}
	r.Mapping, r.Filtering = c.mapping(), c.filtering()
	if c.translated() {
		r.PreservesPorts = answerOf(r.Mapped.Port() == r.Local.Port())
		r.Hairpins = c.hairpins(r)
	}
	switch {
	case !c.other.IsValid():
		r.Fault = NoOther
	case c.queries[filterPort].state == refused || c.queries[filterBoth].state == refused:
		r.Fault = NotChanged
	case r.Mapping == Unknown || r.Filtering == Unknown:
		r.Fault = OtherSilent
	}
	return r
}

// mapping compares what the server's endpoints see.
func (c *Check) mapping() Behaviour {
	if !c.translated() {
		return None
	}
	at := func(i index) netip.AddrPort { return c.queries[i].mapped }
	for i := direct; i <= directBoth; i++ {
		if c.queries[i].state != answered {
			return Unknown
		}
	}
	switch {
	case at(direct) != at(directPort) || at(directAddress) != at(directBoth):
		return AddressAndPortDependent
	case at(direct) != at(directAddress):
		return AddressDependent
	}
	return EndpointIndependent
}

// filtering tells whose answers came. Those that did not mean something only where they come without the filter.
func (c *Check) filtering() Behaviour {
	heard := func(i index) bool { return c.queries[i].state == answered }
	unheard := func(filtered, direct index) bool { return c.queries[filtered].state == silent && heard(direct) }
	switch {
	case heard(filterBoth):
		return EndpointIndependent
	case heard(filterPort) && unheard(filterBoth, directBoth):
		return AddressDependent
	case unheard(filterPort, directPort) && unheard(filterBoth, directBoth):
		return AddressAndPortDependent
	}
	return Unknown
}

// hairpins tells whether what was sent to an address outside came back. Where each destination has a mapping of its own, the one that the
// server has seen is not meant for this, and silence says nothing.
func (c *Check) hairpins(r Result) Answer {
	one, two := c.queries[hairpinMapping].state, c.queries[hairpinFiltering].state
	switch {
	case one == answered || two == answered:
		return Yes
	case one == silent && two == silent && r.Mapping == EndpointIndependent:
		return No
	}
	return Untold
}

func answerOf(yes bool) Answer {
	if yes {
		return Yes
	}
	return No
}
