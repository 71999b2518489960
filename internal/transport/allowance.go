package transport

import "time"

// allowance is how much of a client's RTCP is still read: a bucket that fills with feedbackRate up to feedbackBurst. A subscriber that asks for
// key frames and repairs thousands of times a second costs the shard, and so everybody on it, no more than that.
type allowance struct {
	fullAt time.Time // when nothing will be missing in the bucket
}

const allowanceInterval = time.Second / feedbackRate

// spend takes one out of the bucket, and reports false where it is empty.
func (a *allowance) spend(now time.Time) bool {
	if a.fullAt.Before(now) {
		a.fullAt = now
	}
	if a.fullAt.Sub(now) > (feedbackBurst-1)*allowanceInterval {
		return false
	}
	a.fullAt = a.fullAt.Add(allowanceInterval)
	return true
}
