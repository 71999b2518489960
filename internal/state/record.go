package state

import (
	"slices"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// record is a document with its version and what leads back from it.
type record struct {
	name        string
	durable     bool
	incarnation uint64
	version     uint64
	value       Value
	history     int           // how many earlier versions are kept
	past        []past        // leads from the present version backwards; the newest last
	pastSize    int           // bytes, of past
	ttl         time.Duration // 0: it stays
	expires     time.Time     // zero: never
	armed       time.Time     // when the next timer looks at it; zero: none does
}

// past leads from one version to the one before.
type past struct {
	undo []operation
	size int // bytes, about
}

// at returns the document at a version; none where it is not kept.
func (r *record) at(version uint64) Value {
	if version > r.version || version+uint64(len(r.past)) < r.version {
		return Value{}
	}
	c := change{value: r.value}
	for _, p := range slices.Backward(r.past[len(r.past)-int(r.version-version):]) {
		for _, o := range p.undo {
			if refused := c.revert(o); refused != nil {
				panic("state: an operation that was done cannot be undone: " + refused.Message)
			}
		}
	}
	return c.value
}

// keep adds what leads from the present version to the one before.
func (r *record) keep(undo []operation) {
	p := past{undo: undo, size: 32}
	for _, o := range undo {
		p.size += o.size()
	}
	r.past, r.pastSize = append(r.past, p), r.pastSize+p.size
	r.trim()
}

// trim keeps the limits of the history.
func (r *record) trim() {
	n := 0
	for n < len(r.past) && (len(r.past)-n > r.history || r.pastSize > MaxHistoryBytes) {
		r.pastSize -= r.past[n].size
		n++
	}
	r.past = slices.Delete(r.past, 0, n)
}

// state is the record, or a part of it, as clients get it; of a record that does not exist too.
func (r *record) state(name string, path Path) *wire.RecordState {
	st := &wire.RecordState{Name: name, Path: path.String()}
	if r == nil {
		return st
	}
	st.Incarnation, st.Version, st.Value = r.incarnation, r.version, r.value.Get(path).JSON()
	if !r.expires.IsZero() {
		expires := r.expires.UTC()
		st.Expires = &expires
	}
	return st
}

// conflicts tells whether a write was made for something else than what is there.
func (r *record) conflicts(version *uint64, incarnation uint64) bool {
	switch {
	case r == nil:
		return version != nil && *version != 0 || incarnation != 0
	case version != nil && *version != r.version:
		return true
	}
	return incarnation != 0 && incarnation != r.incarnation
}
