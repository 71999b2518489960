// Package share divides what a client's network carries among the videos that the client gets.
//
//  1. everybody's lowest layer, the most important first: by priority, then by the size of the place in which it is shown;
//  2. everybody's next layer, in the same order, and so on, as far as the budget goes.
//
// What does not fit at its lowest layer gets nothing. Going down happens at once; going up waits for room to spare, and longer each
// time that it turned out to be too much. What is sent besides (sound, with its redundancy) is no business of this package: the budget
// is what that leaves.
package share

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/route"
)

// Unlimited is a budget of which nothing is known: everybody gets the highest layer that is wanted.
const Unlimited = bwe.Bitrate(math.MaxInt64)

const (
	// spare is how much more than its cost there has to be for a layer to begin.
	spare = 1.05
	// What flows already may exceed the budget by excess for excessTime: an estimate that is low for a moment changes nothing.
	excess     = 1.25
	excessTime = 2 * time.Second
	// tryTime is how long what is tried without room for it may take to show that it fits.
	tryTime = 5 * time.Second
	// After a fall nothing is tried for patience, and twice as long each time that what was tried fell again within trial. Who has nothing
	// does not wait for longer than patience, and only for hunger the first time: an estimate that falls deep may be back at once.
	patience    = 2 * time.Second
	hunger      = 500 * time.Millisecond
	maxPatience = time.Minute
	trial       = 10 * time.Second
)

// Choice is one way to send a video, and what it costs.
type Choice struct {
	Layer route.Layer
	Rate  bwe.Bitrate
}

// Stream is one video that wants its part.
type Stream struct {
	Priority uint8
	Size     uint32 // of its place, in pixels; 0: as large as it gets
	// Choices, the cheapest first. The last one is what is wanted.
	Choices []Choice
	Memory  *Memory
	// Slot is for the caller: Divide changes the order of streams.
	Slot int
	// Granted is the choice that fits; -1: none does.
	Granted int
}

// Memory is what has to be known of a Stream from one division to the next. The zero value is of a stream that is new.
type Memory struct {
	known bool
	layer route.Layer   // that was granted,
	rate  bwe.Bitrate   // and what it cost
	none  bool          // or nothing was
	rose  time.Time     // when it last got more,
	fell  time.Time     // and less
	wait  time.Duration // after fell, until more is tried
}

// Share is the divisions of one Transport. It belongs to its loop. The zero value is ready.
type Share struct {
	// Tries: nothing but what is sent tells when there is more room. So everybody keeps the lowest layer, and the next one of somebody is
	// tried without room for it; if it was too much it falls after tryTime.
	Tries bool

	over time.Time // since when more is granted than the budget; zero: it is not
}

// Divide grants each stream what it gets of the budget, in bit/s. It puts the most important first.
func (s *Share) Divide(now time.Time, budget bwe.Bitrate, streams []Stream) {
	slices.SortStableFunc(streams, func(a, b Stream) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(b.Size-1, a.Size-1)) // size 0 is the largest
	})
	d := division{now: now, budget: budget, most: budget, keep: s.Tries, try: s.Tries}
	if budget != Unlimited && (s.over.IsZero() || now.Sub(s.over) < excessTime) {
		d.most = bwe.Bitrate(excess * float64(budget))
	}
	for i := range streams {
		streams[i].Granted = -1
		d.try = d.try && !d.tried(streams[i].Memory) // one at a time
	}
	for level, more := 0, true; more; level++ {
		more = false
		for i := range streams {
			if x := &streams[i]; x.Granted == level-1 && level < len(x.Choices) && d.grant(x) {
				more = true
			}
		}
	}
	for i := range streams {
		streams[i].Memory.note(now, &streams[i])
	}
	switch {
	case d.spent <= budget:
		s.over = time.Time{}
	case s.over.IsZero():
		s.over = now
	}
}

// division is one call of Divide.
type division struct {
	now          time.Time
	budget, most bwe.Bitrate
	spent        bwe.Bitrate
	keep, try    bool // see Share.Tries
}

// grant gives a stream its next choice, if that fits.
func (d *division) grant(x *Stream) bool {
	next := x.Granted + 1
	spent := d.spent + x.Choices[next].Rate
	if x.Granted >= 0 {
		spent -= x.Choices[x.Granted].Rate
	}
	switch m := x.Memory; {
	case d.budget == Unlimited, d.keep && next == 0:
	case next <= x.held():
		if spent > d.most && !d.tried(m) {
			return false
		}
	case m.waits(d.now):
		return false
	case d.try && next == x.held()+1:
		d.try = false
	case bwe.Bitrate(spare*float64(spent)) > d.budget:
		return false
	}
	d.spent, x.Granted = spent, next
	return true
}

// tried reports whether it is not known yet if what a stream got last was too much.
func (d *division) tried(m *Memory) bool { return d.keep && d.now.Sub(m.rose) < tryTime }

// held returns which of its choices a stream has; -1: none. What is not there any more counts as the next cheaper one, or as the cheapest:
// so nothing rises by that.
func (x *Stream) held() int {
	m := x.Memory
	if !m.known || m.none || len(x.Choices) == 0 {
		return -1
	}
	held, there := 0, false
	for i := range x.Choices {
		l := x.Choices[i].Layer
		switch same := l.Encoding == m.layer.Encoding && l.Spatial == m.layer.Spatial && l.Temporal <= m.layer.Temporal; {
		case same:
			held, there = i, true
		case !there && x.Choices[i].Rate <= m.rate:
			held = i
		}
	}
	return held
}

// note remembers what a stream was granted.
func (m *Memory) note(now time.Time, x *Stream) {
	if len(x.Choices) == 0 {
		return // nobody knows yet what there is
	}
	held := x.held()
	switch {
	case !m.known, x.Granted == held:
	case x.Granted > held:
		m.rose = now
	default:
		m.wait = patience + m.failed(now)
		m.fell, m.rose = now, time.Time{} // what was tried fails once, by however many layers it falls
	}
	m.known, m.none = true, x.Granted < 0
	if !m.none {
		m.layer, m.rate = x.Choices[x.Granted].Layer, x.Choices[x.Granted].Rate
	}
}

// waits reports whether it is too soon after a fall to try more.
func (m *Memory) waits(now time.Time) bool {
	wait := m.wait
	switch {
	case m.none && wait > patience:
		wait = patience
	case m.none:
		wait = hunger
	}
	return !m.fell.IsZero() && now.Sub(m.fell) < wait
}

// failed returns how much longer to wait where what has risen falls again soon.
func (m *Memory) failed(now time.Time) time.Duration {
	if m.rose.IsZero() && now.Sub(m.fell) < m.wait {
		return m.wait - patience // it falls on
	}
	if m.rose.IsZero() || now.Sub(m.rose) > trial {
		return 0
	}
	return min(2*max(m.wait, patience), maxPatience) - patience
}
