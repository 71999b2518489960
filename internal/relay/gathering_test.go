package relay

import (
	"testing"
	"time"
)

// A wait for the rest of a burst is taken as long as it makes runs and costs little, and tried again now and then.
func TestGathering(t *testing.T) {
	const turns = 4 * restCostlyProbe
	for _, c := range []struct {
		name     string
		size     int
		received uint64 // in each turn before a wait
		joins    bool
		cost     time.Duration
		min, max int // waits
	}{
		{"bursts of large datagrams", 1200, 1, true, 2 * time.Microsecond, 2 * (turns - restProbe), 2 * turns},
		{"large datagrams singly", 1200, 1, false, 2 * time.Microsecond, turns / restProbe / 2, 4 * turns / restProbe},
		{"bursts, but waiting is dear", 1200, 1, true, 20 * time.Microsecond, 3, 32},
		{"small datagrams", 160, 1, true, 0, 0, 0},
		{"more than one read at once", 1200, maxRead, true, 0, 0, 0},
	} {
		var g gathering
		var received, joined uint64
		waits := 0
		for range turns {
			g.begin(received)
			received += c.received
			g.size = c.size
			for g.pays(received) {
				g.took(c.cost)
				waits++
				g.size = c.size
				if c.joins {
					joined++
				}
			}
			g.end(joined)
		}
		if waits < c.min || waits > c.max {
			t.Errorf("%s: %d waits in %d turns, not %d to %d", c.name, waits, turns, c.min, c.max)
		}
	}
}
