// Package route moves media inside a shard: Producers take what a publisher sends, Consumers decide what becomes of it for one
// slot of one subscriber, a Router holds those of one room.
//
// Packets are gathered per Producer while a batch is read, and leave subscriber by subscriber when it has been read whole, so
// that one subscriber's packets lie side by side and share one system call:
//
//	Encoding.Add(packet) … Encoding.Add(packet)      for the whole batch
//	for each subscriber: Consumer.Forward(packet)    header for one receiver, or a drop.Reason
//	Router.EndBatch()                                pending packets are forgotten
//	Router.Settle()                                  Consumers aim at layers that have come or gone
//
// Nothing here is safe for concurrent use: everything belongs to the shard's loop.
package route

import (
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/voice"
)

// Router holds the Producers of one room.
type Router struct {
	producers map[uint64]*Producer
	pending   []*Producer // those with packets in this batch,
	marks     uint64      // and their marks
	made      int         // Producers so far
	pipes     []*Pipe     // to other shards of the room
	floor     voice.Floor
	scratch   []byte      // a payload for one Consumer
	changed   []*Producer // those that have other layers than before
}

// NewRouter returns an empty Router.
func NewRouter() *Router { return &Router{producers: make(map[uint64]*Producer)} }

// Add makes a Producer.
func (r *Router) Add(cfg ProducerConfig) *Producer {
	p := newProducer(cfg, r)
	r.producers[cfg.ID] = p
	if p.voice != nil {
		r.floor.SetAlways(p.voice, true)
		r.floor.Join(p.voice)
	}
	return p
}

// Producer returns the Producer of that id, or nil.
func (r *Router) Producer(id uint64) *Producer { return r.producers[id] }

// Remove ends a Producer; its Consumers fall silent.
func (r *Router) Remove(id uint64) {
	p := r.producers[id]
	if p == nil {
		return
	}
	for len(p.consumers) > 0 {
		p.consumers[0].Clear()
	}
	if p.voice != nil {
		r.floor.Leave(p.voice)
	}
	p.forget()
	p.changed = true // never again
	r.changed = slices.DeleteFunc(r.changed, func(x *Producer) bool { return x == p })
	delete(r.producers, id)
}

// Floor ranks the microphones of the room. Its Voices have the ids of their Producers.
func (r *Router) Floor() *voice.Floor { return &r.floor }

// Rank lets a Producer's packets pass only while it is among the loudest of the room, or however loud others are, which is how it
// begins. Only what tells levels can be ranked.
func (r *Router) Rank(id uint64, ranked bool) {
	if p := r.producers[id]; p != nil && p.voice != nil {
		r.floor.SetAlways(p.voice, !ranked)
	}
}

// Pending reports whether anything was added since the last EndBatch, or waits to cross a Pipe.
func (r *Router) Pending() bool {
	if len(r.pending) > 0 {
		return true
	}
	for _, p := range r.pipes {
		if p.Pending() > 0 {
			return true
		}
	}
	return false
}

// Marks returns the marks of all Producers with packets in this batch: who has none of them in Consumer.Mark has nothing to forward.
func (r *Router) Marks() uint64 { return r.marks }

// mark returns a bit for a new Producer. Where there are many, some share one.
func (r *Router) mark() uint64 {
	r.made++
	return 1 << (r.made % 64)
}

// EndBatch forgets the pending packets: their bytes belong to the reader again.
func (r *Router) EndBatch() {
	for _, p := range r.pending {
		p.forget()
	}
	r.pending, r.marks = r.pending[:0], 0
}

// Settle gives the Consumers of Producers whose layers have changed other targets.
func (r *Router) Settle(now time.Time) {
	for _, p := range r.changed {
		p.changed = false
		for _, c := range p.consumers {
			c.aim(now)
		}
	}
	clear(r.changed)
	r.changed = r.changed[:0]
}

// KeyFrameRequests appends to dst every Encoding whose publisher is to be asked for a key frame now. For those whose publisher is
// on another shard, Wishes has it.
func (r *Router) KeyFrameRequests(now time.Time, dst []*Encoding) []*Encoding {
	for _, p := range r.producers {
		if p.mirror != nil {
			continue
		}
		for i := range p.encodings {
			if e := &p.encodings[i]; e.keyFrameDue(now) {
				dst = append(dst, e)
			}
		}
	}
	return dst
}

// NextKeyFrameRequest returns when KeyFrameRequests has something to say; zero: never.
func (r *Router) NextKeyFrameRequest() (next time.Time) {
	for _, p := range r.producers {
		for i := range p.encodings {
			e := &p.encodings[i]
			if at := e.askedAt.Add(keyFrameInterval); e.wantKey && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next
}
