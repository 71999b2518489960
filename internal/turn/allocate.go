package turn

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// opening is an allocation while the runtime opens its relayed addresses.
type opening struct {
	asked    asked
	a        *allocation
	tokens   [2]uint64 // by family; 0: not asked for, or answered
	failed   [2]stun.Code
	lifetime instant
	next     bool // the port above is reserved
	reserved RelayID
}

// wanted is what an Allocate asks for (RFC 8656 §7.2).
type wanted struct {
	family   [2]bool // IPv4, IPv6
	fails    [2]stun.Code
	lifetime instant
	even     bool
	next     bool
	tcp      bool
	mobile   bool
	claims   bool
	token    []byte // RESERVATION-TOKEN, where it claims
}

// Protocol numbers, as REQUESTED-TRANSPORT has them.
const (
	transportTCP = 6
	transportUDP = 17
)

// wanted reads an Allocate, in the order of RFC 8656 §7.2. Code is 0, or that of the error.
func (s *Server) wanted(q *request) (w wanted, code stun.Code) {
	transport, ok := q.Find(stun.RequestedTransport)
	if !ok || len(transport) != 4 {
		return w, stun.BadRequest
	}
	switch w.tcp = transport[0] == transportTCP; {
	case w.tcp && !s.cfg.NoTCP:
		if code := q.tcp(); code != 0 {
			return w, code
		}
	case transport[0] != transportUDP:
		return w, stun.UnsupportedTransport
	}
	if w.lifetime, ok = q.lifetime(); !ok {
		return w, stun.BadRequest
	}
	if w.lifetime == 0 {
		w.lifetime = DefaultLifetime
	}
	if code := s.mayMove(q, &w); code != 0 {
		return w, code
	}
	if w.token, w.claims = q.Find(stun.ReservationToken); w.claims {
		return w, w.claim(q)
	}
	if code := w.families(s, q); code != 0 {
		return w, code
	}
	return w, w.port(q)
}

// tcp checks what an Allocate for TCP must not be: over UDP, or with what is of datagrams (RFC 6062 §5.1).
func (q *request) tcp() stun.Code {
	if q.pair.Proto != datagram.TCP {
		return stun.BadRequest
	}
	for _, t := range []stun.Attr{stun.EvenPort, stun.DontFragment, stun.ReservationToken} {
		if _, there := q.Find(t); there {
			return stun.BadRequest
		}
	}
	return 0
}

// families reads REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY.
func (w *wanted) families(s *Server, q *request) stun.Code {
	one, requested, ok1 := q.family(stun.RequestedAddressFamily)
	also, additional, ok2 := q.family(stun.AdditionalAddressFamily)
	if !ok1 || !ok2 || requested && additional || additional && also != 1 {
		return stun.BadRequest // §7.2: an additional one can only be IPv6
	}
	w.family[one] = true
	if additional {
		w.family[1] = true
	}
	some := false
	for i := range w.family {
		if w.family[i] && !s.cfg.Own.HasFamily(q.pair.Local.Addr(), i == 1) {
			w.family[i], w.fails[i] = false, stun.FamilyNotSupported
		}
		some = some || w.family[i]
	}
	if !some {
		return stun.FamilyNotSupported
	}
	return 0
}

// addresses is how many are opened or kept for an Allocate.
func (w *wanted) addresses() (n int) {
	for _, one := range [...]bool{w.family[0], w.family[1], w.next} {
		if one {
			n++
		}
	}
	return n
}

// port reads EVEN-PORT.
func (w *wanted) port(q *request) stun.Code {
	value, ok := q.Find(stun.EvenPort)
	if !ok {
		return 0
	}
	if len(value) != 1 {
		return stun.BadRequest
	}
	w.even = true
	w.next = value[0]&0x80 != 0
	if _, additional := q.Find(stun.AdditionalAddressFamily); w.next && additional {
		return stun.BadRequest
	}
	return 0
}

// family reads an attribute with an address family: 0 is IPv4, also where there is none; 1 IPv6.
func (q *request) family(t stun.Attr) (index int, there, ok bool) {
	value, there := q.Find(t)
	switch {
	case !there:
		return 0, false, true
	case len(value) == 4 && value[0] == stun.IPv4:
		return 0, true, true
	case len(value) == 4 && value[0] == stun.IPv6:
		return 1, true, true
	}
	return 0, true, false
}

// lifetime reads LIFETIME: what is granted for it, 0 where that is asked for (RFC 8656 §7.2, §8.2).
func (q *request) lifetime() (d instant, ok bool) {
	value, there := q.Find(stun.Lifetime)
	if !there {
		return DefaultLifetime, true
	}
	if len(value) != 4 {
		return 0, false
	}
	d = instant(binary.BigEndian.Uint32(value)) * time.Second
	if d == 0 {
		return 0, true
	}
	return max(min(d, MaxLifetime), DefaultLifetime), true
}

// allocate begins an allocation: its answer waits for the runtime.
func (s *Server) allocate(q *request, a *allocation) drop.Reason {
	id := [stun.IDLen]byte(q.ID())
	if a != nil {
		if a.id == id {
			asked := q.asked()
			return s.allocated(&asked, a, [2]stun.Code{}, q.at, q.out)
		}
		return q.refuse(s, stun.AllocationMismatch)
	}
	for _, o := range s.opening {
		if o.asked.pair == q.pair {
			return drop.TurnPending
		}
	}
	w, code := s.wanted(q)
	if code != 0 {
		return q.refuse(s, code)
	}
	if w.claims {
		return s.claim(q, w)
	}
	source := datagram.Source(q.pair.Remote.Addr())
	u, ok := s.admit(q.user, source, w.addresses())
	if !ok {
		return q.refuse(s, stun.AllocationQuota)
	}
	s.repay(q)
	s.open(q, w, s.allocation(q, w, u, source))
	return drop.None
}

// allocation makes what a request is for.
func (s *Server) allocation(q *request, w wanted, u *user, source netip.Addr) *allocation {
	a := &allocation{
		pair: q.pair, id: [stun.IDLen]byte(q.ID()), user: u, source: source, name: string(q.username), key: q.key, keyBy: q.keyBy, tcp: w.tcp,
	}
	a.deadline.of = a
	a.shaped = u.left
	if w.mobile {
		a.mobile = &mobile{}
		s.issue(a)
	}
	return a
}

// open asks the runtime for the addresses of an allocation.
func (s *Server) open(q *request, w wanted, a *allocation) {
	o := &opening{asked: q.asked(), a: a, failed: w.fails, lifetime: w.lifetime, next: w.next}
	for i := range w.family {
		if w.family[i] {
			s.tokens++
			o.tokens[i] = s.tokens
			open := Open{Token: s.tokens, IPv6: i == 1, TCP: w.tcp, Even: w.even, Next: w.next, Local: q.pair.Local.Addr()}
			q.out.Commands = append(q.out.Commands, Command{Do: OpenRelay, Pair: q.pair, Open: open})
		}
	}
	s.opening = append(s.opening, o)
}

// Opened takes the runtime's answer to OpenRelay.
func (s *Server) Opened(now time.Time, r Opened, out *Out) {
	for i, o := range s.opening {
		for f := range o.tokens {
			if r.Token == 0 || o.tokens[f] != r.Token {
				continue
			}
			o.tokens[f] = 0
			if r.Failed {
				o.failed[f] = stun.InsufficientCapacity
				s.dismiss(o.a.user, o.a.source)
			} else {
				o.a.relays[f], o.reserved = relayed{id: r.Relay, address: r.Address}, r.Reserved
			}
			if o.tokens == [2]uint64{} {
				s.opening = append(s.opening[:i], s.opening[i+1:]...)
				s.opened(s.at(now), o, out)
			}
			return
		}
	}
}

// opened ends an Allocate: it has succeeded where there is one address.
func (s *Server) opened(now instant, o *opening, out *Out) {
	a := o.a
	if !a.relays[0].there() && !a.relays[1].there() {
		s.withdraw(a)
		if o.next {
			s.dismiss(a.user, a.source)
		}
		w := o.asked.refusal(stun.InsufficientCapacity, out)
		w.end(s)
		return
	}
	for f := range a.relays {
		a.relays[f].until = now + o.lifetime
	}
	s.install(a)
	if o.next {
		s.reserve(now, a, o.reserved)
	}
	s.allocated(&o.asked, a, o.failed, now, out)
}

// allocated answers an Allocate with what the client has (RFC 8656 §7.2).
func (s *Server) allocated(q *asked, a *allocation, failed [2]stun.Code, now instant, out *Out) drop.Reason {
	w := q.answer(stun.Success, out)
	left := instant(0)
	for f := range a.relays {
		if r := &a.relays[f]; r.there() {
			w.Address(stun.XORRelayedAddress, r.address)
			left = r.until - now
		}
	}
	w.Uint32(stun.Lifetime, uint32(left/time.Second))
	w.Address(stun.XORMappedAddress, q.pair.Remote)
	if s.reservations[a.reserved] != nil {
		w.Uint64(stun.ReservationToken, a.reserved)
	}
	if a.mobile != nil {
		w.Bytes(stun.MobilityTicket, a.mobile.ticket[:])
	}
	for f, code := range failed {
		if code != 0 {
			w.AddressErrorCode(byte(stun.IPv4+f), code)
		}
	}
	return w.end(s)
}
