package transport_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/pacer"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
)

// narrowCall is a call whose subscriber is behind a path of pathRate, of which it tells by feedback.
type narrowCall struct {
	*call
	t        *testing.T
	now      time.Time
	seq      uint16
	free     time.Time // when all that was sent has passed the path
	flying   []passing
	arrivals bwe.Arrivals
	media    []rtp.Packet // that the Transport has sent, without padding and repairs
	repairs  int
	answered time.Time
}

type passing struct {
	number uint16
	at     time.Time
}

const pathRate = bwe.Mbps

// newNarrowCall is a call that has been sent more than its path carries until the Transport has found out.
func newNarrowCall(t *testing.T) *narrowCall {
	c := &narrowCall{call: newMeasuredCall(t), t: t, now: start}
	for i := range 120 { // 3 s at 1.2 Mb/s
		c.burst(i == 0, 4)
		c.pass(25 * time.Millisecond)
	}
	for range 160 { // 4 s at half of that: the picture that was paused comes back
		c.media = nil
		c.burst(true, 2)
		c.pass(25 * time.Millisecond)
	}
	if rate, known := c.sub.transport.Estimate(); !known || rate > pathRate*5/4 || len(c.media) != 2 {
		t.Fatalf("estimate %d, known %v, %d packets", rate, known, len(c.media))
	}
	c.media, c.sub.result.Waited, c.sub.drops = nil, 0, drop.Counts{}
	return c
}

// burst lets so many packets of 900 bytes come from the publisher, and forwards them.
func (c *narrowCall) burst(key bool, n int) {
	c.t.Helper()
	for range n {
		c.seq++
		c.packet(c.t, c.now, c.seq, mid0, large(key, c.seq, 900))
	}
	c.forward(c.now)
}

// pass lets time pass in steps of a millisecond.
func (c *narrowCall) pass(d time.Duration) {
	for end := c.now.Add(d); c.now.Before(end); c.now = c.now.Add(time.Millisecond) {
		if next := c.sub.transport.Next(); !next.IsZero() && !next.After(c.now) {
			c.sub.transport.Timeout(c.now, &c.sub.result)
		}
		c.carry()
		for len(c.flying) > 0 && !c.flying[0].at.After(c.now) {
			c.arrivals.Record(c.flying[0].number, c.flying[0].at)
			c.flying = c.flying[1:]
		}
		if c.now.Sub(c.answered) >= 50*time.Millisecond {
			c.answered = c.now
			if b := c.arrivals.AppendFeedback(nil, 1, 5000); len(b) > 0 {
				c.sub.sendRTCP(c.now, b)
			}
		}
		if c.now.Sub(start)%(5*time.Second) == 0 {
			c.sub.check(c.now)
		}
	}
}

// carry gives the path what the Transport has sent.
func (c *narrowCall) carry() {
	media, _ := c.sub.received()
	for _, p := range media {
		c.free = later(c.free, c.now).Add(time.Duration(len(p.Bytes())+50) * 8 * time.Second / time.Duration(pathRate))
		c.flying = append(c.flying, passing{binary.BigEndian.Uint16(p.Extension(numberID)), c.free.Add(20 * time.Millisecond)})
		switch {
		case p.SSRC() == 5000:
			c.media = append(c.media, p)
		case len(p.Payload()) > 0:
			c.repairs++
		}
	}
}

// A key frame leaves no faster than its path carries, in order and whole; before anything shows that the path is narrow, at once.
func TestKeyFrameIsPaced(t *testing.T) {
	c := newMeasuredCall(t)
	for seq := range uint16(40) {
		c.packet(t, start, 1+seq, mid0, large(true, 1+seq, 900))
	}
	c.forward(start)
	if media, _ := c.sub.received(); len(media) != 40 {
		t.Errorf("%d of 40 packets left at once", len(media))
	}
	n := newNarrowCall(t)
	begin, first := n.now, n.seq+1
	n.burst(true, 40) // 300 ms at the path's rate
	n.carry()
	if len(n.media) > 5 {
		t.Errorf("%d of 40 packets left at once on a narrow path", len(n.media))
	}
	for len(n.media) < 40 && n.now.Sub(begin) < time.Second {
		n.pass(time.Millisecond)
	}
	if took := n.now.Sub(begin); took < 150*time.Millisecond || took > 450*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	for i, p := range n.media {
		b := p.Payload()
		if got := binary.BigEndian.Uint16(b[len(b)-2:]); got != first+uint16(i) || p.SequenceNumber() != n.media[0].SequenceNumber()+uint16(i) {
			t.Fatalf("packet %d is %d with number %d", i, got, p.SequenceNumber())
		}
	}
	if got := n.sub.result.Waited; got < 35 || got > 120 {
		t.Errorf("%d packets waited", got)
	}
	if n.sub.drops[drop.Paced] != 0 {
		t.Errorf("drops %v", n.sub.drops)
	}
}

// What has waited for too long is dropped, and so is what cannot be decoded without it; a key frame is asked for, and all goes on with that.
func TestWhatWaitsTooLongIsDropped(t *testing.T) {
	for name, wait := range map[string]func(*narrowCall){
		"a full queue": func(n *narrowCall) { n.burst(false, 600) },
		"time that is lost": func(n *narrowCall) {
			n.burst(false, 40)
			n.now = n.now.Add(pacer.MaxAge + 100*time.Millisecond)
		},
	} {
		n := newNarrowCall(t)
		n.router.KeyFrameRequests(n.now, nil)
		wait(n)
		n.pass(time.Millisecond)
		if n.sub.drops[drop.Paced] < 20 {
			t.Errorf("%s: %d dropped", name, n.sub.drops[drop.Paced])
		}
		if len(n.router.KeyFrameRequests(n.now, nil)) != 1 {
			t.Errorf("%s: no key frame is asked for", name)
		}
		n.media = nil
		n.burst(false, 4)
		n.pass(100 * time.Millisecond)
		if len(n.media) != 0 {
			t.Errorf("%s: %d packets that cannot be decoded", name, len(n.media))
		}
		for range 200 { // a flood looks as if the picture had grown, for some seconds
			n.burst(true, 2)
			n.pass(25 * time.Millisecond)
		}
		if len(n.media) < 50 {
			t.Errorf("%s: nothing comes after a key frame", name)
		}
	}
}

// A key frame that takes a path more than a second arrives whole, and is asked for once.
func TestLargeKeyFrameArrives(t *testing.T) {
	n := newNarrowCall(t)
	n.router.KeyFrameRequests(n.now, nil)
	n.burst(true, 1)
	n.burst(false, 120)
	n.pass(1600 * time.Millisecond)
	if len(n.media) != 121 || n.sub.drops[drop.Paced] != 0 {
		t.Errorf("%d of 121 packets came; %v", len(n.media), n.sub.drops)
	}
	if len(n.router.KeyFrameRequests(n.now, nil)) != 0 {
		t.Error("another key frame is asked for")
	}
}

// What waits of a picture that is paused, or of a source that has ended, is dropped at once, and takes no room from others.
func TestWhatIsOfNoUseDoesNotWait(t *testing.T) {
	n := newNarrowCall(t)
	n.burst(false, 40)
	n.sub.transport.Prefer(n.now, "3", route.Want{Paused: true})
	n.pass(20 * time.Millisecond)
	if dropped := n.sub.drops[drop.Paced]; int(dropped)+len(n.media) != 40 || dropped < 30 {
		t.Errorf("%d dropped, %d sent", dropped, len(n.media))
	}
}

// What was dropped is not sent when it is asked for, though the publisher's cache has it.
func TestWhatIsDroppedIsNotRepaired(t *testing.T) {
	n := newNarrowCall(t)
	n.burst(false, 40)
	n.carry()
	front := n.media[len(n.media)-1].SequenceNumber()
	n.now = n.now.Add(pacer.MaxAge + 100*time.Millisecond)
	n.pass(time.Millisecond)
	n.burst(true, 4)
	n.pass(200 * time.Millisecond)
	n.repairs = 0
	n.sub.sendRTCP(n.now, rtp.AppendNACK(nil, 1, 5000, numbers(front+15, 10)))
	n.carry()
	if n.repairs != 0 {
		t.Errorf("%d repairs of what was dropped", n.repairs)
	}
}

// Repairs do not wait, but they are no more than the path carries: what is beyond is asked for again.
func TestRepairsArePaced(t *testing.T) {
	n := newNarrowCall(t)
	n.burst(false, 4)
	n.pass(100 * time.Millisecond)
	last := n.media[len(n.media)-1].SequenceNumber()
	n.sub.sendRTCP(n.now, rtp.AppendNACK(nil, 1, 5000, numbers(last-50, 50)))
	n.carry()
	if n.repairs < 3 || n.repairs > 12 { // 50 ms at the path's rate, and a burst
		t.Errorf("%d repairs at once", n.repairs)
	}
}
