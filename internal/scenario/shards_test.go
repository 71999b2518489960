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

// Rooms spread over the shards of a node, and nothing is different for anyone: each hears and sees its own room and no other.
func TestScenarioRoomsOnShards(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	conditions := scenario.Conditions{Seed: 1, Link: sim.Link{Delay: 20 * time.Millisecond, Loss: 0.02}, Shards: 3}
	scenario.Run(t, conditions, func(p *scenario.Plan) {
		for i := range 6 {
			for _, name := range []string{"ann", "bob"} {
				c := p.Join(fmt.Sprint(name, i), scenario.Options{Room: fmt.Sprint("room", i)})
				c.Publish(wire.SourceMicrophone)
				c.Publish(wire.SourceCamera)
			}
		}
		p.Pass(5 * time.Second)
		for i, c := range p.CountsByShard() {
			if c.Rooms != 2 || c.Transports != 4 || c.Producers != 8 {
				p.Errorf("shard %d: %d rooms, %d Transports, %d Producers", i, c.Rooms, c.Transports, c.Producers)
			}
		}
		if sums := p.CheckMedia(); sums.Streams != 6*4 {
			p.Errorf("%d streams", sums.Streams)
		}
		p.CheckIsolation()
		p.CheckDrops()
	})
}
