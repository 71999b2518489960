package codec

import "encoding/binary"

// Widener turns the 7-bit picture ids of one publisher's stream into 15-bit ones, so that they can go on from another
// publisher's: libwebrtc counts in 15 bits whatever the width, and some publishers change from 7 to 15 bits on their way.
type Widener struct {
	last  uint16
	known bool
}

// Widen returns the payload with a 15-bit picture id, in place and one byte longer, and notes the id; a payload without a
// 7-bit picture id comes back as it is. It needs one byte of capacity, which the SRTP tag has left behind the payload; without
// it, too, the payload comes back as it is. It comes before Inspect.
func (w *Widener) Widen(kind Kind, payload []byte) []byte {
	var f Frame
	var ok bool
	switch kind {
	case VP8:
		f, ok = inspectVP8(payload, true)
	case VP9:
		f, ok = inspectVP9(payload)
	}
	if !ok || f.IDs.pictureAt == 0 {
		return payload
	}
	if f.IDs.wide {
		w.note(f.IDs.PictureID)
		return payload
	}
	n, at := len(payload), int(f.IDs.pictureAt)
	if cap(payload) == n {
		return payload
	}
	id := f.IDs.PictureID
	if w.known { // the nearest id to the last one, modulo 2^7
		step := int(int8((id-w.last)<<1)) >> 1
		id = (w.last + uint16(step)) & 0x7FFF
	}
	w.note(id)
	payload = payload[:n+1]
	copy(payload[at+1:], payload[at:n])
	binary.BigEndian.PutUint16(payload[at:], id|0x8000)
	return payload
}

// note raises the last id; an older one, of a packet out of order, leaves it.
func (w *Widener) note(id uint16) {
	if !w.known || (id-w.last)&0x7FFF < 0x4000 {
		w.last, w.known = id, true
	}
}
