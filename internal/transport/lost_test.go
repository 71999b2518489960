package transport_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
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
