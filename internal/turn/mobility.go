package turn

import (
	"encoding/binary"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// A client whose address changes keeps its allocation by a ticket (RFC 8016): it asks for one with an empty MOBILITY-TICKET in its Allocate, and
// sends it in a Refresh from its new address. That is authentic, and by a nonce for the new address: the client is there. So the allocation moves
// at once.

// ticket is a MOBILITY-TICKET that nobody can guess; zero: there is none.
type ticket [16]byte

// mobile tells about the tickets of an allocation whose client may move.
type mobile struct {
	ticket   ticket
	previous ticket // that the client moved with: its Refresh may come again
	detached bool   // its stream has ended: nobody is there until it moves
}

// mayMove reads MOBILITY-TICKET of an Allocate (RFC 8016 §3.1).
func (s *Server) mayMove(q *request, w *wanted) stun.Code {
	value, there := q.Find(stun.MobilityTicket)
	switch {
	case !there:
		return 0
	case len(value) > 0:
		return stun.BadRequest
	case s.cfg.NoMobility || w.tcp:
		return stun.MobilityForbidden
	}
	w.mobile = true
	return 0
}

// issue gives an allocation its next ticket.
func (s *Server) issue(a *allocation) {
	s.tokens++
	in := s.in[:16]
	copy(in, "a ticket")
	binary.BigEndian.PutUint64(in[8:], s.tokens)
	s.nonceMAC.Reset()
	s.nonceMAC.Write(in)
	delete(s.tickets, a.mobile.previous)
	a.mobile.previous = a.mobile.ticket
	a.mobile.ticket = ticket(s.nonceMAC.Sum(s.sum[:0])[:len(ticket{})])
	s.tickets[a.mobile.ticket] = a
}

// withdraw ends the tickets of an allocation.
func (s *Server) withdraw(a *allocation) {
	if a.mobile != nil {
		delete(s.tickets, a.mobile.ticket)
		delete(s.tickets, a.mobile.previous)
	}
}

// move gives the allocation of a Refresh's ticket the address from which that came, and goes on with the Refresh (RFC 8016 §3.2). A is the
// allocation that is there already.
func (s *Server) move(q *request, a *allocation, value []byte) drop.Reason {
	if len(value) != len(ticket{}) {
		return q.refuse(s, stun.BadRequest)
	}
	moving := s.tickets[ticket(value)]
	switch {
	case moving == nil:
		return q.refuse(s, stun.BadRequest)
	case moving.name != string(q.username):
		return q.refuse(s, stun.WrongCredentials)
	case moving == a:
		return s.refresh(q, a) // not moved, or its Refresh has come again
	case a != nil:
		return q.refuse(s, stun.AllocationMismatch)
	case moving.mobile.ticket != ticket(value):
		return q.refuse(s, stun.BadRequest) // it has moved on
	}
	source, n := datagram.Source(q.pair.Remote.Addr()), moving.addresses()
	if source != moving.source && s.sources[source]+n > s.limits.PerSource {
		return q.refuse(s, stun.AllocationQuota)
	}
	s.last = nil
	if !moving.mobile.detached { // else somebody else may be there now
		delete(s.clients, moving.pair)
		q.out.Commands = append(q.out.Commands, Command{Do: CloseClient, Pair: moving.pair})
	}
	s.clients[q.pair] = moving
	moving.pair, moving.mobile.detached = q.pair, false
	s.leave(moving.source, n)
	s.sources[source] += n
	moving.source = source
	s.issue(moving)
	return s.refresh(q, moving)
}

// detach keeps an allocation whose client's stream has ended: it may come back elsewhere.
func (s *Server) detach(a *allocation) {
	delete(s.clients, a.pair)
	s.last = nil
	a.mobile.detached = true
}
