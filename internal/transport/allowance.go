package transport

import "time"

// allowance is how much is still read of something that anybody can send: a bucket that fills with so much a second, up to as much. A subscriber that
// asks for key frames and repairs thousands of times a second costs the shard, and so everybody on it, no more than that.
type allowance struct {
	fullAt time.Time // when nothing will be missing in the bucket
}

// empty reports whether nothing is in the bucket.
func (a *allowance) empty(now time.Time, rate int) bool {
	return a.fullAt.Sub(now) > time.Second-time.Second/time.Duration(rate)
}

// spend takes one out of the bucket, and reports false where it is empty.
func (a *allowance) spend(now time.Time, rate int) bool {
	if a.empty(now, rate) {
		return false
	}
	if a.fullAt.Before(now) {
		a.fullAt = now
	}
	a.fullAt = a.fullAt.Add(time.Second / time.Duration(rate))
	return true
}
