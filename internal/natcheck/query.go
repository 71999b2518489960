package natcheck

import (
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/stun"
)

// index names a query. The first four, of the mapping socket, and the next three, of the filtering socket, stand for the endpoints that they
// are about, in the same order.
type index uint8

const (
	direct           index = iota // §4.3 test I
	directPort                    // not in §4.3: other port
	directAddress                 // test II: other address
	directBoth                    // test III: other address and port
	filterNone                    // §4.4 test I
	filterPort                    // test III: answer from the other port
	filterBoth                    // test II: answer from the other address and port
	hairpinMapping                // §3.4, from the mapping socket
	hairpinFiltering              // and from the other one, so that a filter is open for the first
	numQueries
)

// state is how far a query is.
type state uint8

const (
	idle state = iota
	asking
	answered
	refused // by an error
	silent  // no answer in time
)

// query is a Binding request that is repeated until there is an answer (RFC 8489 §6.2.1).
type query struct {
	id      [stun.IDLen]byte
	socket  Socket
	to      netip.AddrPort
	from    netip.AddrPort // where the answer must come from
	change  uint32         // CHANGE-REQUEST flags
	hairpin bool           // what is sent is itself the answer

	state  state
	sends  int
	begun  time.Time
	due    time.Time // when to send again, or to give up
	rto    time.Duration
	mapped netip.AddrPort // XOR-MAPPED-ADDRESS of the answer
	code   stun.Code      // of an error
}

// ask begins a query, which keeps its id.
func (c *Check) ask(now time.Time, i index, q query) {
	q.id, q.state, q.due, q.rto = c.queries[i].id, asking, now, c.rto
	c.queries[i] = q
}

// query finds the one with a transaction id.
func (c *Check) query(id [stun.IDLen]byte) *query {
	for i := range c.queries {
		if q := &c.queries[i]; q.state != idle && q.id == id {
			return q
		}
	}
	return nil
}

// timeout sends a query that is due, each time after twice the time of before, or gives it up.
func (q *query) timeout(now time.Time, out *Out) {
	switch {
	case q.state != asking || now.Before(q.due):
		return
	case q.sends == maxSends:
		q.state = silent
		return
	case q.sends == 0:
		q.begun = now
	}
	q.sends++
	wait := q.rto << (q.sends - 1)
	if q.sends == maxSends {
		wait = lastWait * q.rto
	}
	q.due = now.Add(wait)
	at := len(out.buf)
	out.buf = appendRequest(out.buf, q.id, q.change)
	out.Datagrams = append(out.Datagrams, Datagram{q.socket, q.to, out.buf[at:]})
}

// answer takes in the answer to a query.
func (c *Check) answer(now time.Time, q *query, m *message) {
	q.mapped, q.code = m.mapped, m.code
	q.state = answered
	if m.code != 0 || !m.mapped.IsValid() {
		q.state = refused
		return
	}
	if q.sends == 1 { // of repeated ones nobody knows which was answered
		// RFC 6298 §2.2: with one measurement the variation is half of it, and the timeout is the whole and four times that.
		c.rto = min(max(3*now.Sub(q.begun), minRTO), firstRTO)
		c.rtt = now.Sub(q.begun)
	}
	if server := c.cfg.Server; !c.other.IsValid() && m.other.Addr() != server.Addr() && m.other.Port() != server.Port() &&
		m.other.Addr().Is4() == server.Addr().Is4() {
		c.other = m.other
	}
}

// advance begins what can be asked now.
func (c *Check) advance(now time.Time) {
	first, second := &c.queries[direct], &c.queries[filterNone]
	if !c.other.IsValid() {
		return // not known yet, or there is none
	}
	server, other := c.cfg.Server, c.other
	port := netip.AddrPortFrom(server.Addr(), other.Port())
	if first.state == answered && c.queries[directBoth].state == idle {
		for i, to := range []netip.AddrPort{port, netip.AddrPortFrom(other.Addr(), server.Port()), other} {
			c.ask(now, directPort+index(i), query{socket: MappingSocket, to: to, from: to})
		}
	}
	if second.state == answered && c.queries[filterBoth].state == idle {
		c.ask(now, filterPort, query{socket: FilteringSocket, to: server, from: port, change: changePort})
		c.ask(now, filterBoth, query{socket: FilteringSocket, to: server, from: other, change: changeAddress | changePort})
	}
	if first.state == answered && second.state == answered && c.translated() && c.queries[hairpinMapping].state == idle {
		c.ask(now, hairpinMapping, query{socket: MappingSocket, to: second.mapped, hairpin: true})
		c.ask(now, hairpinFiltering, query{socket: FilteringSocket, to: first.mapped, hairpin: true})
	}
}

// translated reports whether there is a NAT: the server sees another address than the socket has.
func (c *Check) translated() bool { return c.queries[direct].mapped != c.cfg.Local[MappingSocket] }
