package turn

import (
	"encoding/binary"
	"net/netip"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// reservation is a relayed address that is kept for another allocation of a user (RFC 8656 §18.6). It counts as an allocation.
type reservation struct {
	token    uint64
	relay    RelayID
	address  netip.AddrPort
	user     *user
	source   netip.Addr
	deadline deadline
}

// reserve keeps the address above that of an allocation, which admit has counted.
func (s *Server) reserve(now instant, a *allocation, relay RelayID) {
	port := a.relays[0].address
	if !port.IsValid() {
		port = a.relays[1].address
	}
	r := &reservation{token: s.token(), relay: relay, address: netip.AddrPortFrom(port.Addr(), port.Port()+1), user: a.user, source: a.source}
	r.deadline.of = r
	s.reservations[r.token] = r
	s.deadlines.set(&r.deadline, now+ReservationLifetime)
	a.reserved = r.token
}

// token makes a RESERVATION-TOKEN that nobody can guess.
func (s *Server) token() uint64 {
	s.tokens++
	in := s.in[:16]
	copy(in, "reserved")
	binary.BigEndian.PutUint64(in[8:], s.tokens)
	s.nonceMAC.Reset()
	s.nonceMAC.Write(in)
	return binary.BigEndian.Uint64(s.nonceMAC.Sum(s.sum[:0]))
}

// expired gives up the address.
func (r *reservation) expired(s *Server, _ instant, out *Out) {
	delete(s.reservations, r.token)
	s.dismiss(r.user, r.source)
	out.Commands = append(out.Commands, Command{Do: CloseRelay, Relay: r.relay})
}

// claim checks what does not go with a RESERVATION-TOKEN (RFC 8656 §7.2).
func (w *wanted) claim(q *request) stun.Code {
	for _, t := range []stun.Attr{stun.EvenPort, stun.RequestedAddressFamily, stun.AdditionalAddressFamily} {
		if _, there := q.Find(t); there {
			return stun.BadRequest
		}
	}
	if len(w.token) != 8 {
		return stun.BadRequest
	}
	return 0
}

// claim makes an allocation of an address that was reserved (RFC 8656 §7.2). It is the user's who reserved it.
func (s *Server) claim(q *request, w wanted) drop.Reason {
	r := s.reservations[binary.BigEndian.Uint64(w.token)]
	if r == nil || r.user.name != q.user {
		return q.refuse(s, stun.InsufficientCapacity)
	}
	delete(s.reservations, r.token)
	s.deadlines.clear(&r.deadline)
	a := s.allocation(q, w, r.user, r.source)
	a.relays[family(r.address.Addr())] = relayed{id: r.relay, address: r.address, until: q.at + w.lifetime}
	s.install(a)
	asked := q.asked()
	return s.allocated(&asked, a, [2]stun.Code{}, q.at, q.out)
}
