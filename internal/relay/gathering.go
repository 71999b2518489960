package relay

import "time"

// gathering decides whether a loop that has read something should wait a moment for more before it sends. The first datagram of a burst wakes the
// loop, which would send it alone and so cut every burst; what arrives together leaves as one message with segmentation offload, which costs a
// third for each datagram. But a wait has to pay: only large datagrams come in bursts, only some of them do, and on some machines, virtual ones
// among them, being woken by a timer costs more than sending all of a burst singly.
type gathering struct {
	size   int    // of the last datagram
	before uint64 // what had been received before this turn, and joined to runs
	joined uint64
	waits  int // in this turn
	faith  int
	turns  int // since the last wait
	cost   time.Duration
}

// begin begins a turn; received is how many datagrams have been received so far.
func (g *gathering) begin(received uint64) {
	g.before, g.size, g.waits = received, 0, 0
	g.turns++
}

// pays reports whether to wait now.
func (g *gathering) pays(received uint64) bool {
	switch {
	case g.size <= restBytes, g.waits == maxRests, received-g.before >= maxRead:
		return false
	case g.faith == 0 && g.waits == 0 && g.turns < restProbe, g.cost > restCost && g.turns < restCostlyProbe:
		return false
	}
	g.waits++
	return true
}

// took notes what processor time a wait has taken.
func (g *gathering) took(d time.Duration) {
	g.turns = 0
	if g.cost == 0 {
		g.cost = d
	}
	g.cost += (d - g.cost) / 8
}

// end ends a turn; joined is how many datagrams have been joined to runs so far.
func (g *gathering) end(joined uint64) {
	switch {
	case joined > g.joined:
		g.faith = restFaith
	case g.waits > 0 && g.faith > 0:
		g.faith--
	}
	g.joined = joined
}
