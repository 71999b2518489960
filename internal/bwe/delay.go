package bwe

import (
	"math"
	"time"
)

// usage is what delays say about the path.
type usage uint8

const (
	normal   usage = iota
	overuse        // queues grow
	underuse       // queues drain
)

// group is packets that left together, or that some queue has let go together: their delays say the same.
type group struct {
	firstSent, lastSent       time.Duration
	firstArrival, lastArrival time.Duration
	packets                   int
}

const (
	// burstTime is how far apart packets of one group leave (draft-ietf-rmcat-gcc-02 §5.2).
	burstTime = 5 * time.Millisecond
	// maxBurst is how long the arrivals of a group may take.
	maxBurst = 100 * time.Millisecond
	// maxDelta: what is further apart says nothing about queues.
	maxDelta = 3 * time.Second
)

// takes reports whether a packet belongs to the group: it was sent with it, or it arrived with it although it was sent later.
func (g *group) takes(sent, arrival time.Duration) bool {
	if sent-g.firstSent <= burstTime {
		return true
	}
	between := arrival - g.lastArrival
	return between <= burstTime && between < sent-g.lastSent && arrival-g.firstArrival < maxBurst
}

func (g *group) add(sent, arrival time.Duration) {
	if g.packets == 0 {
		*g = group{firstSent: sent, lastSent: sent, firstArrival: arrival, lastArrival: arrival}
	}
	g.packets++
	g.lastSent, g.lastArrival = max(g.lastSent, sent), max(g.lastArrival, arrival)
}

// delays tells from times of sending and of arrival whether queues grow: the slope of the delay over the last groups (instead of
// the draft's Kalman filter), against a threshold that adapts (§5.4).
type delays struct {
	previous, current group
	start             time.Duration // arrivals count from here
	accumulated       float64       // delay since start, ms
	smoothed          float64
	points            [trendPoints]point
	n                 int // groups so far

	threshold  float64 // ms
	thresholds time.Duration
	above      time.Duration // how long the trend has been above it
	times      int
	trend      float64 // the last one, ms
	usage      usage
}

// point is the smoothed delay at the arrival of a group, both in ms.
type point struct{ at, delay float64 }

const (
	trendPoints = 20
	// minTrendPoints is how many make a trend.
	minTrendPoints = 10
	smoothing      = 0.9
	// trendGain and maxTrendGroups make of a slope something to be compared with a threshold in ms: the delay that builds up while
	// trendGain × maxTrendGroups groups arrive.
	trendGain      = 4
	maxTrendGroups = 60

	// Parameters of draft-ietf-rmcat-gcc-02 §5.6.
	initialThreshold = 12.5
	minThreshold     = 6
	maxThreshold     = 600
	thresholdUp      = 0.0087
	thresholdDown    = 0.039
	overuseTime      = 10 * time.Millisecond
	outlier          = 15 // ms above the threshold that do not move it
)

func (d *delays) reset() {
	threshold, since := d.threshold, d.thresholds
	*d = delays{threshold: threshold, thresholds: since}
}

// add takes a packet that has arrived, in order of sending.
func (d *delays) add(now, sent, arrival time.Duration) {
	switch {
	case d.current.packets == 0:
		d.start = arrival
	case sent < d.current.firstSent:
		return // late
	case !d.current.takes(sent, arrival):
		d.close(now)
		d.previous, d.current = d.current, group{}
	}
	d.current.add(sent, arrival)
}

// close takes the current group into account.
func (d *delays) close(now time.Duration) {
	if d.previous.packets == 0 {
		return
	}
	sent := d.current.lastSent - d.previous.lastSent
	arrival := d.current.lastArrival - d.previous.lastArrival
	if arrival-sent > maxDelta || arrival < 0 {
		d.reset()
		return
	}
	d.accumulated += milliseconds(arrival - sent)
	d.smoothed = smoothing*d.smoothed + (1-smoothing)*d.accumulated
	d.points[d.n%trendPoints] = point{milliseconds(d.current.lastArrival - d.start), d.smoothed}
	d.n++
	if d.n >= minTrendPoints {
		d.detect(now, sent, d.slope()*float64(min(d.n, maxTrendGroups))*trendGain)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// slope fits a line through the points (least squares).
func (d *delays) slope() float64 {
	n := min(d.n, trendPoints)
	var at, delay float64
	for _, p := range d.points[:n] {
		at, delay = at+p.at, delay+p.delay
	}
	at, delay = at/float64(n), delay/float64(n)
	var over, under float64
	for _, p := range d.points[:n] {
		over += (p.at - at) * (p.delay - delay)
		under += (p.at - at) * (p.at - at)
	}
	if under == 0 {
		return 0
	}
	return over / under
}

// detect compares a trend with the threshold: it has to be above it for a while, and not falling.
func (d *delays) detect(now, between time.Duration, trend float64) {
	if d.threshold == 0 {
		d.threshold, d.thresholds = initialThreshold, now
	}
	switch {
	case trend > d.threshold:
		if d.times == 0 {
			between /= 2
		}
		d.above += between
		d.times++
		if d.above > overuseTime && d.times > 1 && trend >= d.trend {
			d.above, d.times, d.usage = 0, 0, overuse
		}
	case trend < -d.threshold:
		d.above, d.times, d.usage = 0, 0, underuse
	default:
		d.above, d.times, d.usage = 0, 0, normal
	}
	d.trend = trend
	d.adapt(now, math.Abs(trend))
}

// adapt moves the threshold towards the trend, slower up than down, so that flows which fill queues do not push this one aside.
func (d *delays) adapt(now time.Duration, trend float64) {
	elapsed := min(now-d.thresholds, 100*time.Millisecond)
	d.thresholds = now
	if trend > d.threshold+outlier {
		return
	}
	k := thresholdUp
	if trend < d.threshold {
		k = thresholdDown
	}
	d.threshold += k * (trend - d.threshold) * milliseconds(elapsed)
	d.threshold = min(max(d.threshold, minThreshold), maxThreshold)
}
