package transport_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

const numberID = 12

// newMeasuredCall is a call whose subscriber gives transport-wide feedback.
func newMeasuredCall(t *testing.T) *call {
	t.Helper()
	c := newCall(t)
	n := videoSlot("3")
	n.Extensions.TransportCC = numberID
	c.sub.transport.Negotiate(start, []sdp.Negotiated{n})
	return c
}

// large is a payload of n bytes that names its packet.
func large(key bool, seq uint16, n int) []byte {
	b := append(payload(key), make([]byte, n)...)
	binary.BigEndian.PutUint16(b[len(b)-2:], seq)
	return b
}

// estimate lets the subscriber say what it can take.
func (c *call) estimate(t *testing.T, now time.Time, bitrate float32) {
	t.Helper()
	b, err := (&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: bitrate, SSRCs: []uint32{5000}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if r := c.sub.sendRTCP(now, b); r != drop.None {
		t.Fatal(r)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Media and repairs have numbers of one sequence, in the order in which they leave.
func TestTransportWideNumbers(t *testing.T) {
	c := newMeasuredCall(t)
	for seq := range uint16(3) {
		c.packet(t, start, 10+seq, mid0, payload(seq == 0))
	}
	c.forward(start)
	c.sub.sendRTCP(start, rtp.AppendNACK(nil, 1, 5000, []uint16{11}))
	c.packet(t, start, 13, mid0, payload(false))
	c.forward(start)
	media, _ := c.sub.received()
	if len(media) != 5 {
		t.Fatalf("%d packets", len(media))
	}
	for i := range media {
		if b := media[i].Extension(numberID); len(b) != 2 || binary.BigEndian.Uint16(b) != uint16(i) {
			t.Errorf("packet %d has number %x", i, b)
		}
	}
}

// listener is the subscriber's end: it notes what arrives and gives feedback.
type listener struct {
	c        *call
	arrivals bwe.Arrivals
	seen     map[uint16]bool
	padding  int
}

// hear takes what has been sent until now.
func (l *listener) hear(t *testing.T, now time.Time) {
	media, _ := l.c.sub.received()
	for i := range media {
		n := binary.BigEndian.Uint16(media[i].Extension(numberID))
		l.seen[n] = true
		l.arrivals.Record(n, now)
		if len(media[i].Payload()) == 0 && media[i].SSRC() == 5001 {
			l.padding++
		}
	}
}

func (l *listener) answer(now time.Time) {
	if b := l.arrivals.AppendFeedback(nil, 1, 5000); len(b) > 0 {
		l.c.sub.sendRTCP(now, b)
	}
}

// listen plays a call of 1.2 Mb/s for d; the publisher's packets that lost names do not arrive.
func listen(t *testing.T, c *call, d time.Duration, lost func(seq uint16) bool) *listener {
	l := &listener{c: c, seen: map[uint16]bool{}}
	seq := uint16(0)
	for at := time.Duration(0); at < d; at += 5 * time.Millisecond {
		now := start.Add(at)
		if at%(25*time.Millisecond) == 0 {
			for range 4 {
				if seq++; !lost(seq) {
					c.packet(t, now, seq, mid0, large(seq == 1, seq, 900))
				}
			}
			c.forward(now)
		}
		if next := c.sub.transport.Next(); !next.After(now) {
			c.sub.transport.Timeout(now, &c.sub.result)
		}
		l.hear(t, now.Add(20*time.Millisecond))
		if at%(50*time.Millisecond) == 0 {
			l.answer(now.Add(3 * time.Millisecond))
		}
	}
	return l
}

// With feedback the estimate grows beyond what is sent, by probes on the RTX stream; what the publisher's network loses changes
// nothing, for it has no number here.
func TestEstimate(t *testing.T) {
	for name, lost := range map[string]func(uint16) bool{
		"clean":      func(uint16) bool { return false },
		"lossy side": func(seq uint16) bool { return seq > 50 && seq%3 == 0 },
	} {
		c := newMeasuredCall(t)
		l := listen(t, c, 6*time.Second, lost)
		rate, known := c.sub.transport.Estimate()
		if !known || rate < 2*bwe.Mbps {
			t.Errorf("%s: %v b/s, known %v", name, rate, known)
		}
		if l.padding == 0 || c.sub.result.Padding != uint64(l.padding) || c.sub.result.Probes == 0 || c.sub.result.Probes > 5 {
			t.Errorf("%s: %d packets of padding, counted %d in %d probes", name, l.padding, c.sub.result.Padding, c.sub.result.Probes)
		}
		for n := range len(l.seen) {
			if !l.seen[uint16(n)] {
				t.Fatalf("%s: number %d is missing", name, n)
			}
		}
	}
}

// Without transport-wide feedback losses are those that receiver reports tell of, less what was never sent.
func TestReceiverReportsCountWhatWasSent(t *testing.T) {
	for name, x := range map[string]struct {
		lostUp, lostDown bool
		low              bool
	}{"uplink": {true, false, false}, "downlink": {false, true, true}} {
		c := newCall(t)
		c.estimate(t, start, 2_000_000)
		highest, lost := uint32(0), int32(0)
		for second := range 3 {
			now := start.Add(time.Duration(second) * time.Second)
			for i := range 100 {
				highest++
				gone := i%3 == 0 && highest > 1
				if gone {
					lost++
				}
				if gone && x.lostUp {
					continue
				}
				c.packet(t, now.Add(time.Duration(i)*5*time.Millisecond), uint16(highest), mid0, large(highest == 1, uint16(highest), 900))
				c.forward(now.Add(time.Duration(i) * 5 * time.Millisecond))
				c.sub.received()
			}
			block := rtp.ReportBlock{SSRC: 5000, Highest: highest, Lost: lost}
			c.sub.sendRTCP(now.Add(900*time.Millisecond), rtp.AppendReceiverReport(nil, 1, []rtp.ReportBlock{block}))
		}
		if rate, _ := c.sub.transport.Estimate(); (rate < 1500*bwe.Kbps) != x.low {
			t.Errorf("%s: %v b/s", name, rate)
		}
	}
}

// A probe begins with what its rate, twice the estimate, brings until the next step, in 5 ms: all that is on the wire counts, headers of IP
// and UDP, extensions and tags, and it is exceeded by less than a packet.
func TestPaddingIsWhatAProbeNeeds(t *testing.T) {
	c := newMeasuredCall(t)
	l := &listener{c: c, seen: map[uint16]bool{}}
	seq, probes := uint16(0), 0
	for at := time.Duration(0); at < 4*time.Second; at += 5 * time.Millisecond {
		now := start.Add(at)
		if at%(25*time.Millisecond) == 0 {
			for range 25 { // 8 Mb/s
				seq++
				c.packet(t, now, seq, mid0, large(seq == 1, seq, 1000))
			}
			c.forward(now)
			l.hear(t, now.Add(20*time.Millisecond))
		}
		if next := c.sub.transport.Next(); !next.After(now) {
			rate, _ := c.sub.transport.Estimate()
			before := c.sub.result
			c.sub.transport.Timeout(now, &c.sub.result)
			if c.sub.result.Probes > before.Probes && 2*rate < 20*bwe.Mbps { // no more is wanted
				probes++
				step, wire, largest := int(2*rate)/8/200, 0, 0
				for _, run := range c.sub.result.Egress.Runs() {
					wire, largest = wire+len(run.B)+28*run.Segments, max(largest, run.Size+28)
				}
				if wire < step || wire >= step+largest {
					t.Errorf("%d bytes for %d at %v b/s, in packets of %d", wire, step, rate, largest)
				}
			}
			l.hear(t, now.Add(20*time.Millisecond))
		}
		if at%(50*time.Millisecond) == 0 {
			l.answer(now.Add(3 * time.Millisecond))
		}
	}
	if rate, _ := c.sub.transport.Estimate(); probes < 4 || rate < 12*bwe.Mbps {
		t.Errorf("%d probes, up to %v b/s", probes, rate)
	}
}

// A probe's padding is bounded, however fast it is meant to be.
func TestPaddingIsBounded(t *testing.T) {
	c := newMeasuredCall(t)
	listen(t, c, time.Second, func(uint16) bool { return false })
	for range 50 {
		before := c.sub.result.Padding
		now := later(start, c.sub.transport.Next()).Add(time.Second) // the loop stood still
		c.sub.transport.Timeout(now, &c.sub.result)
		if n := c.sub.result.Padding - before; n > 128 {
			t.Fatalf("%d packets at once", n)
		}
		c.sub.received()
	}
}
