package relay

import (
	"encoding/binary"

	"github.com/parley-rtc/parley/internal/datagram"
)

// frame tells how long the message is that begins with b on a TCP or TLS connection: a STUN message, or ChannelData with its padding to four
// bytes (RFC 8656 §12.5). It returns 0 when more bytes are needed to tell, and a negative number when no such message begins so: then the
// connection is of no use any more.
func frame(b []byte) int {
	if len(b) < 4 {
		if len(b) > 0 && b[0] > lastChannel {
			return -1
		}
		return 0
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	n := 4 + (length+3)&^3
	switch {
	case b[0] >= firstChannel && b[0] <= lastChannel:
	case b[0] < firstChannel && length%4 == 0: // RFC 8489 §5: two zero bits; a multiple of four
		n = stunHeader + length
	default:
		return -1
	}
	if n > maxFrameBytes {
		return -1
	}
	return n
}

// frameOf is frame for a ring, which holds whole ones.
func frameOf(head [datagram.RingHead]byte) int { return frame(head[:]) }

const (
	stunHeader = 20
	// First byte of ChannelData: RFC 8656 §12 ends channel numbers at 0x4FFF, RFC 5766 at 0x7FFF, which its clients still use.
	firstChannel, lastChannel = 0x40, 0x7f
)

// isPayload reports whether a frame to a client carries what a peer has sent: ChannelData, or a Data indication (RFC 8656 §18.4, method 7,
// class 01). All others are answers.
func isPayload(head []byte) bool {
	return head[0] >= firstChannel || head[0] == 0x00 && head[1] == 0x17
}

// exact returns the length of the message that b begins with, without padding.
func exact(b []byte) int {
	n := int(binary.BigEndian.Uint16(b[2:]))
	if b[0] >= firstChannel {
		return 4 + n
	}
	return stunHeader + n
}
