package transport

import (
	"encoding/binary"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// handleRTP opens a packet in place and gives it to its Producer.
func (t *Transport) handleRTP(now time.Time, b []byte) drop.Reason {
	header, r := rtp.HeaderLen(b)
	if r != drop.None {
		return r
	}
	if b, r = t.in.OpenRTP(b, header); r != drop.None {
		return r
	}
	var p rtp.Packet
	if r := p.Parse(b); r != drop.None {
		return r
	}
	rc := t.receivers[p.SSRC()]
	if rc == nil {
		if rc, r = t.unknown(&p); rc == nil {
			return r
		}
	}
	t.feedback.record(now, &p)
	if primary := rc.section.primaries[p.PayloadType()&0x7f]; primary != 0 {
		return t.repaired(now, rc, &p, primary)
	}
	if p.SSRC() != rc.ssrc {
		return drop.RtpPayloadType // a media payload type on the RTX stream
	}
	index := rc.seq.Unwrap(p.SequenceNumber())
	rc.stats.Received(p.SequenceNumber(), p.Timestamp(), rc.section.rate, now)
	if rc.section.repairable {
		rc.register.Add(p.SequenceNumber(), now)
	}
	return rc.deliver(&p, index)
}

// repaired turns a packet of the RTX stream back into the one that was lost (RFC 4588 §4), in place.
func (t *Transport) repaired(now time.Time, rc *receiver, p *rtp.Packet, primary uint8) drop.Reason {
	payload := p.Payload()
	if len(payload) < 2 {
		return drop.RtpPadding // probing for bandwidth, carries nothing
	}
	number := binary.BigEndian.Uint16(payload)
	if r := rc.register.Add(number, now); r != drop.None {
		return r
	}
	b := p.Bytes()
	header := p.HeaderLen()
	copy(b[2:2+header], b[:header])
	b = b[2:]
	b[1] = b[1]&0x80 | primary
	binary.BigEndian.PutUint16(b[2:], number)
	binary.BigEndian.PutUint32(b[8:], rc.ssrc)
	if r := p.Parse(b); r != drop.None {
		return r
	}
	return rc.deliver(p, rc.seq.Unwrap(number))
}

func (rc *receiver) deliver(p *rtp.Packet, index int64) drop.Reason {
	if rc.section.producer == nil {
		return drop.Unpublished
	}
	return rc.section.producer.Add(p, index)
}

// requestRepairs asks for what is missing and due.
func (t *Transport) requestRepairs(now time.Time, out *Out) {
	var numbers [maxNacksAtOnce]uint16
	for ssrc, rc := range t.receivers {
		if ssrc != rc.ssrc {
			continue // the RTX stream leads to the same receiver
		}
		if due := rc.register.Due(now, t.rtt, numbers[:0]); len(due) > 0 {
			t.rtcp = rtp.AppendNACK(t.rtcp[:0], t.cfg.Sender, rc.ssrc, due)
			t.sendRTCP(out)
		}
	}
}
