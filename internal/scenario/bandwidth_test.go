package scenario_test

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/bwe"
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
				voice, camera := ann.Publish(wire.SourceMicrophone), ann.PublishLarge()
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
				voice.Pause()
				camera.Pause()
				p.Pass(2 * time.Second)
				p.CheckDrops()
			})
		})
	}
}
