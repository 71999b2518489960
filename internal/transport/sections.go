package transport

import (
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/nack"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/share"
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
	encodings  [route.MaxEncodings]*route.Encoding // that its streams feed; nil: none
	streams    [route.MaxEncodings]*receiver       // one for each rid, or the only one; nil before its first packet
}

// receiver is one stream that the client sends, with the RTX stream that repairs it.
type receiver struct {
	section  *section
	stream   int // its place in section.streams
	ssrc     uint32
	seq      rtp.SequenceUnwrapper
	register nack.Register
	stats    rtp.ReceiverStats
	heardAt  time.Time     // when its last packet came,
	heardTS  uint32        // its timestamp,
	heard    uint8         // and payload type
	bogus    int8          // reports that count redundancy's time wrongly, less those that do not; of the last few
	age      time.Duration // of such a client's packets, from capture to arrival, by its last report; 0: not known
}

// slot is an m-line on which the server sends.
type slot struct {
	mid       string
	neg       sdp.Negotiated
	paced     paced
	consumer  *route.Consumer
	source    *srtp.Source // nil until keys are known
	rtx       *srtp.Source
	rtxSeq    uint16
	confirmed bool // the client has reported on the SSRC, so it need not be told the mid any more
	reported  reported
	bytes     int     // sent since the last report
	repeat    *repeat // nil: it has never been needed
	repeats   bool    // what is sent now goes out a second time
	memory    share.Memory
	memoryOf  uint64 // the generation that it is about
}

// encoding returns what the stream feeds; nil: nothing.
func (r *receiver) encoding() *route.Encoding { return r.section.encodings[r.stream] }

func (s *slot) bind(out *srtp.Context) {
	s.source = out.Source(s.neg.SSRC)
	if s.neg.RTXSSRC != 0 {
		s.rtx = out.Source(s.neg.RTXSSRC)
	}
}

// Negotiate sets the m-lines to those of the newest answer. Those that stay keep their state; a sending m-line that is no longer
// active loses its Producer.
func (t *Transport) Negotiate(now time.Time, sections []sdp.Negotiated) {
	defer t.schedule(now)
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
	t.reduced = reduced(sections)
}

// reduced reports whether every m-line on which something flows has RTCP of reduced size: they share one association.
func reduced(sections []sdp.Negotiated) bool {
	flows := func(n sdp.Negotiated) bool { return n.Role == sdp.RoleReceive || n.Role == sdp.RoleSend }
	return !slices.ContainsFunc(sections, func(n sdp.Negotiated) bool { return flows(n) && !n.ReducedRTCP })
}

func (t *Transport) setSection(n sdp.Negotiated) {
	s := t.sections[n.Mid]
	if s == nil {
		s = &section{mid: n.Mid}
		t.sections[n.Mid] = s
	}
	if !slices.Equal(s.neg.RIDs, n.RIDs) {
		t.forget(s) // other streams will come
	}
	s.neg, s.repairable = n, false
	clear(s.primaries[:])
	for _, c := range n.Codecs {
		s.rate = c.ClockRate
		if c.RTX != 0 {
			s.primaries[c.RTX&0x7f] = c.PayloadType
		}
		// Without RTX a publisher answers with the lost packet itself.
		s.repairable = s.repairable || slices.Contains(c.Feedback, "nack")
	}
	if len(n.SSRCs) > 0 && len(n.RIDs) == 0 { // the order of SSRCs says nothing of encodings
		t.learn(s, 0, n.SSRCs[0])
	}
}

// learn makes ssrc a stream of s, and that of its RTX where the client has told it, or returns nil where there are too many
// streams.
func (t *Transport) learn(s *section, stream int, ssrc uint32) *receiver {
	if r := t.receivers[ssrc]; r != nil && r.section == s && r.stream == stream {
		return r
	}
	if len(t.receivers) >= maxStreams {
		return nil
	}
	if s.streams[stream] != nil && s.encodings[stream] != nil {
		s.encodings[stream].Restart()
	}
	t.forgetStream(s, stream)
	r := &receiver{section: s, stream: stream, ssrc: ssrc}
	t.receivers[ssrc], s.streams[stream] = r, r
	if rtx, ok := s.neg.RTX[ssrc]; ok && len(t.receivers) < maxStreams {
		t.receivers[rtx] = r
	}
	return r
}

// forget removes the streams of s.
func (t *Transport) forget(s *section) {
	for i := range s.streams {
		t.forgetStream(s, i)
	}
}

// forgetStream removes one stream of s: another takes its place.
func (t *Transport) forgetStream(s *section, stream int) {
	for ssrc, r := range t.receivers {
		if r.section == s && r.stream == stream {
			delete(t.receivers, ssrc)
		}
	}
	s.streams[stream] = nil
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
	s := &slot{paced: paced{number: uint8(len(t.slots))}, mid: n.Mid, neg: n, consumer: route.NewConsumer(n.Kind, n.Codecs)}
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

// Publish lets the m-line feed p: each of its streams the Encoding with the same rid. It reports false where the client does not
// send on that m-line.
func (t *Transport) Publish(mid string, p *route.Producer) bool {
	s := t.sections[mid]
	if s == nil {
		return false
	}
	s.producer, s.encodings = p, [route.MaxEncodings]*route.Encoding{}
	if len(s.neg.RIDs) == 0 {
		s.encodings[0] = p.Encoding(0)
		return true
	}
	for i := range p.Encodings() {
		e := p.Encoding(uint8(i))
		if k := slices.Index(s.neg.RIDs, e.RID()); k >= 0 {
			s.encodings[k] = e
		}
	}
	return true
}

// Unpublish takes p from the m-line that feeds it.
func (t *Transport) Unpublish(p *route.Producer) {
	for _, s := range t.sections {
		if s.producer == p {
			s.producer, s.encodings = nil, [route.MaxEncodings]*route.Encoding{}
		}
	}
}

// Assign fills the slot mid with p; nil empties it. Immediately means that nobody has to blank it first.
func (t *Transport) Assign(now time.Time, mid string, p *route.Producer, generation uint64, immediately bool) {
	s := t.slot(mid)
	if s == nil {
		return
	}
	s.consumer.Assign(now, p, generation)
	if immediately {
		s.consumer.Ready(generation)
	}
	t.schedule(now)
}

// Marks returns the marks of all that fills its slots: see route.Router.Marks.
func (t *Transport) Marks() (marks uint64) {
	for _, s := range t.slots {
		marks |= s.consumer.Mark()
	}
	return marks
}

// SlotReady says that the client has blanked the slot mid for this generation.
func (t *Transport) SlotReady(now time.Time, mid string, generation uint64) {
	if s := t.slot(mid); s != nil {
		s.consumer.Ready(generation)
		t.schedule(now)
	}
}

// Prefer notes how the client uses what fills the slot mid.
func (t *Transport) Prefer(now time.Time, mid string, w route.Want) {
	if s := t.slot(mid); s != nil {
		s.consumer.SetWant(now, w)
	}
}

// Close empties all slots.
func (t *Transport) Close() {
	for _, s := range t.slots {
		s.consumer.Clear()
	}
}

// AskKeyFrame asks the client for a key frame of e.
func (t *Transport) AskKeyFrame(now time.Time, e *route.Encoding, out *Out) {
	for _, s := range t.sections {
		if s.producer != e.Producer() || !t.Ready(now) {
			continue
		}
		if i := slices.Index(s.encodings[:], e); i >= 0 && s.streams[i] != nil {
			t.rtcp = rtp.AppendPLI(t.feedbackHead(), t.cfg.Sender, s.streams[i].ssrc)
			t.sendRTCP(out)
		}
	}
}

// unknown finds the m-line of a stream that no SSRC line announced (RFC 9143 §9.2): by its MID, or by its payload type where only
// one m-line has that; and with simulcast, which of its streams it is, by its RID (RFC 8852). A stream takes the place of
// another only when that one has fallen silent, or two of them would evict each other with every packet.
func (t *Transport) unknown(now time.Time, p *rtp.Packet) (*receiver, drop.Reason) {
	s := t.sectionOf(p)
	if s == nil {
		return nil, drop.RtpUnknownSSRC
	}
	if s.primaries[p.PayloadType()&0x7f] != 0 {
		return t.unknownRTX(s, p)
	}
	stream, ok := s.streamOf(p.Extension(s.neg.Extensions.RID))
	if !ok {
		return nil, drop.RtpUnknownSSRC
	}
	if r := s.streams[stream]; r != nil && now.Sub(r.heardAt) < takeover {
		return nil, drop.RtpUnknownSSRC
	}
	if r := t.learn(s, stream, p.SSRC()); r != nil {
		return r, drop.None
	}
	return nil, drop.RtpUnknownSSRC
}

// unknownRTX finds the stream that an RTX stream of s repairs, by its repaired RID; some publishers send again what a packet's header
// had, which is the RID.
func (t *Transport) unknownRTX(s *section, p *rtp.Packet) (*receiver, drop.Reason) {
	rid := p.Extension(s.neg.Extensions.RepairedRID)
	if rid == nil {
		rid = p.Extension(s.neg.Extensions.RID)
	}
	stream, ok := s.streamOf(rid)
	if !ok || s.streams[stream] == nil || len(t.receivers) >= maxStreams {
		return nil, drop.RtpUnknownSSRC
	}
	t.receivers[p.SSRC()] = s.streams[stream]
	return s.streams[stream], drop.None
}

// streamOf returns which of its streams has this rid. Without simulcast there is one.
func (s *section) streamOf(rid []byte) (int, bool) {
	if len(s.neg.RIDs) == 0 {
		return 0, true
	}
	for i, x := range s.neg.RIDs {
		if string(rid) == x {
			return i, true
		}
	}
	return 0, false
}

// takeover is how long a stream has been silent when another may take its place.
const takeover = 200 * time.Millisecond

func (t *Transport) sectionOf(p *rtp.Packet) (found *section) {
	for _, s := range t.sections {
		if mid := p.Extension(s.neg.Extensions.Mid); mid != nil {
			if string(mid) == s.mid {
				return s
			}
			continue
		}
		if !s.takes(p.PayloadType()) {
			continue
		}
		if found != nil {
			return nil
		}
		found = s
	}
	return found
}

// takes reports whether a payload type was negotiated for the m-line.
func (s *section) takes(payloadType uint8) bool {
	for _, c := range s.neg.Codecs {
		if c.PayloadType == payloadType || c.RTX == payloadType {
			return true
		}
	}
	return false
}
