// Package nack finds what is missing of a received stream, keeps what has been received for sending it again, and remembers
// for each Consumer under which number it was sent.
//
//	publisher → Register (what to ask for) ─┐
//	                                        ├ Cache: one per Producer encoding, packets by the producer's index
//	subscriber's NACK → Sent (one per Consumer: outgoing number → producer's index, epoch) ─┘
//
// An index is a sequence number unwrapped to 64 bits (rtp.SequenceUnwrapper). All rings are of fixed size and none allocates
// after it was made.
package nack

import (
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// Register notes which packets of one stream have arrived, and says which are to be asked for again. The zero value is ready.
type Register struct {
	// owned by the loop of the Transport that receives the stream
	unwrap  rtp.SequenceUnwrapper
	highest int64 // 0: nothing yet
	epoch   time.Time
	missing int // slots in state wanted
	next    time.Duration
	slots   [Window]slot
}

// slot is the state of one of the last Window numbers. Its Register owns it.
type slot struct {
	since time.Duration // when it was found missing, then when it was first asked for; after epoch
	due   time.Duration // when to ask next
	state state
	tries uint8
}

type state uint8

const (
	unseen    state = iota // before the stream began
	wanted                 // missing, to be asked for
	abandoned              // missing, not asked for any more
	arrived
)

// Add notes the arrival of a packet, by itself or by retransmission, and finds what is missing before it. The reason is None
// when the packet is new, RtpDuplicate when it had arrived before, and TooLate when it is further back than Window.
func (g *Register) Add(seq uint16, now time.Time) drop.Reason {
	index := g.unwrap.Unwrap(seq)
	if g.highest == 0 {
		g.highest, g.epoch = index, now
		g.slot(index).state = arrived
		return drop.None
	}
	if index > g.highest {
		g.advance(index, now.Sub(g.epoch))
		return drop.None
	}
	if index <= g.highest-Window {
		return drop.TooLate
	}
	s := g.slot(index)
	if s.state == arrived {
		return drop.RtpDuplicate
	}
	if s.state == wanted {
		g.missing--
	}
	s.state = arrived
	return drop.None
}

// advance makes index the highest. Everything between is missing; after a jump beyond the window nothing of it is asked for,
// since that many packets are a new beginning and no loss.
func (g *Register) advance(index int64, now time.Duration) {
	gap := slot{state: wanted, since: now, due: now + Reordering}
	if index-g.highest > Window {
		gap.state = abandoned
	}
	if g.missing == 0 {
		g.next = gap.due
	}
	g.next = min(g.next, gap.due)
	for i := max(g.highest+1, index-Window+1); i < index; i++ {
		g.replace(i, gap)
	}
	g.replace(index, slot{state: arrived})
	g.highest = index
}

// replace puts a new number's state where the one of Window before was.
func (g *Register) replace(index int64, s slot) {
	old := g.slot(index)
	if old.state == wanted {
		g.missing--
	}
	if s.state == wanted {
		g.missing++
	}
	*old = s
}

func (g *Register) slot(index int64) *slot { return &g.slots[index&(Window-1)] }

// Due appends the numbers to ask for now, oldest first, as many as dst has capacity for; Next says when more are due, which may be
// at once. Each is asked for after Reordering, and again after every rtt, or MinInterval where that is longer, until it arrives,
// MaxTries or MaxAge is reached, or it is further back than Window. From the second time on it is asked for twice, Reordering
// apart: then a loss of the request alone costs no round trip, and a publisher that got the first ignores the other.
func (g *Register) Due(now time.Time, rtt time.Duration, dst []uint16) []uint16 {
	at := now.Sub(g.epoch)
	if g.missing == 0 || at < g.next {
		return dst
	}
	interval := max(rtt, MinInterval)
	g.next = at + MaxAge
	for i := g.highest - Window + 1; i < g.highest; i++ {
		s := g.slot(i)
		if s.state != wanted {
			continue
		}
		if s.due <= at && (s.tries == MaxTries || at-s.since >= MaxAge) {
			s.state = abandoned
			g.missing--
			continue
		}
		if s.due <= at && len(dst) == cap(dst) {
			g.next = at
			return dst
		}
		if s.due <= at {
			dst = append(dst, uint16(i))
			if s.tries == 0 {
				s.since = at
			}
			s.tries++
			s.due = at + s.pause(interval)
		}
		g.next = min(g.next, s.due)
	}
	return dst
}

// pause returns how long after a try, already counted, the next one is due: the 3rd, 5th, 7th … repeat the one before.
func (s *slot) pause(interval time.Duration) time.Duration {
	if s.tries%2 == 0 {
		return Reordering
	}
	return interval
}

// Waited tells of a packet that is missing how often it has been asked for, and how long ago for the first time. It is about one that comes
// now, before Add.
func (g *Register) Waited(seq uint16, now time.Time) (since time.Duration, tries int) {
	index := g.highest + int64(int16(seq-uint16(g.highest)))
	if index > g.highest || index <= g.highest-Window {
		return 0, 0
	}
	s := g.slot(index)
	if s.tries == 0 || s.state == arrived {
		return 0, 0
	}
	return now.Sub(g.epoch) - s.since, int(s.tries)
}

// Next returns when Due has something to say; zero: not before another Add.
func (g *Register) Next() time.Time {
	if g.missing == 0 {
		return time.Time{}
	}
	return g.epoch.Add(g.next)
}

// Missing returns how many packets are being asked for.
func (g *Register) Missing() int { return g.missing }
