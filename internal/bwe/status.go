package bwe

import (
	"encoding/binary"

	"github.com/parley-rtc/parley/internal/drop"
)

// statuses reads a feedback packet (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1) without its padding.
type statuses struct {
	base      uint16
	count     int
	reference uint32 // units of 64 ms, 24 bits
	chunks    []byte
	deltas    []byte

	// the chunk at hand
	left   int
	run    bool
	symbol uint8
	vector uint16
	bits   uint8 // of one symbol of vector
}

// parse finds the parts of a packet.
func (s *statuses) parse(b []byte) drop.Reason {
	if len(b) < headerSize {
		return drop.RtcpMalformed
	}
	*s = statuses{
		base: binary.BigEndian.Uint16(b[12:]), count: int(binary.BigEndian.Uint16(b[14:])),
		reference: binary.BigEndian.Uint32(b[16:]) >> 8,
	}
	if s.count == 0 || s.count > MaxStatuses {
		return drop.RtcpMalformed
	}
	b = b[headerSize:]
	at := 0
	for covered := 0; covered < s.count; at += 2 {
		if at+2 > len(b) {
			return drop.RtcpMalformed
		}
		n := covers(binary.BigEndian.Uint16(b[at:]))
		if n == 0 {
			return drop.RtcpMalformed
		}
		covered += n
	}
	s.chunks, s.deltas = b[:at], b[at:]
	return drop.None
}

// covers returns how many packets a chunk speaks of.
func covers(chunk uint16) int {
	switch chunk >> 14 {
	case 3:
		return 7
	case 2:
		return 14
	}
	return int(chunk & 0x1FFF)
}

// next returns the symbol of the next packet, and for one that has arrived the time since the one before in units of 250 µs. It is
// not ok where deltas are missing or the symbol is reserved. It is called count times at most.
func (s *statuses) next() (symbol uint8, delta int16, ok bool) {
	if s.left == 0 {
		s.open(binary.BigEndian.Uint16(s.chunks))
		s.chunks = s.chunks[2:]
	}
	s.left--
	if !s.run {
		s.symbol = uint8(s.vector>>(uint(s.left)*uint(s.bits))) & (1<<s.bits - 1)
	}
	size := int(s.symbol) // missing, small and large are the numbers of a delta's bytes
	if size > large || size > len(s.deltas) {
		return 0, 0, false
	}
	switch s.symbol {
	case small:
		delta = int16(s.deltas[0])
	case large:
		delta = int16(binary.BigEndian.Uint16(s.deltas))
	}
	s.deltas = s.deltas[size:]
	return s.symbol, delta, true
}

func (s *statuses) open(chunk uint16) {
	s.left, s.run = covers(chunk), chunk>>15 == 0
	s.symbol, s.vector, s.bits = uint8(chunk>>13&3), chunk, uint8(1+chunk>>14&1)
}
