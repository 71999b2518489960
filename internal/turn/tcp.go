package turn

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// A TCP allocation (RFC 6062) relays connections instead of datagrams: each to a peer goes with one of the client's own, which the client opens
// and binds to it.
//
//	client ─ Connect ─→ Dial … Dialed ─→ CONNECTION-ID ─→ client          peer ─ connects ─→ Accepted ─→ ConnectionAttempt ─→ client
//	client ─ new connection, ConnectionBind ─→ JoinConn: bytes both ways

// connection is one between a relayed TCP address and a peer. Its Server owns it.
type connection struct {
	id       ConnID
	a        *allocation
	peer     netip.AddrPort
	asked    *asked   // while it is dialed: the Connect
	joined   bool     // with a client's connection
	deadline deadline // until when it has to be there, and then to be joined
}

// connect begins a connection to a peer; its answer waits for the runtime (RFC 6062 §5.2).
func (s *Server) connect(q *request, a *allocation) drop.Reason {
	if !a.tcp {
		return q.refuse(s, stun.AllocationMismatch)
	}
	value, ok1 := q.Find(stun.XORPeerAddress)
	peer, ok2 := stun.Address(value, q.ID())
	if !ok1 || !ok2 {
		return q.refuse(s, stun.BadRequest)
	}
	r := &a.relays[family(peer.Addr())]
	if !r.there() {
		return q.refuse(s, stun.PeerFamilyMismatch)
	}
	if !s.mayConnect(peer) {
		return q.refuse(s, stun.Forbidden)
	}
	for _, c := range a.connections {
		switch {
		case c.asked != nil && c.asked.id == [stun.IDLen]byte(q.ID()):
			return drop.TurnPending
		case c.peer == peer:
			return q.refuse(s, stun.ConnectionExists)
		}
	}
	c := s.connection(q.at, a, peer)
	if c == nil {
		return q.refuse(s, stun.InsufficientCapacity)
	}
	asked := q.asked()
	c.asked = &asked
	q.out.Commands = append(q.out.Commands, Command{Do: Dial, Relay: r.id, Conn: c.id, Pair: a.pair, Peer: peer})
	return drop.None
}

// mayConnect reports whether clients may connect to a peer. Of own addresses that is only a relayed TCP address: on the port of any other, and of a
// media candidate, something else may listen for TCP.
func (s *Server) mayConnect(peer netip.AddrPort) bool {
	place, ok := s.reach(peer, s.outside(peer.Addr()))
	if !ok || place == Elsewhere {
		return ok
	}
	return slices.ContainsFunc(s.relays, func(a *allocation) bool {
		return a != nil && a.tcp && a.relays[family(peer.Addr())].address == peer
	})
}

// connection makes a connection of an allocation; nil: it has as many as it may, or its user, or all together have.
func (s *Server) connection(now instant, a *allocation, peer netip.AddrPort) *connection {
	if len(a.connections) >= s.limits.Connections || a.user.connections >= s.limits.UserConnections || len(s.connections) >= s.limits.AllConnections {
		return nil
	}
	a.user.connections++
	if s.lastConn++; s.lastConn == 0 {
		s.lastConn++
	}
	c := &connection{id: s.lastConn, a: a, peer: peer}
	c.deadline.of = c
	s.deadlines.set(&c.deadline, now+ConnectionTimeout)
	s.connections[c.id] = c
	a.connections = append(a.connections, c)
	return c
}

// forget ends what is known of a connection.
func (s *Server) forget(c *connection) {
	s.deadlines.clear(&c.deadline)
	delete(s.connections, c.id)
	c.a.user.connections--
	c.a.connections = slices.DeleteFunc(c.a.connections, func(other *connection) bool { return other == c })
}

// hangUp ends a connection.
func (s *Server) hangUp(c *connection, out *Out) {
	s.forget(c)
	out.Commands = append(out.Commands, Command{Do: CloseConn, Conn: c.id})
}

// expired ends a connection that is not there in time, or with which the client has done nothing (RFC 6062 §5.2, §5.3: 30 s).
func (c *connection) expired(s *Server, _ instant, out *Out) { s.end(c, out) }

// end ends a connection whose client is still there: a Connect that waits for it is answered.
func (s *Server) end(c *connection, out *Out) {
	if c.asked != nil {
		c.answer(s, stun.ConnectionTimeoutOrFailure, out)
	}
	s.hangUp(c, out)
}

// answer answers the Connect.
func (c *connection) answer(s *Server, code stun.Code, out *Out) {
	q := c.asked
	c.asked = nil
	if code != 0 {
		w := q.refusal(code, out)
		w.end(s)
		return
	}
	w := q.answer(stun.Success, out)
	w.Uint32(stun.ConnectionID, uint32(c.id))
	w.end(s)
}

// Dialed takes the runtime's answer to Dial.
func (s *Server) Dialed(now time.Time, d Dialed, out *Out) {
	c := s.connections[d.Conn]
	if c == nil || c.asked == nil {
		return
	}
	if d.Failed {
		c.answer(s, stun.ConnectionTimeoutOrFailure, out)
		s.forget(c)
		return
	}
	c.answer(s, 0, out)
	s.deadlines.set(&c.deadline, s.at(now)+ConnectionTimeout)
}

// Accepted takes a peer's connection to a relayed TCP address and returns its id; 0: it is to be closed (RFC 6062 §5.3).
func (s *Server) Accepted(now time.Time, relay RelayID, peer netip.AddrPort, out *Out) (ConnID, drop.Reason) {
	at, a := s.at(now), s.relayedBy(relay)
	if a == nil || !a.tcp {
		return 0, drop.TurnNoAllocation
	}
	p := a.permitted(peer.Addr())
	if p == nil || at >= p.until {
		return 0, drop.TurnNoPermission
	}
	if !s.mayConnect(peer) {
		return 0, drop.TurnForbidden
	}
	c := s.connection(at, a, peer)
	if c == nil {
		return 0, drop.TurnRate
	}
	id := s.indicationID()
	w := stun.Begin(out.room(maxAnswer), stun.TypeOf(stun.ConnectionAttempt, stun.Indication), id[:])
	w.Uint32(stun.ConnectionID, uint32(c.id))
	w.Address(stun.XORPeerAddress, peer)
	out.buf = w.B
	out.Clients = append(out.Clients, ToClient{Pair: a.pair, Head: w.Message()})
	return c.id, drop.None
}

// connectionBind joins the client's connection on which it comes with one to a peer (RFC 6062 §5.4).
func (s *Server) connectionBind(q *request) drop.Reason {
	value, ok := q.Find(stun.ConnectionID)
	if !ok || len(value) != 4 || q.pair.Proto != datagram.TCP || s.find(q.pair) != nil {
		return q.refuse(s, stun.BadRequest)
	}
	c := s.connections[ConnID(binary.BigEndian.Uint32(value))]
	if c == nil || c.asked != nil || c.joined {
		return q.refuse(s, stun.BadRequest)
	}
	if c.a.name != string(q.username) {
		return q.refuse(s, stun.WrongCredentials)
	}
	c.joined = true
	s.deadlines.clear(&c.deadline)
	w := q.answer(stun.Success)
	w.Uint32(stun.ConnectionID, uint32(c.id))
	r := w.end(s)
	q.out.Commands = append(q.out.Commands, Command{Do: JoinConn, Conn: c.id, Pair: q.pair, Peer: c.peer})
	return r
}

// Ended says that a connection to a peer has ended, or the client's that was joined with it; the runtime has closed both.
func (s *Server) Ended(_ time.Time, conn ConnID) {
	if c := s.connections[conn]; c != nil {
		s.forget(c)
	}
}
