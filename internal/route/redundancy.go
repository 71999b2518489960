package route

import (
	"time"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// Audio with redundancy (RFC 2198) is taken apart when it arrives, into the Opus that the packet is about and what stands in for
// packets that were lost; and put together again for a subscriber that takes it and loses packets, whoever publishes. Where
// nothing was lost on the way in, a subscriber that takes redundancy gets the publisher's as it is.
//
// Encrypted audio is neither: its redundancy is inside of what is encrypted.

// redundancy is what a Producer of Opus keeps of its newest packets.
type redundancy struct {
	frames [historyFrames]struct {
		timestamp uint32
		size      int // of bytes; 0: too large, or nothing
		bytes     [maxRedundantBytes]byte
	}
	count     uint32 // frames so far: where the next one goes
	begun     bool
	highest   int64 // index that came, or was recovered
	timestamp uint32
	seen      uint64 // bit i: highest − i came, or was recovered
	newest    uint32 // place of the highest that came,
	newestAt  time.Time
	kind      uint8 // and the publisher's payload type for what is in it
}

// keep takes a frame for the packets to come, and returns its place in the history.
func (r *redundancy) keep(timestamp uint32, b []byte) (place uint32) {
	f := &r.frames[r.count%historyFrames]
	f.timestamp, f.size = timestamp, 0
	if len(b) <= maxRedundantBytes {
		f.size = copy(f.bytes[:], b)
	}
	r.count++
	return r.count - 1
}

// hold keeps a packet that has been noted.
func (r *redundancy) hold(now time.Time, p *Packet) {
	p.place = r.keep(p.Timestamp, p.Payload)
	if p.Index == r.highest {
		r.newest, r.newestAt, r.kind = p.place, now, p.Type
	}
}

// Newest returns the newest packet of sound, unless it is older than newestFor: who begins to listen gets it at once, instead of
// waiting for the next one. Its payload is good until the next packet comes.
func (p *Producer) Newest(now time.Time) (newest Packet, ok bool) {
	k := p.redundancy
	if k == nil || now.Sub(k.newestAt) > newestFor || k.count-k.newest > historyFrames {
		return Packet{}, false
	}
	f := &k.frames[k.newest%historyFrames]
	return Packet{Index: k.highest, Timestamp: f.timestamp, Type: k.kind, Payload: f.bytes[:f.size], place: k.newest}, f.size > 0
}

// note marks an index as there, and reports whether it was before, or is too old to tell.
func (r *redundancy) note(index int64, timestamp uint32) (again bool) {
	switch ahead := index - r.highest; {
	case !r.begun:
		r.begun, r.highest, r.timestamp, r.seen = true, index, timestamp, 1
	case ahead > 0:
		r.seen = r.seen<<ahead | 1
		r.highest, r.timestamp = index, timestamp
	case ahead <= -64:
		return true
	default:
		again = r.seen>>-ahead&1 != 0
		r.seen |= 1 << -ahead
	}
	return again
}

// sound takes a packet of audio, of one of the kinds that there are. A voice passes while it is among the loudest.
func (p *Producer) sound(now time.Time, in *rtp.Packet, kind codec.Kind, index int64) (r drop.Reason) {
	first := false // of a talkspurt, which the marker bit tells (RFC 3551 §4.1)
	if p.voice != nil {
		open := p.router.floor.Hear(now, p.voice, in.Extension(p.cfg.Extensions.AudioLevel))
		if index, first, r = p.gate.pass(index, open); r != drop.None {
			return r
		}
	}
	if p.redundancy == nil && !p.cfg.Encrypted {
		p.redundancy = new(redundancy)
	}
	if kind == codec.RED && !p.cfg.Encrypted {
		return p.takeApart(now, in, index, first)
	}
	if p.redundancy != nil && p.redundancy.note(index, in.Timestamp()) {
		return drop.RtpDuplicate
	}
	out := p.extend()
	out.view(p, 0, in, in.Payload(), index)
	out.Marker = out.Marker || first
	if p.redundancy != nil {
		p.redundancy.hold(now, out)
	}
	return drop.None
}

// takeApart adds the packets that are in a payload with redundancy: those of the hole right before it, and its own. first says that a
// talkspurt begins with it.
func (p *Producer) takeApart(now time.Time, in *rtp.Packet, index int64, first bool) drop.Reason {
	var blocks [codec.MaxBlocks]codec.Block
	n, r := codec.ParseRED(in.Payload(), &blocks)
	if r != drop.None {
		return r
	}
	primary := &blocks[n-1]
	if len(primary.Payload) == 0 {
		return drop.RtpPadding
	}
	if primary.PayloadType != p.carries {
		return drop.RtpPayloadType
	}
	alike := true
	for i := range n - 1 {
		p.recover(in, index-int64(n-1-i), &blocks[i])
		alike = alike && blocks[i].PayloadType == p.carries
	}
	if p.redundancy.note(index, in.Timestamp()) {
		return drop.RtpDuplicate
	}
	out := p.extend()
	out.view(p, 0, in, primary.Payload, index)
	out.Marker, out.Type = out.Marker || first, p.opus
	if alike {
		out.whole, out.blocks = in.Payload(), uint8(n)
	}
	p.redundancy.hold(now, out)
	return drop.None
}

// recover adds a packet that was lost, if it was: its index is in the hole before in, and its timestamp between its neighbours'.
func (p *Producer) recover(in *rtp.Packet, index int64, b *codec.Block) {
	k := p.redundancy
	timestamp := in.Timestamp() - b.Offset
	if !k.begun || index <= k.highest || int32(timestamp-k.timestamp) <= 0 || b.Offset == 0 || len(b.Payload) == 0 ||
		b.PayloadType != p.carries {
		return
	}
	k.note(index, timestamp)
	out := p.extend()
	*out = Packet{Index: index, Timestamp: timestamp, Type: p.opus, Payload: b.Payload}
	out.place = k.keep(timestamp, b.Payload)
}

// SetLossy says whether the subscriber loses so many packets that it needs redundancy.
func (c *Consumer) SetLossy(lossy bool) { c.lossy = lossy }

// Repeats reports whether packets of sound go out twice: the subscriber loses some and can have no redundancy, since it takes none, or
// since the publication is encrypted.
func (c *Consumer) Repeats() bool { return c.lossy && c.red == 0 && c.producer != nil }

// Bare reports whether a packet is Opus without redundancy inside, of which the next one tells nothing.
func (c *Consumer) Bare(p *Packet) bool { return c.producer.kinds[p.Type&0x7f] == codec.Opus }

// mapRED finds the payload type under which the subscriber takes redundancy of what it takes as Opus.
func (c *Consumer) mapRED() {
	c.red = 0
	for _, x := range c.codecs {
		if x.IsRED() && !c.producer.cfg.Encrypted {
			c.red, c.redCarries = x.PayloadType, x.Carries()
			return
		}
	}
}

// Wrap returns the payload with which a packet of audio goes out, after Forward: with redundancy where the subscriber takes it, and
// it is there or needed. It then sets the payload type in h. What it returns is good until the next call for any Consumer of the
// Router.
func (c *Consumer) Wrap(p *Packet, h *rtp.Header) []byte {
	if c.red == 0 || h.PayloadType != c.redCarries || p.whole == nil && !c.lossy {
		return p.Payload
	}
	var payload []byte
	if c.lossy && p.blocks <= redundantFrames {
		payload = c.putTogether(p, h.PayloadType)
	}
	if payload == nil && c.producer.carries == h.PayloadType {
		payload = p.whole
	}
	if payload == nil {
		return p.Payload
	}
	h.PayloadType = c.red
	c.octets += uint32(len(payload) - len(p.Payload))
	return payload
}

// putTogether makes a payload with the frames before p; nil: there are none that fit.
func (c *Consumer) putTogether(p *Packet, payloadType uint8) []byte {
	k, r := c.producer.redundancy, c.producer.router
	var blocks [redundantFrames + 1]codec.Block
	first, size := redundantFrames, len(p.Payload)+1
	blocks[redundantFrames] = codec.Block{PayloadType: payloadType, Payload: p.Payload}
	for i := uint32(1); i <= redundantFrames && i <= p.place; i++ {
		if k.count-(p.place-i) > historyFrames {
			break // later packets of the batch have taken its place
		}
		f := &k.frames[(p.place-i)%historyFrames]
		b := codec.Block{PayloadType: payloadType, Offset: p.Timestamp - f.timestamp, Payload: f.bytes[:f.size]}
		if size += f.size + 4; f.size == 0 || b.Offset == 0 || !b.Fits() || size > maxREDBytes {
			break
		}
		first--
		blocks[first] = b
	}
	if first == redundantFrames {
		return nil
	}
	r.scratch = codec.AppendRED(r.scratch[:0], blocks[first:])
	return r.scratch
}
