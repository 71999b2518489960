package rooms

import "sync"

// places counts what lives on each shard: rooms that have their home there, Transports, and slots that are filled, which cost the
// most. A room counts from its opening on, so that many rooms that open at once do not all go where there was nobody before.
type places struct {
	// guarded by mu
	mu   sync.Mutex
	load []int // by shard
}

func newPlaces(shards int) *places { return &places{load: make([]int, shards)} }

// least returns the shard with the least load; of equal ones, the first. It counts n more there.
func (p *places) least(n int) (shard int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, l := range p.load {
		if l < p.load[shard] {
			shard = i
		}
	}
	p.load[shard] += n
	return shard
}

// add counts n more on a shard, or fewer.
func (p *places) add(shard, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.load[shard] += n
}
