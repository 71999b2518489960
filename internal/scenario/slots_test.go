package scenario_test

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/scenario"
	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/wire"
)

// Nine people with four pairs each, which they never grow: everybody's slots are full, and each departure, arrival and change of
// mind moves another track into a slot. Numbers go on over every change, no packet of a track comes before its slot event or
// lingers after the next, and a publication that somebody does not want does not reach him.
func TestScenarioSlots(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	scenario.Run(t, scenario.Conditions{Seed: 2, Link: sim.Link{Delay: 30 * time.Millisecond, Loss: 0.02}}, func(p *scenario.Plan) {
		few := scenario.Options{Pairs: 4, MaxPairs: 4}
		var all []*scenario.Client
		come := func(name string) {
			c := p.Join(name, few)
			c.Publish(wire.SourceMicrophone)
			c.Publish(wire.SourceCamera)
			all = append(all, c)
		}
		for i := range 9 {
			come(fmt.Sprint("client", i+1))
		}
		p.Pass(2 * time.Second)
		for round := range 4 {
			all[0].Leave()
			all = all[1:]
			p.Pass(time.Second)
			last, first := all[len(all)-1], all[0]
			unwanted := first.Sources()[1].Publication()
			last.Do(wire.TypeSubscribe, wire.Subscribe{Publications: []string{unwanted}})
			p.Pass(time.Second)
			before := last.Got(unwanted)
			p.Pass(time.Second)
			if after := last.Got(unwanted); after != before {
				p.Errorf("%d packets of a publication that %s does not want", after-before, last.Name)
			}
			last.Do(wire.TypeSubscribe, wire.Subscribe{Publications: []string{unwanted}, Subscribed: true})
			come(fmt.Sprint("guest", round+1))
			p.Pass(time.Second)
		}
		if sums := p.FinishMedia(); sums.Fills < 13*8 || sums.Late > 0 {
			p.Errorf("%+v", sums)
		}
	})
}
