package bwe_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
)

const mbps = bwe.Mbps

// layered is what a simulcast publisher offers; elastic takes whatever it gets.
var (
	layered = source{options: []bwe.Bitrate{150 * bwe.Kbps, 500 * bwe.Kbps, 1700 * bwe.Kbps}}
	elastic = source{max: 3 * mbps}
)

// quantile returns the q-th part of delays.
func quantile(d []time.Duration, q float64) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[int(q*float64(len(d)-1))]
}

// seeds runs a test with several chances.
func seeds(t *testing.T, f func(t *testing.T, seed uint64)) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { f(t, seed) })
	}
}

// The rate of the path falls from 2 Mb/s to 300 kb/s and comes back, with a queue of 200 ms: what is sent fits within 3 s, delays are
// short again within 5 s, and within 15 s of the return at least 1.6 Mb/s are found. A key frame of an elastic source takes 150 ms at
// 300 kb/s, whoever paces it, so a few of its packets wait longer.
func TestFollowsThePath(t *testing.T) {
	for _, x := range []struct {
		name   string
		source source
		part   float64 // of packets that wait for less than 100 ms
	}{{"layered", layered, 1}, {"elastic", elastic, 0.9}} {
		t.Run(x.name, func(t *testing.T) {
			seeds(t, func(t *testing.T, seed uint64) {
				p := newPath(2*mbps, 200*time.Millisecond, seed)
				f := newFlow(p, x.source, seed)
				now := play(t0, 5*time.Second, nil, f)
				received := f.received
				now = play(now, 10*time.Second, nil, f)
				if rate := bwe.Over(f.received-received, 10*time.Second); rate < 1600*bwe.Kbps {
					t.Errorf("%v b/s where 2000000 fit", rate)
				}
				p.narrow(300 * bwe.Kbps)
				now = play(now, 3*time.Second, nil, f)
				sent := f.bytes
				now = play(now, 2*time.Second, nil, f)
				before := len(f.delays)
				now = play(now, 10*time.Second, nil, f)
				if rate := bwe.Over(f.bytes-sent, 12*time.Second); rate > 300*bwe.Kbps || rate < 180*bwe.Kbps {
					t.Errorf("%v b/s sent where 300000 fit", rate)
				}
				if d := quantile(f.delays[before:], x.part); d >= 100*time.Millisecond {
					t.Errorf("delay of %v", d)
				}
				p.narrow(2 * mbps)
				back := time.Duration(-1)
				play(now, 15*time.Second, func(at time.Duration) {
					if back < 0 && f.estimate() >= 1600*bwe.Kbps {
						back = at
					}
				}, f)
				if back < 0 || f.estimate() < 1300*bwe.Kbps {
					t.Errorf("1.6 Mb/s found after %v, at the end %v", back, f.estimate())
				}
			})
		})
	}
}

// Losses by chance, in ones or in bursts, are the path's own: the estimate is below what is sent only while that is being found out,
// and never far. How long that takes is a matter of chance too, so it is judged by many chances.
func TestRandomLossDoesNotCollapse(t *testing.T) {
	for _, x := range []struct{ loss, part, worst float64 }{{0.05, 0.02, 0.05}, {0.10, 0.03, 0.08}, {0.20, 0.05, 0.12}} {
		for _, burst := range []int{1, 4} {
			t.Run(fmt.Sprint(x.loss, burst), func(t *testing.T) {
				const chances = 40
				sum, worst := 0.0, 0.0
				for seed := range uint64(chances) {
					part, lowest := tooLow(seed, x.loss, burst)
					if sum, worst = sum+part, max(worst, part); lowest < 750*bwe.Kbps {
						t.Errorf("%d b/s with seed %d", lowest, seed)
					}
				}
				if sum > x.part*chances || worst > x.worst {
					t.Errorf("too low for %.1f %% of the time, and for %.1f %% once", 100*sum/chances, 100*worst)
				}
			})
		}
	}
}

// tooLow sends 1.5 Mb/s for a minute on a path that loses by chance, and returns for which part of it the estimate is lower, and the lowest.
func tooLow(seed uint64, loss float64, burst int) (part float64, lowest bwe.Bitrate) {
	p := newPath(5*mbps, 200*time.Millisecond, seed)
	f := newFlow(p, source{fixed: 1500 * bwe.Kbps}, seed)
	now := play(t0, 2*time.Second, nil, f)
	p.loss, p.burst = loss, burst
	low, lowest := 0, bwe.MaxBitrate
	const d = 60 * time.Second
	play(now, d, func(time.Duration) {
		if e := f.estimate(); e < f.source.demand() {
			low++
			lowest = min(lowest, e)
		}
	}, f)
	return float64(low) * float64(step) / float64(d), lowest
}

// A path that drops what is beyond its rate, and never lets it wait, shows no delay: losses lower the rate to what fits.
func TestPolicer(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64) {
		p := newPath(1*mbps, 100*time.Millisecond, seed)
		p.policed = true
		f := newFlow(p, elastic, seed)
		now := play(t0, 10*time.Second, nil, f)
		sent, lost := f.sent, f.lost
		play(now, 30*time.Second, nil, f)
		if part := float64(f.lost-lost) / float64(f.sent-sent); part > 0.15 {
			t.Errorf("%.0f %% lost", 100*part)
		}
		if e := f.estimate(); e < 500*bwe.Kbps || e > 1300*bwe.Kbps {
			t.Errorf("%v b/s where 1000000 fit", e)
		}
	})
}

// Flows that share a path all get a part of it, and none fills its queue.
func TestCompetingFlows(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64) {
		p := newPath(4*mbps, 300*time.Millisecond, seed)
		flows := []*flow{newFlow(p, elastic, seed), newFlow(p, elastic, seed+100), newFlow(p, elastic, seed+200)}
		now := play(t0, 10*time.Second, nil, flows[0])
		now = play(now, 20*time.Second, nil, flows...)
		var before [3]int
		for i, f := range flows {
			before[i] = f.received
			f.delays = nil
		}
		play(now, 60*time.Second, nil, flows...)
		sum := bwe.Bitrate(0)
		for i, f := range flows {
			rate := bwe.Over(f.received-before[i], 60*time.Second)
			sum += rate
			if rate < 500*bwe.Kbps {
				t.Errorf("flow %d has %v b/s", i, rate)
			}
			if d := quantile(f.delays, 0.9); d > 150*time.Millisecond {
				t.Errorf("flow %d waits for %v", i, d)
			}
		}
		if sum < 3*mbps {
			t.Errorf("%v b/s in all", sum)
		}
	})
}

// Feedback that comes seldom, or is lost now and then, is enough.
func TestFeedbackIsThinned(t *testing.T) {
	for name, set := range map[string]func(*flow){
		"seldom": func(f *flow) { f.every = 250 * time.Millisecond },
		"lost":   func(f *flow) { f.feedbackLoss = 0.3 },
	} {
		t.Run(name, func(t *testing.T) {
			seeds(t, func(t *testing.T, seed uint64) {
				p := newPath(2*mbps, 200*time.Millisecond, seed)
				f := newFlow(p, layered, seed)
				set(f)
				now := play(t0, 15*time.Second, nil, f)
				if e := f.estimate(); e < 1400*bwe.Kbps {
					t.Errorf("%v b/s where 2000000 fit", e)
				}
				p.narrow(300 * bwe.Kbps)
				now = play(now, 3*time.Second, nil, f)
				sent := f.bytes
				play(now, 10*time.Second, nil, f)
				if rate := bwe.Over(f.bytes-sent, 10*time.Second); rate > 300*bwe.Kbps {
					t.Errorf("%v b/s sent where 300000 fit", rate)
				}
			})
		})
	}
}

// Where feedback has come and stops, what is sent falls to the least; it comes back with the feedback.
func TestFeedbackStops(t *testing.T) {
	p := newPath(5*mbps, 200*time.Millisecond, 1)
	f := newFlow(p, layered, 1)
	now := play(t0, 10*time.Second, nil, f)
	f.deaf = true
	now = play(now, 15*time.Second, nil, f)
	if e := f.estimate(); e != bwe.MinBitrate {
		t.Errorf("%v b/s without feedback", e)
	}
	f.deaf = false
	play(now, 10*time.Second, nil, f)
	if e := f.estimate(); e < f.source.demand() {
		t.Errorf("%v b/s after it is back", e)
	}
}

// Before any feedback, and without it for good, nothing is held back, and nothing is probed.
func TestWithoutFeedback(t *testing.T) {
	f := newFlow(newPath(5*mbps, 200*time.Millisecond, 1), source{fixed: 3 * mbps}, 1)
	f.deaf = true
	play(t0, 20*time.Second, nil, f)
	if _, known := f.sender.Estimate(); known || f.sender.Pace() != 0 || f.probes != 0 || f.drops != 0 {
		t.Errorf("known %v, pace %v, %d probes, %d drops", known, f.sender.Pace(), f.probes, f.drops)
	}
}

// A receiver that claims that everything arrives at once raises the estimate to what the server may want to send and its share of
// room, and never beyond MaxBitrate.
func TestReceiverThatLies(t *testing.T) {
	for _, x := range []struct {
		source source
		most   bwe.Bitrate
	}{
		{source{fixed: mbps}, 3 * mbps},
		{source{max: 500 * mbps}, bwe.MaxBitrate},
	} {
		f := newFlow(newPath(500*bwe.Kbps, 200*time.Millisecond, 1), x.source, 1)
		f.lies = true
		play(t0, 20*time.Second, func(time.Duration) {
			if e := f.estimate(); e > x.most {
				t.Fatalf("%v b/s", e)
			}
		}, f)
	}
}

// On a wide path a handful of probes find room for whole frames to leave at once, and then there are no more.
func TestProbesEnd(t *testing.T) {
	f := newFlow(newPath(50*mbps, 200*time.Millisecond, 1), source{fixed: 1500 * bwe.Kbps}, 1)
	now := play(t0, 5*time.Second, nil, f)
	if f.estimate() < 2*f.source.demand() {
		t.Errorf("%v b/s", f.estimate())
	}
	probes := f.probes
	play(now, 60*time.Second, nil, f)
	if f.probes != probes || probes > 60 {
		t.Errorf("%d packets of padding, then %d more", probes, f.probes-probes)
	}
}

// Voice alone neither probes nor loses its estimate.
func TestVoiceAlone(t *testing.T) {
	p := newPath(2*mbps, 200*time.Millisecond, 1)
	f := newFlow(p, source{}, 1)
	play(t0, 60*time.Second, func(at time.Duration) {
		if e := f.estimate(); e < f.source.demand() {
			t.Fatalf("%v b/s after %v", e, at)
		}
	}, f)
	if f.probes > 60 {
		t.Errorf("%d packets of padding", f.probes)
	}
}

// REMB and receiver reports bound what is sent to a client without transport-wide feedback, and say nothing to one with it.
func TestWithoutTransportWideFeedback(t *testing.T) {
	var s bwe.Sender
	s.Sent(t0, 1200)
	s.LossReport(t0, 100, 50, 100_000)
	if _, known := s.Estimate(); known {
		t.Fatal("a loss alone is not an estimate: it may be the publisher's")
	}
	s.REMB(100*bwe.Kbps, 80*bwe.Kbps)
	if e, known := s.Estimate(); e != bwe.StartBitrate || !known {
		t.Fatalf("%v, %v: who gets little estimates little", e, known)
	}
	s.Demand(1200 * bwe.Kbps)
	for range 10 {
		s.REMB(100*bwe.Kbps, 80*bwe.Kbps)
	}
	if e, _ := s.Estimate(); e != 1200*bwe.Kbps {
		t.Errorf("%v b/s where 1200000 are wanted", e)
	}
	s.REMB(300*bwe.Kbps, 1*mbps)
	if e, _ := s.Estimate(); e != 300*bwe.Kbps {
		t.Errorf("%v b/s where 300000 of 1000000 are said to fit", e)
	}
	s.REMB(2*mbps, 1*mbps)
	if e, _ := s.Estimate(); e != 2*mbps {
		t.Fatalf("%v b/s where 2000000 are said to fit", e)
	}
	for i := range 5 {
		s.LossReport(t0.Add(time.Duration(i)*time.Second), 100, 50, 125_000)
	}
	if e, _ := s.Estimate(); e > 600*bwe.Kbps || e < 400*bwe.Kbps {
		t.Errorf("%v b/s where 500000 of 1000000 arrive", e)
	}
	for i := range 30 {
		s.LossReport(t0.Add(time.Duration(5+i)*time.Second), 60, 0, 60_000)
	}
	if e, _ := s.Estimate(); e < 1100*bwe.Kbps {
		t.Errorf("%v b/s after the losses are over", e)
	}
}

// Who sends hardly anything after losses, since less is to be sent, has not shown that the path carries hardly anything.
func TestSilenceAfterLosses(t *testing.T) {
	seeds(t, func(t *testing.T, seed uint64) {
		p := newPath(2*mbps, 200*time.Millisecond, seed)
		f := newFlow(p, source{fixed: 1500 * bwe.Kbps}, seed)
		now := play(t0, 10*time.Second, nil, f)
		p.narrow(300 * bwe.Kbps)
		now = play(now, 600*time.Millisecond, nil, f)
		f.source.frame, f.source.audio = now.Add(time.Hour), now.Add(time.Hour)
		for range 15 {
			f.send(now, packetSize)
			now = play(now, 400*time.Millisecond, nil, f)
			if e := f.estimate(); e < 100*bwe.Kbps {
				t.Fatalf("%v b/s where 300000 fit", e)
			}
		}
	})
}
