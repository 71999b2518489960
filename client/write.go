package client

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// WriteOptions of one write.
type WriteOptions struct {
	// Version that the record must have; a pointer to 0: there must be none. Else it is a conflict: see RecordOptions.Merge.
	Version *uint64
	// TTLSeconds after which a record that is not written goes; a pointer to 0: never; nil: as before.
	TTLSeconds *int
	// History is how many earlier versions can be read; nil: as before.
	History *int
}

func (o WriteOptions) empty() bool { return o == WriteOptions{} }

// Merge is what becomes of a write that met another version than it was made for. Where one is given, Record.Set of the document replaces the one that
// was seen here, and no other. Without one (Merge{}) it replaces whatever is there, so the last writer wins, and what others wrote at the same time is
// lost: write by paths where they do. Writes that waited while the connection was lost meet what others wrote meanwhile, however long it was lost; by path
// they meet in no other case. Those that did are undone (RemoteWins) where none is given, as they are old by then. A path through a place in an array
// meets whoever changed the array. What is written with a version always meets.
type Merge struct {
	given bool
	local bool
	by    func(remote, local json.RawMessage) any
}

// Ways to merge.
var (
	// RemoteWins: what is there stays, the write is undone, and fails with the code conflict.
	RemoteWins = Merge{given: true}
	// LocalWins: the write is done all the same.
	LocalWins = Merge{given: true, local: true}
)

// MergeBy makes the record what merge returns of what is there and what was wanted; nil leaves it as it is. A value is nil where there is no
// record. It must not use the Room.
func MergeBy(merge func(remote, local json.RawMessage) any) Merge {
	return Merge{given: true, by: merge}
}

// write is one on its way.
type write struct {
	// static after construction
	size int
	done func(error) // called once, under mu
	next *write      // is not made unless this one is; nil: none

	// guarded by the Room's mu
	deletes    bool // the record
	operations []wire.Operation
	options    WriteOptions
	sees       bool        // it replaces only the version that was seen
	seen       uint64      // that one
	after      state.Value // what was seen after it, when it was made
	target     uint64      // the incarnation that it was made for; 0: that which writes before it create, or whatever is there
	alone      bool        // it is not sent together with others: they were refused together
	uncertain  bool        // the connection was lost before the server answered: perhaps it was carried out
	underway   bool        // it is sent, and neither answered nor lost
	since      uint64      // the newest version that was known when it was sent: it is not in there
	hidden     bool        // the record was read anew while it was underway: perhaps it is in there, and would be seen twice; its reply tells
	written    *have       // the server has carried it out: it is part of the view until the record has that version here
	gone       bool        // the record was read anew since it was sent, and was not there: what it has made, if it has, is deleted
	merges     int
}

// behind is the version that is seen behind a write, where this one was seen before it: the next one, if nobody else has written in between.
func (w *write) behind(version uint64) uint64 {
	switch {
	case w.deletes:
		return 0
	case w.written != nil && w.written.version == version+1:
		return w.written.version
	}
	return version
}

// empty: it was merged into the one before.
func (w *write) empty() bool { return !w.deletes && len(w.operations) == 0 }

// repeatable tells whether it is the same to do it once or twice, where nobody else does anything.
func (w *write) repeatable() bool {
	return !slices.ContainsFunc(w.operations, func(o wire.Operation) bool {
		path, _ := state.ParsePath(o.Path) // it was read before
		// Erasing a place twice takes away what has moved up.
		return o.Op != wire.OperationSet && (o.Op != wire.OperationErase || len(path) > 0 && path[len(path)-1].InArray)
	})
}

// alike tells whether two are for the same record, or the same version of it.
func (w *write) alike(other *write) bool {
	return w.target == other.target && w.sees == other.sees && w.seen == other.seen
}

// nextBatch is the writes that are sent next, as one: those in front that may go together.
func nextBatch(writes []*write) (batch []*write) {
	operations, size, closed := 0, 0, false
	for _, w := range writes {
		if w.written != nil {
			continue
		}
		joins := !w.deletes && !w.alone && w.options.empty()
		operations += len(w.operations)
		size += w.size
		fits := joins && !closed && (len(batch) == 0 || w.alike(batch[0])) && operations <= wire.MaxWriteOperations && size <= wire.MaxRecordBytes
		if len(batch) > 0 && !w.empty() && !fits {
			break
		}
		batch = append(batch, w)
		closed = closed || !joins
	}
	return batch
}

// fate is what has become of writes that were sent as one and have no reply.
type fate uint8

const (
	missed  fate = iota // they were not carried out
	carried             // they were
	unknown             // repeating them could do them twice
)

// fateOf judges writes by what the record was, version by version, since one in which they are not; nil: such a version is not to be had. They
// were carried out where a version is the one before it with them; made is which. That somebody else has written the very same is the same, but
// for entries of lists and for writes that demand a version.
func fateOf(writes []*write, documents []*state.Value) (f fate, made int) {
	var operations []wire.Operation
	anybodys, merged := true, false
	for _, w := range writes {
		operations = append(operations, w.operations...)
		anybodys = anybodys && w.options.Version == nil
	}
	for _, o := range operations {
		anybodys = anybodys && (o.Op == wire.OperationSet || o.Op == wire.OperationErase)
		merged = merged || o.Op == wire.OperationEntries // what they make depends on what they were made from
	}
	makes := func(before, now *state.Value) bool {
		if before == nil || now == nil {
			return false
		}
		after, refused := before.Apply(operations)
		return refused == nil && after.Equal(*now)
	}
	last := len(documents) - 1
	for made = 1; made <= last && !makes(documents[made-1], documents[made]); made++ {
	}
	switch {
	case made <= last && !anybodys:
		return unknown, 0
	case made <= last:
		return carried, made
	case !merged && !slices.Contains(documents, nil):
		return missed, 0
	case anybodys && makes(documents[last], documents[last]): // what is there need not be written
		return carried, last
	}
	return unknown, 0
}

// conflicts compares what a write was made for with what is there: whether others have changed that. Known: the record before all writes that are
// on their way, and as it was seen after each of them; what is there and known is nobody else's. Entries of lists are added, removed and moved
// whatever others do.
func (w *write) conflicts(known []state.Value, now state.Value, sameRecord, sameVersion bool) bool {
	if sameRecord && sameVersion {
		return false
	}
	knows := func(path state.Path) bool {
		there := now.Get(path)
		return slices.ContainsFunc(known, func(v state.Value) bool { return v.Get(path).Equal(there) })
	}
	if w.deletes || !sameRecord {
		return !knows(nil)
	}
	_, list := now.Entries()
	return slices.ContainsFunc(w.operations, func(o wire.Operation) bool {
		if o.Op == wire.OperationSet || o.Op == wire.OperationErase {
			path, _ := state.ParsePath(o.Path) // it was read before
			return !knows(ownOf(path))
		}
		return !list
	})
}

// ownOf is as much of a path as means the same whatever others have done: a place in an array is another entry's where they have erased one before it,
// so the array counts as a whole.
func ownOf(path state.Path) state.Path {
	if i := slices.IndexFunc(path, func(s state.Step) bool { return s.InArray }); i >= 0 {
		return path[:i]
	}
	return path
}

// merge makes of writes what shall be written in view of the record as it is, or returns why they are given up.
func (m Merge) merge(writes []*write, remote *wire.RecordState, sameRecord bool) error {
	if !m.local && m.by == nil {
		return conflict(remote)
	}
	for _, w := range writes {
		if w.merges >= maxMerges {
			return conflict(remote)
		}
	}
	for _, w := range writes {
		w.merges++
		w.options.Version, w.sees, w.seen = nil, false, 0
		w.target = remote.Incarnation
		if remote.Version == 0 {
			w.target = 0
		}
		if !sameRecord && !w.deletes { // paths into what was deleted mean nothing in its successor
			w.operations = whole(w.after.JSON())
		}
	}
	if m.local {
		return nil
	}
	return m.byFunction(writes, remote)
}

// byFunction makes of all writes one: what the application returns.
func (m Merge) byFunction(writes []*write, remote *wire.RecordState) error {
	var there json.RawMessage
	if remote.Version > 0 {
		there = remote.Value
	}
	wanted := m.by(there, writes[len(writes)-1].after.JSON())
	if wanted == nil {
		return conflict(remote)
	}
	b, err := encode(wanted)
	if err != nil {
		return err
	}
	if _, refused := (state.Value{}).Apply(whole(b)); refused != nil {
		return refused // before anything is another
	}
	for _, w := range writes {
		w.deletes, w.operations = false, nil
	}
	writes[0].operations = whole(b)
	writes[0].options.Version = &remote.Version
	return nil
}

func whole(document json.RawMessage) []wire.Operation {
	return []wire.Operation{{Op: wire.OperationSet, Value: document}}
}

// conflict is the error of a write that others were ahead of.
func conflict(current *wire.RecordState) error {
	e := wire.NewError(wire.CodeConflict, "others have changed what was written", "look at what is there, and write again")
	e.Current = current
	return e
}

// errUncertain is that of a write of which it is not known whether it was carried out, and that cannot be repeated.
func errUncertain() error {
	return fmt.Errorf("%w: look at what is there, and write again if it is missing", ErrConnection)
}

func sizeOf(operations []wire.Operation) int {
	size := 0
	for _, o := range operations {
		size += len(o.Path) + len(o.Value) + 32
	}
	return size
}
