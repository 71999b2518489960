package scenario_test

import (
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/scenario"
	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/wire"
)

// What comes to a client while it restarts ICE, and is the last of its source, is missing for that reason, however much later the client hears
// that the slot has been emptied, and another source fills it and shows the hole.
func TestScenarioRestartAtTheEnd(t *testing.T) {
	conditions := scenario.Conditions{Link: sim.Link{Delay: 30 * time.Millisecond}}
	scenario.Run(t, conditions, func(p *scenario.Plan) {
		ann, cat := p.Join("ann", scenario.Options{}), p.Join("cat", scenario.Options{})
		bob := p.Join("bob", scenario.Options{Pairs: 1, MaxPairs: 1, Manual: true})
		first, second := ann.Publish(wire.SourceCamera), cat.Publish(wire.SourceCamera)
		bob.Do(wire.TypeSubscribe, wire.Subscribe{Publications: []string{first.Publication()}, Subscribed: true})
		p.Pass(5 * time.Second)
		bob.RestartICE()
		bob.Cut()
		p.Pass(50 * time.Millisecond)
		first.Unpublish()
		p.Pass(10 * time.Second)
		bob.Resume()
		bob.Do(wire.TypeSubscribe, wire.Subscribe{Publications: []string{second.Publication()}, Subscribed: true})
		p.Pass(5 * time.Second)
		if sums := p.CheckMediaOf(bob); sums.Fills != 2 || sums.GivenUp == 0 {
			t.Errorf("%+v", sums)
		}
	})
}
