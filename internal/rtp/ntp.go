package rtp

import "time"

// ntpToUnix is the number of seconds from 1900 to 1970.
const ntpToUnix = 2208988800

// NTP returns t as a 64-bit NTP timestamp: seconds since 1900 in the upper half, a binary fraction in the lower.
func NTP(t time.Time) uint64 {
	sec := uint64(t.Unix() + ntpToUnix)
	return sec<<32 | uint64(t.Nanosecond())<<32/1e9
}

// FromNTP returns the time of a 64-bit NTP timestamp. Values with the top bit clear are of the era that begins in 2036 (RFC 4330
// §3); a sender that counts from its start instead (RFC 3550 §6.4.1 allows it) lands there too, which keeps differences right.
func FromNTP(n uint64) time.Time {
	sec := int64(n >> 32)
	if n>>63 == 0 {
		sec += 1 << 32
	}
	nsec := int64((n&0xFFFFFFFF)*1e9+1<<31) >> 32
	return time.Unix(sec-ntpToUnix, nsec)
}

// CompactNTP returns the middle 32 bits, as in the LSR field of report blocks: units of 1/65536 s.
func CompactNTP(n uint64) uint32 { return uint32(n >> 16) }

// CompactDuration returns d in units of 1/65536 s, as in the DLSR field of report blocks.
func CompactDuration(d time.Duration) uint32 { return uint32(uint64(max(d, 0)) * 65536 / 1e9) }

// FromCompact returns the duration of n units of 1/65536 s.
func FromCompact(n uint32) time.Duration { return time.Duration(uint64(n) * 1e9 / 65536) }

// AbsSendTimeSize is the length of an abs-send-time element.
const AbsSendTimeSize = 3

// PutAbsSendTime writes t's abs-send-time into b[0:3]: 24 bits of seconds, 6 of them whole, which wrap every 64 s.
func PutAbsSendTime(b []byte, t time.Time) {
	v := uint32(NTP(t) >> 14) // 6.18 of 32.32
	b[0], b[1], b[2] = byte(v>>16), byte(v>>8), byte(v)
}
