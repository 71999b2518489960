package transport

import (
	"encoding/binary"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/srtp"
)

// Forward sends this client everything that its slots' Producers got in this batch: all of one subscriber side by side, video
// first.
func (t *Transport) Forward(now time.Time, out *Out) {
	ready := t.Ready(now)
	if ready {
		t.leave(now, out)
	}
	for _, s := range t.slots {
		p := s.consumer.Producer()
		if p == nil {
			continue
		}
		packets := p.Pending()
		for i := range packets {
			if !ready {
				out.Drops.Add(drop.Consent)
				continue
			}
			out.Drops.Add(t.forward(now, s, &packets[i], out))
		}
		if ready && s.consumer.Began().Equal(now) {
			t.reportAt, t.next = now, now // a new source: its report must not wait
		}
	}
}

func (t *Transport) forward(now time.Time, s *slot, p *route.Packet, out *Out) drop.Reason {
	var h rtp.Header
	empty, r := s.consumer.Forward(now, p, &h)
	if r != drop.None {
		return r
	}
	if s.neg.Kind == sdp.Video && t.waits(now, s, p, &h, empty, out) {
		return drop.None
	}
	return t.send(now, s, p, &h, empty, out)
}

// greet sends the sound that is there already.
func (t *Transport) greet(now time.Time, s *slot, out *Out) {
	if p := s.consumer.Producer(); p != nil && t.Ready(now) {
		if newest, ok := p.Newest(now); ok {
			out.Drops.Add(t.forward(now, s, &newest, out))
		}
	}
}

// send seals one packet into the egress.
func (t *Transport) send(now time.Time, s *slot, p *route.Packet, h *rtp.Header, empty bool, out *Out) drop.Reason {
	h.SSRC = s.neg.SSRC
	if empty {
		s.repeats = false
		_, r := t.seal(now, s, s.source, t.header(now, s, &nothing, h), nil, s.origin(h.SequenceNumber), out)
		return r
	}
	if s.neg.Kind == sdp.Audio {
		return t.sendSound(now, s, p, h, out)
	}
	_, r := t.seal(now, s, s.source, t.header(now, s, p, h), p.Payload, s.origin(h.SequenceNumber), out)
	return r
}

// nothing is a packet that carries nothing, not even what its header could say of a frame.
var nothing route.Packet

// seal writes a packet of a slot to the egress, and returns it as it is on the wire, good until the egress is sent. The transport-wide
// number in its header is the next one, which is used up only now. The estimator keeps of.
func (t *Transport) seal(now time.Time, s *slot, source *srtp.Source, header, payload []byte, of bwe.Origin, out *Out) ([]byte, drop.Reason) {
	dst := out.Egress.Reserve(len(header) + len(payload) + t.out.Profile().Overhead())
	if dst == nil {
		return nil, drop.EgressFull
	}
	n := source.SealRTP(dst, header, payload)
	if n == 0 {
		return nil, drop.RtpDuplicate // this number was sealed before
	}
	out.Egress.Commit(t.pair, n)
	size := n + pathBytes
	if s.repeats { // the second copy has no transport-wide number of its own, so the first counts for both: what arrives, and what is needed
		size *= 2
	}
	t.account(now, s, size)
	if s.neg.Extensions.TransportCC != 0 {
		t.bandwidth.estimator().SentOf(now, size, of)
	}
	return dst[:n], drop.None
}

// account counts what goes out for a slot, in bytes with the headers of IP and UDP.
func (t *Transport) account(now time.Time, s *slot, size int) {
	s.bytes += size
	t.bandwidth.sent += size
	if s.neg.Kind == sdp.Audio {
		t.bandwidth.sound += size
		t.pacer.Spend(now, size)
	}
}

// header renders h with the extensions that this subscriber negotiated.
func (t *Transport) header(now time.Time, s *slot, p *route.Packet, h *rtp.Header) []byte {
	var (
		list   [6]rtp.Extension
		number [2]byte
		abs    [3]byte
		mid    [maxMidBytes]byte
		n      int
		ids    = &s.neg.Extensions
	)
	add := func(id uint8, b []byte) {
		if id != 0 && len(b) > 0 {
			list[n] = rtp.Extension{ID: id, B: b}
			n++
		}
	}
	if !s.confirmed || h.SSRC == s.neg.RTXSSRC { // Firefox takes no repairs without it: see decision 6
		add(ids.Mid, mid[:copy(mid[:], s.mid)])
	}
	if ids.TransportCC != 0 {
		binary.BigEndian.PutUint16(number[:], t.bandwidth.estimator().Number())
		add(ids.TransportCC, number[:])
	}
	if ids.AbsSendTime != 0 {
		rtp.PutAbsSendTime(abs[:], now)
		add(ids.AbsSendTime, abs[:])
	}
	if s.neg.Kind == sdp.Audio {
		add(ids.AudioLevel, p.AudioLevel)
	} else {
		add(ids.VideoOrientation, p.Orientation)
		add(ids.DependencyDescriptor, p.Dependency)
	}
	return rtp.AppendHeader(t.head[:0], *h, list[:n])
}

// maxMidBytes is the longest mid that fits a one-byte extension (RFC 8285 §4.2).
const maxMidBytes = 16

// resend answers a request for repair on the slot's RTX stream.
func (t *Transport) resend(now time.Time, s *slot, number uint16, out *Out) drop.Reason {
	if s.rtx == nil {
		return drop.NackUnknown
	}
	if !t.pacer.Repairs(now) || t.pacer.Holds(s.paced.number, number) {
		return drop.NackTooOften
	}
	var (
		p route.Packet
		h rtp.Header
	)
	if r := s.consumer.Resend(now, number, t.rtt, t.repair[:], &p, &h); r != drop.None {
		return r
	}
	of := s.origin(number)
	if s.consumer.Twice(number, len(p.Payload)) {
		if r := t.sealRepair(now, s, &p, &h, 0, out); r != drop.None {
			return r
		}
		of |= bwe.Copy
	}
	return t.sealRepair(now, s, &p, &h, of, out)
}

func (t *Transport) sealRepair(now time.Time, s *slot, p *route.Packet, h *rtp.Header, of bwe.Origin, out *Out) drop.Reason {
	t.pacer.Spend(now, len(p.Payload)+aroundPayload)
	h.SSRC, h.SequenceNumber = s.neg.RTXSSRC, s.rtxSeq
	s.rtxSeq++
	_, r := t.seal(now, s, s.rtx, t.header(now, s, p, h), p.Payload, of, out)
	return r
}

// sendRTCP seals the compound in t.rtcp.
func (t *Transport) sendRTCP(out *Out) {
	dst := out.Egress.Reserve(len(t.rtcp) + t.out.Profile().RTCPOverhead())
	if dst == nil {
		out.Drops.Add(drop.EgressFull)
		return
	}
	out.Egress.Commit(t.pair, t.out.SealRTCP(dst, t.rtcp))
}
