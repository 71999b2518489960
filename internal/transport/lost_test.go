package transport_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// repaired returns the numbers that the RTX packets among media repair.
func repaired(media []rtp.Packet) (numbers []uint16) {
	for i := range media {
		if media[i].SSRC() == 5001 && len(media[i].Payload()) > 2 {
			numbers = append(numbers, binary.BigEndian.Uint16(media[i].Payload()))
		}
	}
	return numbers
}

// What transport-wide feedback says is lost goes out again without being asked for, and again where that is lost too. A request that
// crosses the repair changes nothing, nor does the loss of one of two copies.
func TestFeedbackBringsRepairs(t *testing.T) {
	c := newMeasuredCall(t)
	var arrivals bwe.Arrivals
	now, seq := start, uint16(9)
	// send sends packets of video, and returns what leaves; with d, time passes.
	send := func(d time.Duration, n int) []rtp.Packet {
		now = now.Add(d)
		for range n {
			seq++
			c.packet(t, now, seq, mid0, payload(seq == 10))
		}
		c.forward(now)
		media, _ := c.sub.received()
		return media
	}
	// hear tells that these have arrived, and returns what is sent again.
	hear := func(d time.Duration, numbers ...uint16) []uint16 {
		for _, n := range numbers {
			arrivals.Record(n, now)
		}
		now = now.Add(d)
		c.sub.sendRTCP(now, arrivals.AppendFeedback(nil, 1, 5000))
		media, _ := c.sub.received()
		return repaired(media)
	}
	const ms = time.Millisecond
	send(0, 4) // 0 to 3
	if got := hear(60*ms, 0, 1, 3); len(got) != 1 || got[0] != 12 {
		t.Fatalf("sent again: %v, want 12", got) // as 4
	}
	c.sub.sendRTCP(now.Add(40*ms), rtp.AppendNACK(nil, 1, 5000, []uint16{12}))
	if media, _ := c.sub.received(); len(media) != 0 {
		t.Errorf("sent again for a request that crossed the repair: %v", repaired(media))
	}
	send(80*ms, 1) // 5
	if got := hear(60*ms, 5); len(got) != 2 || got[0] != 12 || got[1] != 12 {
		t.Fatalf("sent again: %v, want 12 two times", got) // as 6 and 7
	}
	send(80*ms, 1) // 8
	if got := hear(60*ms, 6, 8); len(got) != 0 {
		t.Errorf("sent again: %v, but one of two copies has arrived", got)
	}
}

// Repairs that feedback brings are bounded as those that are asked for, and what is refused is counted.
func TestRepairsOfFeedbackAreBounded(t *testing.T) {
	c := newMeasuredCall(t)
	const packets, bytes = 201, 1000
	for seq := range uint16(packets) {
		c.packet(t, start, 10+seq, mid0, large(seq == 0, seq, bytes))
	}
	c.forward(start)
	if media, _ := c.sub.received(); len(media) != packets {
		t.Fatalf("%d packets are sent", len(media))
	}
	var arrivals bwe.Arrivals
	arrivals.Record(0, start)
	arrivals.Record(packets-1, start)
	before := c.sub.drops
	c.sub.sendRTCP(start.Add(60*time.Millisecond), arrivals.AppendFeedback(nil, 1, 5000))
	media, _ := c.sub.received()
	sent, refused := len(repaired(media)), int(c.sub.drops[drop.NackTooOften]-before[drop.NackTooOften])
	if sent+refused != packets-2 || refused == 0 || sent < (128<<10)/bytes/2 || sent > (128<<10)/bytes {
		t.Errorf("%d are sent again and %d refused, of %d", sent, refused, packets-2)
	}
}

// A repair that the client's own request has brought is not made again because feedback, later, tells of the loss that it is for; where the repair
// is lost too, feedback brings another one.
func TestRepairIsMadeOnce(t *testing.T) {
	c := newMeasuredCall(t)
	var arrivals bwe.Arrivals
	for seq := range uint16(4) {
		c.packet(t, start, 10+seq, mid0, payload(seq == 0))
	}
	c.forward(start)
	c.sub.received() // 0 to 3
	at := func(d time.Duration, rtcp []byte) []uint16 {
		c.sub.sendRTCP(start.Add(d), rtcp)
		media, _ := c.sub.received()
		return repaired(media)
	}
	hear := func(d time.Duration, numbers ...uint16) []uint16 {
		for _, n := range numbers {
			arrivals.Record(n, start.Add(d))
		}
		return at(d, arrivals.AppendFeedback(nil, 1, 5000))
	}
	const ms = time.Millisecond
	asked := rtp.AppendNACK(nil, 1, 5000, []uint16{11, 12})
	if got := at(30*ms, asked); len(got) != 2 {
		t.Fatalf("asked for two, sent %v", got) // as 4 and 5
	}
	refused := c.sub.drops[drop.NackTooOften]
	if got := hear(200*ms, 0, 3, 4); len(got) != 0 || c.sub.drops[drop.NackTooOften] != refused+2 {
		t.Errorf("made again: %v", got)
	}
	c.packet(t, start.Add(210*ms), 14, mid0, payload(false))
	c.forward(start.Add(210 * ms))
	c.sub.received() // 6
	if got := hear(400*ms, 6); len(got) == 0 || got[0] != 12 {
		t.Errorf("the repair was lost, and sent again is %v, want 12", got)
	}
}
