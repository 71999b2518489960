package transport

import (
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// handleRTCP opens a compound in place and does what each of its packets asks for, as far as the client's allowance goes. What others have made takes
// nothing of that, but is tried for so often only: then a packet has to look like the client's next one.
func (t *Transport) handleRTCP(now time.Time, b []byte, out *Out) drop.Reason {
	if t.allowance.empty(now, feedbackRate) || t.forged.empty(now, forgedRate) && !t.in.FollowsRTCP(b) {
		return drop.RtcpTooOften
	}
	b, r := t.in.OpenRTCP(b)
	if r == drop.SrtpAuth {
		t.forged.spend(now, forgedRate)
	}
	if r != drop.None {
		return r
	}
	t.allowance.spend(now, feedbackRate)
	for len(b) > 0 {
		var (
			h      rtp.RTCPHeader
			packet []byte
		)
		if h, packet, b, r = rtp.NextRTCP(b); r != drop.None {
			return r
		}
		if !t.allowance.spend(now, feedbackRate) {
			return drop.RtcpTooOften
		}
		out.Drops.Add(t.handlePacket(now, h, packet, out))
	}
	return drop.None
}

func (t *Transport) handlePacket(now time.Time, h rtp.RTCPHeader, packet []byte, out *Out) drop.Reason {
	switch h.Type {
	case rtp.TypeSenderReport:
		return t.senderReport(now, packet)
	case rtp.TypeReceiverReport:
		t.blocks(now, packet)
	case rtp.TypeTransportFeedback:
		switch h.Count {
		case rtp.FormatNACK:
			return t.repairRequest(now, packet, out)
		case rtp.FormatTransportCC:
			return t.congestion(now, packet, out)
		}
	case rtp.TypePayloadFeedback:
		switch h.Count {
		case rtp.FormatPLI:
			ssrc, _ := rtp.MediaSSRC(packet)
			return t.keyFrameRequest(ssrc)
		case rtp.FormatFIR:
			return t.fullIntraRequest(packet)
		case rtp.FormatApplication:
			t.receiverEstimate(now, packet, out)
		}
	}
	return drop.None // SDES, BYE, APP and others say nothing that is needed here
}

func (t *Transport) senderReport(now time.Time, packet []byte) drop.Reason {
	sr, r := rtp.ParseSenderReport(packet)
	if r != drop.None {
		return r
	}
	rc := t.receivers[sr.SSRC]
	if rc == nil {
		return drop.RtcpUnknown
	}
	if sr.SSRC == rc.ssrc {
		rc.stats.SenderReport(sr.NTP, now)
		if e := rc.encoding(); e != nil {
			if timestamp, ok := rc.reported(now, sr.RTPTime); ok {
				e.Timeline().Observe(rtp.FromNTP(sr.NTP), timestamp, now)
			}
		}
	}
	t.blocks(now, packet)
	return drop.None
}

// blocks reads what the client says of the streams that it receives.
func (t *Transport) blocks(now time.Time, packet []byte) {
	compact := rtp.CompactNTP(rtp.NTP(now))
	for i := 0; ; i++ {
		block, ok := rtp.ReportBlockAt(packet, i)
		if !ok {
			return
		}
		s := t.slotOf(block.SSRC)
		if s == nil {
			continue
		}
		s.confirmed = true
		t.heard(now, s, &block)
		if units, ok := block.RoundTrip(compact); ok {
			t.measured(now, rtp.FromCompact(units))
		}
	}
}

// measured takes a measurement of the round-trip time that is beyond doubt.
func (t *Transport) measured(now time.Time, rtt time.Duration) {
	t.measuredAt = now
	t.smooth(rtt)
}

// smooth takes a measurement of the round-trip time. The first one counts alone: what was assumed before would take many to forget.
func (t *Transport) smooth(rtt time.Duration) {
	switch rtt = max(rtt, minRTT); {
	case rtt >= maxRTT:
	case !t.rttKnown:
		t.rtt, t.rttKnown = rtt, true
	default:
		t.rtt += (rtt - t.rtt) / 4
	}
}

// Round-trip times outside these bounds are not believed.
const (
	minRTT = 5 * time.Millisecond
	maxRTT = 5 * time.Second
)

func (t *Transport) repairRequest(now time.Time, packet []byte, out *Out) drop.Reason {
	ssrc, _ := rtp.MediaSSRC(packet)
	s := t.slotOf(ssrc)
	if s == nil {
		return drop.RtcpUnknown
	}
	if !t.Ready(now) {
		return drop.Consent
	}
	n := 0
	for it := rtp.NACKs(packet); n < maxNacksAnswered; n++ {
		number, ok := it.Next()
		if !ok {
			break
		}
		if !t.allowance.spend(now, feedbackRate) {
			return drop.RtcpTooOften
		}
		out.Drops.Add(t.resend(now, s, number, out))
	}
	return drop.None
}

func (t *Transport) fullIntraRequest(packet []byte) drop.Reason {
	for it := rtp.FIRs(packet); ; {
		ssrc, _, ok := it.Next()
		if !ok {
			return drop.None
		}
		if r := t.keyFrameRequest(ssrc); r != drop.None {
			return r
		}
	}
}

func (t *Transport) keyFrameRequest(ssrc uint32) drop.Reason {
	s := t.slotOf(ssrc)
	if s == nil {
		return drop.RtcpUnknown
	}
	s.consumer.RequestKeyFrame()
	return drop.None
}

// report sends a compound for every slot that flows, of its sender report and CNAME, and as many receiver reports as there are
// report blocks for about what the client sends.
func (t *Transport) report(now time.Time, out *Out) {
	blocks := t.reportBlocks(now)
	for _, s := range t.slots {
		timestamp, packets, octets, ok := s.consumer.Report(now)
		if !ok {
			continue
		}
		t.rtcp = rtp.AppendSenderReport(t.rtcp[:0], rtp.SenderReport{
			SSRC: s.neg.SSRC, NTP: rtp.NTP(now), RTPTime: timestamp, Packets: packets, Octets: octets,
		}, nil)
		t.rtcp = rtp.AppendSDES(t.rtcp, s.neg.SSRC, s.neg.CNAME)
		t.sendRTCP(out)
	}
	for len(blocks) > 0 {
		n := min(len(blocks), maxReportBlocks)
		t.rtcp = rtp.AppendReceiverReport(t.rtcp[:0], t.cfg.Sender, blocks[:n])
		t.rtcp = rtp.AppendSDES(t.rtcp, t.cfg.Sender, t.cfg.CNAME)
		t.sendRTCP(out)
		blocks = blocks[n:]
	}
}

// feedbackHead is what a datagram with feedback begins with: nothing where the client takes RTCP of reduced size, else what makes a
// compound of it, an empty report and the CNAME (RFC 4585 §3.1). It uses the memory of t.rtcp.
func (t *Transport) feedbackHead() []byte {
	if t.reduced {
		return t.rtcp[:0]
	}
	return rtp.AppendSDES(rtp.AppendReceiverReport(t.rtcp[:0], t.cfg.Sender, nil), t.cfg.Sender, t.cfg.CNAME)
}

// maxReportBlocks is how many a report holds: its count has five bits.
const maxReportBlocks = 31

func (t *Transport) reportBlocks(now time.Time) []rtp.ReportBlock {
	t.blockList = t.blockList[:0]
	for ssrc, rc := range t.receivers {
		if ssrc == rc.ssrc && rc.stats.Seen() {
			block := rc.stats.Block(ssrc, now)
			if p := rc.section.producer; p != nil && p.Kind() == sdp.Audio {
				tell(&block, p.Loss(now))
			}
			t.blockList = append(t.blockList, block)
		}
	}
	return t.blockList
}
