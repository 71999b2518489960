package scenario_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/scenario"
	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/wire"
)

var seed = flag.Uint64("seed", 0, "of TestScenarioRandom; 0: the fixed ones and a fresh one")

// Whatever a crowd does on links that change, numbers go on at every subscriber, every hole has a cause, nobody is sent what he has
// no slot for, every client's copy of the room is the room's own, and everything ends. Virtual time is not determinism: a seed
// gives the same plan and the same losses, not the same interleaving.
func TestScenarioRandom(t *testing.T) {
	seeds := []uint64{1, 2, 3, rand.Uint64()}
	if *seed != 0 {
		seeds = []uint64{*seed}
	}
	for _, n := range seeds {
		t.Run(fmt.Sprint("seed=", n), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			link := sim.Link{Delay: 30 * time.Millisecond, Loss: 0.01}
			conditions := scenario.Conditions{Seed: n, Link: link, Shards: 1 + int(n%3), SpreadFrom: 2}
			scenario.Run(t, conditions, func(p *scenario.Plan) {
				c := &crowd{Plan: p, chance: rand.New(rand.NewPCG(n, 1))}
				for range 60 {
					c.act()
					p.Pass(time.Duration(c.chance.Int64N(int64(time.Second))))
				}
				c.rest()
			})
		})
	}
}

// crowd does anything.
type crowd struct {
	*scenario.Plan
	chance *rand.Rand
	here   []*scenario.Client
	cut    []*scenario.Client // of here, those without a socket
	names  int
}

const (
	maxCrowd = 7
)

// act does one thing.
func (c *crowd) act() {
	if len(c.here) < 2 {
		c.join()
		return
	}
	for len(c.cut) > 2 {
		c.cut[0].Resume()
		c.cut = c.cut[1:]
	}
	who := c.here[c.chance.IntN(len(c.here))]
	if slices.Contains(c.cut, who) {
		who.Resume()
		c.cut = slices.DeleteFunc(c.cut, func(x *scenario.Client) bool { return x == who })
	}
	switch c.chance.IntN(18) {
	case 0, 1, 2:
		c.join()
	case 3:
		who.Leave()
		c.forget(who)
	case 4:
		who.Vanish()
		c.forget(who)
	case 5:
		c.replace(who)
	case 6, 7, 8:
		c.publish(who)
	case 9:
		c.unpublish(who)
	case 10:
		c.mute(who)
	case 11:
		who.Do(wire.TypeChat, wire.Chat{Text: fmt.Sprint("chat ", c.chance.Uint32())})
	case 12:
		c.SetLink(who, sim.Link{
			Delay: time.Duration(1+c.chance.IntN(80)) * time.Millisecond, Jitter: time.Duration(c.chance.IntN(10)) * time.Millisecond,
			Loss: c.chance.Float64() * 0.05,
		})
	case 13:
		who.Cut()
		c.cut = append(c.cut, who)
	case 14:
		who.RestartICE()
	case 15:
		c.subscribe(who)
	case 16, 17:
		c.talk(who)
	}
}

func (c *crowd) join() {
	if len(c.here) == maxCrowd {
		return
	}
	c.names++
	name := fmt.Sprint("client", c.names)
	pairs := 1 + c.chance.IntN(6)
	who := c.Join(name, scenario.Options{
		Pairs: pairs, MaxPairs: pairs + c.chance.IntN(6), Manual: c.chance.IntN(8) == 0,
		LastN: max(0, c.chance.IntN(8)-4), RED: c.chance.IntN(2) == 0,
	})
	c.here = append(c.here, who)
	if c.chance.IntN(4) > 0 {
		who.Publish(wire.SourceMicrophone)
		who.Publish(wire.SourceCamera)
	}
}

// replace lets somebody join under a name that is in the room already.
func (c *crowd) replace(who *scenario.Client) {
	c.forget(who)
	c.here = append(c.here, c.Join(who.Name, scenario.Options{}))
	c.Pass(time.Second)
	if e := who.Ended(); e == nil || e.Code != wire.CodeReplaced {
		c.Errorf("%s was replaced, and told %+v", who.Name, e)
	}
	who.Close()
}

func (c *crowd) forget(who *scenario.Client) {
	is := func(x *scenario.Client) bool { return x == who }
	c.here, c.cut = slices.DeleteFunc(c.here, is), slices.DeleteFunc(c.cut, is)
}

func (c *crowd) publish(who *scenario.Client) {
	for _, s := range who.Sources() {
		if !s.Published() {
			s.Republish()
			return
		}
	}
	kinds := []wire.Source{wire.SourceMicrophone, wire.SourceCamera, wire.SourceScreen}
	for _, s := range who.Sources() {
		kinds = slices.DeleteFunc(kinds, func(k wire.Source) bool { return k == s.Kind() })
	}
	if len(kinds) > 0 {
		who.Publish(kinds[c.chance.IntN(len(kinds))])
	}
}

// one draws something that who publishes; nil: it publishes nothing.
func (c *crowd) one(who *scenario.Client) *scenario.Source {
	var out []*scenario.Source
	for _, s := range who.Sources() {
		if s.Published() {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out[c.chance.IntN(len(out))]
}

func (c *crowd) unpublish(who *scenario.Client) {
	if s := c.one(who); s != nil {
		s.Unpublish()
	}
}

func (c *crowd) mute(who *scenario.Client) {
	if s := c.one(who); s != nil {
		who.Do(wire.TypeMute, wire.Mute{Publication: s.Publication(), Muted: c.chance.IntN(2) == 0})
	}
}

// talk lets somebody who has a microphone begin to talk, or stop.
func (c *crowd) talk(who *scenario.Client) {
	for _, s := range who.Sources() {
		if s.Kind() == wire.SourceMicrophone {
			s.Say([]int{15, 25, 80}[c.chance.IntN(3)])
		}
	}
}

func (c *crowd) subscribe(who *scenario.Client) {
	other := c.here[c.chance.IntN(len(c.here))]
	if s := c.one(other); s != nil && other != who {
		who.Do(wire.TypeSubscribe, wire.Subscribe{Publications: []string{s.Publication()}, Subscribed: c.chance.IntN(2) == 0})
	}
}

// rest lets everyone finish, and looks at everything.
func (c *crowd) rest() {
	for _, who := range c.cut {
		who.Resume()
	}
	c.Pass(35 * time.Second) // those who vanished are gone
	c.Logf("%d clients", c.names)
	sums := c.FinishMedia()
	if sums.Packets == 0 || sums.Late > 0 {
		c.Errorf("%+v", sums)
	}
	if n := c.Counts().Transports; n != len(c.here) {
		c.Errorf("%d transports for %d clients", n, len(c.here))
	}
}
