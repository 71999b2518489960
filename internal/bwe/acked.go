package bwe

import "time"

// acked measures how much arrives at the receiver, by the receiver's clock.
type acked struct {
	buckets [ackedBuckets + 1]int // bytes; the newest is not full yet and does not count
	newest  int64                 // number of the newest bucket
	first   int64                 // number of the first whole bucket since the last reset
}

const (
	ackedBucket  = 50 * time.Millisecond
	ackedBuckets = 10
	ackedRecent  = 4
	ackedLeast   = 3 // buckets that have to be full before anything is said
)

func (a *acked) reset() { *a = acked{} }

func (a *acked) add(arrival time.Duration, size int) {
	n := int64(arrival / ackedBucket)
	if a.first == 0 {
		a.newest, a.first = n, n+1
	}
	if n < a.newest-ackedBuckets {
		return
	}
	for i := max(a.newest+1, n-ackedBuckets); i <= n; i++ {
		*a.bucket(i) = 0
	}
	a.newest = max(a.newest, n)
	*a.bucket(n) += size
}

func (a *acked) bucket(n int64) *int { return &a.buckets[n%int64(len(a.buckets))] }

// rate returns what arrived in the last half second; 0: too little is known.
func (a *acked) rate() Bitrate { return a.over(ackedBuckets) }

// peak returns what arrived in the last moment, where that is more: while a queue grows this is what the path carries.
func (a *acked) peak() Bitrate { return max(a.rate(), a.over(ackedRecent)) }

// over returns what arrived in the last n full buckets.
func (a *acked) over(n int64) Bitrate {
	from := max(a.newest-n, a.first)
	if a.newest-from < ackedLeast {
		return 0
	}
	bytes := 0
	for i := from; i < a.newest; i++ {
		bytes += *a.bucket(i)
	}
	return Over(bytes, time.Duration(a.newest-from)*ackedBucket)
}
