package turn

import "time"

// Directions.
const (
	fromClient = iota
	fromPeers
)

// bucket holds the rate of one direction. It fills with time, for at most shapeFor. A datagram that does not find its bytes in it is dropped. What comes on a
// connection (RFC 6062) is never: it takes its bytes in any case, and waits until they are there, by which TCP slows down. Connections alone would so leave
// nothing for datagrams, which therefore are sure of half of the rate.
type bucket struct {
	paid instant // until when what was relayed takes at the rate
	sure instant // until when datagrams take at half the rate, as far as that is ahead
}

// shapeFor is what burst a rate allows: a video frame comes at once.
const shapeFor = 250 * time.Millisecond

// has reports whether a datagram of n bytes may be relayed, at a rate in bytes a second. A full bucket takes any: at a low rate one may be more than it
// holds.
func (b *bucket) has(now instant, n, rate int) bool {
	if rate < 0 {
		return true
	}
	d := took(n, rate)
	return b.paid <= now || b.paid+d <= now+shapeFor || b.sure <= now || b.sure+2*d <= now+shapeFor
}

// take counts a datagram of n bytes.
func (b *bucket) take(now instant, n, rate int) {
	if rate >= 0 {
		d := took(n, rate)
		b.paid = max(b.paid, now) + d
		b.sure = min(max(b.sure, now)+2*d, now+max(shapeFor, 2*d))
	}
}

// reserve counts n bytes of a connection and returns how long they wait.
func (b *bucket) reserve(now instant, n, rate int) instant {
	if rate < 0 {
		return 0
	}
	b.paid = max(b.paid, now) + took(n, rate)
	return max(b.paid-now-shapeFor, 0)
}

// inherit makes a bucket as empty as another one is.
func (b *bucket) inherit(other bucket) {
	b.paid, b.sure = max(b.paid, other.paid), max(b.sure, other.sure)
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

// Piece is how many bytes of a connection Pace is asked for at a time; 0: it need not be asked, since there is no rate.
func (s *Server) Piece() int {
	rate := s.limits.AllocationRate
	if user := s.limits.UserRate; rate < 0 || user >= 0 && user < rate {
		rate = user
	}
	if rate < 0 {
		return 0
	}
	return min(max(int(int64(rate)*int64(pieceFor)/int64(time.Second)), minPiece), maxPiece)
}

// Pace counts n bytes that come on a joined connection, from its client to the peer or the other way, and returns how long they wait before they go on.
// Connections of one user wait one after the other.
func (s *Server) Pace(now time.Time, conn ConnID, toPeer bool, n int) time.Duration {
	c := s.connections[conn]
	if c == nil {
		return 0 // it ends
	}
	at, direction := s.at(now), fromPeers
	if toPeer {
		direction = fromClient
	}
	return max(c.a.shaped[direction].reserve(at, n, s.limits.AllocationRate), c.a.user.shaped[direction].reserve(at, n, s.limits.UserRate))
}
