package route

import (
	"encoding/binary"
	"time"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/nack"
	"github.com/parley-rtc/parley/internal/rtp"
)

// RepairBytes is the size of the buffer that Resend needs: a packet, and the original number in front of its payload.
const RepairBytes = datagram.MaxBytes + 2

// note is what a Consumer keeps of a packet that it sent, beside its index: what cannot be derived when it is sent again.
type note uint32

// The low 15 bits are the picture id.
const (
	notePicture note = 1<<15 - 1
	noteMarker  note = 1 << 15
	noteEmpty   note = 1 << 16
	noteSpare   note = 1 << 17 // no other picture depends on it
)

func (c *Consumer) noteOf(p *Packet, picture uint16, marker bool) note {
	n := note(picture) & notePicture
	if t := p.Frame.Temporal; t > 0 && t >= c.encoding().temporal(p.Frame.Spatial) {
		n |= noteSpare
	}
	if marker {
		n |= noteMarker
	}
	return n
}

// Resend renders the packet that the subscriber knows by number once more: into p and h, as Forward would, but as the payload of
// an RTX packet, which begins with the original number (RFC 4588 §4), and with the payload type of the RTX stream. rtt spaces
// repeated requests for one number. The bytes lie in buf, which holds RepairBytes.
func (c *Consumer) Resend(now time.Time, number uint16, rtt time.Duration, buf []byte, p *Packet, h *rtp.Header) drop.Reason {
	raw, note, r := c.repair(now, number, rtt)
	if r != drop.None {
		return r
	}
	start, r := c.render(number, raw, note, buf, p, h)
	if r != drop.None {
		return r
	}
	if h.PayloadType = c.rtxTypes[h.PayloadType]; h.PayloadType == 0 {
		return drop.CodecMismatch // without RTX the subscriber's replay check would refuse it
	}
	moved := buf[start : start+2+len(p.Payload)]
	copy(moved[2:], p.Payload)
	binary.BigEndian.PutUint16(moved, number)
	p.Payload = moved
	return drop.None
}

// Repaired reports whether the packet that the subscriber knows by number has gone out again since t.
func (c *Consumer) Repaired(number uint16, t time.Time) bool {
	return c.sent != nil && c.sent.SentSince(number, t)
}

// Later renders the packet to which Forward has given number, into p and h as Forward has, for one that had to wait. It is TooLate where
// it is not to be had any more, or another source has begun since. The bytes lie in buf, which holds RepairBytes.
func (c *Consumer) Later(number uint16, buf []byte, p *Packet, h *rtp.Header) (empty bool, r drop.Reason) {
	if c.phase != flowing || c.sent == nil {
		return false, drop.TooLate
	}
	sent, ok := c.sent.Get(number)
	if !ok || sent.Epoch != c.epoch {
		return false, drop.TooLate
	}
	raw := c.encoding().cache.Get(sent.Near(c.numbers.newest))
	if raw == nil {
		return false, drop.TooLate
	}
	_, r = c.render(number, raw, note(sent.Note), buf, p, h)
	return note(sent.Note)&noteEmpty != 0, r
}

// Forget notes that the packet to which Forward has given number, with so many bytes of payload, does not go out after all. Whoever misses
// it gets no repair.
func (c *Consumer) Forget(number uint16, payload int) {
	c.packets--
	c.octets -= uint32(payload)
	if c.sent != nil {
		c.sent.Forget(number, payload)
	}
}

// render makes of a cached packet what went out as number, in buf, and returns where its payload starts there.
func (c *Consumer) render(number uint16, raw []byte, note note, buf []byte, p *Packet, h *rtp.Header) (start int, r drop.Reason) {
	var view rtp.Packet
	if r := view.Parse(buf[:copy(buf, raw)]); r != drop.None {
		return 0, r
	}
	p.view(c.producer, c.current.Encoding, &view, view.Payload(), 0)
	payloadType := c.types[p.Type&0x7f]
	if payloadType == 0 {
		return 0, drop.CodecMismatch // by a later answer
	}
	*h = rtp.Header{PayloadType: payloadType, Marker: note&noteMarker != 0, SequenceNumber: number, Timestamp: c.timestamp(p.Timestamp)}
	if note&noteEmpty != 0 {
		p.Payload, p.Dependency = nil, nil
		return view.HeaderLen(), drop.None
	}
	f, r := codec.Inspect(c.producer.kinds[p.Type&0x7f], p.Payload, p.Marker, p.Dependency, c.producer.cfg.Encrypted)
	if r != drop.None {
		return 0, r
	}
	c.ids.Again(&f.IDs, uint16(note&notePicture), p.Payload, p.Dependency)
	return view.HeaderLen(), drop.None
}

// Twice reports whether the repair that Resend has just rendered, of size bytes, should go out two times.
func (c *Consumer) Twice(number uint16, size int) bool {
	return c.sent.Twice(number) && c.sent.Spend(size)
}

// repair returns the packet that went out as number, if it may go out again now.
func (c *Consumer) repair(now time.Time, number uint16, rtt time.Duration) ([]byte, note, drop.Reason) {
	if c.phase != flowing || c.sent == nil {
		return nil, 0, drop.NackUnknown
	}
	sent, r := c.sent.Resend(number, rtt, now)
	if r == drop.NackUnknown && c.skipped(number, now) {
		sent, r = c.sent.Resend(number, rtt, now)
	}
	if r != drop.None {
		return nil, 0, r
	}
	if sent.Epoch != c.epoch {
		return nil, 0, drop.NackUnknown // of another source: what follows began with a key frame
	}
	raw := c.encoding().cache.Get(sent.Near(c.numbers.newest))
	if raw == nil {
		return nil, 0, drop.NackUnknown
	}
	if spare := note(sent.Note)&noteSpare != 0; spare && c.sent.Scarce() || !c.sent.Spend(len(raw)) {
		return nil, 0, drop.NackTooOften
	}
	return raw, note(sent.Note), drop.None
}

// skipped notes as sent a number that was not, and reports whether there is one: where the first packet of a key frame was itself
// repaired, what came between it and its repair passed while the Consumer still waited. A subscriber that asks for it soon gets
// it; otherwise the hole would stay, and the decoder would stand still until the next key frame.
func (c *Consumer) skipped(number uint16, now time.Time) bool {
	wide := c.highest + int64(int16(number-uint16(c.highest)))
	index, ok := c.numbers.index(wide)
	if !ok || now.Sub(c.beganAt) > nack.MaxAge || index <= c.first || wide >= c.highest {
		return false
	}
	note, ok := c.noteFor(index)
	if !ok {
		return false
	}
	long := now.Add(-nack.MaxAge) // ago: it may go out at once
	c.sent.Put(number, nack.Packet{Index: index, Note: uint32(note), Epoch: c.epoch}, 0, long)
	return true
}

// noteFor returns what Forward would have noted of a packet of the source.
func (c *Consumer) noteFor(index int64) (note, bool) {
	var (
		view rtp.Packet
		p    Packet
	)
	e := c.encoding()
	raw := e.cache.Get(index)
	if raw == nil || view.Parse(raw) != drop.None {
		return 0, false
	}
	p.view(c.producer, e.index, &view, view.Payload(), index)
	if p.Padding {
		return noteEmpty, true
	}
	var r drop.Reason
	p.Frame, r = e.stream.Inspect(c.producer.kinds[p.Type&0x7f], p.Payload, p.Marker, p.Dependency, c.producer.cfg.Encrypted)
	if r != drop.None {
		return 0, false
	}
	layer := c.current
	if index < c.changedAt {
		layer = c.before
	}
	if !c.carries(&p, layer) {
		return noteEmpty, true
	}
	return c.noteOf(&p, c.ids.PictureID(&p.Frame.IDs), p.Marker || ends(&p, layer)), true
}
