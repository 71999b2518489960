package media

import (
	"context"
	"time"

	"github.com/parley-rtc/parley/internal/data"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/route"
)

// Shards are all shards of a node. Their places are their numbers.
type Shards []*Shard

// NewShards starts n shards. Close ends them.
func NewShards(n int, cfg Config) Shards {
	all, spare := make(Shards, n), make(chan *route.PipeBatch, sparePiped)
	messages, places := data.NewHub(), newPlaces(n)
	for i := range all {
		all[i] = newShard(cfg, i, all, spare)
		all[i].messages, all[i].places = messages, places
	}
	for _, s := range all {
		go s.loop()
	}
	return all
}

// StreamClosed tells the shards that the TCP connection behind a pair is gone. Safe for concurrent use.
func (all Shards) StreamClosed(pair datagram.Pair) {
	for _, s := range all {
		s.mail.put(letter{ask: func(s *Shard) { s.closePair(time.Now(), pair) }})
	}
}

// Counts adds up the numbers of all shards. Safe for concurrent use.
func (all Shards) Counts(ctx context.Context) (sum Counts, err error) {
	for _, s := range all {
		c, err := s.Counts(ctx)
		if err != nil {
			return Counts{}, err
		}
		sum.add(&c)
	}
	if len(all) > 0 {
		sum.Data = all[0].messages.Counts()
		sum.Drops.Merge(&sum.Data.Drops)
	}
	return sum, nil
}

// Close ends all loops and Transports, and waits for them.
func (all Shards) Close() {
	for _, s := range all {
		s.end()
	}
	for _, s := range all {
		<-s.done
	}
}
