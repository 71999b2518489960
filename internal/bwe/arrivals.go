package bwe

import (
	"encoding/binary"
	"time"

	"github.com/parley-rtc/parley/internal/rtp"
)

// headerSize is the length of a feedback packet before its chunks.
//
//	|V=2|P| FMT=15  |    PT=205     |            length             |
//	|                        SSRC of sender                         |
//	|                     SSRC of media source                      |
//	|     base sequence number      |     packet status count       |
//	|            reference time (24 × 64 ms)        | fb pkt. count |
//	|  packet status chunks (16 bits each) … | receive deltas | pad  |
const headerSize = 20

// Arrivals collects the arrival times of one Transport's packets and makes feedback of them. The zero value is ready.
type Arrivals struct {
	// owned by the Transport's loop
	unwrap  rtp.SequenceUnwrapper
	epoch   time.Time // reference times count from here
	next    int64     // first number not yet reported; 0: nothing recorded
	highest int64
	count   uint8          // of feedback packets
	at      *[Window]int64 // nil: nothing recorded; those who only receive need none
}

// Times are in units of 250 µs since epoch, plus 1 so that 0 says that a packet has not arrived.
const (
	unit      = 250 * time.Microsecond
	reference = 256 // units in a reference time's 64 ms
)

// Record notes that the packet with this transport-wide number arrived at the given time. Numbers further back than Window are
// not noted.
func (a *Arrivals) Record(seq uint16, at time.Time) {
	index := a.unwrap.Unwrap(seq)
	if a.next == 0 {
		a.at = new([Window]int64)
		a.epoch, a.next, a.highest = at, index, index-1
	}
	if index <= a.highest-Window {
		return
	}
	for i := max(a.highest+1, index-Window+1); i <= index; i++ {
		*a.slot(i) = 0
	}
	a.highest = max(a.highest, index)
	// One that comes late is reported too: the next feedback begins with it, and repeats what lies between.
	a.next = max(min(a.next, index), a.highest-Window+1)
	if s := a.slot(index); *s == 0 {
		*s = max(int64(at.Sub(a.epoch)/unit), 0) + 1
	}
}

func (a *Arrivals) slot(index int64) *int64 { return &a.at[index&(Window-1)] }

// AppendFeedback appends feedback on what has arrived since the last call, and nothing when nothing has. It takes as many packets
// as are needed and fit maxFeedback bytes, which one datagram can carry; the next call goes on with what is left. media is any
// stream of the publisher. It is called about every 100 ms.
func (a *Arrivals) AppendFeedback(dst []byte, sender, media uint32) []byte {
	room, full := maxFeedback, false
	for a.next != 0 && a.next <= a.highest && !full {
		var r report
		if full = a.collect(&r, room); !r.arrived {
			break
		}
		at := len(dst)
		dst = a.appendPacket(dst, sender, media, &r)
		room -= len(dst) - at
	}
	return dst
}

// Packet status symbols.
const (
	missing = iota
	small   // arrived, delta of one byte
	large   // arrived, delta of two bytes
)

// report is what one feedback packet says: symbols of the numbers from next, and where times start.
type report struct {
	symbols   [Window]uint8
	n         int
	arrived   bool // one of them at least
	reference int64
}

// worstSize is how long a packet about n numbers gets at most when so many of them have arrived: a chunk covers 7 or more, a delta
// takes two bytes or one, and there is padding.
func worstSize(n, arrived int) int { return headerSize + 2*((n+6)/7) + 2*arrived + 3 }

// collect fills r with what fits one packet, with deltas in range, and reports whether room bytes were too few for more. The highest
// number has arrived, so maxFeedback bytes suffice for one arrival at least.
func (a *Arrivals) collect(r *report, room int) (full bool) {
	arrived, last := 0, int64(0)
	for i := a.next; i <= a.highest; i++ {
		if worstSize(r.n+1, arrived+1) > room {
			return true
		}
		t := *a.slot(i)
		if t != 0 {
			if arrived == 0 {
				r.reference = (t - 1) / reference
				last = r.reference*reference + 1
			}
			delta := t - last
			if delta != int64(int16(delta)) {
				return false
			}
			r.symbols[r.n] = large
			if delta >= 0 && delta <= 255 {
				r.symbols[r.n] = small
			}
			last = t
			arrived++
			r.arrived = true
		}
		r.n++
	}
	return false
}

func (a *Arrivals) appendPacket(dst []byte, sender, media uint32, r *report) []byte {
	at := len(dst)
	dst = append(dst, 0x80|rtp.FormatTransportCC, rtp.TypeTransportFeedback, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, sender)
	dst = binary.BigEndian.AppendUint32(dst, media)
	dst = binary.BigEndian.AppendUint16(dst, uint16(a.next))
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.n))
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.reference)<<8|uint32(a.count))
	for s := r.symbols[:r.n]; len(s) > 0; {
		var chunk uint16
		chunk, s = nextChunk(s)
		dst = binary.BigEndian.AppendUint16(dst, chunk)
	}
	dst = a.appendDeltas(dst, r)
	if pad := -(len(dst) - at) & 3; pad > 0 {
		dst[at] |= 0x20
		for i := 1; i < pad; i++ {
			dst = append(dst, 0)
		}
		dst = append(dst, byte(pad))
	}
	binary.BigEndian.PutUint16(dst[at+2:], uint16((len(dst)-at)/4-1))
	a.next += int64(r.n)
	a.count++
	return dst
}

func (a *Arrivals) appendDeltas(dst []byte, r *report) []byte {
	last := r.reference*reference + 1
	for i, symbol := range r.symbols[:r.n] {
		if symbol == missing {
			continue
		}
		t := *a.slot(a.next + int64(i))
		if symbol == small {
			dst = append(dst, byte(t-last))
		} else {
			dst = binary.BigEndian.AppendUint16(dst, uint16(t-last))
		}
		last = t
	}
	return dst
}

// nextChunk encodes the beginning of s as one chunk, whichever covers most (§3.1.3, §3.1.4), and returns what is left.
func nextChunk(s []uint8) (chunk uint16, rest []uint8) {
	run := 1
	for run < len(s) && s[run] == s[0] {
		run++
	}
	bits := 0 // symbols that a vector of 14 one-bit symbols would cover
	for bits < len(s) && bits < 14 && s[bits] != large {
		bits++
	}
	switch {
	case run >= 14 || run >= 7 && bits < 14 || run == len(s):
		return uint16(s[0])<<13 | uint16(run), s[run:] // run < 2^13 by Window
	case bits == 14 || bits == len(s):
		chunk = 0x8000
		for i, symbol := range s[:bits] {
			chunk |= uint16(symbol) << (13 - i)
		}
		return chunk, s[bits:]
	}
	n := min(len(s), 7)
	chunk = 0xC000
	for i, symbol := range s[:n] {
		chunk |= uint16(symbol) << (12 - 2*i)
	}
	return chunk, s[n:]
}
