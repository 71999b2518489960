package datagram

import (
	"net/netip"
	"slices"
)

// Queue has those that make way for others when there are too many, by source, each source's oldest first. It is not safe for concurrent use.
type Queue[T comparable] struct {
	n       int
	count   uint64 // of all that there ever were
	sources map[netip.Addr][]queued[T]
}

type queued[T comparable] struct {
	who    T
	number uint64
}

// NewQueue returns an empty queue.
func NewQueue[T comparable]() Queue[T] { return Queue[T]{sources: make(map[netip.Addr][]queued[T])} }

// Len returns how many are in it.
func (q *Queue[T]) Len() int { return q.n }

// Add puts one in that is not in, as its source's youngest.
func (q *Queue[T]) Add(source netip.Addr, who T) {
	q.n++
	q.count++
	q.sources[source] = append(q.sources[source], queued[T]{who, q.count})
}

// Remove takes one out, if it is in.
func (q *Queue[T]) Remove(source netip.Addr, who T) {
	all := q.sources[source]
	i := slices.IndexFunc(all, func(x queued[T]) bool { return x.who == who })
	switch {
	case i < 0:
		return
	case len(all) == 1:
		delete(q.sources, source)
	default:
		q.sources[source] = slices.Delete(all, i, i+1)
	}
	q.n--
}

// Holds returns how many of them are of one source. Those whose source is not known have one each, as far as anybody knows.
func (q *Queue[T]) Holds(source netip.Addr) int {
	if !source.IsValid() {
		return min(1, len(q.sources[source]))
	}
	return len(q.sources[source])
}

// Yields returns who has to make way for one more of a source: the oldest of the source that holds most. It reports false where the
// one more would be of that source itself, or of one that holds as many, and where there is nobody.
func (q *Queue[T]) Yields(source netip.Addr) (who T, ok bool) {
	who, most := q.first()
	return who, most > 0 && (!source.IsValid() || q.Holds(source) < most)
}

// first returns the oldest of the source that holds most, and how many that are; of several such sources, the oldest of all.
func (q *Queue[T]) first() (who T, holds int) {
	var number uint64
	for source, all := range q.sources {
		n := q.Holds(source)
		if n > holds || n == holds && all[0].number < number {
			who, holds, number = all[0].who, n, all[0].number
		}
	}
	return who, holds
}
