package turn

import "time"

// Directions.
const (
	fromClient = iota
	fromPeers
)

// bucket holds the rate of one direction. It fills with time, for at most shapeFor; what does not find its bytes in it is dropped.
type bucket struct {
	paid instant // until when what was relayed takes at the rate
}

// shapeFor is what burst a rate allows: a video frame comes at once.
const shapeFor = 250 * time.Millisecond

// has reports whether n bytes may be relayed, at a rate in bytes a second. A full bucket takes any datagram: at a low rate one may be more than it
// holds.
func (b *bucket) has(now instant, n, rate int) bool {
	return rate < 0 || b.paid <= now || b.paid+took(n, rate) <= now+shapeFor
}

// take counts n bytes.
func (b *bucket) take(now instant, n, rate int) {
	if rate >= 0 {
		b.paid = max(b.paid, now) + took(n, rate)
	}
}

func took(n, rate int) instant { return instant(n) * time.Second / instant(rate) }

// datagramCost is what a datagram takes of a rate beside its payload: its headers, without which empty ones would cost nothing.
const datagramCost = 28

// mayRelay reports whether an allocation and its user may relay n bytes in a direction now, and counts them.
func (s *Server) mayRelay(now instant, a *allocation, direction, n int) bool {
	n += datagramCost
	one, all := &a.shaped[direction], &a.user.shaped[direction]
	if !one.has(now, n, s.limits.AllocationRate) || !all.has(now, n, s.limits.UserRate) {
		return false
	}
	one.take(now, n, s.limits.AllocationRate)
	all.take(now, n, s.limits.UserRate)
	return true
}
