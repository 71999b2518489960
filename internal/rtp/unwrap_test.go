package rtp_test

import (
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/rtp"
)

// Numbers unwrap to what order would have given, whatever their order is, also before the first and across wraps.
func TestSequenceUnwrapper(t *testing.T) {
	const base = 1 << 16
	tests := []struct {
		name string
		in   []uint16
		want []int64
	}{
		{"in order", []uint16{5, 6, 7}, []int64{base + 5, base + 6, base + 7}},
		{"wrap", []uint16{65534, 65535, 0, 1}, []int64{base + 65534, base + 65535, 2 * base, 2*base + 1}},
		{"reordered over the wrap", []uint16{65535, 1, 0, 65534, 2}, []int64{base + 65535, 2*base + 1, 2 * base, base + 65534, 2*base + 2}},
		{"before the first", []uint16{0, 65535, 1}, []int64{base, base - 1, base + 1}},
		{"32767 back", []uint16{40000, 7233, 40001}, []int64{base + 40000, base + 7233, base + 40001}},
		{"32767 ahead", []uint16{0, 32767, 65534}, []int64{base, base + 32767, base + 65534}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var u rtp.SequenceUnwrapper
			for i, x := range tt.in {
				if got := u.Unwrap(x); got != tt.want[i] || uint16(got) != x {
					t.Errorf("%d: got %d, want %d", x, got, tt.want[i])
				}
			}
		})
	}
}

// Results are never negative and never 0, so that 0 can mean none.
func TestSequenceUnwrapperStaysPositive(t *testing.T) {
	var u rtp.SequenceUnwrapper
	u.Unwrap(0)
	for x := uint16(65535); x > 32768; x-- {
		if got := u.Unwrap(x); got <= 0 {
			t.Fatalf("%d unwraps to %d", x, got)
		}
	}
}

// 64-bit NTP time and back, in the era that ends in 2036 and in the next (RFC 5905 §6).
func TestNTP(t *testing.T) {
	for _, tt := range []struct {
		at   time.Time
		want uint64
	}{
		{time.Unix(0, 0), 0x83AA7E80_00000000},
		{time.Date(2026, 11, 21, 0, 0, 0, 500_000_000, time.UTC), 0xEEAB5D80_80000000},
		{time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC), 0},
		{time.Date(2036, 2, 7, 6, 28, 17, 250_000_000, time.UTC), 0x1_40000000},
	} {
		if got := rtp.NTP(tt.at); got != tt.want {
			t.Errorf("%v: %#x, want %#x", tt.at, got, tt.want)
		}
	}
	for at := time.Date(2026, 1, 1, 0, 0, 0, 1, time.UTC); at.Year() < 2040; at = at.Add(1234*time.Hour + 987654321) {
		if d := rtp.FromNTP(rtp.NTP(at)).Sub(at); d < -1 || d > 1 {
			t.Errorf("%v comes back %v off", at, d)
		}
	}
}

func TestCompactNTP(t *testing.T) {
	if got := rtp.CompactNTP(0x1122334455667788); got != 0x33445566 {
		t.Errorf("%#x", got)
	}
	for _, d := range []time.Duration{0, time.Second, 1500 * time.Millisecond, time.Hour} {
		if got := rtp.FromCompact(rtp.CompactDuration(d)); got != d {
			t.Errorf("%v comes back as %v", d, got)
		}
	}
	if rtp.CompactDuration(-time.Second) != 0 {
		t.Error("a negative duration")
	}
}

// abs-send-time: 6.18 bits of seconds of the NTP clock, so it wraps every 64 s.
func TestAbsSendTime(t *testing.T) {
	var b [3]byte
	at := rtp.FromNTP(64 * 1000 << 32) // a multiple of 64 s
	for _, tt := range []struct {
		after time.Duration
		want  uint32
	}{{0, 0}, {time.Second, 1 << 18}, {63*time.Second + 500*time.Millisecond, 63<<18 + 1<<17}, {64 * time.Second, 0}} {
		rtp.PutAbsSendTime(b[:], at.Add(tt.after))
		if got := uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]); got != tt.want {
			t.Errorf("%v: %#x, want %#x", tt.after, got, tt.want)
		}
	}
}
