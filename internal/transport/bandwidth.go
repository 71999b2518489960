package transport

import (
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// bandwidth is about the way to the client: what it carries.
type bandwidth struct {
	// owned by loop
	sender *bwe.Sender // nil: the client has told nothing, and has not been asked to
	sent   int         // bytes of media that were sent since
	sound  int         // and of sound among them,
	since  time.Time   // this time; zero: nothing yet
	rate   bwe.Bitrate // at which was sent in the second before that
	voices bwe.Bitrate // at which sound is sent, or was a while ago
}

// pathBytes is what IP and UDP add to a packet.
const pathBytes = 28

// Estimate returns what the way to the client carries, in bit/s, and whether anything is known of it.
func (t *Transport) Estimate() (rate bwe.Bitrate, known bool) {
	if t.bandwidth.sender == nil {
		return 0, false
	}
	return t.bandwidth.sender.Estimate()
}

// estimator returns the Sender, which is large and therefore made when it is first needed.
func (d *bandwidth) estimator() *bwe.Sender {
	if d.sender == nil {
		d.sender = new(bwe.Sender)
	}
	return d.sender
}

// congestion reads transport-wide feedback.
func (t *Transport) congestion(now time.Time, packet []byte, out *Out) drop.Reason {
	if t.bandwidth.sender == nil {
		return drop.RtcpUnknown // no packet has had a number
	}
	sender := t.bandwidth.sender
	t.measure(now)
	r := sender.Feedback(now, packet)
	t.pacer.SetRate(now, sender.Pace())
	t.repairLost(now, out)
	t.divide(now, out)
	return r
}

// origin is what the estimator shall say of a packet with this number, where it is lost; 0: nothing, since it is not sent again.
func (s *slot) origin(number uint16) bwe.Origin {
	if s.rtx == nil {
		return 0
	}
	return bwe.Origin(s.paced.number+1)<<16 | bwe.Origin(number)
}

// repairLost sends again what the last feedback said is lost. The client would ask for it, but later: it finds a hole when the next packet
// of the same stream comes, which takes 67 ms where there are 15 pictures a second, and twice as long where that one is lost too; and that
// a repair is lost it only learns from time. Packets of all streams follow each other in feedback. What cannot be sent again now will be
// asked for. What a request has brought already is not sent for the loss of what went out before: if that is lost too, feedback will say so.
func (t *Transport) repairLost(now time.Time, out *Out) {
	if !t.Ready(now) {
		return
	}
	for _, l := range t.bandwidth.sender.Lost() {
		s, number := t.numbered(uint8(l.Of>>16)-1), uint16(l.Of)
		if s.consumer.Repaired(number, now.Add(-l.Ago)) {
			out.Drops.Add(drop.NackTooOften)
			continue
		}
		out.Drops.Add(t.resend(now, s, number, out))
	}
}

// measure looks at how much is sent.
func (t *Transport) measure(now time.Time) {
	d := &t.bandwidth
	span := now.Sub(d.since)
	if !d.since.IsZero() && span < demandSpan {
		return
	}
	if !d.since.IsZero() {
		d.rate = bwe.Over(d.sent, span)
		d.voices = max(bwe.Over(d.sound, span), d.voices-d.voices/voicesFade)
	}
	d.since, d.sent, d.sound = now, 0, 0
}

// demandSpan is over which time it is measured how much is sent.
const demandSpan = time.Second

// voicesFade: what sound has needed fades by one part in so many a second, for who was silent may go on.
const voicesFade = 8

// probe starts and continues probes.
func (t *Transport) probe(now time.Time, out *Out) {
	sender := t.bandwidth.sender
	if sender == nil {
		return
	}
	before := sender.Probes()
	sender.Timeout(now)
	t.pacer.SetRate(now, sender.Pace())
	t.leave(now, out) // before padding, which is what else a probe needs
	t.divide(now, out)
	out.Probes += sender.Probes() - before
	if n := sender.Padding(now); n > 0 {
		t.pad(now, n, out)
	}
}

// nextProbe returns by when probe must be called: at once while one is sent, with the next packets else.
func (t *Transport) nextProbe() time.Time {
	if t.bandwidth.sender == nil {
		return time.Time{}
	}
	next := t.bandwidth.sender.Next()
	if t.bandwidth.sender.Probing() {
		return next
	}
	return Late(next)
}

// padding is the longest padding that a packet can have, for its last byte tells its length (RFC 3550 §5.1). Longer packets would have to
// carry something, which is old pictures: receivers look for what they have lost in those, and the publisher's cache would have to be
// read for each. All of a step have one size, and so leave as one message; maxPadding of them every 5 ms are more than bwe.MaxBitrate.
var padding = [255]byte{254: 255}

// pad sends about n bytes that mean nothing, on the RTX stream of a slot.
func (t *Transport) pad(now time.Time, n int, out *Out) {
	s := t.padded()
	if s == nil {
		return
	}
	h := rtp.Header{SSRC: s.neg.RTXSSRC}
	for _, c := range s.neg.Codecs {
		if c.RTX != 0 {
			h.PayloadType = c.RTX
		}
	}
	for range maxPadding {
		if n <= 0 {
			return
		}
		h.SequenceNumber = s.rtxSeq
		s.rtxSeq++
		header := t.header(now, s, &nothing, &h)
		header[0] |= 0x20
		sealed, r := t.seal(now, s, s.rtx, header, padding[:], 0, out)
		if r != drop.None {
			out.Drops.Add(r)
			return
		}
		size := len(sealed) + pathBytes // as the estimator counts it
		t.bandwidth.sent -= size        // it is no media
		n -= size
		out.Padding++
	}
}

// probes reports whether it can be found out what the network carries while no picture is sent: by padding, of which feedback tells.
func (t *Transport) probes() bool { return t.bandwidth.sender.Heard() && t.padded() != nil }

// padded returns a slot on whose RTX stream padding can be sent; nil: there is none.
func (t *Transport) padded() *slot {
	for _, s := range t.slots {
		if s.rtx != nil && s.neg.Extensions.TransportCC != 0 {
			return s
		}
	}
	return nil
}

// receiverEstimate reads the client's own estimate.
func (t *Transport) receiverEstimate(now time.Time, packet []byte, out *Out) {
	if rate, ok := rtp.ParseREMB(packet); ok {
		t.measure(now)
		t.bandwidth.estimator().REMB(bwe.Bitrate(min(rate, uint64(bwe.MaxBitrate))), t.bandwidth.rate)
		t.divide(now, out)
	}
}

// lossReport takes what a receiver report says of losses, for clients without transport-wide feedback.
func (t *Transport) lossReport(now time.Time, s *slot, sent, lost int) {
	bytes := s.bytes
	s.bytes = 0
	if t.bandwidth.sender != nil && s.neg.Extensions.TransportCC == 0 && sent > 0 && bytes > 0 {
		t.bandwidth.sender.LossReport(now, sent, lost, bytes)
	}
}
