package room

import (
	"fmt"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// Rule: microphones are ranked once everybody who listens to them listens to more than three, and no longer when somebody comes who
// listens to few; other sounds never are.
func TestRank(t *testing.T) {
	s := newScene(t)
	meet := func(name string) *client {
		c := s.join(name)
		c.pc.receive(4, 0, video...)
		c.pc.publish("mic", wire.SourceMicrophone, "opus")
		s.offer(c)
		return c
	}
	for i := range 4 {
		meet(fmt.Sprint("p", i))
	}
	if len(s.plane.ranked) != 0 {
		t.Errorf("ranked among four: %v", s.plane.ranked)
	}
	last := meet("p4")
	if got := len(s.plane.ranked); got != 5 {
		t.Errorf("%d are ranked among five", got)
	}
	s.must(Join{Session: "viewer", Carrier: WHEP, Follow: "p0", Grants: allGrants})
	viewer := s.clients["viewer"]
	viewer.pc.receive(1, 0, video...)
	s.offer(viewer)
	first := s.r.identities["p0"].publications[0]
	if s.plane.ranked[first.producer] || first.alone != 1 {
		t.Error("who has a viewer of his own is ranked")
	}
	s.must(Leave{Session: "viewer"})
	if !s.plane.ranked[first.producer] {
		t.Error("the viewer has gone, and who was viewed is not ranked")
	}
	last.pc.renew() // its Producer is another one
	s.offer(last)
	s.must(Leave{Session: "p1"})
	for _, pub := range s.r.publications {
		if s.plane.ranked[pub.producer] {
			t.Errorf("%s is ranked among four", pub.ID)
		}
	}
}
