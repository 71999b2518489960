package datagram_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/parley-rtc/parley/internal/datagram"
)

const (
	ringLimit = 512 << 10
	ringFirst = 4 << 10
)

// sized are frames that begin with their length in two bytes, without these, as those of RFC 4571.
func sized(head [datagram.RingHead]byte) int { return 2 + int(binary.BigEndian.Uint16(head[:])) }

func sizedFrame(n int, fill byte) []byte {
	return append([]byte{byte(n >> 8), byte(n)}, bytes.Repeat([]byte{fill}, n)...)
}

// A ring gives back frames whole and in order, whatever its size does meanwhile and however short they are, holds no more than its limit, and drops the oldest one.
func TestRing(t *testing.T) {
	r := datagram.NewRing(3*ringFirst/2, ringFirst, sized)
	var want [][]byte
	waits := 0
	for i := range 1000 {
		f := sizedFrame(i*37%900, byte(i))
		if i%5 == 0 {
			f = sizedFrame(i%3, byte(i)) // shorter than a head
		}
		for !r.Push(f[:2], f[2:len(f)-len(f)/3], f[len(f)-len(f)/3:]) {
			if waits+len(f) <= 3*ringFirst/2 || !r.DropFirst() {
				t.Fatalf("%d: %d bytes wait, and there is no room for %d", i, waits, len(f))
			}
			waits -= len(want[0])
			want = want[1:]
		}
		want, waits = append(want, f), waits+len(f)
		if waits > 3*ringFirst/2 {
			t.Fatalf("%d: %d bytes wait", i, waits)
		}
		if i%7 != 0 {
			continue
		}
		got := r.Take(append(make([]byte, 0, 2000), "before"...))
		if got = bytes.TrimPrefix(got, []byte("before")); len(got) > 1994 || len(got) < min(waits, 1000) {
			t.Fatalf("%d: took %d bytes of %d", i, len(got), waits)
		}
		for waits -= len(got); len(got) > 0; want = want[1:] {
			if !bytes.HasPrefix(got, want[0]) {
				t.Fatalf("%d: %.20q, want %.20q", i, got, want[0])
			}
			got = got[len(want[0]):]
		}
	}
	for range want {
		if !r.DropFirst() {
			t.Fatal("frames are missing")
		}
	}
	if r.DropFirst() || len(r.Take(make([]byte, 0, 100))) != 0 {
		t.Error("an empty ring has a frame")
	}
}

// A frame that is longer than what there is room for is taken alone, and only into nothing.
func TestRingLongFrame(t *testing.T) {
	r := datagram.NewRing(ringLimit, ringFirst, sized)
	long, next := sizedFrame(2*ringFirst, 'x'), sizedFrame(4, 'y')
	r.Push(long, nil, nil)
	r.Push(next, nil, nil)
	if got := r.Take(append(make([]byte, 0, ringFirst), 'z')); string(got) != "z" {
		t.Errorf("%d bytes behind another", len(got))
	}
	if got := r.Take(make([]byte, 0, ringFirst)); !bytes.Equal(got, long) {
		t.Errorf("%d bytes, want %d", len(got), len(long))
	}
	if got := r.Take(make([]byte, 0, ringFirst)); !bytes.Equal(got, next) {
		t.Errorf("%q", got)
	}
}

// full is a full ring of frames of 1200 bytes, one such frame, and room for a write.
func full() (r datagram.Ring, head, b, chunk []byte) {
	r = datagram.NewRing(ringLimit, ringFirst, sized)
	head, b = []byte{1200 >> 8, 1200 & 0xff}, make([]byte, 1200)
	for r.Push(head, b, nil) {
	}
	return r, head, b, make([]byte, 0, 16<<10)
}

// A ring that has grown allocates nothing.
func TestRingDoesNotAllocate(t *testing.T) {
	r, head, b, chunk := full()
	if n := testing.AllocsPerRun(1000, func() {
		for !r.Push(head, b, nil) {
			r.DropFirst()
		}
		r.Take(chunk)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRing(b *testing.B) {
	r, head, p, chunk := full()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for !r.Push(head, p, nil) {
			r.DropFirst()
		}
		if i%16 == 0 {
			r.Take(chunk)
		}
	}
}
