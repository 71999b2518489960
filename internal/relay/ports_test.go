package relay

import (
	"math/rand/v2"
	"testing"
)

// Every port of the range is chosen before one is refused, none twice, and what is given back is chosen again.
func TestPortsUntilNoneIsLeft(t *testing.T) {
	for _, r := range []struct{ first, last int }{{49152, 65535}, {50000, 50000}, {50001, 50190}, {50063, 50128}} {
		p := newPorts(r.first, r.last)
		seen := map[int]bool{}
		for range r.last - r.first + 1 {
			port := p.choose(rand.Uint64(), false, false)
			if port < r.first || port > r.last || seen[port] {
				t.Fatalf("%d to %d: chosen %d", r.first, r.last, port)
			}
			seen[port] = true
			p.take(port)
		}
		if port := p.choose(rand.Uint64(), false, false); port != 0 || p.free != 0 {
			t.Errorf("%d to %d: %d although all are taken, %d free", r.first, r.last, port, p.free)
		}
		p.release(r.last)
		if port := p.choose(rand.Uint64(), false, false); port != r.last {
			t.Errorf("%d to %d: %d, only %d is free", r.first, r.last, port, r.last)
		}
	}
}

// RFC 8656 §7.2, EVEN-PORT: the port is even, and where the next one is to be reserved, that is free too.
func TestEvenPorts(t *testing.T) {
	p := newPorts(50001, 50010)
	p.take(50003)
	p.take(50006)
	counts := map[int]int{}
	for i := range uint64(1000) {
		counts[p.choose(i, true, true)]++
	}
	if len(counts) != 2 || counts[50004] == 0 || counts[50008] == 0 {
		t.Errorf("even with a free one above: %v; 50004 and 50008 are", counts)
	}
	clear(counts)
	for i := range uint64(1000) {
		counts[p.choose(i, true, false)]++
	}
	if len(counts) != 4 {
		t.Errorf("even: %v", counts)
	}
	p.take(50004)
	p.take(50008)
	if port := p.choose(7, true, true); port != 0 {
		t.Errorf("%d has no free one above", port)
	}
}

// RFC 8656 §7.2: what the next port will be cannot be told from the last ones. Each free one is as likely as another to begin with.
func TestPortsAreSpread(t *testing.T) {
	p := newPorts(49152, 65535)
	var quarter [4]int
	for range 4000 {
		quarter[(p.choose(rand.Uint64(), false, false)-49152)*4/16384]++
	}
	for i, n := range quarter {
		if n < 800 || n > 1200 { // 1000 ± 7 standard deviations
			t.Errorf("quarter %d of the range: %d of 4000", i, n)
		}
	}
}
