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
	pastSteps   int           // operations, of past
	ttl         time.Duration // 0: it stays
	expires     time.Time     // zero: never
	timer       *timer        // nil: it never had a TTL
	number      uint64        // of its last change among what was appended; 0: it is not durable, or was there when the scope was loaded
	imaged      uint64        // number of the last image of it
}

// past leads from one version to the one before.
type past struct {
	undo []operation
	size int // bytes, about
}

func newPast(undo []operation) past { return past{undo, 64 + weigh(undo)} }

// recordBytes is about what a record takes beside its document.
const recordBytes = 256

// held is about what the record takes in memory.
func (r *record) held() int {
	return recordBytes + len(r.name) + r.value.measured().held() + r.pastSize
}

// back tells whether a version is kept, and how many operations lead back to it.
func (r *record) back(version uint64) (operations int, kept bool) {
	if version > r.version || version+uint64(len(r.past)) < r.version {
		return 0, false
	}
	for _, p := range r.past[len(r.past)-int(r.version-version):] {
		operations += len(p.undo)
	}
	return operations, true
}

// at returns the document at a version that is kept.
func (r *record) at(version uint64) Value {
	c := change{value: r.value, exact: true}
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
func (r *record) keep(p past) {
	r.past = append(r.past, p)
	r.pastSize += p.size
	r.pastSteps += len(p.undo)
	r.trim()
}

// trim keeps the limits of the history.
func (r *record) trim() {
	n, size, steps := surplus(r.past, r.history, r.pastSize, r.pastSteps)
	r.past = slices.Delete(r.past, 0, n)
	r.pastSize, r.pastSteps = r.pastSize-size, r.pastSteps-steps
}

// surplus is how many of the oldest are not to be kept of a history of so many bytes and operations, and what they have of these.
func surplus(all []past, history, bytes, operations int) (n, size, steps int) {
	for n < len(all) && (len(all)-n > history || bytes-size > MaxHistoryBytes || operations-steps > MaxHistoryOperations) {
		size += all[n].size
		steps += len(all[n].undo)
		n++
	}
	return n, size, steps
}

// head is the record, or a part of it, as clients get it, without a value; of a record that does not exist too.
func (r *record) head(name string, path Path) *wire.RecordState {
	st := &wire.RecordState{Name: name, Path: path.String()}
	if r == nil {
		return st
	}
	st.Incarnation, st.Version = r.incarnation, r.version
	if !r.expires.IsZero() {
		expires := r.expires.UTC()
		st.Expires = &expires
	}
	return st
}

// get returns what is at a path; of a record that does not exist, nothing.
func (r *record) get(path Path) Value {
	if r == nil {
		return Value{}
	}
	return r.value.Get(path)
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
