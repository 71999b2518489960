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

// Levels of microphones in −dBov.
const (
	loud, talking, quiet = 15, 25, 80
)

// meeting is people with microphones that tell how loud they are, all of them quiet at first.
func meeting(p *scenario.Plan, people int, o scenario.Options) (clients []*scenario.Client, microphones []*scenario.Source) {
	for i := range people {
		c := p.Join(fmt.Sprint("client", i+1), o)
		clients = append(clients, c)
		microphones = append(microphones, c.Publish(wire.SourceMicrophone))
		microphones[i].Say(quiet)
	}
	p.Pass(3 * time.Second)
	return clients, microphones
}

// heard counts the packets a second of each microphone that a client gets now.
func heard(p *scenario.Plan, c *scenario.Client, microphones []*scenario.Source) []int {
	before := make([]int, len(microphones))
	for i, m := range microphones {
		before[i] = c.Got(m.Publication())
	}
	p.Pass(time.Second)
	for i, m := range microphones {
		before[i] = c.Got(m.Publication()) - before[i]
	}
	return before
}

// audible tells which microphones are heard, by their place.
func audible(p *scenario.Plan, c *scenario.Client, microphones []*scenario.Source) []int {
	var places []int
	for i, n := range heard(p, c, microphones) {
		if n > 0 {
			places = append(places, i)
		}
	}
	return places
}

// Eight people talk, first one after the other, then all at once, and a ninth listens. Never more than three are heard at once, those who
// talk among them, from their first word on; the others cost nothing. To whoever listens, numbers go on over what was left out.
func TestScenarioLoudestThree(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	scenario.Run(t, scenario.Conditions{Seed: 5, Link: sim.Link{Delay: 30 * time.Millisecond, Loss: 0.01}}, func(p *scenario.Plan) {
		_, microphones := meeting(p, 8, scenario.Options{Pairs: 8})
		listener := p.Join("listener", scenario.Options{Pairs: 8})
		p.Pass(3 * time.Second)
		for i, m := range microphones {
			start := time.Now()
			m.Say(talking)
			p.Pass(150 * time.Millisecond)
			if late := listener.Gap(m, start); late > 120*time.Millisecond { // 20 ms between packets, twice the delay
				p.Errorf("%d was heard %v after the first word", i, late)
			}
			p.Pass(2 * time.Second)
			if got := audible(p, listener, microphones); len(got) != 3 || !slices.Contains(got, i) {
				p.Errorf("while %d talks, %v are heard", i, got)
			}
			m.Say(quiet)
			p.Pass(time.Second)
		}
		for _, m := range microphones {
			m.Say(talking)
		}
		p.Pass(2 * time.Second)
		first := audible(p, listener, microphones)
		for range 5 {
			if got := audible(p, listener, microphones); !slices.Equal(got, first) || len(got) != 3 {
				p.Errorf("%v are heard, then %v", first, got)
			}
		}
		// What the server sends in a second to somebody who has eight subscriptions is what three cost.
		total := 0
		for _, n := range heard(p, listener, microphones) {
			total += n
		}
		if total > 3*51 {
			p.Errorf("%d packets a second", total)
		}
		quietest := slices.IndexFunc([]int{0, 1, 2, 3, 4, 5, 6, 7}, func(i int) bool { return !slices.Contains(first, i) })
		microphones[quietest].Say(loud)
		p.Pass(time.Second)
		if got := audible(p, listener, microphones); !slices.Contains(got, quietest) {
			p.Errorf("%d is louder, and %v are heard", quietest, got)
		}
		p.FinishMedia()
	})
}

// Four people hear one another whatever they sound like: whoever listens to no more than three hears all of them.
func TestScenarioFewAreAllHeard(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	scenario.Run(t, scenario.Conditions{Seed: 6}, func(p *scenario.Plan) {
		clients, microphones := meeting(p, 4, scenario.Options{})
		for _, m := range microphones[1:] {
			m.Say(loud)
		}
		p.Pass(2 * time.Second)
		if got := audible(p, clients[3], microphones); !slices.Equal(got, []int{0, 1, 2}) {
			p.Errorf("%v are heard", got)
		}
		p.CheckMedia()
		p.CheckDrops()
	})
}

// Who leads is told soon after a pause, later when somebody who has talked for long is interrupted, and not at all for remarks;
// everybody knows the same, also who comes late.
func TestScenarioDominantSpeaker(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	scenario.Run(t, scenario.Conditions{Seed: 7, Link: sim.Link{Delay: 20 * time.Millisecond}}, func(p *scenario.Plan) {
		clients, microphones := meeting(p, 5, scenario.Options{Pairs: 6})
		leads := func(c *scenario.Client, want string) {
			p.Helper()
			if got, _ := c.Speakers(); got != want {
				p.Errorf("%s leads, want %s", got, want)
			}
		}
		leads(clients[0], "")
		microphones[1].Say(talking)
		p.Pass(1500 * time.Millisecond)
		leads(clients[0], "client2")
		if _, speaking := clients[0].Speakers(); !slices.Equal(speaking, []string{"client2"}) {
			p.Errorf("%v speak", speaking)
		}
		p.Pass(20 * time.Second)
		for range 5 { // remarks
			microphones[2].Say(loud)
			p.Pass(500 * time.Millisecond)
			microphones[2].Say(quiet)
			p.Pass(2 * time.Second)
			leads(clients[4], "client2")
		}
		microphones[1].Say(quiet)
		p.Pass(3 * time.Second)
		leads(clients[0], "client2") // in a pause
		if _, speaking := clients[0].Speakers(); len(speaking) != 0 {
			p.Errorf("%v speak", speaking)
		}
		microphones[3].Say(talking)
		p.Pass(2500 * time.Millisecond)
		leads(clients[0], "client4")
		late := p.Join("late", scenario.Options{NoMedia: true})
		leads(late, "client4")
		clients[3].Leave()
		p.Pass(time.Second)
		leads(late, "")
		p.CheckReplicas()
	})
}

// Somebody wants two cameras of five: he sees who led last, with the picture within a second, and whom he has pinned, whoever
// leads; the others wait for their turn and are told why.
func TestScenarioLastN(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	scenario.Run(t, scenario.Conditions{Seed: 8, Link: sim.Link{Delay: 30 * time.Millisecond, Loss: 0.01}}, func(p *scenario.Plan) {
		clients, microphones := meeting(p, 5, scenario.Options{Pairs: 5})
		var cameras []*scenario.Source
		for _, c := range clients {
			cameras = append(cameras, c.Publish(wire.SourceCamera))
		}
		viewer := p.Join("viewer", scenario.Options{Pairs: 5, LastN: 2})
		sees := func(want ...int) {
			p.Helper()
			for i, camera := range cameras {
				before := viewer.Got(camera.Publication())
				p.Pass(500 * time.Millisecond)
				got, status := viewer.Got(camera.Publication()) > before, viewer.Status(camera.Publication())
				if got != slices.Contains(want, i) || (status == "pending last-n") == got {
					p.Errorf("camera %d is seen: %v (%s), want %v", i, got, status, want)
				}
			}
		}
		leads := func(i int) {
			for k, m := range microphones {
				m.Say(map[bool]int{true: talking, false: quiet}[k == i])
			}
			p.Pass(3 * time.Second)
		}
		p.Pass(2 * time.Second)
		sees(0, 1)
		leads(3)
		sees(0, 3)
		leads(4)
		sees(3, 4)
		pinned, usual := uint8(255), uint8(100)
		viewer.Do(wire.TypeSubscribe, wire.Subscribe{Publications: []string{cameras[2].Publication()}, Subscribed: true, Priority: &pinned})
		p.Pass(time.Second)
		sees(2, 4)
		leads(0)
		sees(0, 2)
		viewer.Do(wire.TypeSubscribe, wire.Subscribe{Publications: []string{cameras[2].Publication()}, Subscribed: true, Priority: &usual})
		p.Pass(time.Second)
		sees(0, 4)
		p.FinishMedia()
	})
}

// Somebody who has two pairs in a room of five, and does not offer more, hears and sees those who spoke last, on the same m-lines.
func TestScenarioFewPairs(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	scenario.Run(t, scenario.Conditions{Seed: 9, Link: sim.Link{Delay: 30 * time.Millisecond, Loss: 0.01}}, func(p *scenario.Plan) {
		clients, microphones := meeting(p, 5, scenario.Options{Pairs: 5})
		for _, c := range clients {
			c.Publish(wire.SourceCamera)
		}
		viewer := p.Join("viewer", scenario.Options{Pairs: 2, MaxPairs: 2})
		p.Pass(2 * time.Second)
		for _, i := range []int{4, 2, 3, 0, 4} {
			for k, m := range microphones {
				m.Say(map[bool]int{true: talking, false: quiet}[k == i])
			}
			p.Pass(2 * time.Second)
			start := time.Now()
			p.Pass(time.Second)
			for _, s := range clients[i].Sources() {
				if gap := viewer.Gap(s, start); gap > 200*time.Millisecond {
					p.Errorf("a gap of %v in the %s of %d, who speaks", gap, s.Kind(), i)
				}
			}
		}
		p.FinishMedia()
	})
}

// A subscription that is paused keeps its slot and costs nothing, be it picture or sound, and goes on soon.
func TestScenarioPause(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	scenario.Run(t, scenario.Conditions{Seed: 10, Link: sim.Link{Delay: 20 * time.Millisecond}}, func(p *scenario.Plan) {
		ann, bob := p.Join("ann", scenario.Options{}), p.Join("bob", scenario.Options{})
		sources := []*scenario.Source{ann.Publish(wire.SourceMicrophone), ann.Publish(wire.SourceCamera)}
		p.Pass(2 * time.Second)
		pause := func(paused bool) {
			for _, s := range sources {
				bob.Do(wire.TypeSubscribe, wire.Subscribe{Publications: []string{s.Publication()}, Subscribed: true, Paused: &paused})
			}
		}
		pause(true)
		p.Pass(500 * time.Millisecond)
		for _, s := range sources {
			before := bob.Got(s.Publication())
			p.Pass(time.Second)
			if got := bob.Got(s.Publication()) - before; got > 0 || bob.Status(s.Publication()) != "paused off" {
				p.Errorf("%s: %d packets while %s", s.Kind(), got, bob.Status(s.Publication()))
			}
		}
		pause(false)
		start := time.Now()
		p.Pass(time.Second)
		for _, s := range sources {
			if gap := bob.Gap(s, start); gap > 500*time.Millisecond || bob.Status(s.Publication()) != wire.SubscriptionActive {
				p.Errorf("%s: goes on after %v, %s", s.Kind(), gap, bob.Status(s.Publication()))
			}
		}
		p.CheckIsolation()
	})
}

// A subscriber with loss who takes redundancy gets it, whoever publishes, and misses next to nothing; nor does one who does not take it, to whom
// each packet is sent twice. Their publisher is told of the loss. When it ends, so does all of that.
func TestScenarioRedundancy(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, c := range []struct{ loss, most, mostTwice float64 }{{0.05, 0.01, 0.01}, {0.1, 0.02, 0.03}, {0.2, 0.06, 0.08}} {
		clean := sim.Link{Delay: 20 * time.Millisecond}
		scenario.Run(t, scenario.Conditions{Seed: 11, Link: clean}, func(p *scenario.Plan) {
			ann := p.Join("ann", scenario.Options{})
			voice := ann.Publish(wire.SourceMicrophone)
			takes, takesNot := p.Join("takes", scenario.Options{RED: true}), p.Join("takes not", scenario.Options{})
			p.Pass(5 * time.Second)
			if n := takes.Redundant(); n > 0 || voice.ToldLoss() > 0 {
				p.Errorf("%d packets with redundancy, and a loss of %v was told, without any", n, voice.ToldLoss())
			}
			lossy := clean
			lossy.Loss = c.loss
			p.SetLink(takes, lossy)
			p.SetLink(takesNot, lossy)
			p.Pass(5 * time.Second)
			voice.Pause()
			from := voice.Position()
			voice.Resume()
			p.Pass(30 * time.Second)
			voice.Pause()
			to := voice.Position()
			voice.Resume()
			p.Pass(time.Second)
			with, without := takes.Unheard(voice, from, to), takesNot.Unheard(voice, from, to)
			p.Logf("%.0f %% loss: %.2f %% missed with redundancy, %.2f %% sent twice; the publisher is told %.1f %%",
				100*c.loss, 100*with, 100*without, 100*voice.ToldLoss())
			if with > c.most || without > c.mostTwice || takesNot.Redundant() > 0 {
				p.Errorf("%v missed with redundancy, %v sent twice", with, without)
			}
			if told := voice.ToldLoss(); told < c.loss/2 || told > 0.21 {
				p.Errorf("the publisher is told a loss of %v", told)
			}
			p.SetLink(takes, clean)
			p.SetLink(takesNot, clean)
			p.Pass(25 * time.Second)
			before := takes.Redundant()
			p.Pass(5 * time.Second)
			if n := takes.Redundant() - before; n > 0 || voice.ToldLoss() > 0.005 {
				p.Errorf("%d packets with redundancy, and a loss of %v is told, after it has ended", n, voice.ToldLoss())
			}
			p.CheckIsolation()
			p.CheckDrops()
		})
	}
}
