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

// Losing the session and losing the path do not touch one another, nor the media. A publisher whose socket is gone for ten seconds
// gets every message on resuming, once, and its subscribers see no gap meanwhile. A publisher that restarts ICE goes on with
// the same streams. One whose path is gone for so long that its Transport fails comes back with a new PeerConnection, and keeps
// its publications.
func TestScenarioResume(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	link := sim.Link{Delay: 40 * time.Millisecond, Loss: 0.01}
	scenario.Run(t, scenario.Conditions{Seed: 3, Link: link}, func(p *scenario.Plan) {
		ann, bob := p.Join("ann", scenario.Options{}), p.Join("bob", scenario.Options{})
		voice, face := ann.Publish(wire.SourceMicrophone), ann.Publish(wire.SourceCamera)
		bob.Publish(wire.SourceMicrophone)
		p.Pass(3 * time.Second)

		start := time.Now()
		ann.Cut()
		for i := range 20 {
			bob.Do(wire.TypeChat, wire.Chat{Text: fmt.Sprint("chat ", i)})
			p.Pass(500 * time.Millisecond)
		}
		ann.Resume()
		p.Pass(time.Second)
		p.CheckReplicas() // also that no message was missed or came twice
		for _, s := range []*scenario.Source{voice, face} {
			if gap := bob.Gap(s, start); gap > 300*time.Millisecond {
				p.Errorf("nothing of ann's %s for %v while her socket was lost", s.Kind(), gap)
			}
		}

		start = time.Now()
		ann.RestartICE()
		p.Pass(3 * time.Second)
		bob.RestartICE()
		p.Pass(3 * time.Second)
		for _, s := range []*scenario.Source{voice, face} {
			if gap := bob.Gap(s, start); gap > 600*time.Millisecond {
				p.Errorf("nothing of ann's %s for %v around ICE restarts", s.Kind(), gap)
			}
		}

		names := []string{voice.Publication(), face.Publication()}
		p.SetLink(ann, sim.Link{Loss: 1})
		p.Pass(40 * time.Second)
		if state := ann.TransportState(); state != "failed" {
			p.Fatalf("ann's transport is %q after 40 s without a path", state)
		}
		p.SetLink(ann, link)
		ann.Reconnect()
		p.Pass(5 * time.Second)
		if now := []string{voice.Publication(), face.Publication()}; now[0] != names[0] || now[1] != names[1] {
			p.Errorf("ann's publications were %v and are %v", names, now)
		}
		for _, s := range []*scenario.Source{voice, face} {
			if gap := bob.Gap(s, time.Now().Add(-3*time.Second)); gap > 300*time.Millisecond {
				p.Errorf("nothing of ann's %s for %v after she came back", s.Kind(), gap)
			}
		}
		p.FinishMedia()
	})
}
