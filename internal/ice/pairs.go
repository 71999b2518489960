package ice

import (
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
)

// Which pair is selected. The client controls (RFC 8445 §7.3.1.5): it selects a pair by a check with USE-CANDIDATE. Clients
// differ in how they do that, and what serves one would leave another on a pair that it does not read:
//
//   - RFC 8445 §8.1.1 wants one nomination, after which checks for consent come without the flag. So the latest nomination counts,
//     be it never repeated.
//   - The same section knows clients that nominate aggressively, as RFC 5245 had it and Firefox does: every pair in the first
//     round of checks. Of those the highest priority counts, in whatever order they come, and only that pair is checked on.
//   - Chromium nominates the pair that it uses towards a lite agent with every check, and leaves it for another, be it of lower
//     priority, by repeating the flag there. It goes on checking the one that it has left, without the flag.
//
// Hence a pair competes by priority only for FreshFor after its last *nominating* check, and by the time of that check afterwards:
//
//  1. A nominating check elects, among the pairs nominated within FreshFor, the best: UDP before TCP, then priority.
//  2. Another check on a nominated pair selects it if it was nominated later than the selected pair and the latter's FreshFor is
//     over, or if the selected pair is silent: not checked for SilentFor.
//  3. A check on a pair that nobody nominated selects it if the selected pair is silent, no nominated pair is alive, and only the
//     client's address has changed: a NAT has given it another one, and a client that nominates once will not say so.
//  4. Before anything is nominated, the pair on which the client has finished its DTLS handshake is selected, and any nomination takes its place.

// Keyed says that the client has finished its DTLS handshake on a pair (rule 4; RFC 8445 §12.1: "An ICE agent MAY send data on any valid pair before
// selected pairs have been produced"). It is the one that the client uses. Chromium says so by its next check on it, which it sends 900 ms later where
// three went unanswered before: over a relay that is not heard at first, and on any way that is slower than 150 ms.
func (a *Agent) Keyed(now time.Time, pair datagram.Pair, out *Out) {
	if i := a.find(pair); i >= 0 && a.selected < 0 && a.Consents(now, pair) {
		a.choose(i, out)
		a.schedule()
	}
}

// check notes an authentic check on pair with the credentials g, and returns the pair's entry.
func (a *Agent) check(now time.Time, g *generation, pair datagram.Pair, m *message, out *Out) int {
	i := a.find(pair)
	if i < 0 {
		i = a.add(pair, out)
	}
	a.checked = true
	e := &a.entries[i]
	e.checked, e.by = now, g
	switch {
	case m.useCandidate:
		if g == a.current && a.previous != nil {
			a.restarted(out)
		}
		e.nominated = now
		if m.priority != 0 {
			e.priority = m.priority
		}
		a.choose(a.elect(now, i), out)
	case i != a.selected && a.follows(now, i):
		a.choose(i, out)
	}
	if i != a.selected {
		return i
	}
	a.prolong(now)
	if a.late {
		a.late = false
		out.event(ConsentFresh, pair)
	}
	return i
}

// restarted ends the previous credentials. Pairs that they nominated compete no more.
func (a *Agent) restarted(out *Out) {
	a.previous = nil
	for i := range a.entries {
		a.entries[i].nominated = time.Time{}
	}
	out.event(Restarted, datagram.Pair{})
}

// fresh reports whether the pair was nominated within FreshFor.
func (e *entry) fresh(now time.Time) bool { return e.isNominated() && now.Sub(e.nominated) < FreshFor }

func (e *entry) isNominated() bool { return !e.nominated.IsZero() }

// alive reports whether the pair was checked within SilentFor.
func (e *entry) alive(now time.Time) bool { return now.Sub(e.checked) < SilentFor }

// elect returns the best of the fresh pairs after a nominating check on entry i (rule 1).
func (a *Agent) elect(now time.Time, i int) int {
	best := i
	for j := range a.entries {
		if a.entries[j].fresh(now) && a.better(j, best, i) {
			best = j
		}
	}
	return best
}

// follows reports whether a check without USE-CANDIDATE on entry i selects it (rules 2 and 3).
func (a *Agent) follows(now time.Time, i int) bool {
	e := &a.entries[i]
	if a.selected < 0 { // its TCP connection has closed
		return e.isNominated()
	}
	s := &a.entries[a.selected]
	if e.isNominated() {
		return !s.alive(now) || !s.fresh(now) && e.nominated.After(s.nominated)
	}
	if s.alive(now) || e.by != s.by || e.pair.Proto != datagram.UDP || e.pair.Proto != s.pair.Proto || e.pair.Local != s.pair.Local {
		return false
	}
	for j := range a.entries {
		if x := &a.entries[j]; x.isNominated() && x.alive(now) {
			return false
		}
	}
	return true
}

// better reports whether entry j is to be preferred to entry k, the check that asks having come on entry i: UDP to TCP, and that to what this
// process relays itself, which is one of them and a detour; then the higher priority. Of two equal ones the selected pair stays, except where the client was only given another address on its way (the
// same candidate to the same local address): the address of its last check is the one that works.
func (a *Agent) better(j, k, i int) bool {
	x, y := &a.entries[j], &a.entries[k]
	switch {
	case x.pair.Proto != y.pair.Proto:
		return x.pair.Proto < y.pair.Proto
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
	if a.entries[i].pair == a.move.to {
		a.move = move{}
	}
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
// and still checks takes its place; without one, consent is late until the client checks one that it has nominated.
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
		if e := &a.entries[j]; e.isNominated() && e.alive(now) && (best < 0 || a.outlasts(now, j, best)) {
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

// outlasts reports whether entry j is to replace a closed pair rather than k: fresh ones compete by priority, others by the time of
// their nomination.
func (a *Agent) outlasts(now time.Time, j, k int) bool {
	x, y := &a.entries[j], &a.entries[k]
	if x.fresh(now) && y.fresh(now) {
		return a.better(j, k, -1)
	}
	return x.nominated.After(y.nominated)
}

// Timeout does what is due: consent that is late or lost, pairs that nobody checks.
func (a *Agent) Timeout(now time.Time, out *Out) {
	if a.lost {
		return
	}
	if !now.Before(a.endsAt()) {
		a.lost = true
		if a.checked {
			out.event(ConsentLost, datagram.Pair{})
		} else {
			out.event(NeverChecked, datagram.Pair{})
		}
		a.schedule()
		return
	}
	if a.selected >= 0 && !a.late && !now.Before(a.lateAt()) {
		a.late = true
		out.event(ConsentLate, a.entries[a.selected].pair)
	}
	a.askAgain(now, out)
	for i := len(a.entries) - 1; i >= 0; i-- {
		if i != a.selected && now.Sub(a.entries[i].checked) >= ConsentEnds {
			a.remove(i, out)
		}
	}
	a.schedule()
}

func (a *Agent) lateAt() time.Time { return a.entries[a.selected].checked.Add(ConsentFor) }

// endsAt is when it is over, unless the client checks before.
func (a *Agent) endsAt() time.Time {
	if !a.checked {
		return a.consent.Add(FirstCheck)
	}
	return a.consent.Add(ConsentEnds)
}

// prolong lets the time until endsAt begin anew.
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
	a.next = a.endsAt()
	if a.selected >= 0 && !a.late {
		a.next = earlier(a.next, a.lateAt())
	}
	if a.move.asked > 0 {
		a.next = earlier(a.next, a.move.askedAt.Add(MoveInterval))
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
