package rtp_test

import (
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/rtp"
)

var t0 = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// Expected, lost, fraction and highest follow RFC 3550 A.3: a hole counts until it is filled, a duplicate counts against it.
func TestReceiverStatsLoss(t *testing.T) {
	tests := []struct {
		name     string
		in       []uint16
		lost     int32
		fraction uint8
		highest  uint32
	}{
		{"none lost", []uint16{1, 2, 3, 4}, 0, 0, 4},
		{"one of four", []uint16{1, 2, 4}, 1, 64, 4},
		{"filled late", []uint16{1, 2, 4, 3}, 0, 0, 4},
		{"duplicate", []uint16{1, 2, 2}, -1, 0, 2},
		{"wrap", []uint16{65534, 65535, 0, 2}, 1, 51, 1<<16 | 2},
		{"reordered first", []uint16{2, 1, 3}, 0, 0, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s rtp.ReceiverStats
			if s.Seen() {
				t.Error("seen before anything came")
			}
			for i, seq := range tt.in {
				s.Received(seq, uint32(i), 90000, t0)
			}
			b := s.Block(7, t0)
			if b.SSRC != 7 || b.Lost != tt.lost || b.FractionLost != tt.fraction || b.Highest != tt.highest || !s.Seen() {
				t.Errorf("%+v", b)
			}
		})
	}
}

// The fraction covers the time since the last report only; a report of silence says nothing lost.
func TestReceiverStatsFractionPerReport(t *testing.T) {
	var s rtp.ReceiverStats
	for _, seq := range []uint16{1, 2, 3, 8} {
		s.Received(seq, 0, 90000, t0)
	}
	if b := s.Block(1, t0); b.FractionLost != 128 || b.Lost != 4 {
		t.Errorf("first %+v", b)
	}
	for _, seq := range []uint16{9, 10, 11, 12} {
		s.Received(seq, 0, 90000, t0)
	}
	if b := s.Block(1, t0); b.FractionLost != 0 || b.Lost != 4 {
		t.Errorf("second %+v", b)
	}
	if b := s.Block(1, t0); b.FractionLost != 0 {
		t.Errorf("third %+v", b)
	}
}

// LSR and DLSR answer the last sender report (RFC 3550 §6.4.1); without one they are 0.
func TestReceiverStatsAnswersSenderReport(t *testing.T) {
	var s rtp.ReceiverStats
	s.Received(1, 0, 90000, t0)
	if b := s.Block(1, t0); b.LastSR != 0 || b.Delay != 0 {
		t.Errorf("%+v", b)
	}
	s.SenderReport(0x1111_2222_3333_4444, t0)
	if b := s.Block(1, t0.Add(1500*time.Millisecond)); b.LastSR != 0x2222_3333 || b.Delay != 65536*3/2 {
		t.Errorf("%+v", b)
	}
}

// Packets at their own pace have no jitter, whatever their timestamps begin with; an alternation of ±d has about d; a jump of
// the timestamps is forgotten (RFC 3550 A.8).
func TestReceiverStatsJitter(t *testing.T) {
	run := func(s *rtp.ReceiverStats, from, n int, start uint32, late time.Duration) {
		for i := from; i < from+n; i++ {
			at := t0.Add(time.Duration(i) * 20 * time.Millisecond)
			if i%2 == 1 {
				at = at.Add(late)
			}
			s.Received(uint16(i), start+uint32(i)*960, 48000, at)
		}
	}
	var s rtp.ReceiverStats
	run(&s, 0, 200, 0xFFFFFF00, 0)
	if j := s.Block(1, t0).Jitter; j != 0 {
		t.Errorf("steady: %d", j)
	}
	run(&s, 200, 200, 0xFFFFFF00, 5*time.Millisecond)
	if j := s.Block(1, t0).Jitter; j < 220 || j > 245 { // 5 ms are 240 units
		t.Errorf("±5 ms: %d", j)
	}
	run(&s, 400, 200, 1<<30, 0)
	if j := s.Block(1, t0).Jitter; j > 5 {
		t.Errorf("after a jump: %d", j)
	}
}

// Lost saturates at 24 bits.
func TestReceiverStatsLostSaturates(t *testing.T) {
	var s rtp.ReceiverStats
	for i := range 300 {
		s.Received(uint16(i*32767), 0, 90000, t0)
	}
	if b := s.Block(1, t0); b.Lost != 1<<23-1 || b.FractionLost != 255 {
		t.Errorf("%+v", b)
	}
}

func TestReceiverStatsDoNotAllocate(t *testing.T) {
	var s rtp.ReceiverStats
	seq := uint16(0)
	if n := testing.AllocsPerRun(100, func() {
		seq++
		s.Received(seq, uint32(seq)*960, 48000, t0)
		_ = s.Block(1, t0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
