package route

import "time"

// Clock maps a publisher's wall clock to the server's. All Producers of one Transport share one, so that what was in step at
// the publisher is in step in every sender report that is made from it.
type Clock struct {
	offset  time.Duration // server − publisher
	known   bool
	reports uint32 // that were observed
}

// Observe notes that a sender report written at the publisher's time sent arrived at now. The least transit time seen counts
// most: the offset falls at once and rises slowly, since only queues make it larger.
func (c *Clock) Observe(sent, now time.Time) {
	c.reports++
	offset := now.Sub(sent)
	switch {
	case !c.known, offset-c.offset > maxClockStep, c.offset-offset > maxClockStep:
		c.offset, c.known = offset, true // first report, or the publisher's clock was set
	case offset < c.offset:
		c.offset = offset
	default:
		c.offset += (offset - c.offset) / 64
	}
}

// maxClockStep tells a drifting clock from one that was set.
const maxClockStep = 2 * time.Second

// Timeline relates a Producer's RTP timestamps to the server's clock, from its latest sender report (RFC 3550 §6.4.1).
type Timeline struct {
	clock *Clock
	rate  uint32
	sent  time.Time // publisher's clock
	rtp   uint32
	known bool
}

// Observe takes the publisher's sender report: rtp was the timestamp at the time sent of its clock.
func (t *Timeline) Observe(sent time.Time, rtp uint32, now time.Time) {
	t.sent, t.rtp, t.known = sent, rtp, true
	t.clock.Observe(sent, now)
}

// At returns the publisher's RTP timestamp at the server's time now, and whether a sender report has told it yet.
func (t *Timeline) At(now time.Time) (rtp uint32, ok bool) {
	if !t.known || !t.clock.known {
		return 0, false
	}
	elapsed := now.Sub(t.sent.Add(t.clock.offset))
	return t.rtp + uint32(int64(elapsed.Seconds()*float64(t.rate))), true
}
