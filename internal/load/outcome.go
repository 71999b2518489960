package load

import (
	"maps"
	"runtime"
	"slices"
	"time"
)

// well reports whether a client has joined, and nothing has gone wrong since.
func (c *client) well() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.took > 0 && len(c.faults) == 0
}

// waiting counts the publications that a client waits to see or hear. Of many who speak, a server may forward the loudest alone: who hears
// one waits for no other.
func (c *client) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.took == 0 {
		return 0
	}
	r := c.meter.Result(time.Now())
	if len(r.FirstSounds) > 0 {
		return r.Unseen
	}
	return r.Unseen + r.Unheard
}

// count adds a client to a status.
func (c *client) count(s *Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Clients++
	switch {
	case len(c.faults) > 0:
		s.Failed++
	case c.took > 0:
		s.Joined++
	}
	r := c.meter.Result(time.Now())
	s.Received += Bitrate(perSecond(r.Video.Bytes+r.Sound.Bytes, r.Span))
	s.Lost += r.Video.Lost + r.Sound.Lost
	s.Packets += r.Video.Packets + r.Sound.Packets
}

// outcome tells what a client has measured up to now.
func (c *client) outcome(now time.Time) outcome {
	var rtt time.Duration
	if c.plan.Path != "" {
		_, rtt = c.selected()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return outcome{
		room: c.room, identity: c.identity, publishes: c.publishes, receives: c.receives, took: c.took,
		result: c.meter.Result(now), sent: c.sent, late: c.late, faults: slices.Clone(c.faults), statuses: maps.Clone(c.statuses),
		rtt: rtt, ping: c.ping,
	}
}

// report makes the report of what was measured up to now.
func (r *run) report(now time.Time, processor time.Duration) *Report {
	var all []outcome
	for _, c := range r.clients() {
		all = append(all, c.outcome(now))
	}
	return summarize(r.plan, all, circumstances{r.target.url.String(), now.Sub(r.begun), processor, runtime.GOMAXPROCS(0), r.interrupted})
}
