package client

import (
	"slices"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// replica is a record as the server has it, and as it is seen here: with the writes that the server has not told yet. It knows no time and no
// network.
type replica struct {
	document    state.Value // as the server has it; none: there is no such record
	incarnation uint64      // of the document, or of the one before
	version     uint64
	live        bool // the server tells each change
	view        state.Value
	writes      []*write // those that are not part of the document, oldest first
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

// current is the incarnation of the record that is here; 0: there is none.
func (r *replica) current() uint64 {
	if !r.document.Exists() {
		return 0
	}
	return r.incarnation
}

// target is which incarnation a write is for that is made now; 0: none is known, or it will be another.
func (r *replica) target() uint64 {
	target := r.current()
	for _, w := range r.writes {
		switch {
		case w.deletes:
			target = 0
		case w.written != nil:
			target = max(target, w.written.incarnation)
		}
	}
	return target
}

// newest is the newest version that is known of an incarnation.
func (r *replica) newest(incarnation uint64) (version uint64) {
	if incarnation == r.current() {
		version = r.has().version
	}
	for _, w := range r.writes {
		if w.written != nil && w.written.incarnation == incarnation {
			version = max(version, w.written.version)
		}
	}
	return version
}

// has is what is named when subscribing again.
func (r *replica) has() have {
	if !r.document.Exists() {
		return have{}
	}
	return have{r.incarnation, r.version}
}

// take takes the record as it is, from the reply to the newest subscription or from a conflict.
func (r *replica) take(st *wire.RecordState, value state.Value) {
	if r.live && (st.Same || r.knows(st.Incarnation, st.Version)) {
		return
	}
	if !r.live {
		for _, w := range r.writes { // those that were sent were sent before that was asked
			w.gone = w.gone || st.Version == 0 && (w.underway || w.written != nil)
		}
		if !st.Same {
			r.incarnation, r.version = 0, 0 // what is read anew counts, also where a scope began anew
		}
	}
	r.live = true
	if !st.Same {
		for _, w := range r.writes {
			w.hidden = w.hidden || w.underway && !w.repeatable()
		}
		if st.Version == 0 {
			value = state.Value{}
		}
		r.become(have{st.Incarnation, st.Version}, value)
	}
	r.settle()
}

// changed applies a write that the server tells, iff it is the next version, or the first and there is nothing (docs/protocol.md, section 18.2).
func (r *replica) changed(e wire.RecordChanged) heard {
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
	r.become(have{e.Incarnation, e.Version}, document)
	return applied
}

func (r *replica) deleted(h have) {
	if r.live && h.incarnation >= r.incarnation && r.document.Exists() {
		r.become(h, state.Value{})
	}
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
	w.target = r.target()
	if w.sees {
		w.seen = r.has().version
		for _, before := range r.writes {
			w.seen = before.behind(w.seen)
		}
	}
	r.view, w.after = after, after
	r.writes = append(r.writes, w)
	return nil
}

func (r *replica) drop(gone ...*write) {
	r.writes = slices.DeleteFunc(r.writes, func(w *write) bool { return slices.Contains(gone, w) })
	r.settle()
}

// acknowledge: the server has carried out writes, as one. What was made behind their creation of the record is for that.
func (r *replica) acknowledge(batch []*write, written have) {
	last := -1
	for i, w := range r.writes {
		if slices.Contains(batch, w) {
			w.written, w.hidden, w.underway = &written, false, false
			last = i
		}
	}
	for _, w := range r.writes[last+1:] {
		if w.target == 0 {
			w.target = written.incarnation
		}
		if w.sees && w.seen+1 == written.version {
			w.seen = written.version
		}
		if w.deletes {
			break
		}
	}
	r.settle()
}

// retarget: those of these writes that are not underway have met the record that is here now, and are for that.
func (r *replica) retarget(met []*write) {
	target, version := r.current(), r.has().version
	for _, w := range r.writes {
		if !w.underway && slices.Contains(met, w) {
			w.target = target
			if w.sees {
				w.seen = version
			}
		}
		if w.deletes {
			target = 0
		}
		version = w.behind(version)
	}
}

// settle makes the view anew. Writes are out when the document has them.
func (r *replica) settle() {
	r.writes = slices.DeleteFunc(r.writes, func(w *write) bool {
		return w.written != nil && (w.gone || r.knows(w.written.incarnation, w.written.version))
	})
	r.view = r.document
	for _, w := range r.writes {
		switch {
		case w.hidden:
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

func (r *replica) become(h have, document state.Value) {
	r.document, r.version = document, h.version
	if h.incarnation > 0 { // what does not exist has none of its own; the one before tells late events from new ones
		r.incarnation = h.incarnation
	}
	r.settle()
}
