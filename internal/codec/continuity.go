package codec

import "encoding/binary"

// IDs are a packet's running ids as its publisher wrote them, and where they stand. What a packet does not carry is zero.
type IDs struct {
	PictureID   uint16 // VP8, VP9: 7 or 15 bits
	TL0PicIdx   uint8  // VP8, VP9
	FrameNumber uint16 // dependency descriptor

	pictureAt, tl0At uint8 // offsets in the payload, where a descriptor comes first; 0: absent
	wide             bool  // 15-bit picture id
	described        bool  // a dependency descriptor is there
}

// HasPictureID, HasTL0PicIdx and HasFrameNumber report which ids the packet carries.
func (ids *IDs) HasPictureID() bool   { return ids.pictureAt != 0 }
func (ids *IDs) HasTL0PicIdx() bool   { return ids.tl0At != 0 }
func (ids *IDs) HasFrameNumber() bool { return ids.described }

// Offsets are added to a publisher's ids, modulo their widths. They are constant between two switches, so that a packet that
// is sent again gets the ids that it had: a Consumer keeps one value per switch, not per packet.
type Offsets struct {
	PictureID   uint16
	TL0PicIdx   uint8
	FrameNumber uint16
}

// Patch writes the ids plus the offsets into the payload and the descriptor element that ids were read from, or copies of
// these. It does not read them, so one buffer may be patched for one Consumer after another.
func (o Offsets) Patch(ids *IDs, payload, descriptor []byte) {
	if ids.pictureAt != 0 {
		id := ids.PictureID + o.PictureID
		if at := ids.pictureAt; ids.wide {
			binary.BigEndian.PutUint16(payload[at:], id|0x8000)
		} else {
			payload[at] = byte(id) & 0x7F
		}
	}
	if ids.tl0At != 0 {
		payload[ids.tl0At] = ids.TL0PicIdx + o.TL0PicIdx
	}
	if ids.described && len(descriptor) >= descriptorSize {
		binary.BigEndian.PutUint16(descriptor[frameNumberAt:], ids.FrameNumber+o.FrameNumber)
	}
}

// Continuity keeps one Consumer's ids running on while its sources change. The zero value leaves the first source's ids as
// they are. Holes of the source stay holes.
type Continuity struct {
	offsets  Offsets
	last     Offsets // highest ids sent, where there were any:
	picture  bool
	tl0      bool
	numbered bool
	switched bool
}

// Switch notes that the next packet is of another source: its ids will follow the highest ones sent. That packet must be the
// first of a frame.
func (c *Continuity) Switch() { c.switched = true }

// Apply patches a packet of the present source for sending, and notes its ids. Packets of a source may come in any order
// after its first one; packets of an earlier source are not for Apply but for the Offsets of their time.
func (c *Continuity) Apply(ids *IDs, payload, descriptor []byte) {
	if c.switched {
		c.begin(ids)
	}
	c.note(ids)
	c.offsets.Patch(ids, payload, descriptor)
}

// Offsets returns what Apply adds at present, for sending again what it has been applied to.
func (c *Continuity) Offsets() Offsets { return c.offsets }

// begin sets the offsets so that ids become the successors of the last ones sent. An id that was never sent, or that the new
// source does not carry, has nothing to follow.
func (c *Continuity) begin(ids *IDs) {
	c.switched, c.offsets = false, Offsets{}
	if ids.pictureAt != 0 && c.picture {
		c.offsets.PictureID = (c.last.PictureID + 1 - ids.PictureID) & 0x7FFF
	}
	if ids.tl0At != 0 && c.tl0 {
		c.offsets.TL0PicIdx = c.last.TL0PicIdx + 1 - ids.TL0PicIdx
	}
	if ids.described && c.numbered {
		c.offsets.FrameNumber = c.last.FrameNumber + 1 - ids.FrameNumber
	}
}

// note raises the highest ids sent.
func (c *Continuity) note(ids *IDs) {
	if ids.pictureAt != 0 {
		id := (ids.PictureID + c.offsets.PictureID) & 0x7FFF
		if ahead := (id - c.last.PictureID) & 0x7FFF; !c.picture || ahead < 0x4000 {
			c.last.PictureID, c.picture = id, true
		}
	}
	if ids.tl0At != 0 {
		idx := ids.TL0PicIdx + c.offsets.TL0PicIdx
		if !c.tl0 || idx-c.last.TL0PicIdx < 0x80 {
			c.last.TL0PicIdx, c.tl0 = idx, true
		}
	}
	if ids.described {
		n := ids.FrameNumber + c.offsets.FrameNumber
		if !c.numbered || n-c.last.FrameNumber < 0x8000 {
			c.last.FrameNumber, c.numbered = n, true
		}
	}
}
