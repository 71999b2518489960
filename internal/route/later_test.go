package route_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
)

// What had to wait is rendered as it would have been at once, as long as its source flows and it has not been forgotten.
func TestLater(t *testing.T) {
	r := route.NewRouter()
	p := video(r, 1)
	c := assigned(start, p)
	add(t, p, 1, frame(1, 9000, 7, true, true))
	add(t, p, 2, frame(2, 9000, 7, false, true))
	add(t, p, 3, frame(3, 12000, 8, true, false))
	var (
		headers  []rtp.Header
		payloads [][]byte
	)
	for i := range p.Pending() {
		var h rtp.Header
		packet := &p.Pending()[i]
		if _, reason := c.Forward(start, packet, &h); reason != drop.None {
			t.Fatal(reason)
		}
		headers, payloads = append(headers, h), append(payloads, bytes.Clone(packet.Payload))
	}
	r.EndBatch()
	buf := make([]byte, route.RepairBytes)
	for i, want := range headers {
		var (
			packet route.Packet
			h      rtp.Header
		)
		if empty, reason := c.Later(want.SequenceNumber, buf, &packet, &h); empty || reason != drop.None || h != want || !bytes.Equal(packet.Payload, payloads[i]) {
			t.Errorf("packet %d: %v %+v %x, want %+v %x", i, reason, h, packet.Payload, want, payloads[i])
		}
	}
	_, before := c.Sent()
	c.Forget(headers[2].SequenceNumber, len(payloads[2]))
	if _, after := c.Sent(); after != before-1 {
		t.Errorf("%d packets were sent, and %d when one was forgotten", before, after)
	}
	var (
		packet route.Packet
		h      rtp.Header
	)
	for _, at := range []time.Duration{100 * time.Millisecond, 3 * time.Second} {
		if reason := c.Resend(start.Add(at), headers[2].SequenceNumber, 0, buf, &packet, &h); reason == drop.None {
			t.Errorf("what was forgotten is sent again after %v", at)
		}
	}
	c.Restart()
	if _, reason := c.Later(headers[1].SequenceNumber, buf, &packet, &h); reason != drop.TooLate {
		t.Errorf("%v of a source that does not flow", reason)
	}
	add(t, p, 4, frame(4, 15000, 9, true, false))
	add(t, p, 5, frame(5, 18000, 10, true, true))
	got := flow(start, r, c)
	if got[0].reason != drop.NoKeyFrame || got[1].reason != drop.None || got[1].seq != headers[2].SequenceNumber+1 {
		t.Errorf("after a restart: %+v", got)
	}
	if _, reason := c.Later(headers[1].SequenceNumber, buf, &packet, &h); reason != drop.TooLate {
		t.Errorf("%v of the source before", reason)
	}
}
