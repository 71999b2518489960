package route

import (
	"math/rand/v2"
	"testing"

	"github.com/parley-rtc/parley/internal/nack"
)

// Numbers are contiguous over what is left out, and a packet that comes late gets the number that lies where it does: both as a
// list of all packets says that is kept for comparison.
func TestNumbers(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var n numbers
		index, number := int64(70000+random.IntN(5000)), int64(random.IntN(5000))
		n.begin(index, number)
		kept := map[int64]int64{index: number} // number of each index that has one
		missing := map[int64]bool{}
		newest := index
		for range 3000 {
			if old := newest - int64(random.IntN(nack.Window)); missing[old] {
				got, ok := n.late(old)
				if !ok || got != kept[old] {
					t.Fatalf("seed %d: late %d gets %d (%v), want %d", seed, old, got, ok, kept[old])
				}
				delete(missing, old)
				continue
			}
			gap := int64(0)
			if random.IntN(20) == 0 {
				gap = int64(random.IntN(80))
			}
			for range gap {
				newest, number = newest+1, number+1
				kept[newest], missing[newest] = number, true
			}
			newest++
			if random.IntN(3) == 0 {
				n.leave(newest)
				if _, ok := n.late(newest); ok {
					t.Fatalf("seed %d: what was left out has a number", seed)
				}
				continue
			}
			number++
			kept[newest] = number
			if got := n.next(newest); got != number {
				t.Fatalf("seed %d: %d gets %d, want %d", seed, newest, got, number)
			}
		}
		for i := newest - nack.Window + 1; i <= newest; i++ {
			want, ok := kept[i]
			if !ok {
				continue
			}
			if got, ok := n.index(want); !ok || got != i {
				t.Fatalf("seed %d: number %d is of %d (%v), want %d", seed, want, got, ok, i)
			}
		}
	}
}

// Limits: what lies further back than the window has no number any more, and a jump forgets all that was left out.
func TestNumbersWindow(t *testing.T) {
	var n numbers
	n.begin(100000, 7)
	n.leave(100001)
	n.next(100002)
	if got := n.next(100002 + nack.Window); got != 7+1+nack.Window {
		t.Errorf("over a gap: %d", got)
	}
	for _, index := range []int64{100000, 100001, 100002} {
		if _, ok := n.late(index); ok {
			t.Errorf("%d still has a number", index)
		}
	}
	if got, ok := n.late(100003); !ok || got != 7+2 {
		t.Errorf("the oldest: %d, %v", got, ok)
	}
	for _, number := range []int64{8, 7 + 2 + nack.Window, -5} {
		if index, ok := n.index(number); ok {
			t.Errorf("number %d is of %d", number, index)
		}
	}
	n.leave(200000)
	if got := n.next(200001); got != 200001+(7-100000)-2 {
		t.Errorf("after a jump: %d", got)
	}
}
