package route_test

import (
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// choir is a room of microphones, and a subscriber to the last of them.
type choir struct {
	*testing.T
	router   *route.Router
	singers  []*route.Producer
	consumer *route.Consumer
	now      time.Time
	index    []int64
}

func newChoir(t *testing.T, n int) *choir {
	c := &choir{T: t, router: route.NewRouter(), now: start}
	for i := range n {
		p := c.router.Add(route.ProducerConfig{
			ID: uint64(i + 1), Kind: sdp.Audio, Codecs: opus, Extensions: sdp.Extensions{AudioLevel: 1}, Microphone: true, Clock: new(route.Clock),
		})
		c.router.Rank(p.ID(), true)
		c.singers, c.index = append(c.singers, p), append(c.index, 1000)
	}
	c.consumer = route.NewConsumer(sdp.Audio, opus)
	c.consumer.Assign(start, c.singers[n-1], 1)
	c.consumer.Ready(1)
	return c
}

// sing adds a packet of singer i, counted from 0, and returns what became of it.
func (c *choir) sing(i int, index int64, level byte) drop.Reason {
	var in rtp.Packet
	b := rtp.AppendHeader(nil, rtp.Header{PayloadType: 111, SequenceNumber: uint16(index), Timestamp: uint32(index) * 960},
		[]rtp.Extension{{ID: 1, B: []byte{level}}})
	if r := in.Parse(append(b, 0x78, 1, 2)); r != drop.None {
		c.Fatal(r)
	}
	return c.singers[i].Encoding(0).Add(c.now, &in, index)
}

// bar is 20 ms: everybody sends a packet. It returns the headers that the subscriber gets.
func (c *choir) bar(levels ...byte) (got []rtp.Header) {
	c.now = c.now.Add(20 * time.Millisecond)
	for i, level := range levels {
		c.sing(i, c.index[i], level)
		c.index[i]++
	}
	return c.take()
}

func (c *choir) take() (got []rtp.Header) {
	pending := c.singers[len(c.singers)-1].Pending()
	for i := range pending {
		var h rtp.Header
		if _, r := c.consumer.Forward(c.now, &pending[i], &h); r != drop.None {
			c.Fatal(r)
		}
		got = append(got, h)
	}
	c.router.EndBatch()
	return got
}

// Who is not among the loudest costs its subscribers nothing: nothing is pending. When it is heard again, its numbers go on, its
// timestamps jump by the time that passed, and the first packet has the marker bit. Losses stay holes, and packets that come late
// from before have no place.
func TestGateLeavesNoHole(t *testing.T) {
	c := newChoir(t, 4)
	var got []rtp.Header
	phase := func(bars int, levels ...byte) {
		for range bars {
			got = append(got, c.bar(levels...)...)
		}
	}
	phase(5, 80, 80, 80, 20) // the fourth takes the place of somebody who is silent
	c.index[3]++             // a loss
	phase(5, 80, 80, 80, 20)
	phase(100, 20, 20, 20, 80) // and loses it again
	if r := c.sing(3, c.index[3], 80); r != drop.NotLoudest || c.router.Pending() {
		t.Errorf("%v; pending: %v", r, c.router.Pending())
	}
	before := len(got)
	late := c.index[3] - 101
	phase(50, 80, 20, 20, 80)
	phase(5, 80, 20, 20, 20)
	if len(got) != before+5 || before < 10 || before > 60 {
		t.Fatalf("%d packets, then %d", before, len(got)-before)
	}
	for i, h := range got[1:] {
		numbers, ticks, marker := uint16(1), uint32(960), false
		switch i + 1 {
		case 5:
			numbers, ticks = 2, 1920
		case before:
			ticks, marker = uint32(c.index[3]-5)*960-got[i].Timestamp, true
		}
		if h.SequenceNumber-got[i].SequenceNumber != numbers || h.Timestamp-got[i].Timestamp != ticks || h.Marker != marker {
			t.Errorf("packet %d of %d: %+v after %+v", i+1, len(got), h, got[i])
		}
	}
	for _, index := range []int64{late, 1004} {
		if r := c.sing(3, index, 20); r != drop.TooLate {
			t.Errorf("a late packet from before: %v", r)
		}
	}
}

// Who is not ranked passes however loud others are.
func TestRank(t *testing.T) {
	c := newChoir(t, 4)
	for range 50 {
		c.bar(20, 20, 20, 80)
	}
	if len(c.bar(20, 20, 20, 80)) != 0 {
		t.Fatal("heard")
	}
	c.router.Rank(4, false)
	c.router.Rank(99, true)
	if len(c.bar(20, 20, 20, 80)) != 1 {
		t.Error("held back")
	}
	c.router.Rank(4, true)
	if len(c.bar(20, 20, 20, 80)) != 0 {
		t.Error("heard")
	}
}

// A stream that begins anew while it is held back goes on at the next number once it is heard.
func TestGateAndRestart(t *testing.T) {
	c := newChoir(t, 4)
	c.router.Rank(4, false)
	before := c.bar(20, 20, 20, 80)
	c.router.Rank(4, true)
	c.bar(20, 20, 20, 80)
	c.singers[3].Encoding(0).Restart()
	c.index[3] = 7
	c.bar(20, 20, 20, 80)
	c.router.Remove(1) // and so there is a place
	got := c.bar(20, 20, 20, 80)
	if len(got) != 1 || got[0].SequenceNumber != before[0].SequenceNumber+1 {
		t.Errorf("got %+v after %+v", got, before)
	}
}

// Holding back allocates nothing.
func TestGateAllocatesNothing(t *testing.T) {
	c := newChoir(t, 4)
	for range 50 {
		c.bar(20, 20, 20, 20)
	}
	var packets [4]rtp.Packet
	b := rtp.AppendHeader(nil, rtp.Header{PayloadType: 111}, []rtp.Extension{{ID: 1, B: []byte{20}}})
	b = append(b, 0x78, 1, 2)
	n := testing.AllocsPerRun(1000, func() {
		c.now = c.now.Add(20 * time.Millisecond)
		for i, p := range c.singers {
			packets[i].Parse(b)
			p.Encoding(0).Add(c.now, &packets[i], c.index[i])
			c.index[i]++
		}
		c.router.EndBatch()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
