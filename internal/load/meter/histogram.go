package meter

import (
	"math/bits"
	"time"
)

// Histogram counts durations from 1 µs to a minute, each within 3 %. The zero value is empty.
type Histogram struct {
	counts [buckets]uint32
	total  uint64
	max    time.Duration
}

// A bucket is one of steps between a power of two and the next, in microseconds; below steps there is one for each.
const (
	steps   = 32
	octaves = 21 // above steps: up to 32 µs · 2^21
	buckets = steps * (octaves + 1)
)

// Add counts d. What is negative (clocks of two machines) counts as 0, and what is beyond a minute as that.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(d)]++
	h.total++
	h.max = max(h.max, d)
}

func bucket(d time.Duration) int {
	us := uint64(d / time.Microsecond)
	if us < steps {
		return int(us)
	}
	octave := bits.Len64(us / steps) // from 1
	return min(octave*steps+int(us>>(octave-1))-steps, buckets-1)
}

// lower is the least duration that a bucket counts.
func lower(bucket int) time.Duration {
	octave, step := bucket/steps, bucket%steps
	if octave == 0 {
		return time.Duration(step) * time.Microsecond
	}
	return time.Duration((steps+step)<<(octave-1)) * time.Microsecond
}

// Merge adds what o has counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// Count is the number of durations.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the longest of them, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the duration that the part q of them does not exceed: the middle of its bucket. 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, sum := uint64(q*float64(h.total)), uint64(0)
	for i, n := range h.counts {
		if sum += uint64(n); n > 0 && sum > rank || sum == h.total && n > 0 {
			return min((lower(i)+lower(i+1))/2, h.max)
		}
	}
	return 0
}
