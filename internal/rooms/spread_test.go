package rooms

import (
	"fmt"
	"slices"
	"testing"

	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/room"
	"github.com/parley-rtc/parley/internal/sdp"
)

// crowd is a room whose Transports are placed; it notes what the shards are told.
type crowd struct {
	*testing.T
	actor *actor // for its translation alone
	*spread
	last   uint64
	orders []string
}

func newCrowd(t *testing.T, shards, from int) *crowd {
	p := newPlaces(shards)
	return &crowd{T: t, actor: &actor{id: 1}, spread: newSpread(1, p, from)}
}

func (c *crowd) do(e room.Effect) {
	for _, o := range c.spread.orders(e, c.actor.translate(e)) {
		c.note(o)
	}
}

func (c *crowd) note(o order) {
	text := fmt.Sprintf("%d: %T", o.shard, o.command)
	switch x := o.command.(type) {
	case media.Span:
		text = fmt.Sprintf("%d: span %v", o.shard, x.Shards)
	case media.Mirror:
		text = fmt.Sprintf("%d: mirror %d of %d on m-line %s", o.shard, x.Producer, x.Shard, x.Section.Mid)
	case media.Rank:
		text = fmt.Sprintf("%d: rank %d %v", o.shard, x.Producer, x.Ranked)
	case media.OpenTransport:
		text = fmt.Sprintf("%d: open %d", o.shard, x.Transport)
	case media.CloseTransport:
		text = fmt.Sprintf("%d: close %d", o.shard, x.Transport)
	case media.Publish:
		text = fmt.Sprintf("%d: publish %d", o.shard, x.Producer)
	case media.Unpublish:
		text = fmt.Sprintf("%d: unpublish %d", o.shard, x.Producer)
	case media.Assign:
		text = fmt.Sprintf("%d: assign %d", o.shard, x.Producer)
	}
	c.orders = append(c.orders, text)
}

// told checks what the shards were told since the last time.
func (c *crowd) told(want ...string) {
	c.Helper()
	if !slices.Equal(c.orders, want) {
		c.Errorf("told %q, want %q", c.orders, want)
	}
	c.orders = nil
}

// open opens a Transport where it belongs, and returns it.
func (c *crowd) open() uint64 {
	c.last++
	c.do(room.OpenTransport{Transport: c.last, Shard: c.place()})
	return c.last
}

func (c *crowd) publish(transport uint64, mid string, microphone bool) uint64 {
	c.last++
	c.do(room.StartProducer{Transport: transport, Mid: mid, Section: sdp.Negotiated{Mid: mid}, Producer: c.last, Microphone: microphone})
	return c.last
}

// Rule: a room stays at home until it fills so many slots there; then it goes on to one other shard, and fills that as far, before it
// goes where the load is least.
func TestPlace(t *testing.T) {
	c := newCrowd(t, 3, 4)
	c.places.add(1, 100) // others are there
	var got []int
	for range 12 {
		id := c.open()
		for _, mid := range []string{"a", "v"} {
			c.do(room.Assign{Transport: id, Mid: mid, Producer: 1})
			c.do(room.Assign{Transport: id, Mid: mid, Producer: 2}) // still one slot
		}
		got = append(got, c.transports[media.TransportID(id)].shard)
	}
	if want := []int{0, 0, 2, 2, 2, 0, 2, 0, 2, 0, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for id := range c.transports {
		c.do(room.CloseTransport{Transport: uint64(id)})
	}
	c.end()
	if want := []int{0, 100, 0}; !slices.Equal(c.places.load, want) {
		t.Errorf("load %v is left", c.places.load)
	}
}

// Rule: of a room on one shard, only that shard is told anything, and nothing of shards.
func TestAtHome(t *testing.T) {
	c := newCrowd(t, 2, 100)
	ann, bob := c.open(), c.open()
	p := c.publish(ann, "0", true)
	c.do(room.Rank{Producer: p, Ranked: true})
	c.do(room.Assign{Transport: bob, Mid: "2", Producer: p})
	c.do(room.StopProducer{Producer: p})
	c.do(room.CloseTransport{Transport: ann})
	c.told("0: open 1", "0: open 2", "0: publish 3", "0: rank 3 true", "0: assign 3", "0: unpublish 3", "0: close 1")
}

// Rule: a shard that the room comes to learns of the others and of all microphones; a slot that is filled from elsewhere has its mirror
// first; a shard that nobody is left on is told nothing more.
func TestOnTwoShards(t *testing.T) {
	c := newCrowd(t, 2, 1)
	ann := c.open()
	microphone, camera := c.publish(ann, "0", true), c.publish(ann, "1", false)
	c.do(room.Rank{Producer: microphone, Ranked: true})
	c.do(room.Assign{Transport: ann, Mid: "9", Producer: camera})
	c.orders = nil
	bob := c.open()
	c.told("1: open 4", "0: span [0 1]", "1: span [0 1]", "1: mirror 2 of 0 on m-line 0", "1: rank 2 true")
	c.do(room.Assign{Transport: bob, Mid: "2", Producer: microphone})
	c.do(room.Assign{Transport: bob, Mid: "3", Producer: camera})
	c.do(room.Assign{Transport: bob, Mid: "3"})
	c.told("1: mirror 2 of 0 on m-line 0", "1: assign 2", "1: mirror 3 of 0 on m-line 1", "1: assign 3", "1: assign 0")
	theirs := c.publish(bob, "0", true)
	c.do(room.Rank{Producer: theirs, Ranked: true})
	c.do(room.Assign{Transport: ann, Mid: "2", Producer: theirs})
	c.told("1: publish 5", "0: mirror 5 of 1 on m-line 0", "0: rank 5 true", "1: rank 5 true", "0: mirror 5 of 1 on m-line 0", "0: assign 5")
	c.do(room.StopProducer{Producer: microphone})
	c.do(room.StopProducer{Producer: microphone})
	c.do(room.CloseTransport{Transport: ann})
	c.told("0: unpublish 2", "0: close 1", "1: span [1]")
	c.do(room.CloseTransport{Transport: bob})
	c.do(room.CloseTransport{Transport: bob})
	c.told("1: close 4")
}

// Rule: where a Transport has failed that was the last on its shard, the shard has forgotten the room; one that was opened there before
// that was heard of makes it learn everything again.
func TestFailedElsewhere(t *testing.T) {
	c := newCrowd(t, 2, 1)
	ann := c.open()
	c.publish(ann, "0", true)
	c.do(room.Assign{Transport: ann, Mid: "9", Producer: 99})
	bob, cid := c.open(), c.open()
	c.orders = nil
	c.failedNow(bob)
	c.told("1: span [0 1]", "1: mirror 2 of 0 on m-line 0", "1: rank 2 false")
	c.failedNow(bob)
	c.told()
	c.failedNow(cid)
	c.told("0: span [0]")
	c.do(room.CloseTransport{Transport: cid})
	c.do(room.CloseTransport{Transport: bob})
	c.told("1: close 4", "1: close 3")
}

func (c *crowd) failedNow(id uint64) {
	for _, o := range c.failed(media.TransportID(id)) {
		c.note(o)
	}
}
