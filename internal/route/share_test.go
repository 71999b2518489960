package route_test

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/sdp"
)

// What a subscriber may be given goes up to the size that it wants, with all temporal layers. Nothing is offered of an empty slot, of one
// that is not blanked, and of what the subscriber has paused; what starves goes on being offered.
func TestOffers(t *testing.T) {
	s := newStudio(9, 0)
	c := route.NewConsumer(sdp.Video, vp8)
	layers := func() (all []route.Layer) {
		for _, l := range c.Offers(s.now) {
			if l.Bitrate == 0 || !l.Settled {
				t.Errorf("%+v", l)
			}
			all = append(all, l.Layer)
		}
		return all
	}
	upTo := func(encodings uint8) (all []route.Layer) {
		for e := range encodings {
			for temporal := range uint8(3) {
				all = append(all, route.Layer{Encoding: e, Temporal: temporal})
			}
		}
		return all
	}
	for range 60 {
		s.add(s.step())
		s.settle()
	}
	check := func(what string, want []route.Layer) {
		t.Helper()
		if got := layers(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("an empty slot", nil)
	c.Assign(s.now, s.producer, 1)
	check("not blanked", nil)
	c.Ready(1)
	check("no wish", upTo(3))
	c.SetWant(s.now, route.Want{Width: 600})
	check("600 wide", upTo(2))
	c.SetWant(s.now, route.Want{Height: 100})
	check("100 high", upTo(1))
	c.Starve(s.now)
	check("starved", upTo(1))
	c.SetWant(s.now, route.Want{Height: 100, Paused: true})
	check("paused", nil)
	c.SetWant(s.now, route.DefaultWant)
	s.cameras[1].off = true
	for range 60 {
		s.add(s.step())
		s.settle()
	}
	check("an encoding is gone", slices.DeleteFunc(upTo(3), func(l route.Layer) bool { return l.Encoding == 1 }))
	c.Clear()
	check("emptied", nil)
}

// On another shard the same is offered, at the same cost: the far side measures what crosses.
func TestOffersBeyondPipe(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp9}, vp9)
	for i, x := range frames(1, 60, 0) {
		b := x.bytes()
		if i == 0 {
			b = withSizes(b)
		}
		s.add(1<<16+int64(x.seq), b)
		if i%3 == 2 {
			s.cross()
			s.now = s.now.Add(33 * time.Millisecond)
		}
	}
	here, there := slices.Clone(s.here.Offers(s.now)), slices.Clone(s.there.Offers(s.now))
	if len(here) != 6 || !slices.Equal(here, there) {
		t.Errorf("%+v\non the other shard %+v", here, there)
	}
	s.there.SetWant(s.now, route.Want{Width: 300})
	if got := s.there.Offers(s.now); len(got) != 4 || got[3].Layer.Spatial != 1 {
		t.Errorf("%+v for a place that the second size fills", got)
	}
}

// withSizes puts a scalability structure into a packet of svc (RFC 9628 §4.2.1): three sizes, the first of which is 160 × 90.
func withSizes(b []byte) []byte {
	const header, descriptor = 12, 5
	b[header] |= 0x02
	return slices.Insert(b, header+descriptor, 2<<5|0x10, 0, 160, 0, 90, 1, 64, 0, 180, 2, 128, 1, 104)
}
