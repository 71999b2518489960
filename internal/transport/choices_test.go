package transport

import (
	"math"
	"slices"
	"testing"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/share"
)

// Of the smallest size each temporal layer is a choice; of the larger ones the highest is, and it stands for all of them. A size that has
// only begun is taken to cost four times as much as the one below, or what it costs already.
func TestChoices(t *testing.T) {
	layer := func(encoding, spatial, temporal uint8, kbps uint64) route.LayerRate {
		return route.LayerRate{Layer: route.Layer{Encoding: encoding, Spatial: spatial, Temporal: temporal}, Bitrate: kbps, Settled: true}
	}
	begun := func(l route.LayerRate) route.LayerRate { l.Settled = false; return l }
	for name, x := range map[string]struct {
		offers []route.LayerRate
		want   []share.Choice // its layer is that which is granted
	}{
		"simulcast": {
			[]route.LayerRate{layer(0, 0, 0, 50), layer(0, 0, 1, 80), layer(1, 0, 0, 200), layer(1, 0, 1, 300), layer(2, 0, 0, 900)},
			[]share.Choice{
				{Layer: route.Layer{}, Rate: 50}, {Layer: top(0, 0), Rate: 80}, {Layer: top(1, 0), Rate: 300}, {Layer: top(2, 0), Rate: 900},
			},
		},
		"SVC": {
			[]route.LayerRate{layer(0, 0, 0, 50), layer(0, 0, 1, 80), layer(0, 1, 0, 200), layer(0, 1, 1, 300)},
			[]share.Choice{{Layer: route.Layer{}, Rate: 50}, {Layer: top(0, 0), Rate: 80}, {Layer: top(0, 1), Rate: 300}},
		},
		"the lowest has only begun": {
			[]route.LayerRate{begun(layer(0, 0, 0, 10)), begun(layer(0, 0, 1, 12))},
			[]share.Choice{{Layer: route.Layer{}, Rate: 10}, {Layer: top(0, 0), Rate: 12}},
		},
		"larger ones have only begun": {
			[]route.LayerRate{
				layer(0, 0, 0, 50), layer(0, 0, 1, 80), begun(layer(0, 1, 0, 10)), begun(layer(0, 1, 1, 400)), begun(layer(0, 2, 0, 500)),
			},
			[]share.Choice{
				{Layer: route.Layer{}, Rate: 50}, {Layer: top(0, 0), Rate: 80}, {Layer: top(0, 1), Rate: 400}, {Layer: top(0, 2), Rate: 1600},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			choices := []share.Choice{{Layer: top(3, 3), Rate: 7}} // another stream's
			for i := range x.offers {
				choices = choose(choices, 1, &x.offers[i])
			}
			s := share.Stream{Choices: choices[1:]}
			var got []share.Choice
			for i, c := range s.Choices {
				s.Granted = i
				got = append(got, share.Choice{Layer: granted(&s), Rate: c.Rate})
			}
			if !slices.Equal(got, x.want) {
				t.Errorf("%v\nwant %v", got, x.want)
			}
		})
	}
}

// top is a size with all its temporal layers.
func top(encoding, spatial uint8) route.Layer {
	return route.Layer{Encoding: encoding, Spatial: spatial, Temporal: codec.TemporalLayers - 1}
}

// A place of which one side is told is as large as pictures are that fill it, and not as large as it gets.
func TestArea(t *testing.T) {
	for _, x := range []struct {
		width, height uint16
		want          uint32
	}{
		{0, 0, 0},
		{640, 360, 230_400},
		{640, 0, 230_400},
		{0, 360, 230_400},
		{1, 0, 1},
		{0, 1, 1},
		{0, math.MaxUint16, math.MaxUint32},
		{math.MaxUint16, math.MaxUint16, math.MaxUint16 * math.MaxUint16},
	} {
		if got := area(route.Want{Width: x.width, Height: x.height}); got != x.want {
			t.Errorf("%d × %d: %d, want %d", x.width, x.height, got, x.want)
		}
	}
}
