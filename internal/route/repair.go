package route

import (
	"encoding/binary"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/nack"
	"github.com/parley-rtc/parley/internal/rtp"
)

// RepairBytes is the size of the buffer that Resend needs: a packet, and the original number in front of its payload.
const RepairBytes = datagram.MaxBytes + 2

// Resend renders the packet that the subscriber knows by number once more: into p and h, as Forward would, but as the payload of
// an RTX packet, which begins with the original number (RFC 4588 §4), and with the payload type of the RTX stream. rtt spaces
// repeated requests for one number. The bytes lie in buf, which holds RepairBytes.
func (c *Consumer) Resend(now time.Time, number uint16, rtt time.Duration, buf []byte, p *Packet, h *rtp.Header) drop.Reason {
	raw, r := c.cached(now, number, rtt)
	if r != drop.None {
		return r
	}
	var view rtp.Packet
	if r := view.Parse(buf[:copy(buf, raw)]); r != drop.None {
		return r
	}
	index := c.highest + int64(int16(number-uint16(c.highest))) - c.seqOffset
	if r := c.producer.view(&view, view.Payload(), index, p); r != drop.None {
		return r
	}
	payloadType := c.types[p.Type&0x7f]
	rtx := c.rtxTypes[payloadType]
	if rtx == 0 {
		return drop.CodecMismatch // without RTX the subscriber's replay check would refuse it
	}
	c.render(p, payloadType, h)
	c.ids.Offsets().Patch(&p.Frame.IDs, p.Payload, p.Dependency)
	h.PayloadType = rtx
	start := view.HeaderLen()
	moved := buf[start : start+2+len(p.Payload)]
	copy(moved[2:], p.Payload)
	binary.BigEndian.PutUint16(moved, number)
	p.Payload = moved
	return drop.None
}

// cached returns the packet that went out as number, if it may go out again now.
func (c *Consumer) cached(now time.Time, number uint16, rtt time.Duration) ([]byte, drop.Reason) {
	if c.phase != flowing || c.sent == nil {
		return nil, drop.NackUnknown
	}
	index, epoch, r := c.sent.Resend(number, rtt, now)
	if r == drop.NackUnknown && c.skipped(number, now) {
		index, epoch, r = c.sent.Resend(number, rtt, now)
	}
	if r != drop.None {
		return nil, r
	}
	if epoch != c.epoch {
		return nil, drop.NackUnknown // of another Producer: what follows began with a key frame
	}
	raw := c.producer.cache.Get(index)
	if raw == nil {
		return nil, drop.NackUnknown
	}
	if !c.sent.Spend(len(raw)) {
		return nil, drop.NackTooOften
	}
	return raw, drop.None
}

// skipped notes as sent a number that was not, and reports whether there is one: where the first packet of a key frame was itself
// repaired, what came between it and its repair passed while the Consumer still waited. A subscriber that asks for it soon gets
// it; otherwise the hole would stay, and the decoder would stand still until the next key frame.
func (c *Consumer) skipped(number uint16, now time.Time) bool {
	index := c.highest + int64(int16(number-uint16(c.highest))) - c.seqOffset
	if now.Sub(c.beganAt) > nack.MaxAge || index <= c.first || index+c.seqOffset >= c.highest || c.producer.cache.Get(index) == nil {
		return false
	}
	c.sent.Put(number, index, c.epoch, 0, now.Add(-nack.MaxAge)) // long enough ago to go out at once
	return true
}
