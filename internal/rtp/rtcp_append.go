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
	dst = appendFeedback(dst, FormatNACK, TypeTransportFeedback, 0, sender, media)
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
	return appendFeedback(dst, FormatPLI, TypePayloadFeedback, 0, sender, media)
}

// AppendFIR appends a Full Intra Request for one stream (RFC 5104 §4.3.1). The number grows by one with each new request.
func AppendFIR(dst []byte, sender, media uint32, number uint8) []byte {
	dst = appendFeedback(dst, FormatFIR, TypePayloadFeedback, 8, sender, 0)
	dst = binary.BigEndian.AppendUint32(dst, media)
	return append(dst, number, 0, 0, 0)
}

// AppendREMB appends a receiver's estimate in bit/s for up to 255 streams (draft-alvestrand-rmcat-remb-03 §2.2), rounded down
// to 18 significant bits.
func AppendREMB(dst []byte, sender uint32, bitrate uint64, streams []uint32) []byte {
	streams = streams[:min(len(streams), maxREMBStreams)]
	exp := 0
	for bitrate>>exp > 0x3FFFF {
		exp++
	}
	dst = appendFeedback(dst, FormatApplication, TypePayloadFeedback, 8+4*len(streams), sender, 0)
	dst = append(dst, "REMB"...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(streams))<<24|uint32(exp)<<18|uint32(bitrate>>exp))
	for _, s := range streams {
		dst = binary.BigEndian.AppendUint32(dst, s)
	}
	return dst
}

// AppendBye appends a BYE of one source.
func AppendBye(dst []byte, ssrc uint32) []byte { return appendRTCP(dst, 1, TypeBye, 8, ssrc) }

// appendRTCP appends the common header of a packet of size bytes and the sender's SSRC.
func appendRTCP(dst []byte, count int, kind byte, size int, ssrc uint32) []byte {
	dst = append(dst, 0x80|byte(count), kind)
	dst = binary.BigEndian.AppendUint16(dst, uint16(size/4-1))
	return binary.BigEndian.AppendUint32(dst, ssrc)
}

// appendFeedback appends the common part of a feedback packet with fci bytes of control information to follow.
func appendFeedback(dst []byte, format int, kind byte, fci int, sender, media uint32) []byte {
	dst = appendRTCP(dst, format, kind, 12+fci, sender)
	return binary.BigEndian.AppendUint32(dst, media)
}

// setLength writes the length of the packet that begins at dst[at] and ends with dst.
func setLength(dst []byte, at int) []byte {
	binary.BigEndian.PutUint16(dst[at+2:], uint16((len(dst)-at)/4-1))
	return dst
}
