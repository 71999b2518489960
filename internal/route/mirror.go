package route

import (
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// mirror makes a Producer the far side of one that lives on another shard.
type mirror struct {
	told     Wish
	toldAt   time.Time           // zero: never
	restarts [MaxEncodings]uint8 // of the original's Encodings, as of their last packets
	begun    [MaxEncodings]bool  // there was one
}

// Mirror makes a Producer that behaves as the one on another shard whose configuration is cfg, for the Consumers here. It is fed by
// Deliver.
func (r *Router) Mirror(cfg ProducerConfig) *Producer {
	ids := cfg.Extensions
	cfg.Codecs, _ = canonical(cfg.Codecs)
	cfg.Extensions, cfg.Clock = canonicalExtensions, new(Clock)
	if ids.AudioLevel == 0 {
		cfg.Extensions.AudioLevel = 0 // who tells no levels here tells none there
	}
	p := r.Add(cfg)
	p.mirror = new(mirror)
	return p
}

// IsMirror reports whether the Producer's original is on another shard.
func (p *Producer) IsMirror() bool { return p.mirror != nil }

// Deliver gives what has come by a Pipe to the mirrors. It keeps the batch until EndBatch.
func (r *Router) Deliver(b *PipeBatch, drops *drop.Counts) {
	for i := range b.packets {
		drops.Add(r.deliver(b, &b.packets[i]))
	}
	for i := range b.reports {
		x := &b.reports[i]
		if p := r.producers[x.producer]; p != nil && int(x.encoding) < len(p.encodings) {
			p.encodings[x.encoding].timeline.set(x)
		}
	}
}

func (r *Router) deliver(b *PipeBatch, x *piped) drop.Reason {
	p := r.producers[x.producer]
	if p == nil || p.mirror == nil || int(x.encoding) >= len(p.encodings) {
		return drop.Unpublished
	}
	var in rtp.Packet
	if r := in.Parse(b.bytes[x.start:x.end:x.end]); r != drop.None {
		return r
	}
	e := &p.encodings[x.encoding]
	if m := p.mirror; !m.begun[x.encoding] || m.restarts[x.encoding] != x.restarts {
		if m.begun[x.encoding] {
			e.Restart()
		}
		m.begun[x.encoding], m.restarts[x.encoding] = true, x.restarts
	}
	return e.Add(b.arrived, &in, x.index)
}

// set takes over how the original's Timeline stands.
func (t *Timeline) set(x *pipedReport) {
	t.sent, t.rtp, t.known = x.sent, x.rtp, true
	t.clock.offset, t.clock.known = x.offset, true
}

// Wishes appends to dst what is to be wished of the mirrors' originals now: what has changed, and from time to time all of it.
func (r *Router) Wishes(now time.Time, dst []Wish) []Wish {
	for id, p := range r.producers {
		m := p.mirror
		if m == nil {
			continue
		}
		w := Wish{Producer: id, Watched: p.Watched() || p.voice != nil, Loss: percent(p.Loss(now))}
		for i := range p.encodings {
			if p.encodings[i].keyFrameDue(now) {
				w.KeyFrames |= 1 << i
			}
		}
		if w != m.told || now.Sub(m.toldAt) >= wishInterval {
			dst = append(dst, w)
			m.told, m.toldAt = w, now
			m.told.KeyFrames = 0
		}
	}
	return dst
}

// NextWish returns when Wishes has something to say though nothing has changed; zero: never.
func (r *Router) NextWish() (next time.Time) {
	for _, p := range r.producers {
		if p.mirror == nil {
			continue
		}
		if at := p.mirror.toldAt.Add(wishInterval); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}
