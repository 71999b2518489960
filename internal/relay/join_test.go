package relay

import (
	"net/netip"
	"testing"

	"github.com/parley-rtc/parley/internal/datagram"
)

// Neighbours to one destination are one message as long as segmentation offload can cut it: equal sizes, a shorter one at the end, no empty one,
// no more than the kernel takes.
func TestJoin(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.1:2")
	type d struct {
		to   netip.AddrPort
		size int
	}
	many := func(n, size int) (ds []d) {
		for range n {
			ds = append(ds, d{a, size})
		}
		return ds
	}
	for _, c := range []struct {
		name string
		ds   []d
		want []int
	}{
		{"equal", many(5, 1200), []int{5}},
		{"a shorter one ends it", []d{{a, 1200}, {a, 1200}, {a, 700}, {a, 700}}, []int{3, 1}},
		{"a longer one begins another", []d{{a, 700}, {a, 1200}, {a, 1200}}, []int{1, 2}},
		{"another destination", []d{{a, 100}, {b, 100}, {b, 100}, {a, 100}}, []int{1, 2, 1}},
		{"empty ones are alone", []d{{a, 0}, {a, 0}, {a, 10}, {a, 0}}, []int{1, 1, 1, 1}},
		{"segments", many(datagram.MaxRunSegments+1, 10), []int{datagram.MaxRunSegments, 1}},
		{"bytes", many(7, 10000), []int{6, 1}},
	} {
		var got []int
		var r run
		for i, d := range c.ds {
			if i > 0 && r.join(d.to, netip.AddrPort{}, d.size) {
				got[len(got)-1]++
				continue
			}
			r.begin(d.to, netip.AddrPort{}, d.size)
			got = append(got, 1)
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
				break
			}
		}
	}
	var r run
	if r.begin(a, a, 10); r.join(a, b, 10) {
		t.Error("joined from two local addresses")
	}
}
