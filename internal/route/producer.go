package route

import (
	"time"

	"github.com/parley-rtc/parley/internal/codec"
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
	// Encodings, the lowest first, at most MaxEncodings. None is one of which nothing is known.
	Encodings []EncodingConfig
}

// Packet is one packet of a Producer while a batch lasts. Its slices alias the batch.
type Packet struct {
	Index     int64 // unwrapped sequence number
	Timestamp uint32
	Encoding  uint8
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

// view fills p with what Consumers need to know of a packet, all but its Frame.
func (p *Packet) view(producer *Producer, encoding uint8, in *rtp.Packet, payload []byte, index int64) {
	ext := &producer.cfg.Extensions
	*p = Packet{
		Index: index, Timestamp: in.Timestamp(), Encoding: encoding, Type: in.PayloadType(), Marker: in.Marker(),
		Padding: len(payload) == 0, Payload: payload,
		AudioLevel:  in.Extension(ext.AudioLevel),
		Orientation: in.Extension(ext.VideoOrientation),
		Dependency:  in.Extension(ext.DependencyDescriptor),
	}
}

// Producer is one publication: its Encodings, and their packets of the batch at hand.
type Producer struct {
	// static after construction
	cfg           ProducerConfig
	router        *Router
	kinds         [128]codec.Kind // by payload type; 0: not negotiated
	types         [128]uint8      // payload type → the one that a Pipe has for it; 0: none
	opus, carries uint8           // payload types: of Opus, and what it is called inside of redundancy
	mirror        *mirror         // nil: packets come from a Transport here
	encodings     []Encoding
	mark          uint64

	// owned by loop
	voice      *voice.Voice // nil: no voice, or one that tells no levels
	gate       gate
	redundancy *redundancy // nil: not of Opus, encrypted, or before the first packet
	pending    []Packet
	consumers  []*Consumer
	pictures   uint32 // that have begun, of all Encodings
	changed    bool   // other layers are there than Consumers have aimed at
	layers     []LayerRate
	outlets    []outlet
}

func newProducer(cfg ProducerConfig, r *Router) *Producer {
	p := &Producer{cfg: cfg, router: r, mark: r.mark()}
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
	encodings := cfg.Encodings
	if len(encodings) == 0 {
		encodings = []EncodingConfig{{}}
	}
	p.encodings = make([]Encoding, min(len(encodings), MaxEncodings))
	for i := range p.encodings {
		p.encodings[i] = Encoding{
			producer: p, cfg: encodings[i], index: uint8(i), timeline: Timeline{clock: cfg.Clock, rate: rate},
		}
	}
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

// Encodings returns how many Encodings there are.
func (p *Producer) Encodings() int { return len(p.encodings) }

// Encoding returns the Encoding with this index.
func (p *Producer) Encoding(i uint8) *Encoding { return &p.encodings[i] }

// Watched reports whether any Consumer takes this Producer's packets.
func (p *Producer) Watched() bool { return len(p.consumers) > 0 }

// Pending returns the packets of this batch, of all Encodings, in order of arrival.
func (p *Producer) Pending() []Packet { return p.pending }

// wall returns the publisher's clock at the server's time now, once it has told it.
func (p *Producer) wall(now time.Time) (time.Time, bool) {
	clock := p.cfg.Clock
	return now.Add(-clock.offset), clock.known
}

// extend returns a new pending packet.
func (p *Producer) extend() *Packet {
	if len(p.pending) == 0 {
		p.router.pending = append(p.router.pending, p)
		p.router.marks |= p.mark
	}
	p.pending = append(p.pending, Packet{})
	return &p.pending[len(p.pending)-1]
}

func (p *Producer) forget() { p.pending = p.pending[:0] }

func (p *Producer) attach(c *Consumer) { p.consumers = append(p.consumers, c) }

func (p *Producer) detach(c *Consumer) {
	for i, x := range p.consumers {
		if x != c {
			continue
		}
		last := len(p.consumers) - 1
		p.consumers[i], p.consumers[last] = p.consumers[last], nil
		p.consumers = p.consumers[:last]
		for i := range p.encodings {
			p.encodings[i].wantKey = p.encodings[i].wantKey && (last > 0 || len(p.outlets) > 0)
		}
		return
	}
}
