package source

import (
	"encoding/binary"

	"github.com/parley-rtc/parley/internal/codec"
)

// part is one packet of a frame, as far as its head depends on it.
type part struct {
	index, count uint16
	size         int // of the payload
	key          bool
	picture      uint16 // counts frames of this encoding
	config       *Config
}

func (p part) first() bool { return p.index == 0 }
func (p part) last() bool  { return p.index == p.count-1 }

// header appends what stands before the filling of a packet.
type header func(b []byte, p part) []byte

var headers = map[codec.Kind]header{
	codec.Opus: headOpus, codec.VP8: headVP8, codec.VP9: headVP9, codec.H264: headH264, codec.AV1: headAV1,
}

// filling is what coded media consist of here. It is no start code, and no length in LEB128.
const filling = 0xAA

func bit(is bool, mask byte) byte {
	if is {
		return mask
	}
	return 0
}

// headOpus announces one mono frame of 20 ms, in hybrid mode with the full band (RFC 6716 §3.1).
func headOpus(b []byte, _ part) []byte { return append(b, 15<<3) }

// headVP8 is a payload descriptor with a 15-bit picture id and TL0PICIDX (RFC 7741 §4.2), and in the first packet the frame's own
// header (RFC 6386 §9.1).
func headVP8(b []byte, p part) []byte {
	b = append(b, 0x80|bit(p.first(), 0x10), 0xE0, 0x80|byte(p.picture>>8), byte(p.picture), byte(p.picture), 0)
	switch {
	case p.first() && p.key:
		w, h := p.config.Width, p.config.Height
		b = append(b, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, byte(w), byte(w>>8), byte(h), byte(h>>8))
	case p.first():
		b = append(b, 0x11, 0x02, 0x00)
	}
	return b
}

// headVP9 is a payload descriptor in non-flexible mode with a 15-bit picture id and layer indices; key frames bring the size
// (RFC 9628 §4.2).
func headVP9(b []byte, p part) []byte {
	const size = 0x10 // one spatial layer, with its size, without a description of the group of pictures
	structure := p.first() && p.key
	b = append(b, 0xA0|bit(!p.key, 0x40)|bit(p.first(), 0x08)|bit(p.last(), 0x04)|bit(structure, 0x02),
		0x80|byte(p.picture>>8), byte(p.picture), 0, byte(p.picture))
	if structure {
		w, h := p.config.Width, p.config.Height
		b = append(b, size, byte(w>>8), byte(w), byte(h>>8), byte(h))
	}
	return b
}

// Types of NAL units (ITU-T H.264 table 7-1), and the parameter sets of constrained baseline at level 3.1 with 1280×720.
const (
	refNAL     = 3 << 5 // nal_ref_idc
	nalSlice   = 1
	nalIDR     = 5
	nalFiller  = 12
	nalSTAPA   = 24
	nalFU      = 28
	firstSlice = 0x88 // first_mb_in_slice = 0
)

var parameterSets = []byte{refNAL | nalSTAPA, 0, 9, 0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0, 4, 0x68, 0xce, 0x3c, 0x80}

// headH264 begins a slice, in fragmentation units where it has several packets (RFC 6184 §5.8). Before the slice of a key frame
// stand the parameter sets in an aggregation packet (§5.7.1), whose last unit is filler.
func headH264(b []byte, p part) []byte {
	at, nal := p.index, byte(nalSlice)
	if p.key {
		if at == 0 {
			b = append(b, parameterSets...)
			b = binary.BigEndian.AppendUint16(b, uint16(p.size-len(parameterSets)-2))
			return append(b, nalFiller)
		}
		at, nal = at-1, nalIDR
	}
	begins, ends := at == 0, p.last()
	if begins && ends {
		return append(b, refNAL|nal, firstSlice)
	}
	return append(b, refNAL|nalFU, bit(begins, 0x80)|bit(ends, 0x40)|nal, firstSlice)
}

// sequenceHeader is an OBU of that type, with as much of the main profile as a parser of the first bytes looks at (AV1 §5.5).
var sequenceHeader = []byte{1 << 3, 0x00, 0x00, 0x00, 0x2d, 0x9f, 0xfc, 0xcc, 0x80}

// headAV1 is an aggregation header (RTP Payload Format For AV1 §4.4) and the start of a frame OBU, before which key frames have a
// sequence header.
func headAV1(b []byte, p part) []byte {
	const (
		one, two = 1 << 4, 2 << 4 // OBU elements
		sequence = 0x08
		frame    = 6 << 3
	)
	aggregation := bit(!p.first(), 0x80) | bit(!p.last(), 0x40)
	switch {
	case p.first() && p.key:
		b = append(b, aggregation|two|sequence, byte(len(sequenceHeader)))
		return append(append(b, sequenceHeader...), frame)
	case p.first():
		return append(b, aggregation|one, frame)
	}
	return append(b, aggregation|one)
}
