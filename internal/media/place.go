package media

import (
	"net/netip"
	"sync"

	"github.com/parley-rtc/parley/internal/datagram"
)

// Refusal says why a Transport may not be opened now.
type Refusal uint8

// Refusals.
const (
	Admitted  Refusal = iota
	Crowded           // too many Transports of its source wait for their first check
	Unchecked         // too many of all sources do
	Full              // the shard has no room
)

// places are those of the Transports of all shards. A Transport has its place before its client is told that there is one, and counts
// by its source until a check has shown that somebody is there.
type places struct {
	// guarded by mu
	mu        sync.Mutex
	taken     []int              // by shard
	unchecked int                // Transports that wait for their first check
	sources   map[netip.Addr]int // of those
}

func newPlaces(shards int) *places {
	return &places{taken: make([]int, shards), sources: make(map[netip.Addr]int)}
}

// Place is a Transport's place on a shard. Each is taken by OpenTransport, or cancelled. The zero Place is none: no limit counts it.
type Place struct {
	places *places
	shard  int
	source netip.Addr
}

// Reserve takes a place on the shard for a Transport that somebody at source has asked for. Safe for concurrent use.
func (s *Shard) Reserve(source netip.Addr) (Place, Refusal) {
	p := s.places
	source = datagram.Source(source)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken[s.index] >= maxTransports:
		return Place{}, Full
	case p.sources[source] >= maxUncheckedPerSource:
		return Place{}, Crowded
	case p.unchecked >= maxUnchecked:
		return Place{}, Unchecked
	}
	p.taken[s.index]++
	p.unchecked++
	p.sources[source]++
	return Place{p, s.index, source}, Admitted
}

// Cancel gives up a place that no OpenTransport has taken. Safe for concurrent use.
func (p Place) Cancel() { p.leave(false) }

// checked notes that the Transport's first check has come. To be called once.
func (p Place) checked() {
	if p.places == nil {
		return
	}
	p.places.mu.Lock()
	defer p.places.mu.Unlock()
	p.settle()
}

// leave ends the place of a Transport, whose first check has come or not.
func (p Place) leave(checked bool) {
	if p.places == nil {
		return
	}
	p.places.mu.Lock()
	defer p.places.mu.Unlock()
	p.places.taken[p.shard]--
	if !checked {
		p.settle()
	}
}

// settle takes the Transport off those that wait. The caller holds mu.
func (p Place) settle() {
	p.places.unchecked--
	if p.places.sources[p.source]--; p.places.sources[p.source] == 0 {
		delete(p.places.sources, p.source)
	}
}
