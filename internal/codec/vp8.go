package codec

import "encoding/binary"

// inspectVP8 reads the VP8 payload descriptor (RFC 7741 §4.2):
//
//	|X|R|N|S|R| PID |      X: the next byte is there; S: a partition starts; PID: which
//	|I|L|T|K|  RSV  |
//	|M| PictureID   |      I; with M a second byte: 15 bits
//	|   TL0PICIDX   |      L
//	|TID|Y| KEYIDX  |      T or K; Y: depends on frames with TID 0 only
//	|Size0|H| VER |P|      the frame's own header: P = 0 is a key frame (§4.3)
func inspectVP8(b []byte, encrypted bool) (Frame, bool) {
	if len(b) < 1 {
		return Frame{}, false
	}
	var f Frame
	f.Start = b[0]&0x10 != 0 && b[0]&0x07 == 0
	at := 1
	if b[0]&0x80 != 0 {
		if len(b) < 2 {
			return Frame{}, false
		}
		flags := b[1]
		at = 2
		if flags&0x80 != 0 {
			if at = f.IDs.readPictureID(b, at); at == 0 {
				return Frame{}, false
			}
			f.IDs.gapless = f.IDs.wide
		}
		if flags&0x40 != 0 {
			if at = f.IDs.readTL0PicIdx(b, at); at == 0 {
				return Frame{}, false
			}
		}
		if flags&0x30 != 0 {
			if len(b) <= at {
				return Frame{}, false
			}
			if flags&0x20 != 0 {
				f.Temporal, f.layered = b[at]>>6, true
				f.Step = f.Temporal > 0 && b[at]&0x20 != 0
			}
			at++
		}
	}
	if len(b) <= at { // a descriptor without any payload
		return Frame{}, false
	}
	f.next = uint8(at)
	f.Key = f.Start && !encrypted && b[at]&0x01 == 0
	return f, true
}

// sizeVP8 reads the size of a key frame, whose header has a start code and then width and height with two bits of scaling each
// (RFC 6386 §9.1).
func sizeVP8(frame []byte) Size {
	if len(frame) < 10 || frame[3] != 0x9D || frame[4] != 0x01 || frame[5] != 0x2A {
		return Size{}
	}
	return Size{binary.LittleEndian.Uint16(frame[6:]) & 0x3FFF, binary.LittleEndian.Uint16(frame[8:]) & 0x3FFF}
}

// readPictureID reads a 7 or 15-bit picture id at b[at:], as VP8 and VP9 both have it, and returns what follows; 0 if cut off.
func (ids *IDs) readPictureID(b []byte, at int) int {
	if len(b) <= at {
		return 0
	}
	if b[at]&0x80 == 0 {
		ids.pictureAt, ids.PictureID = uint8(at), uint16(b[at])
		return at + 1
	}
	if len(b) < at+2 {
		return 0
	}
	ids.pictureAt, ids.wide, ids.PictureID = uint8(at), true, binary.BigEndian.Uint16(b[at:])&0x7FFF
	return at + 2
}

// readTL0PicIdx reads a TL0PICIDX at b[at] and returns what follows; 0 if cut off.
func (ids *IDs) readTL0PicIdx(b []byte, at int) int {
	if len(b) <= at {
		return 0
	}
	ids.tl0At, ids.TL0PicIdx = uint8(at), b[at]
	return at + 1
}
