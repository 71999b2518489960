package signal

import "time"

// replies remembers what was answered, so that a repeated request is answered again and not done again.
type replies struct {
	// guarded by mu of the Session
	byID  map[uint64]entry
	order []kept // oldest first
	bytes int
}

type kept struct {
	id uint64
	at time.Time
}

func (r *replies) get(now time.Time, id uint64) (entry, bool) {
	r.expire(now)
	e, ok := r.byID[id]
	return e, ok
}

// put keeps the newest reply however large it is: it is the one that is most likely asked for again.
func (r *replies) put(now time.Time, id uint64, e entry) {
	if r.byID == nil {
		r.byID = map[uint64]entry{}
	}
	for len(r.order) > 0 && (len(r.order) >= MaxKeptReplies || r.bytes+len(e.body) > MaxKeptReplyBytes) {
		r.drop()
	}
	r.byID[id] = e
	r.order = append(r.order, kept{id, now})
	r.bytes += len(e.body)
}

func (r *replies) expire(now time.Time) {
	for len(r.order) > 0 && now.Sub(r.order[0].at) >= KeptTime {
		r.drop()
	}
}

func (r *replies) drop() {
	id := r.order[0].id
	r.order = r.order[1:]
	r.bytes -= len(r.byID[id].body)
	delete(r.byID, id)
}

// bucket limits the pace of requests.
type bucket struct {
	// guarded by mu of the Session
	tokens float64
	at     time.Time
}

// owe takes n tokens, whether they are there or not.
func (b *bucket) owe(n int) { b.tokens -= float64(n) }

// take takes n tokens, of which there are so many at first and at most, and so many more each second.
func (b *bucket) take(now time.Time, n int, burst, perSecond float64) bool {
	if b.at.IsZero() {
		b.tokens = burst
	} else {
		b.tokens = min(burst, b.tokens+now.Sub(b.at).Seconds()*perSecond)
	}
	b.at = now
	if b.tokens < float64(n) {
		return false
	}
	b.tokens -= float64(n)
	return true
}
