package scenario_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/scenario"
	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/wire"
)

// A subscriber whose feedback is a flood of lies: 10,000 requests a second for key frames, requests for everything again, and reports that
// nothing is lost of what its network loses a third of. The publisher is asked for two key frames a second at most, nobody else
// loses a packet or waits for one a millisecond longer, and the liar gets a quarter more than its share at most. Each lie that is not
// heard is counted.
func TestScenarioLiar(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	link := sim.Link{Delay: 20 * time.Millisecond}
	scenario.Run(t, scenario.Conditions{Seed: 6, Link: link}, func(p *scenario.Plan) {
		ann, bob, liar := p.Join("ann", scenario.Options{}), p.Join("bob", scenario.Options{}), p.Join("liar", scenario.Options{})
		voice, face := ann.Publish(wire.SourceMicrophone), ann.Publish(wire.SourceCamera)
		bob.Publish(wire.SourceCamera)
		p.Pass(3 * time.Second)
		start := time.Now().Add(-2 * time.Second)
		calm := []time.Duration{bob.Delay(voice, start), bob.Delay(face, start)}
		p.SetLink(liar, sim.Link{Delay: 20 * time.Millisecond, Loss: 0.3})

		const seconds = 5
		start = time.Now()
		storm := liar.Lie()
		p.Pass(10 * seconds * time.Second) // what could be saved up is spent
		asked := face.Asked()
		media, repairs := p.SentTo(liar)
		p.Pass(seconds * time.Second)
		storm.Stop()
		asked = face.Asked() - asked
		mediaNow, repairsNow := p.SentTo(liar)
		media, repairs = mediaNow-media, repairsNow-repairs
		p.Logf("%d key frames asked for, %d bytes of media and %d of repairs sent to the liar; %v", asked, media, repairs, p.Counts().Drops)
		if asked > 2*seconds || asked < seconds {
			p.Errorf("the publisher was asked for %d key frames in %d s", asked, seconds)
		}
		if repairs > media/2 || repairs == 0 {
			p.Errorf("%d bytes of repairs for %d of media", repairs, media)
		}
		for i, s := range []*scenario.Source{voice, face} {
			if storm := bob.Delay(s, start); storm > calm[i] {
				p.Errorf("ann's %s took up to %v in the storm, and %v before", s.Kind(), storm, calm[i])
			}
			if gap := bob.Gap(s, start); gap > 40*time.Millisecond {
				p.Errorf("nothing of ann's %s for %v", s.Kind(), gap)
			}
		}
		drops := p.Counts().Drops
		if drops[drop.RtcpTooOften] < 4*seconds*10000 || drops[drop.NackTooOften] == 0 {
			p.Errorf("drops %v", drops)
		}

		p.SetLink(liar, link)
		p.Pass(2 * time.Second)
		liar.Leave()
		p.Finish(drop.RtcpTooOften, drop.Paced)
		if sums := p.CheckMediaOf(bob, ann); sums.Holes > 0 || sums.Missing > 0 || sums.Streams != 3 {
			p.Errorf("the others: %+v", sums)
		}
		p.CheckIsolation()
	})
}
