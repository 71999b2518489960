package rooms

import (
	"slices"
	"testing"
)

// Rule: a room opens where there is the least; many that open at once spread.
func TestLeast(t *testing.T) {
	p := newPlaces(3)
	p.add(0, 5)
	p.add(1, 4)
	var got []int
	for range 8 {
		got = append(got, p.least(1))
	}
	if want := []int{2, 2, 2, 2, 1, 2, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	p.add(2, -5)
	if s := p.least(1); s != 2 {
		t.Errorf("shard %d", s)
	}
}
