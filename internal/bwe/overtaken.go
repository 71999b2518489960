package bwe

import (
	"slices"
	"time"
)

// overtaken tells what is lost from what others have only overtaken on the way. As long as nothing has been overtaken, what feedback passes
// over is lost. Where some has, so long is waited for a packet after the next one has come as those before it took, in the manner of RACK
// (RFC 8985 §6.2); the next feedback tells. A fixed number of packets, as in RFC 9002 §6.1.1, would wait a feedback longer where
// few are sent, and not long enough for a burst. Where nobody reorders, nothing waits.
//
// Receivers tell late packets by feedback that begins with them and goes on with what has overtaken them, so a look at one feedback suffices.
type overtaken struct {
	by      time.Duration // the most that a packet came after one that was sent later; 0: none has
	at      time.Duration // when one was about that late, by the Sender's clock
	newest  time.Duration // arrival, by the receiver's clock
	top     time.Duration // the same in the feedback that is being read
	passed  []passed      // what feedback has passed over and is not yet given up, in the order of sending
	settled int           // of those, the ones behind which something has come
}

// passed is a packet that feedback has passed over.
type passed struct {
	index int64
	since time.Duration // when the next one arrived, by the receiver's clock
}

// miss notes that feedback passes a packet over.
func (o *overtaken) miss(index int64) {
	if len(o.passed) < maxLost {
		o.passed = append(o.passed, passed{index: index})
	}
}

// arrive notes that feedback tells of an arrival. It does so in the order of sending.
func (o *overtaken) arrive(now, arrival time.Duration) {
	for ; o.settled < len(o.passed); o.settled++ {
		o.passed[o.settled].since = arrival
	}
	if by := min(o.top-arrival, maxOvertaken); by > unit { // receivers round to units
		if by >= o.by/2 {
			o.at = now
		}
		o.by = max(o.by, by)
	}
	o.top = max(o.top, arrival)
}

// judge appends what is lost by now to dst, at the end of a feedback.
func (o *overtaken) judge(now time.Duration, f *flight, dst []Origin) []Origin {
	if now-o.at > overtakenFor {
		o.by = 0
	}
	o.newest, o.top = max(o.newest, o.top), 0
	for ; o.settled < len(o.passed); o.settled++ { // nothing has come behind them: feedback that ends so is rare
		o.passed[o.settled].since = o.newest
	}
	o.passed = slices.DeleteFunc(o.passed, func(x passed) bool {
		p := f.get(x.index)
		if p == nil || p.fate == arrived {
			return true
		}
		if o.newest-x.since < o.by+o.by/4 {
			return false
		}
		if twin := f.get(x.index - 1); p.origin&Copy == 0 || twin == nil || twin.fate != arrived {
			dst = append(dst, p.origin&^Copy)
		}
		return true
	})
	o.settled = len(o.passed)
	return dst
}

// restart forgets what is waited for, since the receiver's clock has jumped.
func (o *overtaken) restart() {
	o.newest, o.passed, o.settled = 0, o.passed[:0], 0
}
