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

// Eight people see and hear one another over links with 5 % loss and 80 ms delay each way. Every subscriber's video numbers are
// without holes within a second; audio numbers mirror the publisher's, with a hole for each loss and no other; every hole has a
// cause; somebody who subscribes to nothing is sent nothing; nothing is left running.
//
// A request and its repair both arrive in 0.95² of the cases, and five of them fit in a second: of 110,000 holes one stays open for
// longer by chance alone, and here are about 10,000. So one run in twelve has one, and one in 9,000 has more than lateByChance.
func TestScenarioConference(t *testing.T) { conference(t, 1) }

// The same, with the room spread over two shards: nobody can tell.
func TestScenarioConferenceOnTwoShards(t *testing.T) { conference(t, 2) }

const lateByChance = 2

func conference(t *testing.T, shards int) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	conditions := scenario.Conditions{Seed: 1, Link: sim.Link{Delay: 80 * time.Millisecond, Loss: 0.05}, Shards: shards, SpreadFrom: 1}
	scenario.Run(t, conditions, func(p *scenario.Plan) {
		for i := range 8 {
			c := p.Join(fmt.Sprint("client", i+1), scenario.Options{})
			c.Publish(wire.SourceMicrophone)
			c.Publish(wire.SourceCamera)
		}
		p.Join("nobody", scenario.Options{Manual: true})
		p.Pass(22 * time.Second)
		for i, c := range p.CountsByShard() {
			if c.Transports < 8/shards || c.Producers+c.Mirrors != 16 {
				p.Errorf("shard %d: %d Transports, %d Producers, %d mirrors", i, c.Transports, c.Producers, c.Mirrors)
			}
		}
		sums := p.FinishMedia()
		if sums.Streams != 8*7*2 || sums.Packets < 8*7*20*(90+45) || sums.Late > lateByChance || sums.GivenUp > 0 {
			p.Errorf("%d streams, %d packets, %d late, %d given up", sums.Streams, sums.Packets, sums.Late, sums.GivenUp)
		}
	})
}
