package transport

import (
	"math"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/share"
)

// portions is what becomes of the bandwidth: which slot gets how much of it.
type portions struct {
	// owned by loop
	share  share.Share
	at     time.Time   // of the last division; zero: there was none
	demand bwe.Bitrate // what all slots would take then
	told   []uint64    // generations of the slots that starve, as the room knows them
}

// The bandwidth is divided anew when an estimate comes, but not sooner than busy after the last time, or idle where there is more than
// enough for all.
const (
	busyDivision = 150 * time.Millisecond
	idleDivision = time.Second
	enough       = 1.5
)

// room is how much more is searched for than would be taken: going up needs some.
const room = 1.1

// divide gives each slot its part of what the client's network carries. It is called when the estimate may have changed.
func (t *Transport) divide(now time.Time, out *Out) {
	p := &t.portions
	if _, known := t.Estimate(); !known {
		return
	}
	rate := t.bandwidth.sender.Carried()
	since := now.Sub(p.at)
	if since < busyDivision || since < idleDivision && len(p.told) == 0 && float64(rate) > enough*float64(p.demand) {
		return
	}
	p.at = now
	budget := share.Unlimited
	if t.bandwidth.sender.Tight() {
		budget = max(rate-t.bandwidth.voices, 0)
	}
	p.demand = t.offers(now) + t.bandwidth.voices
	t.bandwidth.sender.Demand(max(bwe.Bitrate(room*float64(p.demand)), t.bandwidth.rate))
	p.share.Tries = !t.probes()
	p.share.Divide(now, budget, t.streams)
	for i := range t.streams {
		x := &t.streams[i]
		switch c := t.slots[x.Slot].consumer; {
		case budget == share.Unlimited || len(x.Choices) == 0:
			c.Unlimit(now)
		case x.Granted < 0:
			c.Starve(now)
		default:
			c.Limit(now, granted(x))
		}
	}
	out.Starved = t.starve() || out.Starved
}

// granted returns the layer that a stream may have. Of the last choice that has its size, all temporal layers that ever come.
func granted(x *share.Stream) route.Layer {
	l := x.Choices[x.Granted].Layer
	if next := x.Granted + 1; next == len(x.Choices) || x.Choices[next].Layer.Encoding != l.Encoding || x.Choices[next].Layer.Spatial != l.Spatial {
		l.Temporal = codec.TemporalLayers - 1
	}
	return l
}

// offers fills t.streams with what the slots could get, and returns what that would take.
func (t *Transport) offers(now time.Time) (demand bwe.Bitrate) {
	t.streams, t.choices = t.streams[:0], t.choices[:0]
	for i, s := range t.slots {
		if s.neg.Kind != sdp.Video || s.consumer.Producer() == nil && !s.consumer.Starved() {
			continue
		}
		if g := s.consumer.Generation(); s.memoryOf != g {
			s.memory, s.memoryOf = share.Memory{}, g
		}
		w, from := s.consumer.Want(), len(t.choices)
		for _, l := range s.consumer.Offers(now) {
			t.choices = choose(t.choices, from, &l)
		}
		choices := t.choices[from:len(t.choices):len(t.choices)]
		if n := len(choices); n > 0 {
			demand += choices[n-1].Rate
		}
		t.streams = append(t.streams, share.Stream{
			Priority: w.Priority, Size: area(w), Choices: choices, Memory: &s.memory, Slot: i,
		})
	}
	return demand
}

// area returns how many pixels a place has, so that places can be compared; 0: as many as it gets. Of a place of which one side is known, the
// other is taken to be that of 16:9.
func area(w route.Want) uint32 {
	width, height := uint64(w.Width), uint64(w.Height)
	switch {
	case width == 0:
		width = height * 16 / 9
	case height == 0:
		height = max(width*9/16, 1)
	}
	return uint32(min(width*height, math.MaxUint32))
}

// larger is how many times as much as the size below a size is taken to cost that has only begun.
const larger = 4

// choose adds a layer to the choices of a stream, which begin at from: of the smallest size each temporal layer is one, of larger ones
// the highest is.
func choose(choices []share.Choice, from int, l *route.LayerRate) []share.Choice {
	c := share.Choice{Layer: l.Layer, Rate: bwe.Bitrate(l.Bitrate)}
	if n := len(choices); n > from {
		if below := lastBelow(choices[from:], l.Layer); !l.Settled {
			c.Rate = max(c.Rate, larger*below)
		}
		last, lowest := choices[n-1].Layer, choices[from].Layer
		if same(last, l.Layer) && !same(lowest, l.Layer) {
			choices[n-1] = c
			return choices
		}
	}
	return append(choices, c)
}

// lastBelow returns what the size below a layer costs; 0: there is none.
func lastBelow(choices []share.Choice, l route.Layer) bwe.Bitrate {
	for i := len(choices) - 1; i >= 0; i-- {
		if !same(choices[i].Layer, l) {
			return choices[i].Rate
		}
	}
	return 0
}

func same(a, b route.Layer) bool { return a.Encoding == b.Encoding && a.Spatial == b.Spatial }

// starve reports whether other slots get nothing than the room knows.
func (t *Transport) starve() bool {
	p := &t.portions
	n, changed := 0, false
	for _, s := range t.slots {
		if s.consumer.Starved() {
			g := s.consumer.Generation()
			changed = changed || n >= len(p.told) || p.told[n] != g
			n++
		}
	}
	if !changed && n == len(p.told) {
		return false
	}
	p.told = p.told[:0]
	for _, s := range t.slots {
		if s.consumer.Starved() {
			p.told = append(p.told, s.consumer.Generation())
		}
	}
	return true
}

// Starved appends to dst the ids of the Producers of which nothing is sent, because the client's network has no room for them.
func (t *Transport) Starved(dst []uint64) []uint64 {
	for _, s := range t.slots {
		if s.consumer.Starved() {
			dst = append(dst, s.consumer.Fill())
		}
	}
	return dst
}
