package transport

import (
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// handleRTP opens a packet in place and gives it to its Producer.
func (t *Transport) handleRTP(now time.Time, d *datagram.Datagram) drop.Reason {
	header, r := rtp.HeaderLen(d.B)
	if r != drop.None {
		return r
	}
	b, r := t.in.OpenRTP(d.B, header)
	if r != drop.None {
		return r
	}
	var p rtp.Packet
	if r := p.Parse(b); r != drop.None {
		return r
	}
	rc := t.receivers[p.SSRC()]
	if rc == nil {
		if rc, r = t.unknown(now, &p); rc == nil {
			return r
		}
	}
	r = t.take(now, d.Arrival(now), rc, &p)
	t.next = earliest(t.next, rc.register.Next())
	t.next = earliest(t.next, Late(t.feedback.next))
	return r
}

// Sends reports whether the client is known to send a stream.
func (t *Transport) Sends(ssrc uint32) bool { return t.receivers[ssrc] != nil }

// Stray takes media from an address that no check has validated. Where they are the client's, its address has changed: see ice.Agent.Moved.
func (t *Transport) Stray(now time.Time, d *datagram.Datagram, out *Out) drop.Reason {
	if !t.agent.MayMove(d.Pair) {
		return drop.UnknownSource
	}
	r := t.media(now, d, out)
	if r == drop.None {
		t.agent.Moved(now, d.Pair, &out.ICE)
		t.schedule(now)
	}
	return r
}

// take gives a packet to the Producer of the stream that it belongs to. What the client is told of its network is by when it arrived.
func (t *Transport) take(now, arrived time.Time, rc *receiver, p *rtp.Packet) drop.Reason {
	t.feedback.record(now, arrived, p)
	if primary := rc.section.primaries[p.PayloadType()&0x7f]; primary != 0 {
		return t.repaired(now, rc, p, primary)
	}
	if p.SSRC() != rc.ssrc {
		return drop.RtpPayloadType // a media payload type on the RTX stream
	}
	rc.heardAt, rc.heardTS, rc.heard = now, p.Timestamp(), p.PayloadType()
	rc.stats.Received(p.SequenceNumber(), p.Timestamp(), rc.section.rate, arrived)
	if rc.section.repairable {
		if r := rc.register.Add(p.SequenceNumber(), now); r != drop.None {
			return r // its repair was faster, or it is older than anybody remembers
		}
	}
	return rc.deliver(now, p, rc.seq.Unwrap(p.SequenceNumber()))
}

// repaired takes a packet of the RTX stream: the one that was lost, unless that has come meanwhile.
func (t *Transport) repaired(now time.Time, rc *receiver, p *rtp.Packet, primary uint8) drop.Reason {
	if r := p.UnwrapRTX(primary, rc.ssrc); r != drop.None {
		return r
	}
	number := p.SequenceNumber()
	waited, tries := rc.register.Waited(number, now)
	if r := rc.register.Add(number, now); r != drop.None {
		return r
	}
	t.answered(now, waited, tries)
	return rc.deliver(now, p, rc.seq.Unwrap(number))
}

// answered takes how long after the first request for it a repair has come: that tells the round-trip time of a client that receives nothing
// and so reports on nothing. Of several requests nobody knows which one it answers (Karn's algorithm), so it counts only where there
// was one. But when the time has grown beyond that between two requests there always are several: then, after a while, the first one
// counts. At worst that is too long. To count the last one would be too short: requests would follow each other faster and faster, and
// all be made before the first can be answered.
func (t *Transport) answered(now time.Time, waited time.Duration, tries int) {
	switch {
	case tries == 1:
		t.measured(now, waited)
	case tries > 1 && now.Sub(t.measuredAt) >= doubtAfter:
		t.smooth(waited)
	}
}

// doubtAfter is how long the round-trip time stands that was measured without doubt.
const doubtAfter = 2 * time.Second

func (rc *receiver) deliver(now time.Time, p *rtp.Packet, index int64) drop.Reason {
	e := rc.encoding()
	if e == nil {
		return drop.Unpublished
	}
	return e.Add(now, p, index)
}

// repairMargin is what a repair may take beyond a round trip: both sides look at their lists only now and then. Without it, each
// packet is asked for once more while its repair is arriving.
const repairMargin = 20 * time.Millisecond

// requestRepairs asks for what is missing and due.
func (t *Transport) requestRepairs(now time.Time, out *Out) {
	var numbers [maxNacksAtOnce]uint16
	for ssrc, rc := range t.receivers {
		if ssrc != rc.ssrc {
			continue // the RTX stream leads to the same receiver
		}
		if due := rc.register.Due(now, t.rtt+repairMargin, numbers[:0]); len(due) > 0 {
			t.rtcp = rtp.AppendNACK(t.feedbackHead(), t.cfg.Sender, rc.ssrc, due)
			t.sendRTCP(out)
		}
	}
}
