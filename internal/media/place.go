package media

import (
	"net/netip"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/dtls"
)

// Refusal says why a Transport may not be opened now.
type Refusal uint8

// Refusals.
const (
	Admitted  Refusal = iota
	Crowded           // too many Transports of its source wait for their first check
	Unchecked         // too many of all sources do, and none has more than its own
	Full              // the shard has no room
)

// places are those of the Transports of all shards. A Transport has its place before its client is told that there is one, and counts
// by its source until a check has shown that somebody is there. Where too many do, those that have the most give way (decision 19).
type places struct {
	// guarded by mu
	mu      sync.Mutex
	taken   []int                        // by shard
	waiting datagram.Queue[*reservation] // Transports that wait for their first check
}

func newPlaces(shards int) *places {
	return &places{taken: make([]int, shards), waiting: datagram.NewQueue[*reservation]()}
}

// Place is a Transport's place on a shard. Each is taken by OpenTransport, or cancelled. The zero Place is none: no limit of places
// counts it.
type Place struct{ reserved *reservation }

// reservation is what there is behind a Place.
type reservation struct {
	// static after construction
	places *places
	shard  int
	source netip.Addr

	// owned by the shard's loop
	endpoint *endpoint // nil: its command has not come
	evicted  bool      // before that
}

// Reserve takes a place on the shard for a Transport that somebody at source has asked for; a zero source is not known. It may cost
// another Transport its place. Safe for concurrent use.
func (s *Shard) Reserve(source netip.Addr) (Place, Refusal) {
	p := s.places
	source = datagram.Source(source)
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest, r := p.admits(s.index, source)
	if r != Admitted {
		return Place{}, r
	}
	if oldest != nil {
		if !s.peers[oldest.shard].mail.put(letter{ask: func(o *Shard) { o.makeWay(oldest) }}) {
			return Place{}, Unchecked
		}
		p.waiting.Remove(oldest.source, oldest)
	}
	t := &reservation{places: p, shard: s.index, source: source}
	p.taken[s.index]++
	p.waiting.Add(source, t)
	return Place{t}, Admitted
}

// Refuses tells what Reserve would, and takes nothing. Safe for concurrent use.
func (s *Shard) Refuses(source netip.Addr) Refusal {
	p := s.places
	p.mu.Lock()
	defer p.mu.Unlock()
	_, r := p.admits(s.index, datagram.Source(source))
	return r
}

// admits says whether a source may have one more place on a shard, and which has to be given up for it; nil: none. The caller holds mu.
func (p *places) admits(shard int, source netip.Addr) (oldest *reservation, r Refusal) {
	switch {
	case p.taken[shard] >= maxTransports:
		return nil, Full
	case source.IsValid() && p.waiting.Holds(source) >= maxUncheckedPerSource:
		return nil, Crowded
	case p.waiting.Len() < maxUnchecked:
		return nil, Admitted
	}
	oldest, ok := p.waiting.Yields(source)
	if !ok {
		return nil, Unchecked
	}
	return oldest, Admitted
}

// source returns whose place it is; zero: not known.
func (p Place) source() netip.Addr {
	if p.reserved == nil {
		return netip.Addr{}
	}
	return p.reserved.source
}

// Cancel gives up a place that no OpenTransport has taken. Safe for concurrent use.
func (p Place) Cancel() { p.leave() }

// open notes whose the place is, and reports false when it has been given to another meanwhile.
func (p Place) open(e *endpoint) bool {
	if p.reserved == nil {
		return true
	}
	p.reserved.endpoint = e
	return !p.reserved.evicted
}

// checked notes that the Transport's first check has come.
func (p Place) checked() {
	if t := p.reserved; t != nil {
		t.places.mu.Lock()
		defer t.places.mu.Unlock()
		t.places.waiting.Remove(t.source, t)
	}
}

// leave ends a place. To be called once.
func (p Place) leave() {
	if t := p.reserved; t != nil {
		t.places.mu.Lock()
		defer t.places.mu.Unlock()
		t.places.taken[t.shard]--
		t.places.waiting.Remove(t.source, t)
	}
}

// noCheck is why a Transport fails that had to make way before its first check.
const noCheck = "no connectivity check had come from the client when others needed its place"

// makeWay ends a Transport whose place another has got, unless its first check has come meanwhile.
func (s *Shard) makeWay(t *reservation) {
	switch e := t.endpoint; {
	case e == nil:
		t.evicted = true
	case !e.checked:
		s.evict(e, noCheck)
	}
}

// reached notes a Transport's first check: somebody is there, and has to finish the DTLS handshake in time. Where too many have not,
// those that have the most give way. It reports false when the Transport has to end, because its own source is one of those.
func (s *Shard) reached(now time.Time, e *endpoint) bool {
	if e.checked {
		return true
	}
	e.checked = true
	e.spec.Place.checked()
	source := e.spec.Place.source()
	if s.handshakes.Len() >= maxHandshakes {
		oldest, ok := s.handshakes.Yields(source)
		if !ok {
			s.counts.Evicted++
			return false
		}
		s.evict(oldest, "the DTLS handshake was not finished when others needed its place")
	}
	e.handshakeBy = now.Add(dtls.Deadline)
	s.handshakes.Add(source, e)
	return true
}

// evict ends a Transport for another one's sake.
func (s *Shard) evict(e *endpoint, reason string) {
	if s.transports[e.spec.Transport] == e {
		s.counts.Evicted++
		s.fail(e, reason)
	}
}
