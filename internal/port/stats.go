package port

import (
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/udp"
)

// Stats is what a port has seen.
type Stats struct {
	UDP udp.Stats
	// Drops are datagrams that the port discarded, both ways, by reason.
	Drops drop.Counts
	// Connections are all TCP connections now, among them HalfOpen, of which nothing is known yet, Streams of ICE-TCP, and those of TURN.
	Connections, HalfOpen, Streams, TURN int
	// Accepted TCP connections since the port was opened; Refused by a limit; Evicted while half-open to make room;
	// Unclassified, which were nothing we serve; Insecure, whose TLS handshake failed.
	Accepted, Refused, Evicted, Unclassified, Insecure uint64
	// ReadErrors of the UDP socket.
	ReadErrors uint64
}

// Stats returns what the port has seen. Any goroutine may call it.
func (p *Port) Stats() Stats {
	s := Stats{
		UDP: p.conn.Stats(), Accepted: p.accepted.Load(), Unclassified: p.unclassified.Load(), Insecure: p.insecure.Load(),
		ReadErrors: p.unread.Load(),
	}
	for r := range s.Drops {
		s.Drops[r] = p.drops[r].Load()
	}
	s.Drops[drop.Empty] += s.UDP.Empty
	s.Drops[drop.Oversized] += s.UDP.Oversized
	p.mu.RLock()
	for _, stream := range p.streams {
		_, oversized := stream.Dropped()
		s.Drops[drop.Oversized] += oversized
	}
	p.mu.RUnlock()
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	s.Connections, s.HalfOpen, s.Streams, s.TURN = len(p.gate.conns), p.gate.halfOpen.Len(), p.gate.used[iceTCP], p.gate.used[turn]
	s.Refused, s.Evicted = p.gate.refused, p.gate.evicted
	return s
}
