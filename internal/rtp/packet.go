// Package rtp reads and writes RTP (RFC 3550, RFC 8285) and RTCP (RFC 3550, RFC 4585, RFC 5104) in the caller's buffers.
//
// Nothing here allocates or keeps state beyond the small value types that a caller embeds: Packet is a view of bytes that
// somebody else owns, Append functions grow the caller's slice, and iterators are values.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|V=2|P|X|  CC   |M|     PT      |       sequence number         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                           timestamp                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                             SSRC                              |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  CSRC × CC, then if X: profile (16) | length in words (16) | …  |
package rtp

import (
	"encoding/binary"

	"github.com/parley-rtc/parley/internal/drop"
)

// fixedHeader is the length of an RTP header without CSRCs and extensions.
const fixedHeader = 12

// Profiles of header extensions (RFC 8285 §4.2, §4.3). The low four bits of the two-byte one are the application's.
const (
	profileOneByte     = 0xBEDE
	profileTwoByte     = 0x1000
	profileTwoByteMask = 0xFFF0
)

// IsRTCP tells RTCP from RTP on one port: the second byte of RTCP is 192–223 (RFC 5761 §4).
func IsRTCP(b []byte) bool { return len(b) >= 2 && b[1] >= 192 && b[1] <= 223 }

// HeaderLen returns the length of b's header with CSRCs and extensions. It needs clear text only up to there, so it serves
// encrypted packets too.
func HeaderLen(b []byte) (int, drop.Reason) {
	if len(b) < fixedHeader || b[0]>>6 != 2 {
		return 0, drop.RtpMalformed
	}
	n := fixedHeader + 4*int(b[0]&0x0F)
	if b[0]&0x10 != 0 {
		if len(b) < n+4 {
			return 0, drop.RtpMalformed
		}
		n += 4 + 4*int(binary.BigEndian.Uint16(b[n+2:]))
	}
	if len(b) < n {
		return 0, drop.RtpMalformed
	}
	return n, drop.None
}

// Packet is a view of one plaintext RTP packet. It aliases the bytes given to Parse; the zero Packet is empty and only Parse
// may be called on it.
type Packet struct {
	b       []byte
	header  int // length with CSRCs and extensions
	ext     int // where the extension elements begin; header where there are none
	profile uint16
	padding int
}

// Parse makes p a view of b. Extension elements are not looked at: Extension never reads beyond them.
func (p *Packet) Parse(b []byte) drop.Reason {
	n, r := HeaderLen(b)
	if r != drop.None {
		return r
	}
	*p = Packet{b: b, header: n, ext: n}
	if b[0]&0x10 != 0 {
		at := fixedHeader + 4*int(b[0]&0x0F)
		p.profile, p.ext = binary.BigEndian.Uint16(b[at:]), at+4
	}
	if b[0]&0x20 != 0 {
		// RFC 3550 §5.1: the last octet counts how many octets are to be ignored, including itself.
		if len(b) == n {
			return drop.RtpMalformed
		}
		p.padding = int(b[len(b)-1])
		if p.padding == 0 || p.padding > len(b)-n {
			return drop.RtpMalformed
		}
	}
	return drop.None
}

// Bytes returns the whole packet, as given to Parse.
func (p *Packet) Bytes() []byte { return p.b }

// PayloadType returns the payload type.
func (p *Packet) PayloadType() uint8 { return p.b[1] & 0x7F }

// Marker returns the marker bit.
func (p *Packet) Marker() bool { return p.b[1]&0x80 != 0 }

// SequenceNumber returns the sequence number.
func (p *Packet) SequenceNumber() uint16 { return binary.BigEndian.Uint16(p.b[2:]) }

// Timestamp returns the RTP timestamp, in units of the payload's clock rate.
func (p *Packet) Timestamp() uint32 { return binary.BigEndian.Uint32(p.b[4:]) }

// SSRC returns the synchronisation source.
func (p *Packet) SSRC() uint32 { return binary.BigEndian.Uint32(p.b[8:]) }

// HeaderLen returns the length of the header with CSRCs and extensions.
func (p *Packet) HeaderLen() int { return p.header }

// Header returns the fixed fields.
func (p *Packet) Header() Header {
	return Header{
		PayloadType: p.PayloadType(), Marker: p.Marker(),
		SequenceNumber: p.SequenceNumber(), Timestamp: p.Timestamp(), SSRC: p.SSRC(),
	}
}

// Payload returns the payload without padding. It aliases the packet. Its capacity reaches to the end of the buffer that the
// packet is in: padding, or the SRTP tag that was there, is room to grow.
func (p *Packet) Payload() []byte { return p.b[p.header : len(p.b)-p.padding] }

// PaddingOnly reports that the packet has no payload: a probe for bandwidth, nothing to forward.
func (p *Packet) PaddingOnly() bool { return p.header+p.padding == len(p.b) }

// Extension returns the element with the given id, or nil. It aliases the packet; an element of length 0 (two-byte form only)
// is empty and not nil.
func (p *Packet) Extension(id uint8) []byte {
	if p.ext == p.header || id == 0 {
		return nil
	}
	elements := p.b[p.ext:p.header:p.header]
	switch {
	case p.profile == profileOneByte:
		return oneByteElement(elements, id)
	case p.profile&profileTwoByteMask == profileTwoByte:
		return twoByteElement(elements, id)
	}
	return nil
}

func oneByteElement(e []byte, id uint8) []byte {
	for len(e) > 0 {
		if e[0] == 0 { // padding
			e = e[1:]
			continue
		}
		got, n := e[0]>>4, int(e[0]&0x0F)+1
		// RFC 8285 §4.2: at id 15, or id 0 with a length, processing of the whole extension ends.
		if got == 15 || got == 0 || len(e) < 1+n {
			return nil
		}
		if got == id {
			return e[1 : 1+n : 1+n]
		}
		e = e[1+n:]
	}
	return nil
}

func twoByteElement(e []byte, id uint8) []byte {
	for len(e) > 1 {
		if e[0] == 0 { // padding is a single byte here too (RFC 8285 §4.3)
			e = e[1:]
			continue
		}
		n := int(e[1])
		if len(e) < 2+n {
			return nil
		}
		if e[0] == id {
			return e[2 : 2+n : 2+n]
		}
		e = e[2+n:]
	}
	return nil
}
