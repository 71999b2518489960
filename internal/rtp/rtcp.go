package rtp

import (
	"encoding/binary"

	"github.com/parley-rtc/parley/internal/drop"
)

// RTCP packet types.
const (
	TypeSenderReport      = 200
	TypeReceiverReport    = 201
	TypeSDES              = 202
	TypeTransportFeedback = 205 // RTPFB; Count is the format
	TypePayloadFeedback   = 206 // PSFB; Count is the format
)

// Formats of feedback packets (RFC 4585 §6, RFC 5104 §4).
const (
	FormatNACK        = 1  // of TypeTransportFeedback
	FormatTransportCC = 15 // of TypeTransportFeedback
	FormatPLI         = 1  // of TypePayloadFeedback
	FormatFIR         = 4  // of TypePayloadFeedback
	FormatApplication = 15 // of TypePayloadFeedback
)

// RTCPHeader is the common beginning of an RTCP packet.
type RTCPHeader struct {
	Type  uint8
	Count uint8  // number of blocks, sources or chunks; format of feedback
	SSRC  uint32 // of the packet's sender; 0 where the packet ends before it
}

// NextRTCP splits the first packet, header included and padding not, from a compound (or reduced-size, RFC 5506) datagram. A
// caller loops while rest is not empty; after a reason nothing that follows can be trusted.
func NextRTCP(b []byte) (h RTCPHeader, packet, rest []byte, r drop.Reason) {
	if len(b) < 4 || b[0]>>6 != 2 {
		return h, nil, nil, drop.RtcpMalformed
	}
	n := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
	if n > len(b) {
		return h, nil, nil, drop.RtcpMalformed
	}
	packet, rest = b[:n:n], b[n:]
	if b[0]&0x20 != 0 {
		pad := int(packet[n-1])
		// RFC 3550 §6.4.1 wants a multiple of four, but the deltas of transport-wide feedback are padded from any byte.
		if pad == 0 || pad > n-4 {
			return h, nil, nil, drop.RtcpMalformed
		}
		packet = packet[: n-pad : n-pad]
	}
	h = RTCPHeader{Type: b[1], Count: b[0] & 0x1F}
	if len(packet) >= 8 {
		h.SSRC = binary.BigEndian.Uint32(packet[4:])
	}
	return h, packet, rest, drop.None
}

// TellsArrivals reports whether a datagram begins with transport-wide feedback. It serves encrypted ones too: SRTCP leaves the first 8
// bytes readable (RFC 3711 §3.4).
func TellsArrivals(b []byte) bool {
	return len(b) >= 2 && b[0]>>6 == 2 && b[0]&0x1F == FormatTransportCC && b[1] == TypeTransportFeedback
}

// SenderReport is the sender's half of an SR (RFC 3550 §6.4.1).
type SenderReport struct {
	SSRC    uint32
	NTP     uint64 // sender's wall clock
	RTPTime uint32 // the same instant on the stream's clock
	Packets uint32
	Octets  uint32 // of payload
}

// ReportBlock tells how one stream is received (RFC 3550 §6.4.1).
type ReportBlock struct {
	SSRC         uint32 // the stream reported on
	FractionLost uint8  // since the last report, of 256
	Lost         int32  // since the beginning; negative with duplicates; 24 bits on the wire
	Highest      uint32 // extended highest sequence number
	Jitter       uint32 // in timestamp units
	LastSR       uint32 // compact NTP of the last SR; 0: none yet
	Delay        uint32 // since that SR, in 1/65536 s
}

const (
	senderReportSize = 28 // header, SSRC and sender's half
	reportBlockSize  = 24
)

// ParseSenderReport reads an SR that NextRTCP has returned.
func ParseSenderReport(packet []byte) (SenderReport, drop.Reason) {
	if len(packet) < senderReportSize {
		return SenderReport{}, drop.RtcpMalformed
	}
	return SenderReport{
		SSRC:    binary.BigEndian.Uint32(packet[4:]),
		NTP:     binary.BigEndian.Uint64(packet[8:]),
		RTPTime: binary.BigEndian.Uint32(packet[16:]),
		Packets: binary.BigEndian.Uint32(packet[20:]),
		Octets:  binary.BigEndian.Uint32(packet[24:]),
	}, drop.None
}

// ReportBlockAt returns the i-th report block of an SR or RR, and whether there is one.
func ReportBlockAt(packet []byte, i int) (ReportBlock, bool) {
	if len(packet) < 8 || i >= int(packet[0]&0x1F) {
		return ReportBlock{}, false
	}
	at := 8 + i*reportBlockSize
	if packet[1] == TypeSenderReport {
		at += senderReportSize - 8
	}
	if len(packet) < at+reportBlockSize {
		return ReportBlock{}, false
	}
	b := packet[at:]
	return ReportBlock{
		SSRC:         binary.BigEndian.Uint32(b),
		FractionLost: b[4],
		Lost:         int32(binary.BigEndian.Uint32(b[4:])<<8) >> 8,
		Highest:      binary.BigEndian.Uint32(b[8:]),
		Jitter:       binary.BigEndian.Uint32(b[12:]),
		LastSR:       binary.BigEndian.Uint32(b[16:]),
		Delay:        binary.BigEndian.Uint32(b[20:]),
	}, true
}

// RoundTrip returns the round-trip time in units of 1/65536 s that a report block shows, given the compact NTP time of its
// arrival (RFC 3550 §6.4.1). It reports false where the block answers no SR or the clocks contradict each other.
func (b *ReportBlock) RoundTrip(now uint32) (uint32, bool) {
	rtt := now - b.LastSR - b.Delay
	return rtt, b.LastSR != 0 && rtt < 1<<31
}

// MediaSSRC returns the stream that a feedback packet is about (RFC 4585 §6.1), and whether the packet is long enough. A FIR has 0
// there and names the streams in its entries.
func MediaSSRC(packet []byte) (uint32, bool) {
	if len(packet) < 12 {
		return 0, false
	}
	return binary.BigEndian.Uint32(packet[8:]), true
}

// ParseREMB reads a Receiver Estimated Maximum Bitrate (draft-alvestrand-rmcat-remb-03 §2.2), in bits per second, from application
// layer feedback; false: it is none.
func ParseREMB(packet []byte) (bitrate uint64, ok bool) {
	if len(packet) < 20 || string(packet[12:16]) != "REMB" {
		return 0, false
	}
	v := binary.BigEndian.Uint32(packet[16:])
	exponent, mantissa := v>>18&0x3F, uint64(v&0x3FFFF)
	return mantissa << exponent, exponent <= 64-18
}

// NACKIterator yields the sequence numbers that a generic NACK asks for. It is a value; the packet must stay unchanged.
type NACKIterator struct {
	fci []byte
	pid uint16
	blp uint16
	at  uint8 // next bit of blp; 0: no entry open
}

// NACKs iterates over a generic NACK (RFC 4585 §6.2.1).
func NACKs(packet []byte) NACKIterator {
	if len(packet) < 12 {
		return NACKIterator{}
	}
	return NACKIterator{fci: packet[12:]}
}

// Next returns the next sequence number; false at the end.
func (n *NACKIterator) Next() (uint16, bool) {
	for n.at > 0 && n.blp != 0 {
		at, set := n.at, n.blp&1 != 0
		n.blp >>= 1
		n.at++
		if set {
			return n.pid + uint16(at), true
		}
	}
	if len(n.fci) < 4 {
		return 0, false
	}
	n.pid, n.blp, n.at = binary.BigEndian.Uint16(n.fci), binary.BigEndian.Uint16(n.fci[2:]), 1
	n.fci = n.fci[4:]
	return n.pid, true
}

// FIRIterator yields the entries of a FIR.
type FIRIterator struct{ fci []byte }

// FIRs iterates over a Full Intra Request (RFC 5104 §4.3.1).
func FIRs(packet []byte) FIRIterator {
	if len(packet) < 12 {
		return FIRIterator{}
	}
	return FIRIterator{fci: packet[12:]}
}

// Next returns the stream asked for a key frame and the command's number: one seen before is a repetition of the same request.
func (f *FIRIterator) Next() (ssrc uint32, number uint8, ok bool) {
	if len(f.fci) < 8 {
		return 0, 0, false
	}
	ssrc, number = binary.BigEndian.Uint32(f.fci), f.fci[4]
	f.fci = f.fci[8:]
	return ssrc, number, true
}
