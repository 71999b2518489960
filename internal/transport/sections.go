package transport

import (
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/nack"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/srtp"
)

// section is an m-line on which the client sends.
type section struct {
	mid        string
	neg        sdp.Negotiated
	rate       uint32     // clock rate, Hz
	repairable bool       // lost packets are asked for again
	primaries  [128]uint8 // payload type of an RTX → that of what it repairs; 0: it is no RTX
	producer   *route.Producer
	stream     *receiver // the stream it is fed by; nil before its first packet
}

// receiver is one stream that the client sends, with the RTX stream that repairs it.
type receiver struct {
	section  *section
	ssrc     uint32
	seq      rtp.SequenceUnwrapper
	register nack.Register
	stats    rtp.ReceiverStats
}

// slot is an m-line on which the server sends.
type slot struct {
	mid       string
	neg       sdp.Negotiated
	consumer  *route.Consumer
	source    *srtp.Source // nil until keys are known
	rtx       *srtp.Source
	rtxSeq    uint16
	confirmed bool // the client has reported on the SSRC, so it need not be told the mid any more
}

func (s *slot) bind(out *srtp.Context) {
	s.source = out.Source(s.neg.SSRC)
	if s.neg.RTXSSRC != 0 {
		s.rtx = out.Source(s.neg.RTXSSRC)
	}
}

// Negotiate sets the m-lines to those of the newest answer. Those that stay keep their state; a sending m-line that is no longer
// active loses its Producer.
func (t *Transport) Negotiate(sections []sdp.Negotiated) {
	for _, n := range sections {
		switch n.Role {
		case sdp.RoleReceive:
			t.setSection(n)
		case sdp.RoleSend:
			t.setSlot(n)
		default:
			t.dropSection(n.Mid)
		}
	}
	t.feedback.id = transportCC(t.sections)
}

func (t *Transport) setSection(n sdp.Negotiated) {
	s := t.sections[n.Mid]
	if s == nil {
		s = &section{mid: n.Mid}
		t.sections[n.Mid] = s
	}
	s.neg, s.repairable = n, false
	clear(s.primaries[:])
	for _, c := range n.Codecs {
		s.rate = c.ClockRate
		if c.RTX != 0 {
			s.primaries[c.RTX&0x7f] = c.PayloadType
			s.repairable = true
		}
	}
	for _, ssrc := range n.SSRCs {
		if t.learn(s, ssrc) == nil {
			return
		}
		if rtx, ok := n.RTX[ssrc]; ok && len(t.receivers) < maxStreams {
			t.receivers[rtx] = t.receivers[ssrc]
		}
	}
}

// learn makes ssrc the stream of s, or returns nil where there are too many streams.
func (t *Transport) learn(s *section, ssrc uint32) *receiver {
	if r := t.receivers[ssrc]; r != nil && r.section == s {
		return r
	}
	if len(t.receivers) >= maxStreams {
		return nil
	}
	r := &receiver{section: s, ssrc: ssrc}
	if s.stream != nil && s.producer != nil {
		s.producer.Restart()
	}
	t.forget(s)
	t.receivers[ssrc], s.stream = r, r
	return r
}

// forget removes the streams of s: its m-line has another now.
func (t *Transport) forget(s *section) {
	for ssrc, r := range t.receivers {
		if r.section == s {
			delete(t.receivers, ssrc)
		}
	}
	s.stream = nil
}

func (t *Transport) dropSection(mid string) {
	if s := t.sections[mid]; s != nil {
		t.forget(s)
		delete(t.sections, mid)
	}
}

func (t *Transport) setSlot(n sdp.Negotiated) {
	if s := t.slot(n.Mid); s != nil {
		s.neg = n
		s.consumer.SetCodecs(n.Codecs)
		return
	}
	if len(t.slots) >= maxSlots {
		return
	}
	s := &slot{mid: n.Mid, neg: n, consumer: route.NewConsumer(n.Kind, n.Codecs)}
	if t.out != nil {
		s.bind(t.out)
	}
	t.slots = append(t.slots, s)
	if n.Kind == sdp.Video { // keep video first
		copy(t.slots[1:], t.slots)
		t.slots[0] = s
	}
}

func (t *Transport) slot(mid string) *slot {
	for _, s := range t.slots {
		if s.mid == mid {
			return s
		}
	}
	return nil
}

// slotOf returns the slot that sends with ssrc.
func (t *Transport) slotOf(ssrc uint32) *slot {
	for _, s := range t.slots {
		if s.neg.SSRC == ssrc {
			return s
		}
	}
	return nil
}

// Section returns what was negotiated for the receiving m-line mid.
func (t *Transport) Section(mid string) (sdp.Negotiated, bool) {
	s := t.sections[mid]
	if s == nil {
		return sdp.Negotiated{}, false
	}
	return s.neg, true
}

// Publish lets the m-line feed p; nil: nothing. It reports false where the client does not send on that m-line.
func (t *Transport) Publish(mid string, p *route.Producer) bool {
	s := t.sections[mid]
	if s == nil {
		return false
	}
	s.producer = p
	return true
}

// Unpublish takes p from the m-line that feeds it.
func (t *Transport) Unpublish(p *route.Producer) {
	for _, s := range t.sections {
		if s.producer == p {
			s.producer = nil
		}
	}
}

// Slot returns the Consumer of the slot mid, or nil.
func (t *Transport) Slot(mid string) *route.Consumer {
	if s := t.slot(mid); s != nil {
		return s.consumer
	}
	return nil
}

// Close empties all slots.
func (t *Transport) Close() {
	for _, s := range t.slots {
		s.consumer.Clear()
	}
}

// AskKeyFrame asks the client for a key frame of p.
func (t *Transport) AskKeyFrame(now time.Time, p *route.Producer, out *Out) {
	for _, s := range t.sections {
		if s.producer == p && s.stream != nil && t.Ready(now) {
			t.rtcp = rtp.AppendPLI(t.rtcp[:0], t.cfg.Sender, s.stream.ssrc)
			t.sendRTCP(out)
		}
	}
}

func (t *Transport) unknown(p *rtp.Packet) (*receiver, drop.Reason) {
	for _, s := range t.sections {
		mid := p.Extension(s.neg.Extensions.Mid)
		if mid == nil || string(mid) != s.mid {
			continue
		}
		if s.primaries[p.PayloadType()&0x7f] == 0 {
			if r := t.learn(s, p.SSRC()); r != nil {
				return r, drop.None
			}
			return nil, drop.RtpUnknownSSRC
		}
		if s.stream == nil || len(t.receivers) >= maxStreams {
			return nil, drop.RtpUnknownSSRC
		}
		t.receivers[p.SSRC()] = s.stream
		return s.stream, drop.None
	}
	return nil, drop.RtpUnknownSSRC
}
