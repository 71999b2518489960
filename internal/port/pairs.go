package port

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/parley-rtc/parley/internal/datagram"
)

// Pairs tells which owner each pair of addresses belongs to that an ICE check has validated. Shards write it, a few times for each
// Transport; the port's readers look up every datagram but checks, without a lock: what they follow never changes once it is
// there, and a change puts a new chain in place of the old one.
type Pairs struct {
	// static after construction
	seed maphash.Seed

	// guarded by mu: who changes anything
	mu sync.Mutex
	n  int

	// atomic
	buckets atomic.Pointer[[]bucket]
}

// bucket is the pairs of one hash, which share a chain.
type bucket = atomic.Pointer[claim]

// claim is one pair and its owner. It never changes.
type claim struct {
	pair  datagram.Pair
	owner int
	next  *claim
}

// NewPairs returns an empty table.
func NewPairs() *Pairs {
	t := &Pairs{seed: maphash.MakeSeed()}
	b := make([]bucket, firstBuckets)
	t.buckets.Store(&b)
	return t
}

// Owner returns whose pair it is. Safe for concurrent use, and it allocates nothing.
func (t *Pairs) Owner(pair *datagram.Pair) (owner int, ok bool) {
	buckets := *t.buckets.Load()
	for c := buckets[t.hash(pair)%uint64(len(buckets))].Load(); c != nil; c = c.next {
		if c.pair == *pair {
			return c.owner, true
		}
	}
	return 0, false
}

// Claim makes the pair an owner's, unless another has it already: then it returns that one and false. Where the table is full, the
// holder is -1. Safe for concurrent use.
func (t *Pairs) Claim(pair datagram.Pair, owner int) (holder int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if holder, ok := t.Owner(&pair); ok {
		return holder, holder == owner
	}
	if t.n >= maxPairs {
		return -1, false
	}
	buckets := *t.buckets.Load()
	if t.n >= 2*len(buckets) {
		buckets = t.grow(buckets)
	}
	b := &buckets[t.hash(&pair)%uint64(len(buckets))]
	b.Store(&claim{pair: pair, owner: owner, next: b.Load()})
	t.n++
	return owner, true
}

// grow makes the table four times as wide. Readers go on in the old one until the new one is whole.
func (t *Pairs) grow(old []bucket) []bucket {
	wider := make([]bucket, 4*len(old))
	for i := range old {
		for c := old[i].Load(); c != nil; c = c.next {
			b := &wider[t.hash(&c.pair)%uint64(len(wider))]
			b.Store(&claim{pair: c.pair, owner: c.owner, next: b.Load()})
		}
	}
	t.buckets.Store(&wider)
	return wider
}

// Release gives up a pair that the owner has; another's stays. Safe for concurrent use.
func (t *Pairs) Release(pair datagram.Pair, owner int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if holder, ok := t.Owner(&pair); !ok || holder != owner {
		return
	}
	buckets := *t.buckets.Load()
	b := &buckets[t.hash(&pair)%uint64(len(buckets))]
	var left *claim
	for c := b.Load(); c != nil; c = c.next {
		if c.pair != pair {
			left = &claim{pair: c.pair, owner: c.owner, next: left}
		}
	}
	b.Store(left)
	t.n--
}

// hash is seeded: who chooses the addresses must not choose the chain.
func (t *Pairs) hash(p *datagram.Pair) uint64 {
	var b [37]byte
	remote, local := p.Remote.Addr().As16(), p.Local.Addr().As16()
	copy(b[:], remote[:])
	copy(b[16:], local[:])
	binary.LittleEndian.PutUint16(b[32:], p.Remote.Port())
	binary.LittleEndian.PutUint16(b[34:], p.Local.Port())
	b[36] = byte(p.Proto)
	return maphash.Bytes(t.seed, b[:])
}
