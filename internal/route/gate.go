package route

import "github.com/parley-rtc/parley/internal/drop"

// gate takes stretches out of a Producer's audio so that nobody behind it sees a hole: the numbers of what passes go on, only its
// timestamps jump, as they do after silence that was not transmitted. It stands before the Consumers, so what it holds back costs
// them nothing.
type gate struct {
	begun, shut bool
	highest     int64 // index that passed, of the publisher's
	from        int64 // index with which the present stretch began
	held        int64 // indices that were taken out before it
}

// pass returns the index under which a packet goes on, and whether it is the first of a stretch; or why it does not. What comes late
// from before the present stretch has no place any more.
func (g *gate) pass(index int64, open bool) (next int64, first bool, r drop.Reason) {
	switch {
	case !open:
		g.shut = g.begun
		return 0, false, drop.NotLoudest
	case !g.begun:
		g.begun, g.highest, g.from = true, index, index
		return index, false, drop.None
	case g.shut:
		if index <= g.highest {
			return 0, false, drop.TooLate
		}
		g.held += index - g.highest - 1
		g.shut, g.from, first = false, index, true
	case index < g.from:
		return 0, false, drop.TooLate
	}
	g.highest = max(g.highest, index)
	return index - g.held, first, drop.None
}
