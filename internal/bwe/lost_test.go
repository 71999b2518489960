package bwe_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/parley-rtc/parley/internal/bwe"
)

// What feedback says is lost is told by its Origin, with how long ago it was sent, once: not what has none, nor the copy of what has arrived.
func TestLostIsTold(t *testing.T) {
	s, now := new(bwe.Sender), t0
	for _, of := range []bwe.Origin{1, 0, 3, 0, 5 | bwe.Copy, 0, 7 | bwe.Copy, 8} {
		s.SentOf(now, 1200, of)
		now = now.Add(time.Millisecond)
	}
	b := say(t, 0, 5, []rtcp.PacketStatusChunk{symbols(0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)}, 8, 3)
	s.Feedback(now, b)
	if got := s.Lost(); !slices.Equal(got, []bwe.Loss{{Of: 1, Ago: 8 * time.Millisecond}, {Of: 7, Ago: 2 * time.Millisecond}}) {
		t.Errorf("%v are lost, want 1 and 7", got)
	}
	s.Feedback(now.Add(20*time.Millisecond), b)
	if got := s.Lost(); len(got) != 0 {
		t.Errorf("%v are lost again", got)
	}
}

// Limits: one feedback tells of so many lost packets and no more.
func TestLostIsBounded(t *testing.T) {
	s, now := new(bwe.Sender), t0
	for n := range 1000 {
		s.SentOf(now, 100, bwe.Origin(n+1))
		now = now.Add(time.Millisecond)
		if n%100 == 0 { // or the ring would not grow
			s.Feedback(now, say(t, uint16(n), uint32(n/64), []rtcp.PacketStatusChunk{run(1, 1)}, 1, 1))
		}
	}
	s.Feedback(now, say(t, 901, 16, []rtcp.PacketStatusChunk{run(0, 98), run(1, 1)}, 99, 1))
	if got := s.Lost(); len(got) != 98 || got[0].Of != 902 || got[97].Of != 999 {
		t.Errorf("%d are lost", len(got))
	}
	for n := range 500 {
		s.SentOf(now, 100, bwe.Origin(n+1))
		now = now.Add(time.Millisecond)
	}
	s.Feedback(now, say(t, 1000, 24, []rtcp.PacketStatusChunk{run(0, 499), run(1, 1)}, 500, 1))
	if got := s.Lost(); len(got) != 256 || got[255].Of != 256 {
		t.Errorf("%d are lost", len(got))
	}
}
