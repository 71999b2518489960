package turn

import (
	"maps"

	"github.com/parley-rtc/parley/internal/stun"
)

// Traffic is what was relayed in one direction: datagrams, and bytes of their payloads.
type Traffic struct{ Packets, Bytes uint64 }

// Stats is what a Server has done. What it has dropped is told by the reasons that it returns.
type Stats struct {
	Allocations int    // relayed addresses now, reserved ones among them
	Allocated   uint64 // ever
	Connections int    // to peers, now
	ToPeers     Traffic
	ToClients   Traffic
	Refused     map[stun.Code]uint64 // error answers; 401 and 438 are those to clients who then authenticate, too
}

// Stats returns a copy.
func (s *Server) Stats() Stats {
	st := s.stats
	st.Connections, st.Refused = len(s.connections), maps.Clone(s.stats.Refused)
	return st
}

func (t *Traffic) add(n int) {
	t.Packets++
	t.Bytes += uint64(n)
}
