package datagram

import (
	"net/netip"
	"testing"
)

// Rule: the oldest of the source that holds most makes way, for whoever holds fewer; of several such sources the one that has the oldest of all. Of
// those that have left nothing stays, and whose source is not known has one of them at most.
func TestQueue(t *testing.T) {
	a, b, c, unknown := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3"), netip.Addr{}
	q := NewQueue[int]()
	if _, ok := q.Yields(c); ok {
		t.Error("somebody makes way where nobody is")
	}
	for who, source := range []netip.Addr{unknown, unknown, unknown, b, a, a, b} {
		q.Add(source, who)
	}
	for _, step := range []struct {
		source netip.Addr
		who    int
		ok     bool
	}{{c, 3, true}, {a, 3, false}, {unknown, 3, true}} {
		if who, ok := q.Yields(step.source); who != step.who || ok != step.ok {
			t.Errorf("for %v %d makes way: %v", step.source, who, ok)
		}
	}
	q.Remove(b, 3)
	q.Remove(b, 3)
	if who, ok := q.Yields(b); who != 4 || !ok || q.Len() != 6 || q.Holds(b) != 1 || q.Holds(unknown) != 1 {
		t.Errorf("%d makes way: %v; %d are in", who, ok, q.Len())
	}
	for who, source := range []netip.Addr{unknown, unknown, unknown, b, a, a, b} {
		q.Remove(source, who)
	}
	if q.Len() != 0 || len(q.sources) != 0 {
		t.Errorf("left %d, %v", q.Len(), q.sources)
	}
}
