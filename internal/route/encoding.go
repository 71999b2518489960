package route

import (
	"time"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/nack"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// EncodingConfig describes one Encoding, as far as the publisher has announced it.
type EncodingConfig struct {
	RID           string // of simulcast
	Width, Height uint16
}

// Encoding is one RTP stream of a Producer: with simulcast one of up to three sizes, else the only one. It has numbers,
// timestamps and a cache of its own, and is asked for key frames by itself.
type Encoding struct {
	// static after construction
	producer *Producer
	cfg      EncodingConfig
	index    uint8

	// owned by loop
	timeline Timeline
	widener  codec.Widener
	stream   codec.Stream
	traffic  *traffic    // nil for audio, and before the first packet
	alive    uint16      // layers that come, by cell
	cache    *nack.Cache // nil for audio, which is never sent again, and before the first packet
	restarts uint8       // modulo 256
	wantKey  bool        // somebody cannot go on without a key frame
	askedAt  time.Time   // when the publisher was last asked for one
}

// keyFrameInterval is the least time between two requests for a key frame of one Encoding.
const keyFrameInterval = 500 * time.Millisecond

// Producer returns whose Encoding it is.
func (e *Encoding) Producer() *Producer { return e.producer }

// Index returns its place among the Producer's, the lowest first.
func (e *Encoding) Index() uint8 { return e.index }

// RID returns the name that simulcast gives it.
func (e *Encoding) RID() string { return e.cfg.RID }

// Timeline relates the publisher's timestamps to the server's clock.
func (e *Encoding) Timeline() *Timeline { return &e.timeline }

// Add takes a packet that the publisher sent, index being its unwrapped sequence number. It keeps in's bytes until the Router's
// EndBatch, and copies them into the cache.
func (e *Encoding) Add(now time.Time, in *rtp.Packet, index int64) drop.Reason {
	p := e.producer
	kind := p.kinds[in.PayloadType()&0x7f]
	if kind == 0 {
		return drop.RtpPayloadType
	}
	payload := e.widener.Widen(kind, in.Payload())
	if len(p.outlets) > 0 {
		e.cross(now, in, payload, index)
	}
	if p.cfg.Kind == sdp.Audio {
		return p.sound(now, in, kind, index)
	}
	out := p.extend()
	out.view(p, e.index, in, payload, index)
	r := e.inspect(now, in, kind, out)
	if r != drop.None {
		p.pending = p.pending[:len(p.pending)-1]
	}
	return r
}

// inspect reads a packet of video, and keeps it in the cache, which is large and therefore made for the first one.
func (e *Encoding) inspect(now time.Time, in *rtp.Packet, kind codec.Kind, out *Packet) (r drop.Reason) {
	if !out.Padding {
		out.Frame, r = e.stream.Inspect(kind, out.Payload, out.Marker, out.Dependency, e.producer.cfg.Encrypted)
		if r != drop.None {
			return r
		}
		e.observe(now, out, len(out.Payload)+packetBytes)
	}
	if e.cache == nil {
		e.cache = nack.NewCache(nack.Window)
	}
	in.Resize(len(out.Payload))
	e.cache.Put(out.Index, in.Bytes())
	if out.Frame.Key && out.Frame.Start {
		e.wantKey = false
	}
	return drop.None
}

// RequestKeyFrame asks for a key frame soon. Requests are merged: see keyFrameInterval.
func (e *Encoding) RequestKeyFrame() {
	if e.producer.cfg.Kind == sdp.Video {
		e.wantKey = true
	}
}

// keyFrameDue reports whether the publisher is to be asked for a key frame now, and notes that it is.
func (e *Encoding) keyFrameDue(now time.Time) bool {
	if !e.wantKey || now.Sub(e.askedAt) < keyFrameInterval {
		return false
	}
	e.askedAt = now
	return true
}

// Restart says that another stream with numbers of its own feeds the Encoding from now on: Consumers begin with it as with
// another Producer.
func (e *Encoding) Restart() {
	e.producer.forget()
	e.restarts++
	e.producer.gate, e.producer.redundancy = gate{}, nil
	e.timeline.known, e.widener, e.stream, e.traffic, e.alive, e.cache = false, codec.Widener{}, codec.Stream{}, nil, 0, nil
	e.producer.change()
	for _, c := range e.producer.consumers {
		if c.phase == flowing && c.current.Encoding == e.index {
			c.phase = waiting
			e.RequestKeyFrame()
		}
	}
}
