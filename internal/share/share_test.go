package share_test

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/share"
)

var t0 = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// video is a stream of one layer for each rate, in kb/s.
func video(slot int, priority uint8, size uint32, kbps ...bwe.Bitrate) share.Stream {
	s := share.Stream{Slot: slot, Priority: priority, Size: size, Memory: new(share.Memory)}
	for i, rate := range kbps {
		s.Choices = append(s.Choices, share.Choice{Layer: route.Layer{Encoding: uint8(i)}, Rate: rate * bwe.Kbps})
	}
	return s
}

// grants are what each slot was granted.
func grants(streams []share.Stream) []int {
	all := make([]int, len(streams))
	for i := range streams {
		all[streams[i].Slot] = streams[i].Granted
	}
	return all
}

// Everybody gets the lowest layer before anybody gets the next; the important come first, then what is shown large. What does not fit
// leaves its room to what does.
func TestOrder(t *testing.T) {
	for name, x := range map[string]struct {
		budget  bwe.Bitrate // kb/s
		streams []share.Stream
		want    []int
	}{
		"all fits": {5000, []share.Stream{video(0, 100, 1, 150, 600, 1700), video(1, 100, 1, 150, 600, 1700)}, []int{2, 2}},
		"lowest first": {
			900, []share.Stream{video(0, 255, 1, 150, 600, 1700), video(1, 0, 1, 150, 600), video(2, 0, 1, 150)}, []int{0, 0, 0},
		},
		"the next of the important": {1100, []share.Stream{video(0, 100, 1, 150, 600), video(1, 200, 1, 150, 600)}, []int{0, 1}},
		"the next of the large":     {1100, []share.Stream{video(0, 100, 9, 150, 600), video(1, 100, 0, 150, 600)}, []int{0, 1}},
		"the least important has nothing": {
			380, []share.Stream{video(0, 100, 1, 150), video(1, 50, 1, 150), video(2, 100, 1, 150)}, []int{0, -1, 0},
		},
		"one that is too large leaves its room": {500, []share.Stream{video(0, 255, 1, 1700), video(1, 100, 1, 150)}, []int{-1, 0}},
		"nothing at all":                        {0, []share.Stream{video(0, 100, 1, 150)}, []int{-1}},
		"room to spare is needed":               {610, []share.Stream{video(0, 100, 1, 150, 600)}, []int{0}},
		"nothing is known of what there is":     {100, []share.Stream{video(0, 100, 1), video(1, 100, 1, 50)}, []int{-1, 0}},
		"without an estimate": {
			share.Unlimited / bwe.Kbps, []share.Stream{video(0, 100, 1, 150, 600, 1700), video(1, 0, 1, 9000)}, []int{2, 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			budget := x.budget * bwe.Kbps
			if x.budget == share.Unlimited/bwe.Kbps {
				budget = share.Unlimited
			}
			var s share.Share
			s.Divide(t0, budget, x.streams)
			if got := grants(x.streams); !slices.Equal(got, x.want) {
				t.Errorf("%v, want %v", got, x.want)
			}
		})
	}
}

// step is a budget that holds for so long, and what is granted at its end.
type step struct {
	budget bwe.Bitrate // kb/s
	d      time.Duration
	want   int
}

// play divides ten times a second.
func play(t *testing.T, stream share.Stream, steps []step) {
	t.Helper()
	var s share.Share
	now, streams := t0, []share.Stream{stream}
	for i, x := range steps {
		for end := now.Add(x.d); now.Before(end); now = now.Add(100 * time.Millisecond) {
			s.Divide(now, x.budget*bwe.Kbps, streams)
		}
		if got := streams[0].Granted; got != x.want {
			t.Errorf("step %d: %d at %d kb/s, want %d", i, got, x.budget, x.want)
		}
	}
}

// Down at once, up after two seconds; a little too little is put up with for two.
func TestSteps(t *testing.T) {
	simulcast := video(0, 100, 1, 150, 600, 1700)
	play(t, simulcast, []step{
		{2000, time.Second, 2}, {300, 100 * time.Millisecond, 0}, {2000, 1500 * time.Millisecond, 0}, {2000, time.Second, 2},
	})
	play(t, video(0, 100, 1, 150, 600, 1700), []step{
		{2000, time.Second, 2}, {1500, 1900 * time.Millisecond, 2}, {1500, time.Second, 1},
	})
	play(t, video(0, 100, 1, 150, 600, 1700), []step{
		{2000, time.Second, 2}, {1500, 1500 * time.Millisecond, 2}, {2000, time.Second, 2}, {1500, 1500 * time.Millisecond, 2},
	})
	play(t, video(0, 100, 1, 500), []step{
		{600, time.Second, 0}, {300, 100 * time.Millisecond, -1}, {520, 5 * time.Second, -1}, {600, time.Second, 0},
	})
}

// What falls again soon after it has risen is tried after twice the time, and so on up to a minute; what lasted begins anew.
func TestPatience(t *testing.T) {
	steps := []step{{2000, time.Second, 1}}
	for _, wait := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		steps = append(steps,
			step{300, time.Second, 0}, step{2000, wait*time.Second - 1200*time.Millisecond, 0}, step{2000, 400 * time.Millisecond, 1})
	}
	steps = append(steps, step{2000, 11 * time.Second, 1}, step{300, time.Second, 0}, step{2000, 1500 * time.Millisecond, 1})
	play(t, video(0, 100, 1, 150, 1700), steps)
}

// While nothing is known of the network, what flows counts as held when something is.
func TestFirstEstimate(t *testing.T) {
	var s share.Share
	streams := []share.Stream{video(0, 100, 1, 150, 600, 1700)}
	s.Divide(t0, share.Unlimited, streams)
	s.Divide(t0.Add(time.Second), 1500*bwe.Kbps, streams)
	if streams[0].Granted != 2 {
		t.Errorf("granted %d", streams[0].Granted)
	}
}

// Where the layer that a stream has ends, it holds the next one below, or else the next one above: that may take a little more than there
// is for a while, and nothing else rises by it.
func TestLayersEnd(t *testing.T) {
	for name, x := range map[string]struct {
		had  bwe.Bitrate // a budget, in kb/s
		ends int         // the choice that was granted
		has  bwe.Bitrate // the budget after that
		want int
	}{
		"the highest": {2000, 2, 550, 1},
		"a middle one, and the highest would fit": {650, 1, 1500, 0},
		"a middle one, and the lowest hardly":     {650, 1, 130, 0},
		"the lowest, and the next hardly":         {200, 0, 550, 0},
		"the lowest, and the highest would fit":   {200, 0, 1500, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var s share.Share
			streams := []share.Stream{video(0, 100, 1, 150, 600, 1700)}
			s.Divide(t0, x.had*bwe.Kbps, streams)
			if streams[0].Granted != x.ends {
				t.Fatalf("granted %d before", streams[0].Granted)
			}
			streams[0].Choices = slices.Delete(streams[0].Choices, x.ends, x.ends+1)
			s.Divide(t0.Add(time.Second), x.has*bwe.Kbps, streams)
			if streams[0].Granted != x.want {
				t.Errorf("granted %d, want %d", streams[0].Granted, x.want)
			}
		})
	}
}

func TestDivideDoesNotAllocate(t *testing.T) {
	var s share.Share
	streams := []share.Stream{video(0, 100, 1, 150, 600, 1700), video(1, 200, 1, 150, 600, 1700)}
	now := t0
	if n := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Second)
		s.Divide(now, 1500*bwe.Kbps, streams)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Where nothing but what is sent tells of room, the lowest layer stays, and the next one is tried: it has five seconds to show that it
// fits, and each time that it does not the next try is later.
func TestTries(t *testing.T) {
	s := share.Share{Tries: true}
	streams := []share.Stream{video(0, 200, 1, 150, 600), video(1, 100, 1, 150, 600)}
	var rises []int
	for i, before := 0, 0; i < 1200; i++ { // two minutes
		s.Divide(t0.Add(time.Duration(i)*100*time.Millisecond), 100*bwe.Kbps, streams)
		g := grants(streams)
		if g[0] < 0 || g[1] < 0 || g[0]+g[1] > 1 {
			t.Fatalf("%v granted after %d ms", g, 100*i)
		}
		if g[0]+g[1] > before {
			rises = append(rises, i/10)
		}
		before = g[0] + g[1]
	}
	if len(rises) < 4 || len(rises) > 14 {
		t.Errorf("tried after %v s", rises)
	}
	for range 50 {
		s.Divide(t0.Add(5*time.Minute), 5*bwe.Mbps, streams)
	}
	if g := grants(streams); g[0] != 1 || g[1] != 1 {
		t.Errorf("%v granted with room for all", g)
	}
}

// A fall over several layers is one fall, and who has nothing comes back soon: at once, or after two seconds where it was in vain before.
func TestFallOverSeveralLayers(t *testing.T) {
	steps := []step{{2000, time.Second, 2}}
	for i := range 3 {
		steps = append(steps, step{700, 300 * time.Millisecond, 1}, step{200, 300 * time.Millisecond, 0}, step{50, 300 * time.Millisecond, -1})
		if i > 0 {
			steps = append(steps, step{200, 1500 * time.Millisecond, -1})
		}
		steps = append(steps, step{200, 500 * time.Millisecond, 0}, step{2000, 9 * time.Second, 2})
	}
	play(t, video(0, 100, 1, 150, 600, 1700), steps)
}
