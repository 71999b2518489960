package rtp

import (
	"encoding/binary"

	"github.com/parley-rtc/parley/internal/drop"
)

// Resize sets the length of the payload, which may only grow into the buffer that the packet is in (see Payload). Padding goes,
// and the packet says so: Resize(len(p.Payload())) makes Bytes fit to be kept.
func (p *Packet) Resize(n int) {
	p.b = p.b[:p.header+n]
	p.b[0] &^= 0x20
	p.padding = 0
}

// UnwrapRTX turns p, a retransmission packet (RFC 4588 §4), in place into the packet that it repeats, given the payload type
// and SSRC of the repeated stream. The original sequence number is the payload's first two bytes; the header moves over them.
// Its header extensions are those of the retransmission.
func (p *Packet) UnwrapRTX(payloadType uint8, ssrc uint32) drop.Reason {
	payload := p.Payload()
	if len(payload) == 0 {
		return drop.RtpPadding // a probe
	}
	if len(payload) < 2 {
		return drop.RtpMalformed
	}
	original := binary.BigEndian.Uint16(payload)
	copy(p.b[2:], p.b[:p.header])
	p.b = p.b[2:] // offsets count from the header, which has moved as a whole
	p.b[1] = p.b[1]&0x80 | payloadType&0x7F
	binary.BigEndian.PutUint16(p.b[2:], original)
	binary.BigEndian.PutUint32(p.b[8:], ssrc)
	return drop.None
}
