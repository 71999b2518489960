package pacer_test

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/pacer"
)

var t0 = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return t0.Add(d) }

// video returns a packet of a slot.
func video(slot uint8, number uint16) pacer.Packet {
	return pacer.Packet{Slot: slot, Number: number, Size: 1000}
}

// ignore takes what is dropped.
func ignore(pacer.Packet) {}

// offer lets a burst of n packets leave or wait, and returns how many left at once.
func offer(p *pacer.Pacer, now time.Time, slot uint8, n int) (left int) {
	for i := range n {
		if p.Admit(now, 1000) {
			left++
		} else if !p.Push(now, video(slot, uint16(i))) {
			panic("full")
		}
	}
	return left
}

// drain takes out what may leave.
func drain(p *pacer.Pacer, now time.Time) (left []pacer.Packet) {
	for q, ok := p.Pop(now); ok; q, ok = p.Pop(now) {
		left = append(left, q)
	}
	return left
}

// Without a rate everything leaves at once.
func TestUnlimited(t *testing.T) {
	var p pacer.Pacer
	if offer(&p, t0, 1, 1000) != 1000 || !p.Repairs(t0) || !p.Next().IsZero() {
		t.Error("something waits")
	}
}

// What fits the budget of the next 10 ms leaves at once, in one burst; the rest follows at the rate, in order.
func TestBurst(t *testing.T) {
	var p pacer.Pacer
	p.SetRate(t0, 4*bwe.Mbps) // 5000 bytes in 10 ms
	if n := offer(&p, t0, 1, 20); n != 5 {
		t.Fatalf("%d left at once", n)
	}
	next, now, looked := uint16(5), t0, 0
	for !p.Next().IsZero() {
		now = p.Next()
		for _, q := range drain(&p, now) {
			if q.Number != next {
				t.Fatalf("number %d, want %d", q.Number, next)
			}
			next++
		}
		if looked++; looked > 100 {
			t.Fatal("it never ends")
		}
	}
	if next != 20 || now.Sub(t0) < 28*time.Millisecond || now.Sub(t0) > 35*time.Millisecond {
		t.Errorf("%d packets in %v", next, now.Sub(t0))
	}
	if n := offer(&p, now.Add(time.Second), 1, 20); n != 5 {
		t.Errorf("%d left at once after a pause: a budget is not saved up", n)
	}
}

// Audio overtakes what waits, and video pays for it.
func TestAudioOvertakes(t *testing.T) {
	var p pacer.Pacer
	p.SetRate(t0, 800*bwe.Kbps) // 1000 bytes in 10 ms
	offer(&p, t0, 1, 3)
	p.Spend(t0, 2000)
	if n := len(drain(&p, after(15*time.Millisecond))); n != 0 {
		t.Errorf("%d packets left on the budget of audio", n)
	}
	if n := len(drain(&p, after(25*time.Millisecond))); n != 1 {
		t.Errorf("%d packets left", n)
	}
}

// What left while there was no room is forgiven but for a little: video goes on soon after the network is back.
func TestDebtIsBounded(t *testing.T) {
	var p pacer.Pacer
	p.SetRate(t0, 10*bwe.Kbps)
	for range 3000 {
		p.Spend(t0, 120)
	}
	p.SetRate(t0, bwe.Mbps)
	offer(&p, t0, 1, 1)
	if n := len(drain(&p, after(60*time.Millisecond))); n != 1 {
		t.Error("video still waits after 60 ms at 1 Mb/s")
	}
}

// Repairs leave before video that waits, which pays for them, and not too far ahead of the rate.
func TestRepairs(t *testing.T) {
	var p pacer.Pacer
	p.SetRate(t0, 800*bwe.Kbps) // 5000 bytes in 50 ms
	offer(&p, t0, 1, 2)
	repaired := 0
	for p.Repairs(t0) && repaired < 100 {
		p.Spend(t0, 1000)
		repaired++
	}
	if repaired != 5 {
		t.Errorf("%d repairs at once", repaired)
	}
	if n := len(drain(&p, after(49*time.Millisecond))); n != 0 {
		t.Error("video leaves before repairs are paid for")
	}
	if n := len(drain(&p, after(51*time.Millisecond))); n != 1 {
		t.Error("video does not leave when repairs are paid for")
	}
}

// What waits of a slot can be taken out whole.
func TestClear(t *testing.T) {
	var p pacer.Pacer
	p.SetRate(t0, 8*bwe.Kbps)
	offer(&p, t0, 1, 4) // one leaves
	p.Push(t0, pacer.Packet{Slot: 1, Number: 20, Size: 1000, Key: true})
	p.Push(t0, video(2, 1))
	p.Push(t0, video(1, 21))
	var told []uint16
	if n := p.Clear(1, func(q pacer.Packet) { told = append(told, q.Number) }); n != 5 || !slices.Equal(told, []uint16{1, 2, 3, 20, 21}) {
		t.Errorf("%d dropped: %d", n, told)
	}
	if n := p.Waiting(); n != 1 || !p.Holds(2, 1) || p.Holds(1, 21) {
		t.Errorf("%d packets wait", n)
	}
}

// A frame that has waited too long goes, with all that needs it, up to the next key frame; other slots are not touched.
func TestLateFramesAreDropped(t *testing.T) {
	var p pacer.Pacer
	p.SetRate(t0, 8*bwe.Kbps)
	offer(&p, t0, 1, 4) // one leaves
	p.Push(after(100*time.Millisecond), video(2, 10))
	p.Push(after(100*time.Millisecond), pacer.Packet{Slot: 1, Number: 20, Size: 1000, Key: true})
	p.Push(after(100*time.Millisecond), video(1, 21))
	if p.Late(after(pacer.MaxAge)) {
		t.Fatal("late too early")
	}
	now := after(pacer.MaxAge + time.Millisecond)
	if front, ok := p.Front(); !ok || front.Slot != 1 || !p.Late(now) {
		t.Fatalf("%+v is not late", front)
	}
	if n, key := p.Drop(1, ignore); n != 3 || !key {
		t.Errorf("%d dropped", n)
	}
	if p.Late(now) {
		t.Error("still late")
	}
	p.SetRate(now, 0)
	var left []uint16
	for _, q := range drain(&p, now) {
		left = append(left, q.Number)
	}
	if len(left) != 3 || left[0] != 10 || left[1] != 20 || left[2] != 21 {
		t.Errorf("left are %v", left)
	}
	if n := p.Waiting(); n != 0 {
		t.Errorf("%d packets wait", n)
	}
}

// The queue is bounded in packets and in bytes.
func TestQueueIsBounded(t *testing.T) {
	for _, x := range []struct{ size, packets int }{{100, pacer.MaxPackets}, {60_000, pacer.MaxBytes / 60_000}} {
		var p pacer.Pacer
		p.SetRate(t0, 8*bwe.Kbps)
		p.Spend(t0, 1000)
		for i := range x.packets {
			if !p.Push(t0, pacer.Packet{Number: uint16(i), Size: uint16(x.size)}) {
				t.Fatalf("packet %d of %d bytes is refused", i, x.size)
			}
		}
		if p.Push(t0, pacer.Packet{Size: uint16(x.size)}) {
			t.Errorf("more than %d packets of %d bytes wait", x.packets, x.size)
		}
		if n, key := p.Drop(0, ignore); n != x.packets || key {
			t.Errorf("%d dropped", n)
		}
	}
}

// Once the queue has grown nothing is allocated.
func TestPacerAllocatesNothing(t *testing.T) {
	var p pacer.Pacer
	p.SetRate(t0, 8*bwe.Mbps)
	now := t0
	n := testing.AllocsPerRun(100, func() {
		now = now.Add(10 * time.Millisecond)
		drain(&p, now)
		offer(&p, now, 1, 15)
		p.Drop(1, ignore)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
