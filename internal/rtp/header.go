package rtp

import "encoding/binary"

// Header holds the fixed fields of an RTP header.
type Header struct {
	PayloadType    uint8
	Marker         bool
	SequenceNumber uint16
	Timestamp      uint32
	SSRC           uint32
}

// Extension is a header extension element to be written (RFC 8285). B is at most 255 bytes long.
type Extension struct {
	ID uint8 // 1–14, or 1–255 in the two-byte form
	B  []byte
}

// AppendHeader appends an RTP header. The extensions take the one-byte form where every id is at most 14 and every element
// 1–16 bytes long, else all of them the two-byte form; a receiver must then have agreed to the two-byte form, as browsers do
// (RFC 8285 §6). Ids must not be 0.
func AppendHeader(dst []byte, h Header, ext []Extension) []byte {
	first, second := byte(0x80), h.PayloadType&0x7F
	if len(ext) > 0 {
		first |= 0x10
	}
	if h.Marker {
		second |= 0x80
	}
	dst = append(dst, first, second)
	dst = binary.BigEndian.AppendUint16(dst, h.SequenceNumber)
	dst = binary.BigEndian.AppendUint32(dst, h.Timestamp)
	dst = binary.BigEndian.AppendUint32(dst, h.SSRC)
	if len(ext) == 0 {
		return dst
	}
	return appendExtensions(dst, ext)
}

func appendExtensions(dst []byte, ext []Extension) []byte {
	at := len(dst)
	if fitsOneByte(ext) {
		dst = append(dst, profileOneByte>>8, profileOneByte&0xFF, 0, 0)
		for i := range ext {
			dst = append(dst, ext[i].ID<<4|byte(len(ext[i].B)-1))
			dst = append(dst, ext[i].B...)
		}
	} else {
		dst = append(dst, profileTwoByte>>8, profileTwoByte&0xFF, 0, 0)
		for i := range ext {
			dst = append(dst, ext[i].ID, byte(len(ext[i].B)))
			dst = append(dst, ext[i].B...)
		}
	}
	for (len(dst)-at)%4 != 0 {
		dst = append(dst, 0)
	}
	binary.BigEndian.PutUint16(dst[at+2:], uint16((len(dst)-at)/4-1))
	return dst
}

func fitsOneByte(ext []Extension) bool {
	for i := range ext {
		if n := len(ext[i].B); ext[i].ID > 14 || n < 1 || n > 16 {
			return false
		}
	}
	return true
}
