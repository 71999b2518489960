package route

import (
	"math/bits"
	"time"

	"github.com/parley-rtc/parley/internal/codec"
)

// Layer is a choice of what a Producer offers: everything of one Encoding up to a spatial and a temporal layer.
type Layer struct{ Encoding, Spatial, Temporal uint8 }

// LayerRate is a Layer that can be forwarded now, and what it costs: the rate of all that belongs to it, measured on what
// arrived in the last three seconds. Size and frame rate are 0 where nobody has told them.
type LayerRate struct {
	Layer         Layer
	Bitrate       uint64 // bit/s
	Width, Height uint16
	FPS           float64
	Settled       bool // measured for a second at least
}

// Want is what a subscriber has said of a subscription.
type Want struct {
	// Width and Height of where the picture is shown; 0: as large as it gets.
	Width, Height uint16
	Priority      uint8
	Paused        bool
}

// DefaultWant is that of a subscriber who has said nothing.
var DefaultWant = Want{Priority: 100}

// Enough reports whether a picture of this size fills the place in which it is shown whole.
func (w Want) Enough(width, height uint16) bool {
	return w.Width > 0 && width >= w.Width || w.Height > 0 && height >= w.Height
}

// Choose returns the smallest of these layers, which ascend, that is enough for w, with all its temporal layers; else the
// largest.
func Choose(layers []LayerRate, w Want) Layer {
	choice := all
	for i := range layers {
		l := &layers[i]
		choice.Encoding, choice.Spatial = l.Layer.Encoding, l.Layer.Spatial
		if w.Enough(l.Width, l.Height) {
			break
		}
	}
	return choice
}

// Layers returns what can be forwarded now, in ascending order: by encoding, then spatial, then temporal layer. The slice is
// valid until the next call.
func (p *Producer) Layers(now time.Time) []LayerRate {
	p.layers = p.layers[:0]
	order := p.ascending()
	for _, i := range order[:len(p.encodings)] {
		p.layers = p.encodings[i].appendLayers(now, p.layers)
	}
	return p.layers
}

// ascending returns the Encodings from the smallest picture to the largest, whatever order the publisher lists them in.
func (p *Producer) ascending() (order [MaxEncodings]uint8) {
	for i := range uint8(len(p.encodings)) {
		k := i
		for ; k > 0 && p.smaller(i, order[k-1]); k-- {
			order[k] = order[k-1]
		}
		order[k] = i
	}
	return order
}

// smaller reports whether an Encoding's pictures are smaller than another's; of unknown ones, the first listed are.
func (p *Producer) smaller(a, b uint8) bool {
	x, y := p.encodings[a].size(0), p.encodings[b].size(0)
	if x == y || x == (codec.Size{}) || y == (codec.Size{}) {
		return a < b
	}
	return uint32(x.Width)*uint32(x.Height) < uint32(y.Width)*uint32(y.Height)
}

func (e *Encoding) appendLayers(now time.Time, dst []LayerRate) []LayerRate {
	if e.alive == 0 {
		return dst
	}
	bytes, frames, span := e.traffic.meter.sums(now)
	var below [codec.TemporalLayers]uint64 // bytes of the spatial layers below, up to each temporal layer
	for s := range uint8(codec.SpatialLayers) {
		var rate, shown uint64
		for t := range uint8(codec.TemporalLayers) {
			i := cell(s, t)
			rate, shown = rate+uint64(bytes[i]), shown+uint64(frames[i])
			below[t] += rate
			if e.alive&(1<<i) == 0 || !e.stream.Active(s, t) {
				continue
			}
			size := e.size(s)
			dst = append(dst, LayerRate{
				Layer: Layer{e.index, s, t}, Bitrate: below[t] * 8 * uint64(time.Second) / uint64(span),
				Width: size.Width, Height: size.Height, FPS: float64(shown) / span.Seconds(), Settled: span > settledAfter,
			})
		}
	}
	return dst
}

// size returns the size of a spatial layer: what the packets say, else what the publisher has announced for an encoding that
// has one.
func (e *Encoding) size(spatial uint8) codec.Size {
	if size := e.stream.Size(spatial); size != (codec.Size{}) || spatial > 0 {
		return size
	}
	return codec.Size{Width: e.cfg.Width, Height: e.cfg.Height}
}

// temporal returns the highest temporal layer that comes of a spatial one.
func (e *Encoding) temporal(spatial uint8) uint8 {
	row := e.alive >> cell(min(spatial, codec.SpatialLayers-1), 0) & (1<<codec.TemporalLayers - 1)
	return uint8(max(bits.Len16(row)-1, 0))
}

// silence is after how many pictures of other layers a layer that has shown none is gone, and silentFor the least time for
// that. Counting pictures is right for a camera and for slides alike.
const (
	silence   = 16
	silentFor = 400 * time.Millisecond
)

// traffic is what has been seen of an encoding's layers. It is made for the first packet: audio has none.
type traffic struct {
	meter    meter
	pictures uint32        // that have begun
	seen     [cells]uint32 // pictures, when a layer was last seen
	others   uint32        // pictures of the Producer's other encodings, when this one was last seen
	seenAt   time.Time     // when it was
	picture  uint32        // RTP timestamp of the newest picture
	newest   int64         // highest index
}

// packetBytes is about what IP, UDP, RTP with its extensions, and SRTP add to a payload.
const packetBytes = 28 + 12 + 20 + 16

// observe notes that a packet of a layer has come.
func (e *Encoding) observe(now time.Time, out *Packet, size int) {
	if e.traffic == nil {
		e.traffic = new(traffic)
	}
	t, i := e.traffic, cell(out.Frame.Spatial, out.Frame.Temporal)
	t.meter.add(now, i, size, out.Frame.End)
	if out.Index > t.newest {
		begins := out.Timestamp != t.picture || t.newest == 0
		t.newest = out.Index
		if begins {
			t.picture = out.Timestamp
			t.pictures++
			e.producer.pictures++
			e.bury(t)
			e.producer.bury(now, e)
		}
	}
	t.seen[i], t.others, t.seenAt = t.pictures, e.producer.pictures-t.pictures, now
	if e.alive&(1<<i) == 0 {
		e.alive |= 1 << i
		e.producer.change()
	}
}

// bury finds layers of the encoding that are gone.
func (e *Encoding) bury(t *traffic) {
	for i := range t.seen {
		if e.alive&(1<<i) != 0 && t.pictures-t.seen[i] > silence {
			e.alive &^= 1 << i
			e.producer.change()
		}
	}
}

// bury finds encodings that are gone, when another one has begun a picture.
func (p *Producer) bury(now time.Time, shown *Encoding) {
	for i := range p.encodings {
		e := &p.encodings[i]
		if e == shown || e.alive == 0 {
			continue
		}
		t := e.traffic
		if p.pictures-t.pictures-t.others > silence && now.Sub(t.seenAt) > silentFor {
			e.alive = 0
			p.change()
		}
	}
}

// change has Consumers aim anew, since other layers are there.
func (p *Producer) change() {
	if !p.changed {
		p.changed = true
		p.router.changed = append(p.router.changed, p)
	}
}
