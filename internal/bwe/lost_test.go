package bwe_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// What feedback says is lost is told by its Origin, once: not what has none, nor the copy of what has arrived.
func TestLostIsTold(t *testing.T) {
	s, now := new(bwe.Sender), t0
	for _, of := range []bwe.Origin{1, 0, 3, 0, 5 | bwe.Copy, 0, 7 | bwe.Copy, 8} {
		s.SentOf(now, 1200, of)
		now = now.Add(time.Millisecond)
	}
	b := say(t, 0, 5, []rtcp.PacketStatusChunk{symbols(0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)}, 8, 3)
	s.Feedback(now, b)
	if got := s.Lost(); !slices.Equal(got, []bwe.Origin{1, 7}) {
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
	if got := s.Lost(); len(got) != 98 || got[0] != 902 || got[97] != 999 {
		t.Errorf("%d are lost", len(got))
	}
	for n := range 500 {
		s.SentOf(now, 100, bwe.Origin(n+1))
		now = now.Add(time.Millisecond)
	}
	s.Feedback(now, say(t, 1000, 24, []rtcp.PacketStatusChunk{run(0, 499), run(1, 1)}, 500, 1))
	if got := s.Lost(); len(got) != 256 || got[255] != 256 {
		t.Errorf("%d are lost", len(got))
	}
}

// shuffle sends a packet a millisecond to a receiver that gets some later than others, and has it give feedback.
type shuffle struct {
	t    *testing.T
	s    *bwe.Sender
	now  time.Time
	from bwe.Arrivals
	sent bwe.Origin // the last one; packet n, counted from 1, has the transport-wide number n-1
}

// send sends n packets. Those that late names arrive so much later than after 20 ms; 0: never.
func (p *shuffle) send(n int, late map[bwe.Origin]time.Duration) {
	type packet struct {
		number uint16
		at     time.Time
	}
	var all []packet
	for range n {
		p.sent++
		number := p.s.SentOf(p.now, 1200, p.sent)
		by, is := late[p.sent]
		if !is || by > 0 {
			all = append(all, packet{number, p.now.Add(20*time.Millisecond + by)})
		}
		p.now = p.now.Add(time.Millisecond)
	}
	slices.SortStableFunc(all, func(a, b packet) int { return a.at.Compare(b.at) })
	for _, x := range all {
		p.from.Record(x.number, x.at)
	}
}

// hear gives the Sender feedback about what has arrived, and returns what is lost by it.
func (p *shuffle) hear() []bwe.Origin {
	p.t.Helper()
	var lost []bwe.Origin
	for b := p.from.AppendFeedback(nil, 1, 2); len(b) > 0; {
		_, packet, rest, r := rtp.NextRTCP(b)
		if r == drop.None {
			r = p.s.Feedback(p.now.Add(40*time.Millisecond), packet)
		}
		if r != drop.None {
			p.t.Fatal(r)
		}
		lost, b = append(lost, p.s.Lost()...), rest
	}
	return lost
}

func newShuffle(t *testing.T) *shuffle { return &shuffle{t: t, s: new(bwe.Sender), now: t0} }

// Where packets overtake others, one that is missing may only be late: it is waited for as long as others were late, and is lost when it has
// not come by then. Where none do, what is passed over is lost at once.
func TestOvertakenIsNotLost(t *testing.T) {
	p := newShuffle(t)
	p.send(50, map[bwe.Origin]time.Duration{10: 0, 49: 0})
	if got := p.hear(); !slices.Equal(got, []bwe.Origin{10, 49}) {
		t.Fatalf("%v are lost, want 10 and 49: nothing was late before", got)
	}
	p.send(50, map[bwe.Origin]time.Duration{60: 9 * time.Millisecond}) // told in one feedback
	if got := p.hear(); len(got) != 0 {
		t.Fatalf("%v are lost of what has come", got)
	}
	p.send(50, map[bwe.Origin]time.Duration{110: 0, 145: 0, 149: 0})
	if got := p.hear(); !slices.Equal(got, []bwe.Origin{110}) {
		t.Errorf("%v are lost, want 110: the others may come", got)
	}
	p.from.Record(148, p.now.Add(23*time.Millisecond)) // 149 has
	p.send(50, nil)
	if got := p.hear(); !slices.Equal(got, []bwe.Origin{145}) {
		t.Errorf("%v are lost, want 145", got)
	}
	p.send(50, nil)
	if got := p.hear(); len(got) != 0 {
		t.Errorf("%v are lost, which was told before", got)
	}
}

// What was late lately is forgotten after a while: a path that reorders no more is as fast as before.
func TestOvertakingIsForgotten(t *testing.T) {
	p := newShuffle(t)
	p.send(50, map[bwe.Origin]time.Duration{20: 9 * time.Millisecond})
	p.hear()
	for range 31 {
		p.now = p.now.Add(time.Second)
		p.send(1, nil)
		p.hear()
	}
	last := p.sent + 50
	p.send(50, map[bwe.Origin]time.Duration{last - 1: 0})
	if got := p.hear(); !slices.Equal(got, []bwe.Origin{last - 1}) {
		t.Errorf("%v are lost, want %d", got, last-1)
	}
}

// Limits: however late packets are, none is waited for longer than a tenth of a second, and not more than a few hundred of them are.
func TestWaitingIsBounded(t *testing.T) {
	p := newShuffle(t)
	p.send(50, nil)
	p.hear()
	p.send(450, map[bwe.Origin]time.Duration{60: 400 * time.Millisecond})
	p.hear()
	late := map[bwe.Origin]time.Duration{}
	for n := range bwe.Origin(400) {
		late[p.sent+1+n] = 0
	}
	p.send(401, late)
	if got := p.hear(); len(got) != 0 {
		t.Errorf("%d are lost at once", len(got))
	}
	p.send(99, nil)
	if got := p.hear(); len(got) != 0 {
		t.Errorf("%d are lost after 99 ms", len(got))
	}
	p.send(2, nil)
	if got := p.hear(); len(got) != 256 {
		t.Errorf("%d are lost after 101 ms, want 256", len(got))
	}
}

// A receiver whose clock jumps forgets what it was waited for: what was missing then it asks for itself.
func TestWaitingEndsWithTheClock(t *testing.T) {
	p := newShuffle(t)
	p.send(50, map[bwe.Origin]time.Duration{20: 9 * time.Millisecond})
	p.hear()
	p.send(50, map[bwe.Origin]time.Duration{99: 0})
	p.hear()
	for range 20 {
		p.s.SentOf(p.now, 1200, 1)
	}
	for i, reference := range []uint32{1 << 20, 1<<20 + 20} { // and 1.28 s later
		if r := p.s.Feedback(p.now, say(t, 100+10*uint16(i), reference, []rtcp.PacketStatusChunk{run(1, 10)}, 10, 10)); r != drop.None {
			t.Error(r)
		}
		if got := p.s.Lost(); len(got) != 0 {
			t.Errorf("%v are lost", got)
		}
	}
}
