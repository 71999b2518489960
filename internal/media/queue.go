package media

import (
	"net/netip"
	"slices"
)

// queue has Transports that wait for something, by source, each source's oldest first.
type queue[T comparable] struct {
	n       int
	count   uint64 // of all that there ever were
	sources map[netip.Addr][]queued[T]
}

type queued[T comparable] struct {
	who    T
	number uint64
}

func newQueue[T comparable]() queue[T] { return queue[T]{sources: make(map[netip.Addr][]queued[T])} }

func (q *queue[T]) add(source netip.Addr, who T) {
	q.n++
	q.count++
	q.sources[source] = append(q.sources[source], queued[T]{who, q.count})
}

// remove takes one out, if it is in.
func (q *queue[T]) remove(source netip.Addr, who T) {
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

// holds returns how many of them are of one source. Those whose source is not known have one each, as far as anybody knows.
func (q *queue[T]) holds(source netip.Addr) int {
	if !source.IsValid() {
		return min(1, len(q.sources[source]))
	}
	return len(q.sources[source])
}

// yields returns who has to make way for one more of a source: the oldest of the source that holds most. It reports false where the
// one more would be of that source itself, or of one that holds as many.
func (q *queue[T]) yields(source netip.Addr) (who T, ok bool) {
	who, most := q.first()
	return who, !source.IsValid() || q.holds(source) < most
}

// first returns the oldest of the source that holds most, and how many that are; of several such sources, the oldest of all.
func (q *queue[T]) first() (who T, holds int) {
	var number uint64
	for source, all := range q.sources {
		n := q.holds(source)
		if n > holds || n == holds && all[0].number < number {
			who, holds, number = all[0].who, n, all[0].number
		}
	}
	return who, holds
}
