package route

import (
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/rtp"
)

// A Pipe joins two Routers of one room that live on different shards. What a Producer takes is copied once, as plaintext RTP with
// canonical payload types and extension ids, and a mirror of the Producer takes it on the far side; what the Consumers there want
// comes back as Wishes.
//
//	near Router                                  far Router
//	Encoding.Add ─→ Pipe ─→ PipeBatch ─────────→ Router.Deliver ─→ the mirror's Encoding.Add ─→ Consumers
//	Router.Wish ←──────────────── Wishes ─────── Router.Wishes: who is watched, who needs a key frame
//
// Both may be lost on the way: a PipeBatch like any packets, and Wishes because they are repeated and expire.

// Pipe is the near end: what is to cross next. It belongs to the loop of its Router.
type Pipe struct {
	// static after construction
	to int

	// owned by loop
	batch *PipeBatch
	full  int // packets that found no room in batch
}

// To returns the number of the far shard.
func (p *Pipe) To() int { return p.to }

// Pending returns how many packets wait to cross.
func (p *Pipe) Pending() int { return len(p.batch.packets) + p.full }

// Swap returns what is to cross and how many packets found no room in it. What comes from now on goes into empty.
func (p *Pipe) Swap(empty *PipeBatch) (full *PipeBatch, dropped int) {
	full, dropped = p.batch, p.full
	empty.Reset()
	p.batch, p.full = empty, 0
	return full, dropped
}

// PipeBatch is packets of one room on their way from one shard to another, in order of arrival. Whoever holds it owns it.
type PipeBatch struct {
	// Room is for whoever carries it.
	Room uint64

	arrived time.Time // of the newest packet, at the near side
	packets []piped
	reports []pipedReport
	bytes   []byte
}

// piped is one packet: bytes[start:end] of its batch.
type piped struct {
	producer   uint64
	index      int64 // unwrapped sequence number
	encoding   uint8
	restarts   uint8 // of its Encoding, modulo 256: index and timestamps go on only while it stays the same
	start, end int
}

// pipedReport tells how an Encoding's timestamps relate to the server's clock, which all shards share.
type pipedReport struct {
	producer uint64
	encoding uint8
	sent     time.Time // the publisher's clock
	rtp      uint32
	offset   time.Duration // server − publisher
}

// NewPipeBatch returns an empty PipeBatch.
func NewPipeBatch() *PipeBatch { return new(PipeBatch) }

// Packets returns how many packets it holds.
func (b *PipeBatch) Packets() int { return len(b.packets) }

// Reset empties it and keeps its memory.
func (b *PipeBatch) Reset() {
	b.Room = 0
	b.packets, b.reports, b.bytes = b.packets[:0], b.reports[:0], b.bytes[:0]
}

// Wish is what the Consumers on one shard want of a Producer on another.
type Wish struct {
	Producer uint64
	Watched  bool  // its packets
	Loss     uint8 // the worst among the subscribers there, in percent
	// KeyFrames has a bit for each Encoding of which one is needed soon.
	KeyFrames uint8
}

// outlet is a Pipe by which a Producer's packets leave.
type outlet struct {
	pipe    *Pipe
	until   time.Time            // the Wish for it counts until then
	loss    uint8                // on the far side, in percent
	reports [MaxEncodings]uint32 // of the Clock, when an Encoding's Timeline was last told
}

// Wish does what a shard wishes of a Producer, and reports false where there is none.
func (r *Router) Wish(now time.Time, from int, w Wish) bool {
	p := r.producers[w.Producer]
	if p == nil || p.mirror != nil {
		return false
	}
	i := slices.IndexFunc(p.outlets, func(o outlet) bool { return o.pipe.to == from })
	switch {
	case !w.Watched && i >= 0:
		p.outlets = slices.Delete(p.outlets, i, i+1)
	case w.Watched && i < 0:
		p.outlets = append(p.outlets, outlet{pipe: r.pipe(from), until: now.Add(wishFor), loss: w.Loss})
	case w.Watched:
		p.outlets[i].until, p.outlets[i].loss = now.Add(wishFor), w.Loss
	}
	for i := range p.encodings {
		if w.KeyFrames&(1<<i) != 0 {
			p.encodings[i].RequestKeyFrame()
		}
	}
	return true
}

// Pipes returns the near ends of the Router's Pipes.
func (r *Router) Pipes() []*Pipe { return r.pipes }

// pipe returns the Pipe to a shard.
func (r *Router) pipe(to int) *Pipe {
	for _, p := range r.pipes {
		if p.to == to {
			return p
		}
	}
	p := &Pipe{to: to, batch: NewPipeBatch()}
	r.pipes = append(r.pipes, p)
	return p
}

// Outlets appends to dst the shards that a Producer's packets go to.
func (p *Producer) Outlets(dst []int) []int {
	for i := range p.outlets {
		dst = append(dst, p.outlets[i].pipe.to)
	}
	return dst
}

// cross copies a packet into the Pipes whose far ends want it. All that a Producer takes crosses, also what the Floor holds back:
// the far side has a Floor of its own, which knows the same levels.
func (e *Encoding) cross(now time.Time, in *rtp.Packet, payload []byte, index int64) {
	p := e.producer
	t := p.types[in.PayloadType()&0x7f]
	if t == 0 {
		return
	}
	for i := range p.outlets {
		o := &p.outlets[i]
		if now.After(o.until) {
			continue
		}
		b := o.pipe.batch
		if len(b.packets) == MaxPipePackets || len(b.bytes)+len(in.Bytes())+pipeMargin > MaxPipeBytes {
			o.pipe.full++
			e.RequestKeyFrame()
			continue
		}
		start := len(b.bytes)
		b.bytes = canonicalHeader(b.bytes, in, t, uint16(index), &p.cfg.Extensions)
		b.bytes = append(b.bytes, payload...)
		b.packets = append(b.packets, piped{producer: p.cfg.ID, index: index, encoding: e.index, restarts: e.restarts, start: start, end: len(b.bytes)})
		b.arrived = now
		e.tell(o)
	}
}

// tell adds to the outlet's batch how the Timeline stands, if that has changed since it was told.
func (e *Encoding) tell(o *outlet) {
	t := &e.timeline
	if !t.known || o.reports[e.index] == t.clock.reports {
		return
	}
	o.reports[e.index] = t.clock.reports
	b := o.pipe.batch
	b.reports = append(b.reports, pipedReport{e.producer.cfg.ID, e.index, t.sent, t.rtp, t.clock.offset})
}

// Lost notes that a batch did not get through: what it told is told again, and pictures begin again.
func (r *Router) Lost(to int, b *PipeBatch) {
	for i := range b.packets {
		p := r.producers[b.packets[i].producer]
		if p == nil {
			continue
		}
		p.encodings[b.packets[i].encoding].RequestKeyFrame()
		for k := range p.outlets {
			if o := &p.outlets[k]; o.pipe.to == to {
				clear(o.reports[:])
			}
		}
	}
}
