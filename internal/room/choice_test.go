package room

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// party is a room with a viewer, and people with microphone and camera.
type party struct {
	*scene
	viewer *client
}

func newParty(t *testing.T, lastN, pairs, people int) *party {
	p := &party{scene: newScene(t)}
	p.must(Join{Session: "viewer", Carrier: WS, Identity: "viewer", Grants: allGrants, LastN: lastN})
	p.viewer = p.clients["viewer"]
	p.viewer.pc.receive(pairs, 1, video...)
	p.offer(p.viewer)
	for i := range people {
		p.come(fmt.Sprint("p", i))
	}
	return p
}

func (p *party) come(name string) {
	c := p.join(name)
	c.pc.publish("mic", wire.SourceMicrophone, "opus")
	c.pc.publish("cam", wire.SourceCamera, "vp8")
	p.offer(c)
}

func (p *party) pub(name string, source wire.Source) *publication {
	i := slices.IndexFunc(p.r.identities[name].publications, func(pub *publication) bool { return pub.Source == source })
	return p.r.identities[name].publications[i]
}

// leads lets somebody lead the conversation.
func (p *party) leads(name string) {
	producer := p.pub(name, wire.SourceMicrophone).producer
	p.do(Speakers{Dominant: producer, Speaking: []uint64{producer}})
}

// speaks lets somebody speak, while whoever leads goes on leading.
func (p *party) speaks(name string) {
	var dominant uint64
	if leader := p.r.speakers.Dominant; leader != "" {
		dominant = p.pub(leader, wire.SourceMicrophone).producer
	}
	p.do(Speakers{Dominant: dominant, Speaking: []uint64{p.pub(name, wire.SourceMicrophone).producer}})
}

func (p *party) prioritize(name string, priority uint8) {
	p.must(Subscribe{Session: "viewer", Publications: []string{p.pub(name, wire.SourceCamera).ID}, Subscribed: true, Priority: &priority})
}

// seen and heard list whose cameras and microphones are in the viewer's slots.
func (p *party) filled(kind wire.Kind) string {
	var names []string
	for _, s := range p.viewer.slots {
		for _, pub := range p.r.publications {
			if pub.ID == s.Publication && pub.Kind == kind {
				names = append(names, pub.owner.identity)
			}
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (p *party) sees(want string) {
	p.t.Helper()
	if got := p.filled(wire.KindVideo); got != want {
		p.t.Errorf("sees %s, want %s", got, want)
	}
}

func (p *party) hears(want string) {
	p.t.Helper()
	if got := p.filled(wire.KindAudio); got != want {
		p.t.Errorf("hears %s, want %s", got, want)
	}
}

// Rule: of more cameras than a participant wants, he sees those of who led the conversation last, and hears everybody. One who has
// not led yet, or who makes a remark, changes nothing.
func TestLastN(t *testing.T) {
	p := newParty(t, 2, 8, 5)
	p.sees("p0 p1")
	p.hears("p0 p1 p2 p3 p4")
	if got := p.viewer.subscriptions[p.pub("p2", wire.SourceCamera).ID]; got != "pending last-n" {
		t.Errorf("who is not seen is %q", got)
	}
	if p.viewer.grow != (wire.GrowSlots{}) {
		t.Errorf("asked for %+v, and wants no more cameras", p.viewer.grow)
	}
	p.speaks("p4")
	p.sees("p0 p1")
	p.leads("p3")
	p.sees("p0 p3")
	p.leads("p4")
	p.sees("p3 p4")
	p.leads("p3")
	p.transcript(`tell viewer,p0,p1,p2,p3,p4 #20 speakers "p3" [p3]`)
	p.leads("p2")
	p.sees("p2 p3")
	p.hears("p0 p1 p2 p3 p4")
	p.must(Leave{Session: "p2"})
	p.sees("p3 p4")
}

// Rule: cameras with priority come first, whoever speaks; with less they come last.
func TestPriority(t *testing.T) {
	p := newParty(t, 2, 8, 5)
	p.prioritize("p4", 255)
	p.sees("p0 p4")
	p.leads("p1")
	p.sees("p1 p4")
	p.leads("p2")
	p.leads("p3")
	p.sees("p3 p4")
	p.prioritize("p3", 99)
	p.sees("p2 p4")
	p.prioritize("p4", 100)
	p.sees("p1 p2")
}

// Rule: a camera that is off is seen last.
func TestCamerasThatAreOff(t *testing.T) {
	p := newParty(t, 2, 8, 4)
	p.leads("p0")
	p.must(Mute{Session: "p0", Publication: p.pub("p0", wire.SourceCamera).ID, Muted: true})
	p.sees("p1 p2")
	p.must(Mute{Session: "p0", Publication: p.pub("p0", wire.SourceCamera).ID})
	p.sees("p0 p1")
}

// Rule: a screen is no camera.
func TestLastNLeavesScreens(t *testing.T) {
	p := newParty(t, 1, 4, 2)
	p.clients["p1"].pc.publish("screen", wire.SourceScreen, "vp8")
	p.offer(p.clients["p1"])
	p.sees("p0 p1") // his screen
	p.leads("p1")
	p.sees("p1 p1")
}

// Rule: with fewer pairs than people, those who spoke last have them, microphone and camera in one switch on the same m-lines.
func TestFewPairs(t *testing.T) {
	p := newParty(t, 0, 2, 4)
	p.hears("p0 p1")
	p.sees("p0 p1")
	p.speaks("p3")
	p.hears("p1 p3")
	p.sees("p1 p3")
	if a, v := p.viewer.slots["a0"], p.viewer.slots["v0"]; a.Identity != "p3" || v.Identity != "p3" || a.Generation == v.Generation {
		t.Errorf("the pair has %+v and %+v", a, v)
	}
	switches := 0
	for _, line := range p.log {
		if strings.HasPrefix(line, "assign") {
			switches++
		}
	}
	if switches != 2 {
		t.Errorf("%d switches:\n%s", switches, strings.Join(p.log, "\n"))
	}
	p.speaks("p2")
	p.hears("p2 p3")
	p.prioritize("p0", 255)
	p.hears("p0 p2")
	p.speaks("p1")
	p.hears("p0 p1")
}

// Rule: who cannot be decoded takes nobody's pair.
func TestFewPairsAndCodecs(t *testing.T) {
	s := newScene(t)
	viewer := s.join("viewer")
	viewer.pc.receive(1, 0, "vp8")
	s.offer(viewer)
	for _, codec := range []string{"vp8", "av1"} {
		c := s.join(codec)
		c.pc.publish("cam", wire.SourceCamera, codec)
		c.pc.publish("mic", wire.SourceMicrophone, "opus")
		s.offer(c)
	}
	producer := s.r.identities["av1"].publications[1].producer
	s.do(Speakers{Dominant: producer, Speaking: []uint64{producer}})
	if a, v := viewer.slots["a0"], viewer.slots["v0"]; a.Identity != "av1" || v.Identity != "" {
		t.Errorf("the pair has %+v and %+v", a, v)
	}
	if got := viewer.subscriptions[s.r.identities["av1"].publications[0].ID]; got != wire.SubscriptionUnsupportedCodec {
		t.Errorf("the camera is %q", got)
	}
}

// Rule: at the most pairs that there may be, waiting has a reason.
func TestMostPairs(t *testing.T) {
	p := newParty(t, 0, wire.MaxSlotPairs, wire.MaxSlotPairs+1)
	last := p.pub(fmt.Sprint("p", wire.MaxSlotPairs), wire.SourceCamera)
	if got := p.viewer.subscriptions[last.ID]; got != "pending last-n" {
		t.Errorf("the last one is %q", got)
	}
}
