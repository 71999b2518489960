package scenario_test

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/scenario"
	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/wire"
)

// A NAT gives a client another address in the middle of a call, again and again. Nobody hears or sees a gap of more than 300 ms, and
// the session, the media connection and the publications are those of before.
func TestScenarioRebinding(t *testing.T) {
	for _, shards := range []int{1, 3} {
		rebinding(t, shards)
	}
}

func rebinding(t *testing.T, shards int) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	conditions := scenario.Conditions{Seed: 7, Link: sim.Link{Delay: 40 * time.Millisecond}, Shards: shards, SpreadFrom: 1}
	scenario.Run(t, conditions, func(p *scenario.Plan) {
		ann, bob := p.Join("ann", scenario.Options{}), p.Join("bob", scenario.Options{})
		var sources []*scenario.Source
		for _, c := range []*scenario.Client{ann, bob} {
			sources = append(sources, c.Publish(wire.SourceMicrophone), c.Publish(wire.SourceCamera))
		}
		p.Pass(10 * time.Second)
		for range 8 {
			start := time.Now()
			p.Rebind(ann)
			p.Pass(3300 * time.Millisecond)
			for i, s := range sources {
				viewer := []*scenario.Client{bob, ann}[i/2]
				gap := viewer.Gap(s, start)
				if gap > 300*time.Millisecond {
					p.Errorf("%s got nothing of the other's %s for %v", viewer.Name, s.Kind(), gap)
				}
				p.Logf("%s: %s: %v", viewer.Name, s.Kind(), gap)
			}
		}
		if state := ann.TransportState(); state != "connected" {
			p.Errorf("ann's transport is %s", state)
		}
		p.FinishMedia()
	})
}

// A client goes from one network to another (Wi-Fi to mobile): its old address is dead, so it restarts ICE in its session. Everything
// flows again within two seconds, as the same publications in the same session.
func TestScenarioHandOver(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	link := sim.Link{Delay: 40 * time.Millisecond, Loss: 0.01}
	scenario.Run(t, scenario.Conditions{Seed: 8, Link: link}, func(p *scenario.Plan) {
		ann, bob := p.Join("ann", scenario.Options{}), p.Join("bob", scenario.Options{})
		var sources []*scenario.Source
		for _, c := range []*scenario.Client{ann, bob} {
			sources = append(sources, c.Publish(wire.SourceMicrophone), c.Publish(wire.SourceCamera))
		}
		p.Pass(5 * time.Second)
		publications := func() (names []string) {
			for _, s := range sources {
				names = append(names, s.Publication())
			}
			return names
		}
		before := publications()
		for round := range 6 {
			start := time.Now()
			p.Move(ann, link)
			ann.Cut()
			ann.Resume()
			ann.RestartICE()
			p.Pass(5 * time.Second)
			for i, s := range sources {
				viewer := []*scenario.Client{bob, ann}[i/2]
				gap := viewer.Gap(s, start)
				p.Logf("round %d, %s: %s: %v", round, viewer.Name, s.Kind(), gap)
				if gap > 2*time.Second {
					p.Errorf("%s got nothing of the other's %s for %v", viewer.Name, s.Kind(), gap)
				}
			}
		}
		if now := publications(); !slices.Equal(now, before) {
			p.Errorf("publications %v, before %v", now, before)
		}
		p.FinishMedia()
	})
}

// A client restarts ICE again before it has done anything with the credentials of the restart before, and again, on the same network or on
// another one. Its session lives, and what it gets and sends goes on within two seconds; pion's part is that it forgets its old pair at once, so
// there is a gap in any case. So it is for who publishes by WHIP.
func TestScenarioRestartsInARow(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	link := sim.Link{Delay: 40 * time.Millisecond}
	scenario.Run(t, scenario.Conditions{Seed: 10, Link: link}, func(p *scenario.Plan) {
		bob, ann, eve := p.Join("bob", scenario.Options{}), p.Join("ann", scenario.Options{}), p.Whip("eve")
		watched := map[*scenario.Source]*scenario.Client{}
		for _, s := range []*scenario.Source{ann.Publish(wire.SourceMicrophone), ann.Publish(wire.SourceCamera)} {
			watched[s] = bob
		}
		watched[bob.Publish(wire.SourceCamera)] = ann
		for _, s := range eve.Sources() {
			watched[s] = bob
		}
		p.Pass(5 * time.Second)
		for _, moves := range []bool{false, true, true} {
			var longest time.Duration
			for _, c := range []*scenario.Client{ann, eve} {
				for restarts := 2; restarts <= 5; restarts++ {
					start := time.Now()
					if moves {
						p.Move(c, link)
					}
					for range restarts {
						c.RestartICE()
					}
					p.Pass(5 * time.Second)
					for s, viewer := range watched {
						gap := viewer.Gap(s, start)
						longest = max(longest, gap)
						if gap > 2*time.Second {
							p.Errorf("%s, %d restarts, moved %v: %s got nothing of a %s for %v", c.Name, restarts, moves, viewer.Name, s.Kind(), gap)
						}
					}
				}
			}
			p.Logf("moved %v: nothing for %v at most", moves, longest)
		}
		if state := ann.TransportState(); state != "connected" {
			p.Errorf("ann's transport is %s", state)
		}
		p.Finish()
		if n := p.Counts().Transports; n != 3 {
			p.Errorf("%d transports", n)
		}
	})
}

// The same for somebody who publishes by WHIP, whose ICE restart is a PATCH: another address of the same network is followed by itself, and
// another network after the restart, in the same resource.
func TestScenarioWHIPNetworks(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	link := sim.Link{Delay: 40 * time.Millisecond}
	scenario.Run(t, scenario.Conditions{Seed: 9, Link: link}, func(p *scenario.Plan) {
		bob, ann := p.Join("bob", scenario.Options{}), p.Whip("ann")
		p.Pass(5 * time.Second)
		gaps := func(what string, start time.Time, limit time.Duration) {
			for _, s := range ann.Sources() {
				gap := bob.Gap(s, start)
				p.Logf("%s: %s: %v", what, s.Kind(), gap)
				if gap > limit {
					p.Errorf("%s: bob got nothing of ann's %s for %v", what, s.Kind(), gap)
				}
			}
		}
		for range 3 {
			start := time.Now()
			p.Rebind(ann)
			p.Pass(10 * time.Second)
			gaps("another address", start, 300*time.Millisecond)
		}
		for range 3 {
			start := time.Now()
			p.Move(ann, link)
			ann.RestartICE()
			p.Pass(10 * time.Second)
			gaps("another network", start, 2*time.Second)
		}
		p.Finish()
		if n := p.Counts().Transports; n != 2 {
			p.Errorf("%d transports", n)
		}
	})
}
