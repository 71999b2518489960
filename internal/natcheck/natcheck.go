// Package natcheck finds out how the NAT in front of a machine behaves, by asking a STUN server that has two addresses with two ports each
// (RFC 5780), and says what that means for calls.
//
// A Check owns two sockets of its caller, which it knows by number. The first asks each of the server's four endpoints for its own address
// as seen from there: how these differ tells the mapping (§4.3). The second asks the server alone, for answers from the other endpoints:
// which of them arrive tells the filter (§4.4). It never sends to those, because that would open the filter; hence two sockets. Meanwhile
// both send to each other's address outside, which comes back where the NAT hairpins (§3.4).
//
//	                               ┌─ address:port ── other address:port        four times: "I see you as …"
//	mapping socket ──── NAT ───────┴─ address:other ─ other address:other
//	filtering socket ── NAT ────────── address:port  "answer from there!"
//
// Silence means something here, so the four direct answers also prove that what was silent behind the filter can be heard at all.
package natcheck

import (
	"io"
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
)

// Socket names one of the caller's sockets.
type Socket uint8

// Sockets.
const (
	MappingSocket Socket = iota
	FilteringSocket
	Sockets // not a socket: the number of them
)

// Config is what a Check goes by.
type Config struct {
	// Server answers Binding requests.
	Server netip.AddrPort
	// Local are the addresses that the sockets are bound to, with port, of the family of Server.
	Local [Sockets]netip.AddrPort
	// Random makes transaction ids.
	Random io.Reader
}

// Datagram is to be sent from a socket. Its bytes are the Check's and valid until the next call.
type Datagram struct {
	Socket Socket
	To     netip.AddrPort
	B      []byte
}

// Out is what a Check makes of its input. The caller owns it and empties it by Reset.
type Out struct {
	Datagrams []Datagram
	buf       []byte
}

// Reset empties o and keeps its memory.
func (o *Out) Reset() { o.Datagrams, o.buf = o.Datagrams[:0], o.buf[:0] }

// Check is one examination. It belongs to one goroutine.
type Check struct {
	// static after construction
	cfg Config

	// owned by the caller's goroutine
	queries [numQueries]query
	rto     time.Duration  // for what is asked next
	rtt     time.Duration  // to the server, where one was measured
	other   netip.AddrPort // the server's other address with its other port; invalid: not known yet, or there is none
}

// New returns a Check that begins at the first Timeout.
func New(now time.Time, cfg Config) (*Check, error) {
	c := &Check{cfg: cfg, rto: firstRTO}
	for i := range c.queries {
		if _, err := io.ReadFull(cfg.Random, c.queries[i].id[:]); err != nil {
			return nil, err
		}
	}
	c.ask(now, direct, query{socket: MappingSocket, to: cfg.Server, from: cfg.Server})
	c.ask(now, filterNone, query{socket: FilteringSocket, to: cfg.Server, from: cfg.Server})
	return c, nil
}

// Next returns when Timeout must be called; the zero time says that the examination is over.
func (c *Check) Next() (next time.Time) {
	for i := range c.queries {
		if q := &c.queries[i]; q.state == asking && (next.IsZero() || q.due.Before(next)) {
			next = q.due
		}
	}
	return next
}

// Timeout sends what is due.
func (c *Check) Timeout(now time.Time, out *Out) {
	c.send(now, out)
	c.advance(now)
	c.send(now, out) // what has just begun
}

// send sends what is due.
func (c *Check) send(now time.Time, out *Out) {
	for i := range c.queries {
		c.queries[i].timeout(now, out)
	}
}

// Handle takes in a datagram that came to a socket.
func (c *Check) Handle(now time.Time, s Socket, from netip.AddrPort, b []byte, out *Out) drop.Reason {
	m, reason := parse(b)
	if reason != drop.None {
		return reason
	}
	q := c.query(m.id)
	switch {
	case q == nil || q.state != asking:
		return drop.StunUnasked
	case m.request && q.hairpin && s != q.socket:
		q.state = answered // it is the Check's own, which came around
	case q.change != 0 && from == q.to:
		q.state = refused // an error, or a success by a server that takes no notice of CHANGE-REQUEST
	case m.request || s != q.socket || from != q.from:
		return drop.StunUnasked
	default:
		c.answer(now, q, &m)
	}
	c.advance(now)
	c.send(now, out)
	return drop.None
}
