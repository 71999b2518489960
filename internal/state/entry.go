package state

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Entry is a change of a durable record as it is stored, in JSON.
type Entry struct {
	Name        string `json:"n"`
	Incarnation uint64 `json:"i"`
	Version     uint64 `json:"v"` // after it; of a deleted record its last
	// One of these: what was done to the version before, the whole record, or its end.
	Operations []wire.Operation `json:"o,omitempty"`
	Whole      *Whole           `json:"w,omitempty"`
	Deleted    bool             `json:"d,omitempty"`
	Copy       bool             `json:"k,omitempty"` // nothing was done: it is so that older entries are not needed
	// Settings of the record, unless it is deleted.
	TTLSeconds int        `json:"t,omitempty"`
	History    int        `json:"h,omitempty"`
	Expires    *time.Time `json:"e,omitempty"`
}

// Whole is a document with its history.
type Whole struct {
	Document json.RawMessage    `json:"d"`
	Past     [][]wire.Operation `json:"p,omitempty"` // each leads one version back; the one from the present version last
}

// Commit is what is stored at once: entries in their order, and the last incarnation by then.
type Commit struct {
	Incarnations uint64 `json:"c"`
	// Previous is the number of the scope's commit before it, so that none can be missing in between; 0: it is the first one. Nil: it is one of those that did not say.
	Previous *uint64 `json:"p,omitempty"`
	// Floor: commits with lower numbers are not needed, and are being purged when this one is stored. It never falls.
	Floor uint64 `json:"f,omitempty"`
	// Expiry says that the scope was left with no more stored than it needs, and when the first of its records expires, in seconds of Unix time; 0: none does. Nil: it says neither.
	Expiry  *int64  `json:"x,omitempty"`
	Entries []Entry `json:"e"`
}

// Commit makes a commit of entries that were appended.
func (s *Scope) Commit(entries []Entry) Commit {
	return Commit{Incarnations: s.incarnations, Entries: entries}
}

// Incarnations is the last incarnation of the scope: the next one is greater, and not below the time in microseconds, so that none comes
// twice also where the scope's memory is lost. They stay below 2^53, which is where numbers of ECMAScript end to be exact, until 2255.
func (s *Scope) Incarnations() uint64 { return s.incarnations }

// Whole is a durable record as an entry that needs none before it.
func (s *Scope) Whole(name string) (Entry, bool) {
	r := s.records[name]
	if r == nil || !r.durable {
		return Entry{}, false
	}
	e := r.whole()
	e.Copy = true
	return e, true
}

// Expires is when the first of the durable records expires; zero: none does.
func (s *Scope) Expires() (first time.Time) {
	for _, r := range s.records {
		if r.durable && !r.expires.IsZero() && (first.IsZero() || r.expires.Before(first)) {
			first = r.expires
		}
	}
	return first
}

// LastChange is what was done last to a durable record, by its name, incarnation and version.
type LastChange struct {
	wire.RecordNoted
	Deleted bool
	At      time.Time // when it was stored
}

func (r *record) entry(operations []wire.Operation) Entry {
	if r.version == 1 {
		return r.whole()
	}
	e := r.settings()
	e.Operations = operations
	return e
}

func (r *record) settings() Entry {
	e := Entry{
		Name: r.name, Incarnation: r.incarnation, Version: r.version, TTLSeconds: int(r.ttl / time.Second), History: r.history,
	}
	if !r.expires.IsZero() {
		expires := r.expires.UTC()
		e.Expires = &expires
	}
	return e
}

func (r *record) whole() Entry {
	e := r.settings()
	e.Whole = &Whole{Document: r.value.JSON()}
	for _, p := range r.past {
		undo := make([]wire.Operation, len(p.undo))
		for i, o := range p.undo {
			undo[i] = o.wire()
		}
		e.Whole.Past = append(e.Whole.Past, undo)
	}
	return e
}

// Replay takes a commit that was stored, in the order in which they were. Nobody is attached yet.
func (s *Scope) Replay(c Commit) error {
	s.incarnations = max(s.incarnations, c.Incarnations)
	for _, e := range c.Entries {
		if err := s.replay(e); err != nil {
			return fmt.Errorf("record %q at version %d: %w", e.Name, e.Version, err)
		}
	}
	return nil
}

// Keep takes over the records of another scope that are not stored, as everybody has seen them there, but for those in whose place there is a stored one. Nobody is attached yet.
func (s *Scope) Keep(before *Scope) {
	shown := before.shown()
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		if s.records[name] == nil {
			kept := *shown[name]
			kept.imaged = 0
			kept.timer = nil // the other one's
			s.records[name] = &kept
			s.bytes += kept.held()
			s.mortal(&kept, kept.expires)
		}
	}
}

// Replayed returns an error if operations were replayed that do not follow from anything: commits are missing.
func (s *Scope) Replayed() error {
	if len(s.gaps) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(s.gaps))
	return fmt.Errorf("%d records have operations without what is before them, first %q", len(names), names[0])
}

func (s *Scope) replay(e Entry) error {
	r := s.records[e.Name]
	switch {
	case e.Deleted:
		delete(s.gaps, e.Name)
		if r != nil && r.incarnation == e.Incarnation {
			s.discard(r)
		}
		return nil
	case e.Whole != nil:
		delete(s.gaps, e.Name)
		if r != nil {
			s.discard(r)
		}
		return s.restore(e)
	case r != nil && r.incarnation == e.Incarnation && e.Version <= r.version:
		return nil // a whole copy had it, or it was stored twice
	case r == nil || r.incarnation != e.Incarnation || e.Version != r.version+1:
		s.gaps[e.Name] = true // unless a whole copy follows
		return nil
	}
	operations, err := readStored(e.Operations)
	if err != nil {
		return err
	}
	made, refused := change{value: r.value, exact: true}.all(operations)
	if refused != nil {
		return refused
	}
	s.amend(r, func() {
		r.keep(newPast(made.undo))
		r.value, r.version = made.value, e.Version
		s.configure(r, e)
	})
	return nil
}

// restore makes a record of a whole copy.
func (s *Scope) restore(e Entry) error {
	document, refused := Parse(e.Whole.Document)
	if refused != nil {
		return refused
	}
	r := &record{
		name: e.Name, durable: true, incarnation: e.Incarnation, version: e.Version, value: document, history: wire.MaxHistory,
	}
	for _, p := range e.Whole.Past {
		undo, err := readStored(p)
		if err != nil {
			return err
		}
		r.keep(newPast(undo))
	}
	s.configure(r, e)
	s.records[e.Name] = r
	s.bytes += r.held()
	s.incarnations = max(s.incarnations, e.Incarnation)
	return nil
}

// configure sets what an entry says beside the document.
func (s *Scope) configure(r *record, e Entry) {
	r.history, r.ttl = e.History, time.Duration(e.TTLSeconds)*time.Second
	r.trim()
	var expires time.Time
	if e.Expires != nil {
		expires = *e.Expires
	}
	s.mortal(r, expires)
}

// discard takes a record out without a word.
func (s *Scope) discard(r *record) {
	delete(s.records, r.name)
	s.bytes -= r.held()
	s.timers.stop(r.timer)
}

// readStored reads operations that this package has written.
func readStored(stored []wire.Operation) ([]operation, error) {
	operations := make([]operation, len(stored))
	for i, o := range stored {
		read, refused := readOperation(o)
		if refused != nil {
			return nil, refused
		}
		operations[i] = read
	}
	return operations, nil
}
