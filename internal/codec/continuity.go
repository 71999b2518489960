package codec

import (
	"encoding/binary"
	"math/bits"
)

// IDs are a packet's running ids as its publisher wrote them, and where they stand. What a packet does not carry is zero.
type IDs struct {
	PictureID   uint16 // VP8, VP9: 7 or 15 bits
	TL0PicIdx   uint8  // VP8, VP9
	FrameNumber uint16 // dependency descriptor

	pictureAt, tl0At uint8 // offsets in the payload, where a descriptor comes first; 0: absent
	wide             bool  // 15-bit picture id
	gapless          bool  // picture ids must not skip what is left out on purpose: VP8
	described        bool  // a dependency descriptor is there
}

// HasPictureID, HasTL0PicIdx and HasFrameNumber report which ids the packet carries.
func (ids *IDs) HasPictureID() bool   { return ids.pictureAt != 0 }
func (ids *IDs) HasTL0PicIdx() bool   { return ids.tl0At != 0 }
func (ids *IDs) HasFrameNumber() bool { return ids.described }

// Offsets are added to a publisher's ids, modulo their widths. Between two switches only that of picture ids changes, and only
// where pictures are left out.
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

// Continuity keeps one Consumer's ids running on while its sources change and pictures are left out. The zero value leaves the
// first source's ids as they are. Holes of the source stay holes.
//
// A decoder of VP8 waits for the pictures between two ids where a later one may depend on them, so a picture that is left out
// must leave no hole. VP9 and the dependency descriptor say what depends on what; their holes mean nothing.
type Continuity struct {
	offsets  Offsets
	last     Offsets // highest ids sent, where there were any:
	picture  bool
	tl0      bool
	numbered bool
	switched bool
	newest   uint16 // picture id of the source's newest picture, sent or left out
	leftOut  uint64 // bit i: the picture newest − i was left out
	begun    bool   // newest is known
}

// Switch notes that the next packet is of another source: its ids will follow the highest ones sent. That packet must be the
// first of a frame.
func (c *Continuity) Switch() { c.switched = true }

// Apply patches a packet of the present source for sending, notes its ids, and returns the picture id that it goes out with, for
// Again. Packets of a source may come in any order after its first one; packets of an earlier source are not for Apply.
func (c *Continuity) Apply(ids *IDs, payload, descriptor []byte) (picture uint16) {
	if c.switched {
		c.begin(ids)
	}
	o := c.offsets
	if ids.gapless {
		o.PictureID += c.advance(ids.PictureID)
	}
	c.note(ids, o)
	o.Patch(ids, payload, descriptor)
	return (ids.PictureID + o.PictureID) & 0x7FFF
}

// Left reports whether a packet is of a picture of which another packet was left out.
func (c *Continuity) Left(ids *IDs) bool {
	behind := (c.newest - ids.PictureID) & 0x7FFF
	return ids.gapless && c.begun && !c.switched && behind < 64 && c.leftOut&(1<<behind) != 0
}

// PictureID returns the id with which a packet of the present source would go out that has not been sent.
func (c *Continuity) PictureID(ids *IDs) uint16 {
	o := c.offsets
	if behind := (c.newest - ids.PictureID) & 0x7FFF; ids.gapless && behind < 0x4000 {
		o.PictureID += uint16(bits.OnesCount64(c.leftOut & (1<<behind - 1)))
	}
	return (ids.PictureID + o.PictureID) & 0x7FFF
}

// Again patches a packet of the present source as Apply did that returned picture.
func (c *Continuity) Again(ids *IDs, picture uint16, payload, descriptor []byte) {
	o := c.offsets
	o.PictureID = picture - ids.PictureID
	o.Patch(ids, payload, descriptor)
}

// LeaveOut notes a packet of the present source that is not sent because its layer is not. Only the newest picture can still be
// left out: the ids behind it have been given away, and an older one remains a hole.
func (c *Continuity) LeaveOut(ids *IDs) {
	if !ids.gapless || c.switched {
		return
	}
	c.advance(ids.PictureID)
	if c.newest == ids.PictureID && c.leftOut&1 == 0 {
		c.leftOut |= 1
		c.offsets.PictureID--
	}
}

// advance makes room for a picture if it is the newest, and returns what its id needs beside the offset of now: the number of
// pictures after it that were left out.
func (c *Continuity) advance(id uint16) (newer uint16) {
	ahead := (id - c.newest) & 0x7FFF
	switch {
	case !c.begun:
		c.newest, c.leftOut, c.begun = id, 0, true
	case ahead < 0x4000:
		c.newest, c.leftOut = id, c.leftOut<<ahead
	default:
		behind := -ahead & 0x7FFF
		return uint16(bits.OnesCount64(c.leftOut & (1<<behind - 1)))
	}
	return 0
}

// begin sets the offsets so that ids become the successors of the last ones sent. An id that was never sent, or that the new
// source does not carry, has nothing to follow.
func (c *Continuity) begin(ids *IDs) {
	c.switched, c.offsets, c.begun = false, Offsets{}, false
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
func (c *Continuity) note(ids *IDs, o Offsets) {
	if ids.pictureAt != 0 {
		id := (ids.PictureID + o.PictureID) & 0x7FFF
		if ahead := (id - c.last.PictureID) & 0x7FFF; !c.picture || ahead < 0x4000 {
			c.last.PictureID, c.picture = id, true
		}
	}
	if ids.tl0At != 0 {
		idx := ids.TL0PicIdx + o.TL0PicIdx
		if !c.tl0 || idx-c.last.TL0PicIdx < 0x80 {
			c.last.TL0PicIdx, c.tl0 = idx, true
		}
	}
	if ids.described {
		n := ids.FrameNumber + o.FrameNumber
		if !c.numbered || n-c.last.FrameNumber < 0x8000 {
			c.last.FrameNumber, c.numbered = n, true
		}
	}
}
