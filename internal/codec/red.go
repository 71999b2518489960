package codec

import (
	"encoding/binary"

	"github.com/parley-rtc/parley/internal/drop"
)

// A payload with redundancy (RFC 2198 §3) has a header for each block, then the blocks. The last one is the primary: what the
// packet is about. Those before it are of earlier packets, oldest first, so that one packet that arrives stands in for some
// that did not.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|1|   block PT  |      timestamp offset     |   block length    |   of each redundant block
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|0|   block PT  |                                                   of the primary one
//	+-+-+-+-+-+-+-+-+

// MaxBlocks is how many blocks a payload may have, the primary one among them. Browsers send 2, and at most 10.
const MaxBlocks = 10

// What the fields of a redundant block's header can say.
const (
	maxBlockOffset = 1<<14 - 1
	maxBlockBytes  = 1<<10 - 1

	redundantHeader = 4
	primaryHeader   = 1
)

// Block is one block of a payload with redundancy.
type Block struct {
	PayloadType uint8
	Offset      uint32 // by which its timestamp is before the packet's; 0 for the primary one
	Payload     []byte
}

// Fits reports whether a block can be a redundant one.
func (b *Block) Fits() bool { return b.Offset <= maxBlockOffset && len(b.Payload) <= maxBlockBytes }

// ParseRED fills blocks with those of a payload, and returns how many there are: at least one where the reason is drop.None, the
// last one being the primary. They alias the payload.
func ParseRED(payload []byte, blocks *[MaxBlocks]Block) (n int, r drop.Reason) {
	var sizes [MaxBlocks]int
	b := payload
	for ; ; n++ {
		if len(b) == 0 || n == MaxBlocks {
			return 0, drop.RtpMalformed
		}
		blocks[n] = Block{PayloadType: b[0] & 0x7f}
		if b[0]&0x80 == 0 {
			b = b[primaryHeader:]
			break
		}
		if len(b) < redundantHeader {
			return 0, drop.RtpMalformed
		}
		rest := binary.BigEndian.Uint32(b) & 0xffffff
		blocks[n].Offset, sizes[n] = rest>>10, int(rest&maxBlockBytes)
		b = b[redundantHeader:]
	}
	for i := range n {
		if sizes[i] > len(b) {
			return 0, drop.RtpMalformed
		}
		blocks[i].Payload, b = b[:sizes[i]:sizes[i]], b[sizes[i]:]
	}
	blocks[n].Payload = b
	return n + 1, drop.None
}

// AppendRED appends a payload with these blocks, the primary one last. The others must fit.
func AppendRED(dst []byte, blocks []Block) []byte {
	primary := len(blocks) - 1
	for i := range blocks[:primary] {
		b := &blocks[i]
		dst = binary.BigEndian.AppendUint32(dst, uint32(0x80|b.PayloadType)<<24|b.Offset<<10|uint32(len(b.Payload)))
	}
	dst = append(dst, blocks[primary].PayloadType&0x7f)
	for i := range blocks {
		dst = append(dst, blocks[i].Payload...)
	}
	return dst
}
