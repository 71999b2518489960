package scenario_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/scenario"
	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/wire"
)

// watch says how wide a client shows a publication.
func watch(c *scenario.Client, publication string, width uint16) {
	c.Do(wire.TypeSubscribe, wire.Subscribe{Publications: []string{publication}, Subscribed: true, Width: &width})
}

// A camera in three sizes, whose viewers change their places again and again, over links without and with 2 % loss, on one shard and on
// three: each gets the size of its place, numbers have no hole, every encoding begins with a key frame, pictures are whole and come with what they depend
// on, and nobody's picture stands still for longer than a key frame takes.
func TestScenarioLayers(t *testing.T) {
	for _, x := range []struct {
		loss   float64
		shards int
	}{{0, 1}, {0.02, 1}, {0, 3}} {
		t.Run(fmt.Sprintf("loss %v, %d shards", x.loss, x.shards), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			loss := x.loss
			conditions := scenario.Conditions{Seed: 4, Link: sim.Link{Delay: 30 * time.Millisecond, Loss: loss}, Shards: x.shards, SpreadFrom: 1}
			scenario.Run(t, conditions, func(p *scenario.Plan) {
				ann := p.Join("ann", scenario.Options{Simulcast: true})
				camera := ann.PublishSimulcast()
				viewers := []*scenario.Client{p.Join("bob", scenario.Options{}), p.Join("eve", scenario.Options{}), p.Join("sue", scenario.Options{})}
				sizes := []uint16{300, 600, 1200}
				for round := range 9 {
					for i, v := range viewers {
						watch(v, camera.Publication(), sizes[(i+round*2)%3])
					}
					p.Pass(1500 * time.Millisecond)
					for i, v := range viewers {
						want := []string{"q", "h", "f"}[(i+round*2)%3]
						if got, _ := v.Gets(camera); got != want {
							t.Errorf("round %d: %s gets %q in a place of %d", round, v.Name, got, sizes[(i+round*2)%3])
						}
					}
				}
				camera.Pause()
				p.Pass(2 * time.Second)
				for _, v := range viewers {
					sums := p.CheckLayers(v, camera)
					t.Logf("%s: %v", v.Name, sums)
					if drift := time.Millisecond + time.Duration(5*loss*float64(time.Second)); sums.Drift > drift {
						t.Errorf("%s: timestamps leave the line by %v", v.Name, sums.Drift)
					}
					if sums.Switches < 8 || sums.Pictures < 9*30 || sums.Late > 0 && loss == 0 || sums.Late > 5 {
						t.Errorf("%s: %v", v.Name, sums)
					}
					if limit := 250*time.Millisecond + time.Duration(20*loss*float64(time.Second)); sums.Longest > limit {
						t.Errorf("%s: a picture stood still for %v", v.Name, sums.Longest)
					}
				}
				p.CheckMedia()
				p.CheckIsolation()
				p.CheckReplicas()
				p.CheckDrops()
			})
		})
	}
}

// What nobody wants is not sent 2 s later; what is wanted again is there within 500 ms, over links of 40 ms.
func TestScenarioDynacast(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	scenario.Run(t, scenario.Conditions{Seed: 5, Link: sim.Link{Delay: 40 * time.Millisecond}}, func(p *scenario.Plan) {
		ann := p.Join("ann", scenario.Options{Simulcast: true})
		camera := ann.PublishSimulcast()
		sends := func(want ...string) {
			t.Helper()
			if got := camera.Sends(); !slices.Equal(got, want) {
				t.Errorf("sends %v, want %v", got, want)
			}
		}
		p.Pass(2 * time.Second)
		sends()
		bob := p.Join("bob", scenario.Options{})
		p.Pass(time.Second)
		sends("q", "h", "f")
		watch(bob, camera.Publication(), 300)
		p.Pass(2 * time.Second)
		sends("q")
		for _, x := range []struct {
			width uint16
			want  []string
		}{{600, []string{"q", "h"}}, {300, []string{"q"}}, {1200, []string{"q", "h", "f"}}} {
			asked := time.Now()
			watch(bob, camera.Publication(), x.width)
			p.Pass(500 * time.Millisecond)
			top := x.want[len(x.want)-1]
			if got, since := bob.Gets(camera); got != top || since.Sub(asked) > 500*time.Millisecond {
				t.Errorf("gets %q %v after asking for %d", got, since.Sub(asked), x.width)
			} else {
				t.Logf("%d: %q after %v", x.width, got, since.Sub(asked))
			}
			p.Pass(1500 * time.Millisecond)
			sends(x.want...)
		}
		paused := true
		bob.Do(wire.TypeSubscribe, wire.Subscribe{Publications: []string{camera.Publication()}, Subscribed: true, Paused: &paused})
		p.Pass(2 * time.Second)
		sends()
		camera.Pause()
		t.Log(p.CheckLayers(bob, camera))
		p.CheckDrops()
	})
}
