package ice

import (
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
)

// check notes an authentic check on pair with the credentials g.
func (a *Agent) check(now time.Time, g *generation, pair datagram.Pair, m *message, out *Out) {
	i := a.find(pair)
	if i < 0 {
		i = a.add(pair, out)
	}
	e := &a.entries[i]
	e.checked = now
	if m.priority != 0 {
		e.priority = m.priority
	}
	if m.useCandidate {
		if g == a.current && a.previous != nil {
			a.restarted(out)
		}
		e.nominated = true
		a.nominated(now, i, out)
	}
	if i != a.selected {
		return
	}
	a.prolong(now)
	if a.late {
		a.late = false
		out.event(ConsentFresh, pair)
	}
}

// restarted ends the previous credentials. Pairs that they nominated compete no more.
func (a *Agent) restarted(out *Out) {
	a.previous = nil
	for i := range a.entries {
		a.entries[i].nominated = false
	}
	out.event(Restarted, datagram.Pair{})
}

// nominated follows a check with USE-CANDIDATE on entry i: of the nominated pairs that are fresh the best is selected.
func (a *Agent) nominated(now time.Time, i int, out *Out) {
	best := i
	for j := range a.entries {
		if e := &a.entries[j]; e.nominated && now.Sub(e.checked) < FreshFor && a.better(j, best, i) {
			best = j
		}
	}
	a.choose(best, out)
}

// better reports whether entry j is to be preferred to entry k, the check that asks having come on entry i: UDP to TCP, then the
// higher priority. Of two equal ones the selected pair stays, except where the client was only given another address on its way (the
// same candidate to the same local address): the address of its last check is the one that works.
func (a *Agent) better(j, k, i int) bool {
	x, y := &a.entries[j], &a.entries[k]
	switch {
	case x.pair.Proto != y.pair.Proto:
		return x.pair.Proto == datagram.UDP
	case x.priority != y.priority:
		return x.priority > y.priority
	case x.pair.Local == y.pair.Local:
		return j == i
	}
	return j == a.selected
}

// choose makes entry i the selected one.
func (a *Agent) choose(i int, out *Out) {
	if i == a.selected {
		return
	}
	a.selected = i
	a.late = false
	out.event(Selected, a.entries[i].pair)
}

func (a *Agent) find(pair datagram.Pair) int {
	for i := range a.entries {
		if a.entries[i].pair == pair {
			return i
		}
	}
	return -1
}

// add makes an entry for a pair, if need be in place of the unselected one that was checked longest ago.
func (a *Agent) add(pair datagram.Pair, out *Out) int {
	if len(a.entries) == MaxPairs {
		oldest := -1
		for i := range a.entries {
			if i != a.selected && (oldest < 0 || a.entries[i].checked.Before(a.entries[oldest].checked)) {
				oldest = i
			}
		}
		a.remove(oldest, out)
	}
	a.entries = append(a.entries, entry{pair: pair})
	out.event(Validated, pair)
	return len(a.entries) - 1
}

// remove forgets entry i.
func (a *Agent) remove(i int, out *Out) {
	out.event(Removed, a.entries[i].pair)
	last := len(a.entries) - 1
	a.entries[i] = a.entries[last]
	a.entries = a.entries[:last]
	switch a.selected {
	case i:
		a.selected = -1
	case last:
		a.selected = i
	}
}

// RemovePair forgets a pair whose TCP connection has closed. If it was selected, the best other pair that the client nominated
// and still checks takes its place; without one, consent is late until the client nominates again.
func (a *Agent) RemovePair(now time.Time, pair datagram.Pair, out *Out) {
	i := a.find(pair)
	if i < 0 {
		return
	}
	was := i == a.selected
	a.remove(i, out)
	if was {
		a.replace(now, pair, out)
	}
	a.schedule()
}

func (a *Agent) replace(now time.Time, gone datagram.Pair, out *Out) {
	best := -1
	for j := range a.entries {
		if e := &a.entries[j]; e.nominated && now.Sub(e.checked) < FreshFor && (best < 0 || a.better(j, best, -1)) {
			best = j
		}
	}
	if best >= 0 {
		a.choose(best, out)
		return
	}
	if !a.late {
		a.late = true
		out.event(ConsentLate, gone)
	}
}

// Timeout does what is due: consent that is late or lost, pairs that nobody checks.
func (a *Agent) Timeout(now time.Time, out *Out) {
	if a.lost {
		return
	}
	if now.Sub(a.consent) >= ConsentEnds {
		a.lost = true
		out.event(ConsentLost, datagram.Pair{})
		a.schedule()
		return
	}
	if a.selected >= 0 && !a.late && !now.Before(a.lateAt()) {
		a.late = true
		out.event(ConsentLate, a.entries[a.selected].pair)
	}
	for i := len(a.entries) - 1; i >= 0; i-- {
		if i != a.selected && now.Sub(a.entries[i].checked) >= ConsentEnds {
			a.remove(i, out)
		}
	}
	a.schedule()
}

func (a *Agent) lateAt() time.Time { return a.entries[a.selected].checked.Add(ConsentFor) }

// prolong lets ConsentEnds begin anew.
func (a *Agent) prolong(now time.Time) {
	if now.After(a.consent) {
		a.consent = now
	}
}

// schedule works out when Timeout is due. Next is asked for with every datagram, so it is not done there.
func (a *Agent) schedule() {
	if a.lost {
		a.next = time.Time{}
		return
	}
	a.next = a.consent.Add(ConsentEnds)
	if a.selected >= 0 && !a.late {
		a.next = earlier(a.next, a.lateAt())
	}
	for i := range a.entries {
		if i != a.selected {
			a.next = earlier(a.next, a.entries[i].checked.Add(ConsentEnds))
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
