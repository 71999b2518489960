package port

import (
	"container/list"
	"net/netip"
	"sync"
)

// gate counts TCP connections by source and in all, and refuses those that exceed a limit.
type gate struct {
	// static after construction
	limits Limits
	exempt []netip.Prefix

	// guarded by mu
	mu       sync.Mutex
	conns    map[*conn]struct{}
	sources  map[netip.Addr]*source
	halfOpen list.List // of *conn, the oldest first
	used     [uses]int
	closed   bool
	refused  uint64
	evicted  uint64
}

// source is what one source has open.
type source struct {
	conns, halfOpen int
	used            [uses]int
}

// use is what a connection turned out to be for.
type use uint8

const (
	ordinary use = iota // HTTP, or not known yet: no limits but those of all connections
	iceTCP
	turn
	uses
)

// limit returns how many connections there may be for a use, and how many of one source.
func (l *Limits) limit(u use) (all, perSource int) {
	switch u {
	case iceTCP:
		return l.Streams, l.StreamsPerSource
	case turn:
		return l.TURN, l.TURNPerSource
	}
	return l.Connections, l.PerSource
}

// limited reports whether a source has limits of its own.
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

// enter admits c as half-open, or reports false. Where there are too many half-open ones, the oldest is closed for it.
func (g *gate) enter(c *conn) bool {
	oldest, ok := g.admit(c)
	if oldest != nil {
		oldest.Close()
	}
	return ok
}

func (g *gate) admit(c *conn) (oldest *conn, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sources[c.source]
	switch {
	case g.closed:
		return nil, false
	case len(g.conns) >= g.limits.Connections,
		s != nil && g.limited(c.remote.Addr()) && (s.conns >= g.limits.PerSource || s.halfOpen >= g.limits.HalfOpenPerSource):
		g.refused++
		return nil, false
	}
	if g.halfOpen.Len() >= g.limits.HalfOpen {
		oldest = g.halfOpen.Front().Value.(*conn)
		g.settle(oldest)
		g.evicted++
	}
	if s == nil {
		if g.sources == nil {
			g.sources, g.conns = make(map[netip.Addr]*source), make(map[*conn]struct{})
		}
		s = &source{}
		g.sources[c.source] = s
	}
	s.conns++
	s.halfOpen++
	g.conns[c] = struct{}{}
	c.waiting = g.halfOpen.PushBack(c)
	return oldest, true
}

// settle ends c's being half-open. Called with mu held.
func (g *gate) settle(c *conn) {
	if c.waiting != nil {
		g.halfOpen.Remove(c.waiting)
		g.sources[c.source].halfOpen--
		c.waiting = nil
	}
}

// known notes that it is clear what c is. It reports false when there are too many for that.
func (g *gate) known(c *conn, u use) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.settle(c)
	if _, ok := g.conns[c]; !ok {
		return false // closed meanwhile
	}
	if u == ordinary {
		return true
	}
	s := g.sources[c.source]
	if all, perSource := g.limits.limit(u); g.used[u] >= all || g.limited(c.remote.Addr()) && s.used[u] >= perSource {
		g.refused++
		return false
	}
	g.used[u]++
	s.used[u]++
	c.use = u
	return true
}

// leave is called once for each connection that was admitted.
func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.conns[c]; !ok {
		return
	}
	g.settle(c)
	delete(g.conns, c)
	s := g.sources[c.source]
	if c.use != ordinary {
		g.used[c.use]--
		s.used[c.use]--
	}
	if s.conns--; s.conns == 0 {
		delete(g.sources, c.source)
	}
}

// closeAll closes all connections and admits none any more.
func (g *gate) closeAll() {
	g.mu.Lock()
	g.closed = true
	all := make([]*conn, 0, len(g.conns))
	for c := range g.conns {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}
