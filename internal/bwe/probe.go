package bwe

import "time"

// prober finds out whether a path carries more than is sent, by sending more for a moment and looking at how fast it arrives.
type prober struct {
	id      uint8 // of the newest probe; 0: there was none
	count   uint64
	sending bool // it is being sent
	waiting bool // its feedback is waited for
	rate    Bitrate
	began   time.Duration
	counts  time.Duration // its packets do from here on
	ends    time.Duration
	last    time.Duration // when a packet was sent
	total   int           // bytes since it began
	sent    burst         // those that count
	arrived burst
	lost    int           // packets
	pause   time.Duration // from began to the next one
	failed  time.Duration // the last pause after one that failed
}

// burst is the packets of a probe by their times of sending, or of arrival.
type burst struct {
	first, last        time.Duration
	packets, bytes     int
	firstBytes, atLast int // bytes of the first packet; bytes that share the last time
}

func (b *burst) add(at time.Duration, size int) {
	switch {
	case b.packets == 0:
		*b = burst{first: at, last: at, firstBytes: size}
	case at < b.first:
		b.first, b.firstBytes = at, size
	case at > b.last:
		b.last, b.atLast = at, 0
	}
	if at == b.last {
		b.atLast += size
	}
	b.packets++
	b.bytes += size
}

const (
	// A probe lasts probeTime, has probePackets at least, and is given up when there is no word of it after probeTimeout.
	probeTime    = 25 * time.Millisecond
	probePackets = 5
	probeTimeout = time.Second
	// probeHeard is the part of a probe that has to arrive for it to say something.
	probeHeard = 0.8
	// A probe is of probeFactor times the estimate, until it is roomFactor times what is wanted: with that, frames leave in one go.
	// The next one follows probeSoon after a success, else probePause later; where there is enough, and only room is missing, twice as
	// late after each one that fails. None follows until probeAfterDrop has passed since the rate was lowered.
	probeFactor    = 2
	lowProbeFactor = 4 // up to lowProbe, for which the fewest packets that make a probe suffice
	lowProbe       = 500 * Kbps
	roomFactor     = 2.5
	probeSoon      = 250 * time.Millisecond
	probePause     = 5 * time.Second
	maxProbePause  = 80 * time.Second
	probeAfterDrop = 2 * time.Second
	// saturated: what arrives slower than this part of what was sent shows the path's rate, of which probeShare is taken.
	saturated   = 0.9
	probeShare  = 0.95
	probeWorked = 0.8 // of its rate was shown: there may be more
)

// start begins a probe. What is sent before skip has passed does not count.
func (p *prober) start(now time.Duration, rate Bitrate, skip, length time.Duration) {
	p.count++
	if p.id++; p.id == 0 {
		p.id = 1
	}
	p.sending, p.waiting, p.rate, p.began, p.counts, p.ends = true, false, rate, now, now+skip, now+skip+length
	p.failed = min(max(2*p.failed, probePause), maxProbePause)
	p.pause, p.last, p.total = p.failed, now, 0
	p.sent, p.arrived, p.lost = burst{}, burst{}, 0
}

// put notes a packet that is sent, and returns the probe that it belongs to; 0: none.
func (p *prober) put(now time.Duration, size int) (id uint8) {
	if !p.sending {
		return 0
	}
	p.total, p.last = p.total+size, now
	if now < p.counts {
		return 0
	}
	p.sent.add(now, size)
	return p.id
}

// due returns how many bytes have to leave now beside the media to keep up with the probe's rate.
func (p *prober) due(now time.Duration) int {
	if !p.sending {
		return 0
	}
	if now >= p.ends && (p.sent.packets >= probePackets || now-p.ends > probeTimeout) {
		p.sending, p.waiting = false, true
		return 0
	}
	return max(p.rate.Bytes(now-p.began+probeStep)-p.total, 0)
}

// probeStep is how often a probe is continued.
const probeStep = 5 * time.Millisecond

// stop ends a probe without a result.
func (p *prober) stop() { p.sending, p.waiting = false, false }

// heard takes a packet of a probe that has arrived.
func (p *prober) heard(id uint8, arrival time.Duration, size int) {
	if id == p.id && (p.sending || p.waiting) {
		p.arrived.add(arrival, size)
	}
}

// missed takes a packet of a probe that is lost.
func (p *prober) missed(id uint8) {
	if id == p.id && (p.sending || p.waiting) {
		p.lost++
	}
}

// done reports, once for each probe, that all that will be heard of it has been.
func (p *prober) done(now time.Duration) bool {
	if !p.waiting || p.arrived.packets+p.lost < p.sent.packets && now-p.ends < probeTimeout {
		return false
	}
	p.waiting = false
	return true
}

// part returns which part of a probe has arrived.
func (p *prober) part() float64 { return float64(p.arrived.bytes) / float64(max(p.sent.bytes, 1)) }

// result returns the rate that a probe has shown; 0: none. own is the part of packets that the path loses anyway.
func (p *prober) result(own float64) Bitrate {
	if p.part() < probeHeard*(1-own) {
		return 0
	}
	rate := min(p.shown(), p.rate)
	if rate > p.rate.times(probeWorked) {
		p.pause, p.failed = probeSoon, 0
	}
	return rate
}

// shown returns the rate at which a probe has arrived.
func (p *prober) shown() Bitrate {
	out := Over(p.sent.bytes-p.sent.atLast, p.sent.last-p.sent.first)
	in := Over(p.arrived.bytes-p.arrived.firstBytes, p.arrived.last-p.arrived.first)
	switch {
	case out == 0:
		return 0
	case in == 0, in > out:
		return out // it arrived all at once: the path is faster
	case float64(in) < saturated*float64(out):
		return in.times(probeShare)
	}
	return in
}

// next returns when the next probe may begin, where more is wanted now, or only room.
func (p *prober) next(wanted bool) time.Duration {
	if p.id == 0 {
		return 0
	}
	if wanted {
		return p.began + min(p.pause, probePause)
	}
	return p.began + p.pause
}

// step returns when a probe that is being sent goes on; 0: none is.
func (p *prober) step() time.Duration {
	if !p.sending {
		return 0
	}
	return p.last + probeStep
}
