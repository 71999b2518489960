package sim

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// Link says what happens to datagrams in one direction. The zero Link is perfect: no delay, no limit.
type Link struct {
	// Delay is the time from the end of sending to arrival; Jitter adds up to so much by chance. Jitter keeps the order.
	Delay, Jitter time.Duration
	// Loss, Duplicate and Reorder are probabilities from 0 to 1.
	Loss, Duplicate, Reorder float64
	// ReorderBy is how much later a reordered datagram comes than it should. 0 means DefaultReorderBy.
	ReorderBy time.Duration
	// Rate is in bits per second, IP headers included; 0 means without limit.
	Rate int64
	// Queue is how many bytes wait in front of Rate; 0 means DefaultQueue.
	Queue int
}

// fate is what becomes of a datagram.
type fate uint8

const (
	passed fate = iota
	lost
	overflowed
	duplicated
	reordered
)

// link is the state of a Link. Its network's lock guards it.
type link struct {
	Link
	chance *rand.Rand
	free   time.Time // when all that waits has been sent
	last   time.Time // when the latest one arrives: order is kept
}

// schedule decides what happens to a datagram of size bytes, and when it arrives. It draws the same number of times for each,
// so that changing one probability does not change the other chances.
func (l *link) schedule(now time.Time, size int) (time.Time, fate) {
	loses, doubles, jumps, jitter := l.chance.Float64(), l.chance.Float64(), l.chance.Float64(), l.chance.Float64()
	sent, ok := l.transmit(now, size)
	switch {
	case !ok:
		return time.Time{}, overflowed
	case loses < l.Loss:
		return time.Time{}, lost
	}
	due := sent.Add(l.Delay + time.Duration(jitter*float64(l.Jitter)))
	if jumps < l.Reorder {
		late := l.ReorderBy
		if late == 0 {
			late = DefaultReorderBy
		}
		return due.Add(late), reordered // does not count for the order of those behind it
	}
	if due.Before(l.last) {
		due = l.last
	}
	l.last = due
	if doubles < l.Duplicate {
		return due, duplicated
	}
	return due, passed
}

// transmit returns when a datagram has left a link with a rate, or false when its queue is full.
func (l *link) transmit(now time.Time, size int) (time.Time, bool) {
	if l.Rate <= 0 {
		return now, true
	}
	begin := now
	if l.free.After(now) {
		begin = l.free
	}
	queue := l.Queue
	if queue == 0 {
		queue = DefaultQueue
	}
	if waiting := int(float64(begin.Sub(now)) * float64(l.Rate) / 8 / float64(time.Second)); waiting+size > queue {
		return time.Time{}, false
	}
	l.free = begin.Add(time.Duration(float64(size+headerBytes) * 8 / float64(l.Rate) * float64(time.Second)))
	return l.free, true
}

// hash tells the chances of one way from those of another.
func (w way) hash() uint64 {
	h := fnv.New64a()
	from, to := w.from.As16(), w.to.As16()
	h.Write(from[:])
	h.Write(to[:])
	return h.Sum64()
}
