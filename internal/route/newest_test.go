package route_test

import (
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// Who begins to listen gets the newest packet of sound, as the publisher numbered it and without its redundancy, and goes on with
// the next one; a packet that comes late is not the newest.
func TestNewest(t *testing.T) {
	for _, c := range []struct {
		name string
		add  func(r *radio)
	}{
		{"plain", func(r *radio) { r.opus(7); r.opus(9); r.opus(8) }},
		{"with redundancy", func(r *radio) { r.red(7, 0); r.red(9, 1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRadio(t, red, false, opus)
			if _, ok := r.producer.Newest(start); ok {
				t.Error("there is one before the first packet")
			}
			c.add(r)
			r.router.EndBatch()
			p, ok := r.producer.Newest(start)
			if !ok || string(p.Payload) != "f9" || p.Timestamp != 9*960 {
				t.Fatalf("newest is %q at %d, %v", p.Payload, p.Timestamp, ok)
			}
			var h rtp.Header
			if _, reason := r.consumers[0].Forward(start, &p, &h); reason != 0 || h.SequenceNumber != 9 || h.PayloadType != 111 {
				t.Errorf("%v, number %d, payload type %d", reason, h.SequenceNumber, h.PayloadType)
			}
			r.opus(10)
			r.check("10:f10")
		})
	}
}

// Limit: a packet older than newestFor is not sent to who begins to listen, nor one that is too large to be kept, nor one that is
// encrypted end to end, of which nothing is kept.
func TestNewestFor(t *testing.T) {
	r := newRadio(t, opus, false)
	r.opus(7)
	if _, ok := r.producer.Newest(start.Add(60 * time.Millisecond)); !ok {
		t.Error("gone before its time")
	}
	if _, ok := r.producer.Newest(start.Add(61 * time.Millisecond)); ok {
		t.Error("too old")
	}
	r.add(111, 8, 8*960, make([]byte, 401))
	if _, ok := r.producer.Newest(start); ok {
		t.Error("too large")
	}
	r = newRadio(t, opus, true)
	r.opus(7)
	if _, ok := r.producer.Newest(start); ok {
		t.Error("encrypted")
	}
}

// A Router's marks tell who may have something to forward: all whose slots a Producer with packets fills, whatever becomes of them,
// and hardly anybody else.
func TestMarks(t *testing.T) {
	r := newRadio(t, opus, false, opus)
	var others []*route.Producer
	for i := range 70 { // more than there are bits
		others = append(others, r.router.Add(route.ProducerConfig{ID: uint64(2 + i), Kind: sdp.Audio, Codecs: opus, Clock: new(route.Clock)}))
	}
	c := r.consumers[0]
	if r.router.Marks() != 0 || c.Mark() == 0 {
		t.Errorf("marks %x, mark %x before any packet", r.router.Marks(), c.Mark())
	}
	r.opus(7)
	if r.router.Marks() != c.Mark() {
		t.Errorf("marks %x, not %x", r.router.Marks(), c.Mark())
	}
	shared := 0
	for _, p := range others {
		c.Assign(start, p, 2)
		if c.Mark()&r.router.Marks() != 0 {
			shared++
		}
	}
	if shared != 1 {
		t.Errorf("%d others share the mark", shared)
	}
	c.Clear()
	r.router.EndBatch()
	if r.router.Marks() != 0 || c.Mark() != 0 {
		t.Errorf("marks %x, mark %x in the end", r.router.Marks(), c.Mark())
	}
}
