package scenario_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/scenario"
	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/wire"
)

// downlink is a link of a rate, with a queue of 200 ms.
func downlink(rate bwe.Bitrate) sim.Link {
	return sim.Link{Delay: 20 * time.Millisecond, Rate: int64(rate), Queue: rate.Bytes(200 * time.Millisecond)}
}

// freeze is what browsers count as one at 30 pictures a second (W3C webrtc-stats, freezeCount): 150 ms more than usual.
const freeze = 183 * time.Millisecond

// On a link that loses by chance, pictures stand still for a part of the time at most.
func TestScenarioRandomLoss(t *testing.T) {
	for _, x := range []struct{ loss, still float64 }{{0.05, 0.01}, {0.10, 0.03}, {0.20, 0.10}} {
		t.Run(fmt.Sprint(x.loss), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			scenario.Run(t, scenario.Conditions{Seed: 8, Link: sim.Link{Delay: 20 * time.Millisecond}}, func(p *scenario.Plan) {
				ann, bob := p.Join("ann", scenario.Options{Simulcast: true}), p.Join("bob", scenario.Options{Feedback: true})
				ann.Publish(wire.SourceMicrophone)
				camera := ann.PublishLarge()
				p.Pass(5 * time.Second)
				link := downlink(3 * bwe.Mbps)
				link.Loss = x.loss
				p.SetDownlink(bob, link)
				begin := time.Now()
				rates := p.Rates(bob, 60)
				longest, sum := bob.Stills(camera, begin, freeze)
				p.Logf("%v b/s; still for %v at most, for %v in all", rates, longest, sum)
				if part := sum.Seconds() / time.Since(begin).Seconds(); part > x.still {
					t.Errorf("still for %.1f %% of the time", 100*part)
				}
				p.Finish(drop.Paced)
			})
		})
	}
}

// A link falls from 2 Mb/s to 300 kb/s and comes back, with a queue of 200 ms. Within 3 s no more is sent than fits, within 5 s packets
// wait for less than 100 ms, the picture never stands still for 2 s, nobody hears a gap, and within 15 s of the return the link is used.
func TestScenarioBandwidthFalls(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	scenario.Run(t, scenario.Conditions{Seed: 11, Link: sim.Link{Delay: 20 * time.Millisecond}}, func(p *scenario.Plan) {
		ann, bob := p.Join("ann", scenario.Options{Simulcast: true}), p.Join("bob", scenario.Options{Feedback: true})
		voice, camera := ann.Publish(wire.SourceMicrophone), ann.PublishLarge()
		p.SetDownlink(bob, downlink(2*bwe.Mbps))
		p.Pass(15 * time.Second)
		if got, _ := bob.Gets(camera); got != "f" {
			t.Errorf("gets %q at 2 Mb/s", got)
		}
		begin := time.Now()
		p.SetDownlink(bob, downlink(300*bwe.Kbps))
		fallen := p.Rates(bob, 20)
		for i, rate := range fallen[3:] {
			if rate > 300*bwe.Kbps {
				t.Errorf("%d b/s in second %d", rate, i+4)
			}
		}
		wait := bob.Waited(begin.Add(5 * time.Second))
		if wait >= 100*time.Millisecond {
			t.Errorf("packets wait for %v", wait)
		}
		p.SetDownlink(bob, downlink(2*bwe.Mbps))
		risen := p.Rates(bob, 30)
		if slices.Max(risen[:15]) < 1600*bwe.Kbps || slices.Min(risen[16:]) < 1500*bwe.Kbps {
			t.Errorf("%v b/s after the return", risen)
		}
		longest, _ := bob.Stills(camera, begin, freeze)
		if longest > 2*time.Second {
			t.Errorf("the picture stood still for %v", longest)
		}
		gap := bob.Gap(voice, begin)
		if gap > 300*time.Millisecond {
			t.Errorf("nothing was heard for %v", gap)
		}
		p.Logf("%v, then %v b/s; waited for %v, still for %v, silent for %v", fallen, risen, wait, longest, gap)
		p.Finish(drop.Paced)
	})
}

// Where not even the lowest layers of all fit, the less important picture is paused, and the client is told why. It comes back with the
// room. So it does where publishers and subscriber are on two shards.
func TestScenarioBandwidthPauses(t *testing.T) {
	for shards := 1; shards <= 2; shards++ {
		t.Run(fmt.Sprint(shards), func(t *testing.T) { bandwidthPauses(t, shards) })
	}
}

func bandwidthPauses(t *testing.T, shards int) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	conditions := scenario.Conditions{Seed: 12, Link: sim.Link{Delay: 20 * time.Millisecond}, Shards: shards, SpreadFrom: 1}
	scenario.Run(t, conditions, func(p *scenario.Plan) {
		ann, eve := p.Join("ann", scenario.Options{Simulcast: true}), p.Join("eve", scenario.Options{})
		pinned, other, voice := ann.PublishLarge(), eve.Publish(wire.SourceCamera), eve.Publish(wire.SourceMicrophone)
		p.Pass(time.Second)
		bob := p.Join("bob", scenario.Options{Feedback: true})
		priority := uint8(255)
		bob.Do(wire.TypeSubscribe, wire.Subscribe{Publications: []string{pinned.Publication()}, Subscribed: true, Priority: &priority})
		p.SetDownlink(bob, downlink(5*bwe.Mbps))
		p.Pass(15 * time.Second)
		if n := p.CountsByShard()[shards-1]; n.Mirrors != 3*(shards-1) {
			t.Errorf("%d Producers come from another shard", n.Mirrors)
		}
		status := func(s interface{ Publication() string }, want string) {
			t.Helper()
			if got := bob.Status(s.Publication()); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		status(pinned, wire.SubscriptionActive)
		status(other, wire.SubscriptionActive)
		p.SetDownlink(bob, downlink(160*bwe.Kbps))
		p.Pass(5 * time.Second)
		status(pinned, wire.SubscriptionActive)
		status(other, wire.SubscriptionPaused+" "+wire.PausedBandwidth)
		begin := time.Now()
		p.Pass(10 * time.Second)
		status(other, wire.SubscriptionPaused+" "+wire.PausedBandwidth)
		if longest, _ := bob.Stills(pinned, begin, freeze); longest > time.Second {
			t.Errorf("the pinned picture stands still for %v", longest)
		}
		if gap := bob.Gap(voice, begin); gap > 300*time.Millisecond {
			t.Errorf("nothing was heard for %v", gap)
		}
		p.SetDownlink(bob, downlink(5*bwe.Mbps))
		p.Pass(15 * time.Second)
		status(pinned, wire.SubscriptionActive)
		status(other, wire.SubscriptionActive)
		if got, _ := bob.Gets(pinned); got != "f" {
			t.Errorf("gets %q after the return", got)
		}
		if gap := bob.Gap(other, time.Now().Add(-5*time.Second)); gap > 300*time.Millisecond {
			t.Errorf("the other picture stands still for %v after the return", gap)
		}
		p.Finish(drop.Paced)
	})
}

// A client that takes no padding cannot be tried while nothing is sent to it: it keeps the lowest layer, and goes on with that.
func TestScenarioBandwidthWithoutRTX(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	scenario.Run(t, scenario.Conditions{Seed: 14, Link: sim.Link{Delay: 20 * time.Millisecond}}, func(p *scenario.Plan) {
		ann, bob := p.Join("ann", scenario.Options{Simulcast: true}), p.Join("bob", scenario.Options{Feedback: true, NoRTX: true})
		ann.Publish(wire.SourceMicrophone)
		camera := ann.PublishLarge()
		p.SetDownlink(bob, downlink(5*bwe.Mbps))
		p.Pass(10 * time.Second)
		p.SetDownlink(bob, downlink(60*bwe.Kbps))
		p.Pass(15 * time.Second)
		if got := bob.Status(camera.Publication()); got != wire.SubscriptionActive {
			t.Errorf("%q at 60 kb/s", got)
		}
		p.SetDownlink(bob, downlink(5*bwe.Mbps))
		rates := p.Rates(bob, 150)
		p.Logf("%v b/s after the return", rates)
		if gap, _ := bob.Stills(camera, time.Now().Add(-5*time.Second), freeze); gap > 300*time.Millisecond {
			t.Errorf("the picture stands still for %v after the return", gap)
		}
		if got, _ := bob.Gets(camera); got != "f" {
			t.Errorf("gets %q after the return", got)
		}
		p.Finish(drop.Paced)
	})
}
