package bwe

import (
	"math"
	"time"
)

// control moves a rate by what delays say: up slowly, down at once, not at all while queues drain (draft-ietf-rmcat-gcc-02 §5.5).
type control struct {
	rate      Bitrate
	idle      bool          // much less is sent than could be
	holds     bool          // after a decrease, until delays are normal
	updated   time.Duration // when update was last called
	decreased time.Duration // when the rate was last lowered
	capacity  capacity
}

const (
	backoff           = 0.85 // of what has arrived is sent after an overuse
	increasePerSecond = 1.08
	// An increase ends at what is known to arrive, times headroom and something, since nothing is known of what has not been tried.
	headroom     = 1.5
	headroomPlus = 10 * Kbps
	// spare: an increase also ends at this much of what would be of use.
	spare = 1.25
	// Where less than this part of the rate is sent, or hardly a queue is to be seen, this sender is seldom the cause of an overuse, and what
	// arrives does not tell what the path carries: the rate is then lowered to this part at most, and not below this part of what the
	// path was found to carry.
	deepest    = 0.5
	shortQueue = 50 * time.Millisecond
	// responseTime is added to the round-trip time for how long a change takes to show.
	responseTime = 100 * time.Millisecond
)

// update changes the rate. a is what arrives, queue how long it waits on its way, and demand what is of use.
func (c *control) update(now time.Duration, u usage, a *acked, queue, rtt time.Duration, demand Bitrate) {
	elapsed := min(now-c.updated, time.Second)
	c.updated = now
	switch u {
	case overuse:
		if known := a.peak(); known > 0 && now-c.decreased > rtt+responseTime {
			c.decrease(now, known, queue)
		}
		c.holds = true
	case underuse:
		c.holds = true
	case normal:
		if !c.holds {
			c.increase(elapsed, a.rate(), rtt, demand)
		}
		c.holds = false
	}
}

func (c *control) decrease(now time.Duration, known Bitrate, queue time.Duration) {
	next := known.times(backoff)
	if least := max(c.rate, Bitrate(c.capacity.mean)).times(deepest); next < least && (queue < shortQueue || c.idle) {
		next = least
	} else {
		c.capacity.observe(known)
		if queue >= shortQueue {
			c.capacity.queued = c.capacity.mean
		}
	}
	c.decreased = now
	c.rate = min(c.rate, next)
}

// raise lifts the rate to one that was shown to arrive.
func (c *control) raise(shown Bitrate) {
	if shown > c.capacity.upper() {
		c.capacity = capacity{}
	}
	c.rate = max(c.rate, shown)
}

func (c *control) increase(elapsed time.Duration, known Bitrate, rtt time.Duration, demand Bitrate) {
	limit := known.times(headroom) + headroomPlus
	if demand > 0 {
		limit = min(limit, demand.times(spare))
	}
	if known == 0 || c.rate >= limit {
		return
	}
	if known > c.capacity.upper() {
		c.capacity = capacity{} // there is more than there was
	}
	next := c.rate.times(math.Pow(increasePerSecond, elapsed.Seconds()))
	if c.capacity.known() {
		next = c.rate + c.step(rtt).times(elapsed.Seconds())
	}
	c.rate = min(next, limit)
}

// step is by how much the rate grows in a second near the capacity: half a packet in each response time.
func (c *control) step(rtt time.Duration) Bitrate {
	const halfPacket = 1200 * 8 / 2 // bits
	perSecond := float64(time.Second) / float64(rtt+responseTime)
	return max(Bitrate(halfPacket*perSecond), 4*Kbps)
}

// capacity is what the path carried when it was overused.
type capacity struct {
	mean      float64 // bit/s; 0: unknown
	deviation float64 // bit/s
	queued    float64 // bit/s; the mean when packets last waited too, so that it was no coincidence; 0: they have not
}

const (
	capacityWeight = 0.05
	// The deviation is kept between these parts of the mean.
	minDeviation = 0.03
	maxDeviation = 0.1
)

func (c *capacity) known() bool { return c.mean > 0 }

// lower is what the path carries and no more, by the queue that there was; 0 where nothing is known.
func (c *capacity) lower() Bitrate { return Bitrate(c.queued) }

// upper is what would be more than the capacity.
func (c *capacity) upper() Bitrate {
	if c.mean == 0 {
		return math.MaxInt64
	}
	return Bitrate(c.mean + 3*c.deviation)
}

func (c *capacity) observe(rate Bitrate) {
	x := float64(rate)
	off := math.Abs(x - c.mean)
	if c.mean == 0 || off > 3*c.deviation {
		*c = capacity{mean: x, deviation: maxDeviation * x, queued: c.queued}
		return
	}
	c.mean += capacityWeight * (x - c.mean)
	c.deviation += capacityWeight * (off - c.deviation)
	c.deviation = min(max(c.deviation, minDeviation*c.mean), maxDeviation*c.mean)
}
