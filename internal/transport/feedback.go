package transport

import (
	"encoding/binary"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/rtp"
)

// feedback tells the client when its packets arrived, so that it knows how fast it may send (transport-wide congestion
// control). One numbering covers all its streams.
type feedback struct {
	id       uint8 // header extension; 0: not negotiated
	arrivals bwe.Arrivals
	media    uint32    // an SSRC that the feedback is about
	next     time.Time // zero: nothing has arrived since the last one
}

func transportCC(sections map[string]*section) uint8 {
	for _, s := range sections {
		if id := s.neg.Extensions.TransportCC; id != 0 {
			return id
		}
	}
	return 0
}

func (f *feedback) record(now, arrived time.Time, p *rtp.Packet) {
	if f.id == 0 {
		return
	}
	number := p.Extension(f.id)
	if len(number) != 2 {
		return
	}
	f.arrivals.Record(binary.BigEndian.Uint16(number), arrived)
	f.media = p.SSRC()
	if f.next.IsZero() {
		f.next = now.Add(feedbackInterval)
	}
}

func (t *Transport) sendFeedback(now time.Time, out *Out) {
	f := &t.feedback
	if f.next.IsZero() || now.Before(f.next) {
		return
	}
	f.next = time.Time{}
	head := t.feedbackHead()
	t.rtcp = f.arrivals.AppendFeedback(head, t.cfg.Sender, f.media)
	if len(t.rtcp) > len(head) {
		t.sendRTCP(out)
	}
}
