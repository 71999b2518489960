package route

import (
	"time"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/nack"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/voice"
)

// ProducerConfig describes a Producer.
type ProducerConfig struct {
	ID         uint64
	Kind       sdp.Kind
	Codecs     []sdp.Codec // what the publisher may send, by payload type
	Extensions sdp.Extensions
	Encrypted  bool // end to end: no look into the payload
	Microphone bool // a voice, which is ranked where it tells how loud it is; other sounds are not
	Clock      *Clock
}

// Packet is one packet of a Producer while a batch lasts. Its slices alias the batch.
type Packet struct {
	Index     int64 // unwrapped sequence number
	Timestamp uint32
	Type      uint8 // the publisher's payload type
	Marker    bool
	Padding   bool // nothing but padding: keeps its number, carries nothing
	Frame     codec.Frame
	Payload   []byte

	AudioLevel  []byte // header extensions as received; nil where absent
	Orientation []byte
	Dependency  []byte

	// Of Opus:
	whole  []byte // the payload with redundancy as the publisher sent it; nil: it sent none
	blocks uint8  // of whole
	place  uint32 // in the Producer's history
}

// Producer is one published stream: the packets of the batch at hand, the cache from which others can have them again, and
// the request for a key frame.
type Producer struct {
	// static after construction
	cfg           ProducerConfig
	router        *Router
	kinds         [128]codec.Kind // by payload type; 0: not negotiated
	types         [128]uint8      // payload type → the one that a Pipe has for it; 0: none
	opus, carries uint8           // payload types: of Opus, and what it is called inside of redundancy
	mirror        *mirror         // nil: packets come from a Transport here

	// owned by loop
	timeline   Timeline
	voice      *voice.Voice // nil: no voice, or one that tells no levels
	gate       gate
	redundancy *redundancy // nil: not of Opus, encrypted, or before the first packet
	widener    codec.Widener
	pending    []Packet
	cache      *nack.Cache // nil for audio, which is never sent again, and before the first packet
	consumers  []*Consumer
	wantKey    bool      // somebody cannot go on without a key frame
	askedAt    time.Time // when the publisher was last asked for one
	outlets    []outlet
	restarts   uint8 // modulo 256
}

// keyFrameInterval is the least time between two requests for a key frame to one publisher.
const keyFrameInterval = 500 * time.Millisecond

func newProducer(cfg ProducerConfig, r *Router) *Producer {
	p := &Producer{cfg: cfg, router: r}
	_, p.types = canonical(cfg.Codecs)
	rate := uint32(90000)
	for _, c := range cfg.Codecs {
		if k, ok := codec.Parse(c.Name); ok && c.PayloadType < 128 {
			p.kinds[c.PayloadType] = k
			rate = c.ClockRate
			switch k {
			case codec.Opus:
				p.opus = c.PayloadType
			case codec.RED:
				p.carries = c.Carries()
			}
		}
	}
	p.timeline = Timeline{clock: cfg.Clock, rate: rate}
	if cfg.Microphone && cfg.Kind == sdp.Audio && cfg.Extensions.AudioLevel != 0 {
		p.voice = voice.New(cfg.ID)
	}
	return p
}

// ID returns the Producer's id.
func (p *Producer) ID() uint64 { return p.cfg.ID }

// Kind returns sdp.Audio or sdp.Video.
func (p *Producer) Kind() sdp.Kind { return p.cfg.Kind }

// Codecs returns what the publisher may send.
func (p *Producer) Codecs() []sdp.Codec { return p.cfg.Codecs }

// Timeline relates the publisher's timestamps to the server's clock.
func (p *Producer) Timeline() *Timeline { return &p.timeline }

// Watched reports whether any Consumer takes this Producer's packets.
func (p *Producer) Watched() bool { return len(p.consumers) > 0 }

// Add takes a packet that the publisher sent, index being its unwrapped sequence number. It keeps in's bytes until the Router's
// EndBatch, and copies them into the cache.
func (p *Producer) Add(now time.Time, in *rtp.Packet, index int64) drop.Reason {
	kind := p.kinds[in.PayloadType()&0x7f]
	if kind == 0 {
		return drop.RtpPayloadType
	}
	payload := p.widener.Widen(kind, in.Payload())
	if len(p.outlets) > 0 {
		p.cross(now, in, payload, index)
	}
	if p.cfg.Kind == sdp.Audio {
		return p.sound(now, in, kind, index)
	}
	var out Packet
	if r := p.view(in, payload, index, &out); r != drop.None {
		return r
	}
	*p.extend() = out
	p.keep(in, len(payload), index)
	if out.Frame.Key && out.Frame.Start {
		p.wantKey = false
	}
	return drop.None
}

// extend returns a new pending packet.
func (p *Producer) extend() *Packet {
	if len(p.pending) == 0 {
		p.router.pending = append(p.router.pending, p)
	}
	p.pending = append(p.pending, Packet{})
	return &p.pending[len(p.pending)-1]
}

// keep copies a packet into the cache, which is large and therefore made for the first one.
func (p *Producer) keep(in *rtp.Packet, payloadBytes int, index int64) {
	if p.cache == nil {
		p.cache = nack.NewCache(nack.Window)
	}
	in.Resize(payloadBytes)
	p.cache.Put(index, in.Bytes())
}

// view fills out with what Consumers need to know of a packet.
func (p *Producer) view(in *rtp.Packet, payload []byte, index int64, out *Packet) (r drop.Reason) {
	kind, ext := p.kinds[in.PayloadType()&0x7f], &p.cfg.Extensions
	*out = Packet{
		Index: index, Timestamp: in.Timestamp(), Type: in.PayloadType(), Marker: in.Marker(),
		Padding: len(payload) == 0, Payload: payload,
		AudioLevel:  in.Extension(ext.AudioLevel),
		Orientation: in.Extension(ext.VideoOrientation),
		Dependency:  in.Extension(ext.DependencyDescriptor),
	}
	if p.cfg.Kind == sdp.Video && !out.Padding {
		out.Frame, r = codec.Inspect(kind, payload, out.Marker, out.Dependency, p.cfg.Encrypted)
	}
	return r
}

// Pending returns the packets of this batch, in order of arrival.
func (p *Producer) Pending() []Packet { return p.pending }

// RequestKeyFrame asks for a key frame soon. Requests are merged: see keyFrameInterval.
func (p *Producer) RequestKeyFrame() {
	if p.cfg.Kind == sdp.Video {
		p.wantKey = true
	}
}

// keyFrameDue reports whether the publisher is to be asked for a key frame now, and notes that it is.
func (p *Producer) keyFrameDue(now time.Time) bool {
	if !p.wantKey || now.Sub(p.askedAt) < keyFrameInterval {
		return false
	}
	p.askedAt = now
	return true
}

// Restart says that another stream with numbers of its own feeds the Producer from now on: Consumers begin with it as with another
// Producer.
func (p *Producer) Restart() {
	p.forget()
	p.restarts++
	p.timeline.known, p.widener, p.cache, p.gate, p.redundancy = false, codec.Widener{}, nil, gate{}, nil
	for _, c := range p.consumers {
		c.phase = waiting
	}
	if len(p.consumers) > 0 {
		p.RequestKeyFrame()
	}
}

func (p *Producer) forget() { p.pending = p.pending[:0] }

func (p *Producer) attach(c *Consumer) { p.consumers = append(p.consumers, c) }

func (p *Producer) detach(c *Consumer) {
	for i, x := range p.consumers {
		if x == c {
			last := len(p.consumers) - 1
			p.consumers[i], p.consumers[last] = p.consumers[last], nil
			p.consumers = p.consumers[:last]
			p.wantKey = p.wantKey && (last > 0 || len(p.outlets) > 0)
			return
		}
	}
}
