package room

import (
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// Rule: who starves is told so, and when that ends. What the participant has paused himself has that reason, and what leaves its slot
// starves no more. The publisher goes on meanwhile, so that it is known what its picture would cost.
func TestStarved(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	ann.pc.publish("0", wire.SourceCamera, "vp8")
	s.offer(ann)
	bob := s.join("bob")
	bob.pc.receive(1, 0, "vp8")
	s.offer(bob)
	to, camera := s.r.sessions["bob"].transport.id, s.r.publications[0].producer
	for _, x := range []struct {
		command Command
		want    []string
	}{
		{Starved{Transport: to, Producers: []uint64{camera}}, []string{"tell bob subscription p1 paused bandwidth"}},
		{Starved{Transport: to, Producers: []uint64{camera, 77}}, nil},
		{Starved{Transport: 99, Producers: []uint64{camera}}, nil},
		{pause("bob", "p1", true), []string{
			"tell bob subscription p1 paused off", "prefer {Width:0 Height:0 Priority:100 Paused:true} in 3/v0", "reply ok", "tell ann encodings p1 []",
		}},
		{pause("bob", "p1", false), []string{
			"tell bob subscription p1 paused bandwidth", "prefer {Width:0 Height:0 Priority:100 Paused:false} in 3/v0", "reply ok",
			`tell ann encodings p1 [""]`,
		}},
		{Starved{Transport: to}, []string{"tell bob subscription p1 active"}},
		{Starved{Transport: to, Producers: []uint64{camera}}, []string{"tell bob subscription p1 paused bandwidth"}},
		{Subscribe{Session: "bob", Publications: []string{"p1"}}, []string{
			"tell bob subscription p1 off", "reply ok", "assign 0 to 3/v0 generation 2", "tell bob slot v0 generation 2 ", "tell ann encodings p1 []",
		}},
		{Subscribe{Session: "bob", Publications: []string{"p1"}, Subscribed: true}, []string{
			"tell bob subscription p1 pending", "reply ok", "tell bob subscription p1 active", "assign 2 to 3/v0 generation 3", "tell bob slot v0 generation 3 p1",
			`tell ann encodings p1 [""]`,
		}},
	} {
		s.must(x.command)
		s.transcript(x.want...)
	}
}
