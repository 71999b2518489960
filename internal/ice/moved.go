package ice

import (
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
)

// A NAT may give a client another address in the middle of a call. The client does not know, and its next check may be seconds away, but
// its media tell at once: they come from elsewhere. That they are authentic proves who made them, not that the client is where they came
// from: anybody on the way may have passed them on. So nothing is sent there but a check, and the pair is selected when the client has answered
// it (as QUIC validates a path, RFC 9000 §9.3).

// move is a pair on which the client's media came unchecked.
type move struct {
	from, to datagram.Pair // from: the pair that was selected then
	by       *generation
	asked    int // checks sent; 0: there is no move
	askedAt  time.Time
}

// MayMove reports whether authentic media on an unchecked pair would say that the client has moved there: only its own address is another one.
func (a *Agent) MayMove(pair datagram.Pair) bool {
	if a.lost || a.selected < 0 || pair.Proto != datagram.UDP || a.find(pair) >= 0 {
		return false
	}
	s := &a.entries[a.selected]
	return s.pair.Proto == datagram.UDP && s.pair.Local == pair.Local && s.by.remote.check() == nil
}

// Moved says that authentic media came on a pair for which MayMove holds.
func (a *Agent) Moved(now time.Time, pair datagram.Pair, out *Out) {
	if !a.MayMove(pair) {
		return
	}
	s := &a.entries[a.selected]
	a.move = move{from: s.pair, to: pair, by: s.by}
	i := a.add(pair, out)
	a.entries[i].checked, a.entries[i].by = now, a.move.by
	a.challenge(now, out)
	a.schedule()
}

func (a *Agent) challenge(now time.Time, out *Out) {
	a.move.asked++
	a.move.askedAt = now
	a.ask(a.move.by, a.move.to, out)
}

// askAgain repeats a check that was not answered, or gives up: the client's own checks will tell.
func (a *Agent) askAgain(now time.Time, out *Out) {
	switch {
	case a.move.asked == 0 || now.Sub(a.move.askedAt) < MoveInterval:
	case a.move.asked == MaxMoveChecks:
		a.move = move{}
	default:
		a.challenge(now, out)
	}
}

// follow selects entry i, where the client has answered. It is the same candidate as the pair that was selected before, so it takes over its
// nomination; the client's answer is its consent (RFC 7675 §5.1).
func (a *Agent) follow(now time.Time, i int, out *Out) {
	from := a.move.from
	a.move = move{}
	if a.selected < 0 || a.entries[a.selected].pair != from {
		return // the client has nominated another pair meanwhile
	}
	gone := a.selected
	old, e := &a.entries[gone], &a.entries[i]
	e.checked, e.nominated, e.priority = now, old.nominated, old.priority
	a.choose(i, out)
	a.prolong(now)
	a.remove(gone, out) // so that media from there, should the NAT change its mind, are noticed again
}
