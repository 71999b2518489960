package client

import (
	"slices"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// replica is a record as the server has it, and as it is seen here: with the writes that the server has not told yet. It knows no time and no
// network.
type replica struct {
	document     state.Value // as the server has it; none: there is no such record
	incarnation  uint64      // of the document, or of the one before
	version      uint64
	live         bool   // the server tells each change
	acknowledged uint64 // the newest incarnation that a write of ours has made
	view         state.Value
	writes       []*write
}

// heard is what an event means to a replica.
type heard uint8

const (
	applied heard = iota
	known         // not above what it has
	lost          // cannot follow from what it has: subscribe again
)

// have is a creation of the record and its version.
type have struct{ incarnation, version uint64 }

// shown is the version, of one's own writes too as soon as the server has carried them out; 0: there is no such record.
func (r *replica) shown() (version uint64) {
	if r.document.Exists() {
		version = r.version
	}
	for _, w := range r.writes {
		if w.written != nil { // in their order, and above what is known
			version = w.written.version
		}
	}
	return version
}

// target is which creation of the record is written to; 0: none is known.
func (r *replica) target() uint64 {
	if r.document.Exists() {
		return max(r.incarnation, r.acknowledged)
	}
	return r.acknowledged
}

// has is what is named when subscribing again.
func (r *replica) has() have {
	if !r.document.Exists() {
		return have{}
	}
	return have{r.incarnation, r.version}
}

// take takes the record as it is, from the reply to a subscription or from a conflict.
func (r *replica) take(st *wire.RecordState, value state.Value) {
	if !r.live {
		r.acknowledged = 0
		r.writes = slices.DeleteFunc(r.writes, func(w *write) bool { return w.written != nil }) // it is in there
		if !st.Same {
			r.incarnation, r.version = 0, 0 // what is read anew counts, also where a scope began anew
		}
	} else if st.Incarnation < r.incarnation || st.Incarnation == r.incarnation && st.Version < r.version {
		return
	}
	r.live = true
	if !st.Same {
		if st.Version == 0 {
			value = state.Value{}
		}
		r.become(st.Incarnation, st.Version, value)
	}
	r.settle()
}

// changed applies a write that the server tells, iff it is the next version, or the first and there is nothing (docs/protocol.md, section
// 18.2). The event of one's own write may come before the reply: the write must not be seen twice.
func (r *replica) changed(e wire.RecordChanged, own bool) heard {
	if !r.live || r.knows(e.Incarnation, e.Version) {
		return known
	}
	follows := e.Incarnation == r.incarnation && e.Version == r.version+1
	if !r.document.Exists() {
		follows = e.Version == 1
	}
	if !follows {
		return lost
	}
	document, refused := r.document.Apply(e.Operations)
	if refused != nil {
		return lost
	}
	r.become(e.Incarnation, e.Version, document)
	answered := func(w *write) bool { return w.written != nil && *w.written == have{e.Incarnation, e.Version} }
	if own && !slices.ContainsFunc(r.writes, answered) { // else it is told by the write whose reply came before
		for _, w := range r.writes {
			w.told = w.told || w.underway
		}
	}
	r.settle()
	return applied
}

func (r *replica) deleted(h have) heard {
	if !r.live || h.incarnation < r.incarnation || !r.document.Exists() {
		return known
	}
	r.become(h.incarnation, h.version, state.Value{})
	r.settle()
	return applied
}

// add shows a write here, or says why it cannot be.
func (r *replica) add(w *write) *wire.Error {
	after := state.Value{}
	if !w.deletes {
		var refused *wire.Error
		if after, refused = r.view.Apply(w.operations); refused != nil {
			return refused
		}
	}
	r.view, w.after = after, after
	r.writes = append(r.writes, w)
	return nil
}

func (r *replica) drop(w *write) {
	if i := slices.Index(r.writes, w); i >= 0 {
		r.writes = slices.Delete(r.writes, i, i+1)
	}
	r.settle()
}

// acknowledge: the server has carried out a write. It is part of the view until its version is told.
func (r *replica) acknowledge(w *write, written have) {
	w.written, w.told = &written, false
	r.acknowledged = max(r.acknowledged, written.incarnation)
	r.settle()
}

// settle makes the view anew.
func (r *replica) settle() {
	r.writes = slices.DeleteFunc(r.writes, func(w *write) bool {
		return w.written != nil && r.knows(w.written.incarnation, w.written.version)
	})
	r.view = r.document
	for _, w := range r.writes {
		switch {
		case w.told:
		case w.deletes:
			r.view = state.Value{}
		default: // what no longer fits what others have made of the document is the server's to refuse
			r.view, _ = r.view.Apply(w.operations)
		}
	}
}

func (r *replica) knows(incarnation, version uint64) bool {
	return incarnation < r.incarnation || incarnation == r.incarnation && version <= r.version
}

func (r *replica) become(incarnation, version uint64, document state.Value) {
	if !document.Exists() && r.acknowledged <= max(incarnation, r.incarnation) {
		r.acknowledged = 0
	}
	r.document, r.version = document, version
	if incarnation > 0 { // what does not exist has none of its own; the one before tells late events from new ones
		r.incarnation = incarnation
	}
}
