package rtp

import "encoding/binary"

// AppendSenderReport appends an SR with up to 31 blocks; further blocks follow in RRs (RFC 3550 §6.1).
func AppendSenderReport(dst []byte, s SenderReport, blocks []ReportBlock) []byte {
	n := min(len(blocks), maxBlocks)
	dst = appendRTCP(dst, n, TypeSenderReport, senderReportSize+n*reportBlockSize, s.SSRC)
	dst = binary.BigEndian.AppendUint64(dst, s.NTP)
	dst = binary.BigEndian.AppendUint32(dst, s.RTPTime)
	dst = binary.BigEndian.AppendUint32(dst, s.Packets)
	dst = binary.BigEndian.AppendUint32(dst, s.Octets)
	dst = appendBlocks(dst, blocks[:n])
	if len(blocks) > n {
		dst = AppendReceiverReport(dst, s.SSRC, blocks[n:])
	}
	return dst
}

// AppendReceiverReport appends an RR, or as many as it takes for 31 blocks each.
func AppendReceiverReport(dst []byte, sender uint32, blocks []ReportBlock) []byte {
	for {
		n := min(len(blocks), maxBlocks)
		dst = appendRTCP(dst, n, TypeReceiverReport, 8+n*reportBlockSize, sender)
		dst = appendBlocks(dst, blocks[:n])
		if blocks = blocks[n:]; len(blocks) == 0 {
			return dst
		}
	}
}

func appendBlocks(dst []byte, blocks []ReportBlock) []byte {
	for i := range blocks {
		b := &blocks[i]
		lost := uint32(min(max(b.Lost, -1<<23), 1<<23-1)) & 0xFFFFFF
		dst = binary.BigEndian.AppendUint32(dst, b.SSRC)
		dst = binary.BigEndian.AppendUint32(dst, uint32(b.FractionLost)<<24|lost)
		dst = binary.BigEndian.AppendUint32(dst, b.Highest)
		dst = binary.BigEndian.AppendUint32(dst, b.Jitter)
		dst = binary.BigEndian.AppendUint32(dst, b.LastSR)
		dst = binary.BigEndian.AppendUint32(dst, b.Delay)
	}
	return dst
}

const sdesCNAME = 1

// AppendSDES appends an SDES packet with one source's CNAME, cut after 255 bytes.
func AppendSDES(dst []byte, ssrc uint32, cname string) []byte {
	cname = cname[:min(len(cname), maxCNAME)]
	size := (8 + 2 + len(cname) + 4) &^ 3 // at least one null ends the items
	end := len(dst) + size
	dst = appendRTCP(dst, 1, TypeSDES, size, ssrc)
	dst = append(dst, sdesCNAME, byte(len(cname)))
	dst = append(dst, cname...)
	for len(dst) < end {
		dst = append(dst, 0)
	}
	return dst
}

// AppendNACK appends a generic NACK (RFC 4585 §6.2.1). Numbers in ascending order (modulo 2^16) take the fewest entries; any
// order is right. Without numbers it appends nothing.
func AppendNACK(dst []byte, sender, media uint32, numbers []uint16) []byte {
	if len(numbers) == 0 {
		return dst
	}
	at := len(dst)
	dst = appendFeedback(dst, FormatNACK, TypeTransportFeedback, sender, media)
	for i := 0; i < len(numbers); {
		pid, blp := numbers[i], uint16(0)
		for i++; i < len(numbers); i++ {
			bit := numbers[i] - pid - 1
			if bit >= 16 {
				break
			}
			blp |= 1 << bit
		}
		dst = binary.BigEndian.AppendUint16(dst, pid)
		dst = binary.BigEndian.AppendUint16(dst, blp)
	}
	return setLength(dst, at)
}

// AppendPLI appends a Picture Loss Indication (RFC 4585 §6.3.1).
func AppendPLI(dst []byte, sender, media uint32) []byte {
	return appendFeedback(dst, FormatPLI, TypePayloadFeedback, sender, media)
}

// appendRTCP appends the common header of a packet of size bytes and the sender's SSRC.
func appendRTCP(dst []byte, count int, kind byte, size int, ssrc uint32) []byte {
	dst = append(dst, 0x80|byte(count), kind)
	dst = binary.BigEndian.AppendUint16(dst, uint16(size/4-1))
	return binary.BigEndian.AppendUint32(dst, ssrc)
}

// appendFeedback appends the common part of a feedback packet, and the length that it has without control information.
func appendFeedback(dst []byte, format int, kind byte, sender, media uint32) []byte {
	dst = appendRTCP(dst, format, kind, 12, sender)
	return binary.BigEndian.AppendUint32(dst, media)
}

// setLength writes the length of the packet that begins at dst[at] and ends with dst.
func setLength(dst []byte, at int) []byte {
	binary.BigEndian.PutUint16(dst[at+2:], uint16((len(dst)-at)/4-1))
	return dst
}
