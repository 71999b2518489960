package transport_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// interval is between two pictures.
const interval = 50 * time.Millisecond

// step is what the subscriber says that it can take, for so long, and what it is sent of each picture in most of the second half of that
// time: the number of packets with a payload of more than 500 bytes, and of others.
type step struct {
	kbps         float32 // 0: it says nothing
	d            time.Duration
	large, small int
}

// watch plays steps. show publishes a picture. It returns how often the subscriber was sent nothing of one, and whether the room was told
// that something starves.
func (c *call) watch(t *testing.T, show func(now time.Time), steps ...step) (nothing int, starved bool) {
	t.Helper()
	now := start
	for _, x := range steps {
		got, right := map[string]int{}, 0
		for n := time.Duration(0); n < x.d; n, now = n+interval, now.Add(interval) {
			c.sub.check(now)
			show(now)
			c.router.Settle(now)
			c.forward(now)
			c.sub.transport.Timeout(now, &c.sub.result)
			if x.kbps > 0 {
				c.estimate(t, now, x.kbps*1000)
			}
			large, small := c.took()
			if large+small == 0 && now.Sub(start) > time.Second {
				nothing++
			}
			if n < x.d/2 {
				continue
			}
			got[fmt.Sprintf("%d+%d", large, small)]++
			if large == x.large && small == x.small {
				right++
			}
		}
		if right < int(x.d/interval/2)*2/3 {
			t.Errorf("at %v kb/s: %d pictures are as they should be, of %v", x.kbps, right, got)
		}
	}
	return nothing, c.sub.result.Starved
}

// took counts packets that the subscriber got.
func (c *call) took() (large, small int) {
	media, _ := c.sub.received()
	for i := range media {
		switch n := len(media[i].Payload()); {
		case n > 500:
			large++
		case n > 0:
			small++
		}
	}
	return large, small
}

// clock returns the RTP timestamp of a time.
func clock(now time.Time) uint32 { return uint32(now.Sub(start) / time.Millisecond * 90) }

// cameras returns what publishes a picture in two encodings: 85 kb/s with headers, and 860.
func (c *call) cameras(t *testing.T) func(now time.Time) {
	seq := [2]uint16{}
	return func(now time.Time) {
		for i, x := range []struct {
			ssrc           uint32
			rid            string
			packets, bytes int
		}{{80, "q", 1, 450}, {70, "f", 5, 1000}} {
			for n := range x.packets {
				seq[i]++
				b := append(payload(true), make([]byte, x.bytes)...)
				if n > 0 {
					b[0] &^= 0x10 // not the start of the frame
				}
				h := rtp.Header{PayloadType: 96, SequenceNumber: seq[i], Timestamp: clock(now), SSRC: x.ssrc, Marker: n == x.packets-1}
				if r := c.pub.send(now, h, of(x.rid), b); r != drop.None {
					t.Fatal(r)
				}
			}
		}
	}
}

// A client that tells nothing but its own estimate cannot be tried with padding. It is sent the encoding that fits, keeps the lowest one
// however little it says, and is sent the largest again when it says more.
func TestPortionsByREMB(t *testing.T) {
	c, _ := simulcast(t)
	nothing, starved := c.watch(t, c.cameras(t),
		step{0, 4 * time.Second, 5, 0}, step{300, 60 * time.Second, 0, 1}, step{20, 60 * time.Second, 0, 1}, step{3000, 90 * time.Second, 5, 0})
	if nothing > 0 || starved {
		t.Errorf("%d pictures without a packet; starved: %v", nothing, starved)
	}
}

// Where not everything fits, the larger of two places gets more, also where of the smaller one only one side is told.
func TestPortionsBySize(t *testing.T) {
	c, p := simulcast(t)
	other := videoSlot("4")
	other.SSRC, other.RTXSSRC = 6000, 6001
	c.sub.transport.Negotiate(start, []sdp.Negotiated{videoSlot("3"), other})
	c.sub.transport.Assign(start, "4", p, 1, true)
	c.sub.transport.Prefer(start, "3", route.Want{Width: 700, Priority: 100})
	c.sub.transport.Prefer(start, "4", route.Want{Width: 1280, Height: 720, Priority: 100})
	show := c.cameras(t)
	c.watch(t, show, step{0, 4 * time.Second, 10, 0}, step{1100, 3 * time.Second, 5, 1}) // later, more is tried
	now := start.Add(7 * time.Second)
	show(now)
	c.forward(now)
	media, _ := c.sub.received()
	for i := range media {
		if n := len(media[i].Payload()); n > 500 && media[i].SSRC() != other.SSRC {
			t.Errorf("%d bytes for the smaller place", n)
		}
	}
}

// newSVC is a call whose publisher sends VP9.
func newSVC(t *testing.T) *call {
	c := &call{router: route.NewRouter(), pub: connect(t), sub: connect(t)}
	section, slot := videoSection("0"), videoSlot("3")
	section.Codecs = []sdp.Codec{{Name: "vp9", PayloadType: 96, ClockRate: 90000, RTX: 97}}
	slot.Codecs = []sdp.Codec{{Name: "vp9", PayloadType: 120, ClockRate: 90000, RTX: 121}}
	c.pub.transport.Negotiate(start, []sdp.Negotiated{section})
	c.sub.transport.Negotiate(start, []sdp.Negotiated{slot})
	p := c.router.Add(route.ProducerConfig{
		ID: 1, Kind: sdp.Video, Codecs: section.Codecs, Extensions: section.Extensions, Clock: c.pub.transport.Clock(),
	})
	c.pub.transport.Publish("0", p)
	c.sub.transport.Assign(start, "3", p, 1, true)
	return c
}

// spatial returns what publishes a key picture in three spatial layers of one stream (RFC 9628 §4.2): 85, 175 and 690 kb/s.
func (c *call) spatial(t *testing.T) func(now time.Time) {
	const pictureID, layers, begins, ends = 0x80, 0x20, 0x08, 0x04
	seq, picture := uint16(0), 0
	return func(now time.Time) {
		picture++
		for s, x := range []struct{ packets, bytes int }{{1, 450}, {1, 1000}, {4, 1000}} {
			for n := range x.packets {
				first, last := n == 0, n == x.packets-1
				b := []byte{pictureID | layers, 0x80 | byte(picture>>8)&0x7f, byte(picture), byte(s)<<1 | byte(min(s, 1)), byte(picture)}
				if first {
					b[0] |= begins
				}
				if last {
					b[0] |= ends
				}
				seq++
				h := rtp.Header{PayloadType: 96, SequenceNumber: seq, Timestamp: clock(now), SSRC: 77, Marker: last && s == 2}
				if r := c.pub.send(now, h, mid0, append(b, make([]byte, x.bytes)...)); r != drop.None {
					t.Fatal(r)
				}
			}
		}
	}
}

// Of a publisher that sends spatial layers in one stream, as many are sent as fit. A layer costs what it takes with those below.
func TestPortionsOfSVC(t *testing.T) {
	c := newSVC(t)
	nothing, starved := c.watch(t, c.spatial(t),
		step{0, 4 * time.Second, 5, 1}, step{400, 60 * time.Second, 1, 1}, step{30, 60 * time.Second, 0, 1}, step{4000, 90 * time.Second, 5, 1})
	if nothing > 0 || starved {
		t.Errorf("%d pictures without a packet; starved: %v", nothing, starved)
	}
}

// narrow is a link to the subscriber, which says when what arrives.
type narrow struct {
	c        *call
	rate     bwe.Bitrate
	free     time.Time // when all that was sent has arrived
	flying   []flying
	arrivals bwe.Arrivals
	pictures int // that were sent
}

type flying struct {
	number uint16
	at     time.Time
}

// carry plays pictures for d and feedback about them, until done.
func (l *narrow) carry(t *testing.T, now time.Time, d time.Duration, show func(time.Time), done func() bool) time.Time {
	t.Helper()
	for end := now.Add(d); now.Before(end) && !done(); now = now.Add(interval / 5) {
		l.c.sub.check(now)
		if now.Sub(start)%interval == 0 {
			show(now)
		}
		l.c.router.Settle(now)
		l.c.forward(now)
		l.c.sub.transport.Timeout(now, &l.c.sub.result)
		media, _ := l.c.sub.received()
		for i := range media {
			if len(media[i].Payload()) > 0 && media[i].Marker() {
				l.pictures++
			}
			l.free = later(l.free, now).Add(time.Duration(len(media[i].Payload())+60) * 8 * time.Second / time.Duration(l.rate))
			if l.free.Sub(now) < time.Second { // else the queue is full
				l.flying = append(l.flying, flying{binary.BigEndian.Uint16(media[i].Extension(numberID)), l.free})
			}
		}
		for len(l.flying) > 0 && l.flying[0].at.Before(now) {
			l.arrivals.Record(l.flying[0].number, l.flying[0].at)
			l.flying = l.flying[1:]
		}
		if b := l.arrivals.AppendFeedback(nil, 1, 5000); len(b) > 0 && now.Sub(start)%interval == 0 {
			l.c.sub.sendRTCP(now, b)
		}
	}
	if !done() {
		t.Error("it has not come to that")
	}
	return now
}

// camera returns what publishes a picture of so many packets.
func (c *call) camera(t *testing.T, packets, bytes int) func(now time.Time) {
	seq := uint16(0)
	return func(now time.Time) {
		for n := range packets {
			seq++
			b := append(payload(true), make([]byte, bytes)...)
			if n > 0 {
				b[0] &^= 0x10 // not the start of the frame
			}
			h := rtp.Header{PayloadType: 96, SequenceNumber: seq, Timestamp: clock(now), SSRC: 77, Marker: n == packets-1}
			if r := c.pub.send(now, h, mid0, b); r != drop.None {
				t.Fatal(r)
			}
		}
	}
}

// refill has another publisher fill the subscriber's slot.
func (c *call) refill(t *testing.T, now time.Time, id uint64) *call {
	t.Helper()
	next := &call{router: c.router, pub: connect(t), sub: c.sub}
	next.pub.transport.Negotiate(now, []sdp.Negotiated{videoSection("0")})
	n, _ := next.pub.transport.Section("0")
	p := c.router.Add(route.ProducerConfig{
		ID: id, Kind: n.Kind, Codecs: n.Codecs, Extensions: n.Extensions, Clock: next.pub.transport.Clock(),
	})
	next.pub.transport.Publish("0", p)
	c.sub.transport.Assign(now, "3", p, id, true)
	return next
}

// What fills a slot next is judged by itself: the room is told that nothing starves any more, and a picture for which there is room is sent
// at once, although the one before would have had to wait.
func TestPortionsOfRefilledSlot(t *testing.T) {
	c := newMeasuredCall(t)
	link := &narrow{c: c, rate: 150 * bwe.Kbps}
	told := func(want ...uint64) func() bool {
		return func() bool { return c.sub.result.Starved && slices.Equal(c.sub.transport.Starved(nil), want) }
	}
	now := link.carry(t, start, 30*time.Second, c.camera(t, 6, 1000), told(1))

	c.sub.result.Starved = false
	small := c.refill(t, now, 2).camera(t, 1, 200)
	if now = link.carry(t, now, 300*time.Millisecond, small, told()); t.Failed() {
		return
	}
	before := link.pictures
	now = link.carry(t, now, 300*time.Millisecond, small, func() bool { return link.pictures == before+3 })

	c.sub.result.Starved = false
	link.carry(t, now, 10*time.Second, c.refill(t, now, 3).camera(t, 6, 1000), told(3))
}

// To divide the bandwidth, of which there is too little, allocates nothing.
func TestPortionsAllocateNothing(t *testing.T) {
	c, _ := simulcast(t)
	c.watch(t, c.cameras(t), step{0, 4 * time.Second, 5, 0}, step{300, 60 * time.Second, 0, 1})
	now := start.Add(64 * time.Second)
	c.sub.check(now)
	const runs, divisions = 12, 4 // within 10 s, for there must be consent
	const rate = 60_000           // less than the pictures take, so that it is divided each time
	var packets, estimates [(runs + 1) * divisions][]byte
	remb, err := (&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: rate, SSRCs: []uint32{5000}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		packets[i], estimates[i] = make([]byte, 2048), make([]byte, 2048)
		h := rtp.Header{PayloadType: 96, SequenceNumber: 20000 + uint16(i), Timestamp: clock(now) + uint32(i)*18000, SSRC: 80, Marker: true}
		plain := append(payload(true), make([]byte, 1900)...)
		packets[i] = packets[i][:c.pub.out.Source(80).SealRTP(packets[i], rtp.AppendHeader(nil, h, nil), plain)]
		estimates[i] = estimates[i][:c.sub.out.SealRTCP(estimates[i], remb)]
	}
	i := 0
	divide := func() {
		now = now.Add(200 * time.Millisecond) // longer than between two divisions
		if r := c.pub.transport.Handle(now, &datagram.Datagram{Pair: pair, B: packets[i]}, &c.pub.result); r != drop.None {
			t.Fatal(r)
		}
		c.router.Settle(now)
		c.forward(now)
		if r := c.sub.transport.Handle(now, &datagram.Datagram{Pair: pair, B: estimates[i]}, &c.sub.result); r != drop.None {
			t.Fatal(r)
		}
		c.sub.result.Egress.Reset()
		i++
	}
	if n := testing.AllocsPerRun(runs, func() {
		for range divisions {
			divide()
		}
	}); n != 0 {
		t.Errorf("%v allocations in %d divisions", n, divisions)
	}
}
