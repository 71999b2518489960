package relay

import (
	"net/netip"
	"sync"

	"github.com/parley-rtc/parley/internal/datagram"
)

// gate counts DTLS associations by source and in all, and refuses those that exceed a limit.
type gate struct {
	// static after construction
	exempt         []netip.Prefix
	all, perSource int

	// guarded by mu
	mu      sync.Mutex
	n       int
	sources map[netip.Addr]int
	refused uint64
}

// enter admits one, which has to leave, or reports false.
func (g *gate) enter(from netip.Addr) bool {
	source := datagram.Source(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n >= g.all || g.sources[source] >= g.perSource && g.limited(from) {
		g.refused++
		return false
	}
	if g.sources == nil {
		g.sources = map[netip.Addr]int{}
	}
	g.n++
	g.sources[source]++
	return true
}

// limited reports whether a source has a limit of its own.
func (g *gate) limited(a netip.Addr) bool {
	if a.IsLoopback() {
		return false
	}
	for _, p := range g.exempt {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

func (g *gate) leave(from netip.Addr) {
	source := datagram.Source(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.sources[source]--; g.sources[source] == 0 {
		delete(g.sources, source)
	}
}

func (g *gate) refusals() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}
