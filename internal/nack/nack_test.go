package nack_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/nack"
	"github.com/parley-rtc/parley/internal/rtp"
)

var t0 = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const ms = time.Millisecond

func add(t *testing.T, g *nack.Register, at time.Duration, numbers ...uint16) {
	t.Helper()
	for _, n := range numbers {
		if r := g.Add(n, t0.Add(at)); r != drop.None {
			t.Errorf("%d at %v: %v", n, at, r)
		}
	}
}

func due(t *testing.T, g *nack.Register, at, rtt time.Duration, want ...uint16) {
	t.Helper()
	if got := g.Due(t0.Add(at), rtt, make([]uint16, 0, nack.Window)); !slices.Equal(got, want) {
		t.Errorf("at %v: asks for %v, want %v", at, got, want)
	}
}

func next(t *testing.T, g *nack.Register, want time.Duration) {
	t.Helper()
	if got := g.Next(); !got.Equal(t0.Add(want)) {
		t.Errorf("next at %v, want %v", got.Sub(t0), want)
	}
}

// A missing packet is asked for after the allowance for reordering, then once per round-trip time, until it arrives.
func TestRegisterAsks(t *testing.T) {
	var g nack.Register
	add(t, &g, 0, 65533, 65534)
	if !g.Next().IsZero() {
		t.Error("nothing is missing")
	}
	add(t, &g, 5*ms, 1, 3) // 65535, 0 and 2 are missing
	next(t, &g, 15*ms)
	due(t, &g, 14*ms, 50*ms)
	due(t, &g, 15*ms, 50*ms, 65535, 0, 2)
	next(t, &g, 65*ms)
	due(t, &g, 64*ms, 50*ms)
	add(t, &g, 64*ms, 0)
	due(t, &g, 65*ms, 50*ms, 65535, 2)
	add(t, &g, 66*ms, 65535, 2)
	if !g.Next().IsZero() || g.Missing() != 0 {
		t.Errorf("nothing is missing, but next is %v", g.Next())
	}
	due(t, &g, time.Second, 50*ms)
}

// What is only reordered is never asked for.
func TestRegisterLeavesReordering(t *testing.T) {
	var g nack.Register
	add(t, &g, 0, 1, 3)
	add(t, &g, 9*ms, 2)
	due(t, &g, 10*ms, 0)
}

// Requests for one packet are at least MinInterval apart, and each loss has its own times.
func TestRegisterSpacing(t *testing.T) {
	var g nack.Register
	add(t, &g, 0, 1, 3)
	due(t, &g, 10*ms, ms, 2)
	add(t, &g, 15*ms, 5)
	next(t, &g, 25*ms)
	due(t, &g, 25*ms, ms, 4)
	due(t, &g, 29*ms, ms)
	due(t, &g, 30*ms, ms, 2)
	due(t, &g, 40*ms, ms, 2) // the second request goes out twice
	due(t, &g, 45*ms, ms, 4)
	due(t, &g, 59*ms, ms, 4)
	due(t, &g, 60*ms, ms, 2)
}

// A packet that has come once is a duplicate, whichever way it comes again; one beyond the window is too late.
func TestRegisterDuplicates(t *testing.T) {
	var g nack.Register
	add(t, &g, 0, 1000, 1002, 1001, 999) // before the first is not a duplicate
	for _, n := range []uint16{1000, 1001, 1002, 999} {
		if r := g.Add(n, t0); r != drop.RtpDuplicate {
			t.Errorf("%d: %v", n, r)
		}
	}
	add(t, &g, 0, 1002+nack.Window-1)
	if r := g.Add(1001, t0); r != drop.TooLate {
		t.Errorf("beyond the window: %v", r)
	}
	if r := g.Add(1002, t0); r != drop.RtpDuplicate {
		t.Errorf("at the window's end: %v", r)
	}
}

// Limits: a packet is asked for MaxTries times at most, for MaxAge at most, and not once it is Window behind; it is welcome
// even then.
func TestRegisterGivesUp(t *testing.T) {
	t.Run("tries", func(t *testing.T) {
		var g nack.Register
		add(t, &g, 0, 1, 3)
		asked := 0
		for at := time.Duration(0); at < 2*time.Second; at += 10 * ms {
			asked += len(g.Due(t0.Add(at), 20*ms, make([]uint16, 0, 1)))
		}
		if asked != nack.MaxTries || !g.Next().IsZero() {
			t.Errorf("asked %d times", asked)
		}
		add(t, &g, 3*time.Second, 2)
	})
	t.Run("age", func(t *testing.T) {
		var g nack.Register
		add(t, &g, 0, 1, 3)
		asked := 0
		for at := time.Duration(0); at < 5*time.Second; at += 10 * ms {
			asked += len(g.Due(t0.Add(at), 300*ms, make([]uint16, 0, 1)))
		}
		if asked != 7 || !g.Next().IsZero() { // at 10, 310, 320, 620, 630, 930, 940 ms
			t.Errorf("asked %d times", asked)
		}
	})
	t.Run("window", func(t *testing.T) {
		var g nack.Register
		add(t, &g, 0, 1, 3)
		for n := uint16(4); n < 2+nack.Window; n++ {
			add(t, &g, 0, n)
		}
		if g.Missing() != 1 {
			t.Errorf("%d missing", g.Missing())
		}
		add(t, &g, 0, 2+nack.Window)
		if g.Missing() != 0 || !g.Next().IsZero() {
			t.Errorf("%d missing beyond the window", g.Missing())
		}
	})
	t.Run("jump", func(t *testing.T) {
		var g nack.Register
		add(t, &g, 0, 1, 3, 3+nack.Window) // one beyond what is a loss
		if g.Missing() != nack.Window-1 {
			t.Errorf("%d missing after a loss of %d", g.Missing(), nack.Window-1)
		}
		add(t, &g, 0, 3+3*nack.Window)
		due(t, &g, 20*ms, 0)
		add(t, &g, 20*ms, 3*nack.Window) // yet what comes of it is welcome
	})
}

// Any order of arrivals, losses and duplicates: exactly those missing within the window are asked for.
func TestRegisterRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var g nack.Register
	have := map[int]bool{}
	highest, at := 65000, time.Duration(0)
	add(t, &g, 0, uint16(highest))
	have[highest] = true
	for range 20000 {
		n := highest + 1 + rng.IntN(3)
		if rng.IntN(3) == 0 {
			n = highest - rng.IntN(nack.Window+50)
		}
		want := drop.None
		switch {
		case n <= highest-nack.Window:
			want = drop.TooLate
		case have[n]:
			want = drop.RtpDuplicate
		default:
			have[n] = true
		}
		if r := g.Add(uint16(n), t0.Add(at)); r != want {
			t.Fatalf("%d with %d the highest: %v, want %v", n, highest, r, want)
		}
		highest = max(highest, n)
	}
	at += 10 * ms
	var want []uint16
	for n := highest - nack.Window + 1; n < highest; n++ {
		if !have[n] {
			want = append(want, uint16(n))
		}
	}
	due(t, &g, at, 0, want...)
	if g.Missing() != len(want) {
		t.Errorf("%d missing, want %d", g.Missing(), len(want))
	}
}

// A Cache keeps copies of the newest packets, in any order of arrival, and nothing else.
func TestCache(t *testing.T) {
	c := nack.NewCache(100) // rounded up to 128
	b := []byte("header")
	if !c.Put(1<<16, b, []byte("payload")) {
		t.Error("not kept")
	}
	copy(b, "XXXXXX")
	if got := c.Get(1 << 16); string(got) != "headerpayload" || cap(got) != len(got) {
		t.Errorf("got %q", got)
	}
	for _, index := range []int64{0, 1, 1<<16 - 1, 1<<16 + 1, 1<<16 + 128, 1<<16 - 128} {
		if got := c.Get(index); got != nil {
			t.Errorf("%d: %q", index, got)
		}
	}
	c.Put(1<<16+127, []byte("newest"))
	c.Put(1<<16+3, []byte("late"))
	if string(c.Get(1<<16)) != "headerpayload" || string(c.Get(1<<16+3)) != "late" || string(c.Get(1<<16+127)) != "newest" {
		t.Error("something is gone")
	}
	c.Put(1<<16+128, nil) // an empty packet takes its place too
	if c.Get(1<<16) != nil || len(c.Get(1<<16+128)) != 0 || c.Get(1<<16+128) == nil {
		t.Error("the oldest has not made room")
	}
	if c.Put(1<<16, []byte("too old")) || c.Get(1<<16) != nil || len(c.Get(1<<16+128)) != 0 {
		t.Error("an old packet has driven out a new one")
	}
	if long := bytes.Repeat([]byte{7}, nack.MaxPacket); !c.Put(1<<17, long) || !bytes.Equal(c.Get(1<<17), long) {
		t.Error("a packet of MaxPacket bytes is not kept")
	}
	if c.Put(1<<17+1, make([]byte, nack.MaxPacket), []byte{1}) || c.Get(1<<17+1) != nil {
		t.Error("a packet above MaxPacket is kept")
	}
}

func resend(t *testing.T, s *nack.Sent, seq uint16, at, rtt time.Duration, index int64, epoch uint8, reason drop.Reason) {
	t.Helper()
	p, r := s.Resend(seq, rtt, t0.Add(at))
	if p != (nack.Packet{Index: index, Epoch: epoch}) || r != reason {
		t.Errorf("%d at %v: %+v, %v; want %d, %d, %v", seq, at, p, r, index, epoch, reason)
	}
}

// A number that was sent leads to the producer's packet and to the epoch whose offsets it was sent with; a number that was not
// sent, because the publisher's packet is missing, leads nowhere until the packet was repaired and took its place.
func TestSentFindsPackets(t *testing.T) {
	var s nack.Sent
	resend(t, &s, 0, 0, 0, 0, 0, drop.NackUnknown)
	put := func(seq uint16, index int64, epoch uint8) {
		s.Put(seq, nack.Packet{Index: index, Epoch: epoch}, 1000, t0)
	}
	put(65534, 1000, 1)
	put(65535, 1001, 1)
	put(1, 1003, 1)
	put(2, 77, 2) // another source
	resend(t, &s, 65534, 0, 0, 1000, 1, drop.None)
	resend(t, &s, 1, 0, 0, 1003, 1, drop.None)
	resend(t, &s, 2, 0, 0, 77, 2, drop.None)
	resend(t, &s, 0, 0, 0, 0, 0, drop.NackUnknown)
	resend(t, &s, 3, 0, 0, 0, 0, drop.NackUnknown)
	put(0, 1002, 1)
	resend(t, &s, 0, nack.MinResendInterval, 0, 1002, 1, drop.None)
}

// An entry has room for half an index; the other half is that of what is recent, whichever side of a carry that is on.
func TestSentIndices(t *testing.T) {
	var s nack.Sent
	const carry = 7 << 32
	for i, index := range []int64{1<<16 + 3, carry - 1, carry, carry + 5} {
		s.Put(uint16(i), nack.Packet{Index: index, Note: uint32(i)}, 1000, t0)
		p, r := s.Resend(uint16(i), 0, t0)
		if r != drop.None || p.Note != uint32(i) {
			t.Errorf("%+v, %v", p, r)
		}
		for _, recent := range []int64{index, index + nack.Window, index - 3} {
			if got := p.Near(recent); got != index {
				t.Errorf("near %d: %d, want %d", recent, got, index)
			}
		}
	}
}

// One packet is sent again at most once per round-trip time, MaxTries times, and for MaxResendAge.
func TestSentSpacing(t *testing.T) {
	var s nack.Sent
	s.Put(1, nack.Packet{Index: 9, Epoch: 0}, 1000, t0)
	resend(t, &s, 1, 5*ms, 100*ms, 9, 0, drop.None) // the first request may come at once
	resend(t, &s, 1, 104*ms, 100*ms, 0, 0, drop.NackTooOften)
	resend(t, &s, 1, 105*ms, 100*ms, 9, 0, drop.None)
	resend(t, &s, 1, 114*ms, 0, 0, 0, drop.NackTooOften) // MinResendInterval
	at := 105 * ms
	for range nack.MaxTries - 2 {
		at += 20 * ms
		resend(t, &s, 1, at, 0, 9, 0, drop.None)
	}
	resend(t, &s, 1, at+20*ms, 0, 0, 0, drop.NackTooOften)

	s.Put(2, nack.Packet{Index: 10, Epoch: 0}, 1000, t0)
	resend(t, &s, 2, nack.MaxResendAge, 0, 10, 0, drop.None)
	resend(t, &s, 2, 2*nack.MaxResendAge+ms, 0, 0, 0, drop.NackUnknown)
}

// The first request for a packet that has filled a hole is answered at once, as for any other: it may say that the filling was lost
// too.
func TestSentFillsHole(t *testing.T) {
	var s nack.Sent
	s.Put(3, nack.Packet{Index: 11, Epoch: 0}, 1000, t0)
	s.Put(2, nack.Packet{Index: 10, Epoch: 0}, 1000, t0)
	resend(t, &s, 2, 1*ms, 100*ms, 10, 0, drop.None)
	resend(t, &s, 2, 100*ms, 100*ms, 0, 0, drop.NackTooOften)
	resend(t, &s, 2, 101*ms, 100*ms, 10, 0, drop.None)
	resend(t, &s, 3, 1*ms, 100*ms, 11, 0, drop.None)
}

// Since when a number has gone out again is known, however short the time: not what went out then, nor another number of the same place.
func TestSentSince(t *testing.T) {
	var s nack.Sent
	s.Put(1, nack.Packet{Index: 9}, 1000, t0)
	first, second := t0.Add(3*ms), t0.Add(20*ms)
	s.Put(2, nack.Packet{Index: 10}, 1000, first)
	if s.SentSince(2, first) || s.SentSince(2, first.Add(-99*time.Microsecond)) {
		t.Error("what went out once has gone out again")
	}
	resend(t, &s, 2, 20*ms, 0, 10, 0, drop.None)
	for at, want := range map[time.Time]bool{first: true, second.Add(-ms): true, second.Add(-16 * time.Microsecond): false, second: false} {
		if got := s.SentSince(2, at); got != want {
			t.Errorf("since %v: %v", at.Sub(t0), got)
		}
	}
	if s.SentSince(2+nack.Window, first) || s.SentSince(3, first) {
		t.Error("what was never sent has gone out again")
	}
}

// What has been sent again before, and is asked for still, goes out twice.
func TestSentTwice(t *testing.T) {
	var s nack.Sent
	s.Put(1, nack.Packet{Index: 9, Epoch: 0}, 1000, t0)
	for try, want := range []bool{false, true, true} {
		resend(t, &s, 1, time.Duration(try)*50*ms, 50*ms, 9, 0, drop.None)
		if got := s.Twice(1); got != want {
			t.Errorf("try %d: twice is %v", try+1, got)
		}
	}
}

// Limits: numbers further back than Window are forgotten, and do not drive out newer ones.
func TestSentWindow(t *testing.T) {
	var s nack.Sent
	s.Put(100, nack.Packet{Index: 1, Epoch: 0}, 1000, t0)
	s.Put(100+nack.Window-1, nack.Packet{Index: 2, Epoch: 0}, 1000, t0)
	resend(t, &s, 100, 0, 0, 1, 0, drop.None)
	s.Put(100+nack.Window, nack.Packet{Index: 3, Epoch: 0}, 1000, t0)
	resend(t, &s, 100, 0, 0, 0, 0, drop.NackUnknown)
	s.Put(100, nack.Packet{Index: 4, Epoch: 0}, 1000, t0)
	resend(t, &s, 100, 0, 0, 0, 0, drop.NackUnknown)
	resend(t, &s, 100+nack.Window, 0, 0, 3, 0, drop.None)
	s.Put(30000, nack.Packet{Index: 5, Epoch: 0}, 1000, t0)
	resend(t, &s, 100+nack.Window-1, 0, 0, 0, 0, drop.NackUnknown)
}

// Limits: resending takes no more than a burst and then a quarter of what is sent, however much is asked for.
func TestSentBudget(t *testing.T) {
	var s nack.Sent
	if s.Spend(1) {
		t.Error("nothing has been sent yet")
	}
	s.Put(0, nack.Packet{Index: 1, Epoch: 0}, 1000, t0)
	burst := 0
	for s.Spend(1000) {
		burst += 1000
	}
	if burst < 100_000 || burst > 200_000 {
		t.Errorf("a burst of %d bytes", burst)
	}
	again := 0
	for i := range 1000 {
		s.Put(uint16(i), nack.Packet{Index: 1, Epoch: 0}, 1000, t0)
		for s.Spend(500) {
			again += 500
		}
	}
	if again < 499_000 || again > 501_000 {
		t.Errorf("%d bytes again on top of 1,000,000", again)
	}
	for i := range 10_000 {
		s.Put(uint16(i), nack.Packet{Index: 1, Epoch: 0}, 1000, t0)
	}
	saved := 0
	for s.Spend(1000) {
		saved += 1000
	}
	if saved != burst {
		t.Errorf("%d bytes saved up, the burst is %d", saved, burst)
	}
}

// The way of one loss: the publisher's packet is missing, so the subscriber's number is a hole; both are repaired under the
// old numbers, and a switch of source continues them.
func TestHolesAreMirroredAndRepaired(t *testing.T) {
	var (
		unwrap rtp.SequenceUnwrapper
		g      nack.Register
		s      nack.Sent
		c      = nack.NewCache(nack.Window)
		offset int64
	)
	forward := func(seq uint16, epoch uint8, payload string) uint16 {
		index := unwrap.Unwrap(seq)
		if r := g.Add(seq, t0); r != drop.None {
			t.Fatal(r)
		}
		c.Put(index, []byte(payload))
		out := uint16(index + offset)
		s.Put(out, nack.Packet{Index: index, Epoch: epoch}, len(payload), t0)
		return out
	}
	forward(10, 1, "ten")
	forward(12, 1, "twelve")
	if _, r := s.Resend(11, 0, t0); r != drop.NackUnknown {
		t.Errorf("the hole is sent again: %v", r)
	}
	due(t, &g, 10*ms, 0, 11)
	if out := forward(11, 1, "eleven"); out != 11 {
		t.Errorf("the repaired packet goes out as %d", out)
	}
	p, r := s.Resend(11, 0, t0.Add(nack.MinResendInterval))
	if got := c.Get(p.Index); string(got) != "eleven" || p.Epoch != 1 || r != drop.None {
		t.Errorf("%q of epoch %d, %v", got, p.Epoch, r)
	}

	unwrap, g, c = rtp.SequenceUnwrapper{}, nack.Register{}, nack.NewCache(nack.Window) // another Producer
	offset = 13 - (1<<16 + 5000)
	if out := forward(5000, 2, "new"); out != 13 {
		t.Errorf("the new source begins with %d", out)
	}
	p, r = s.Resend(13, 0, t0)
	if got := c.Get(p.Index); string(got) != "new" || p.Epoch != 2 || r != drop.None {
		t.Errorf("%q of epoch %d, %v", got, p.Epoch, r)
	}
	if p, _ = s.Resend(12, 0, t0); p.Epoch != 1 {
		t.Errorf("what went out before the switch is of epoch %d", p.Epoch)
	}
}

// Due appends no more than there is room for, so it never allocates, and says that there is more.
func TestDueIsBounded(t *testing.T) {
	var g nack.Register
	add(t, &g, 0, 0, nack.Window)
	room := make([]uint16, 0, 64)
	at, asked := nack.Reordering, []uint16(nil)
	for range (nack.Window - 1) / 64 {
		if room = g.Due(t0.Add(at), 100*ms, room[:0]); len(room) != 64 || cap(room) != 64 {
			t.Fatalf("%d numbers, room for %d", len(room), cap(room))
		}
		asked = append(asked, room...)
		next(t, &g, at)
	}
	asked = append(asked, g.Due(t0.Add(at), 100*ms, room[:0])...)
	next(t, &g, at+100*ms)
	if len(asked) != nack.Window-1 {
		t.Errorf("%d numbers asked for", len(asked))
	}
	for i, n := range asked {
		if n != uint16(i+1) {
			t.Fatalf("%d at place %d", n, i)
		}
	}
	if got := g.Due(t0.Add(time.Second), 100*ms, nil); len(got) != 0 {
		t.Errorf("%d numbers without room", len(got))
	}
}

func TestNackDoesNotAllocate(t *testing.T) {
	var g nack.Register
	var s nack.Sent
	c := nack.NewCache(nack.Window)
	numbers := make([]uint16, 0, nack.Window)
	header, payload := make([]byte, 20), make([]byte, 1200)
	seq, at := uint16(0), t0
	n := testing.AllocsPerRun(1000, func() {
		seq += 1 + seq%5/4
		at = at.Add(ms)
		g.Add(seq, at)
		numbers = g.Due(at, 30*ms, numbers[:0])
		c.Put(int64(seq)+1<<16, header, payload)
		s.Put(seq, nack.Packet{Index: int64(seq) + 1<<16, Epoch: 1}, 1220, at)
		p, _ := s.Resend(seq-3, 0, at)
		s.Spend(len(c.Get(p.Index)))
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// How long a packet has been asked for counts from the first request, whenever it comes; what was never asked for has not been waited for.
func TestRegisterTellsHowLong(t *testing.T) {
	var g nack.Register
	waited := func(seq uint16, at, want time.Duration, tries int) {
		t.Helper()
		if since, n := g.Waited(seq, t0.Add(at)); since != want || n != tries {
			t.Errorf("%d at %v: asked for %d times since %v, want %d and %v", seq, at, n, since, tries, want)
		}
	}
	waited(1, 0, 0, 0)
	add(t, &g, 0, 1, 3, 5)
	waited(2, 9*ms, 0, 0)
	due(t, &g, 12*ms, 50*ms, 2, 4)
	waited(2, 60*ms, 48*ms, 1)
	add(t, &g, 60*ms, 2)
	waited(2, 61*ms, 0, 0)
	due(t, &g, 62*ms, 50*ms, 4)
	due(t, &g, 72*ms, 50*ms, 4)
	waited(4, 112*ms, 100*ms, 3)
	waited(6, 112*ms, 0, 0)
	due(t, &g, 2*time.Second, 50*ms) // it is given up
	waited(4, 2*time.Second, 1988*ms, 3)
	add(t, &g, 2*time.Second, 5+nack.Window)
	waited(4, 2*time.Second, 0, 0)
}
