package state

import (
	"cmp"
	"slices"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// recordWrite carries out a write, all of it or nothing.
func (s *Scope) recordWrite(c RecordWrite) *wire.Error {
	if _, refused := s.asker(&c.By, false); refused != nil {
		return refused
	}
	operations, refused := readWrite(c.RecordWrite)
	if refused != nil {
		return refused
	}
	r := s.records[c.Name]
	made, refused := r.change(operations)
	durable := s.config.Durable
	if r != nil {
		durable = r.durable
	} else if c.Durable != nil {
		durable = *c.Durable
	}
	// What is not allowed is told before anything that only a reader may know.
	access := Access{By: c.By, Kind: Records, Action: Create, Name: c.Name, New: made.value, Durable: durable}
	if r != nil {
		access.Action, access.Old = Write, r.value
	}
	if denied := s.may(access); denied != nil {
		return denied
	}
	if r.conflicts(c.Version, c.Incarnation) {
		return s.conflict(c.By, c.Name)
	}
	if refused == nil {
		refused = s.checkRoom(r, made.value)
	}
	if refused != nil {
		return refused
	}
	s.store(r, c, made, durable)
	return nil
}

// readWrite reads a write as far as it does not depend on the record.
func readWrite(c wire.RecordWrite) ([]operation, *wire.Error) {
	if refused := checkName(c.Name); refused != nil {
		return nil, refused
	}
	switch {
	case len(c.Operations) == 0:
		return nil, badRequest("the write has no operation", "")
	case len(c.Operations) > wire.MaxWriteOperations:
		return nil, beyond(wire.MaxWriteOperations, "operations in one write")
	case c.TTLSeconds != nil && (*c.TTLSeconds < 0 || *c.TTLSeconds > wire.MaxTTLSeconds):
		return nil, wire.NewError(wire.CodeLimit, "ttlSeconds is below 0 or beyond a year", "")
	case c.History != nil && (*c.History < 0 || *c.History > wire.MaxHistory):
		return nil, wire.NewError(wire.CodeLimit, "history is below 0 or beyond the limit", "see docs/protocol.md, section 15.5")
	}
	operations := make([]operation, len(c.Operations))
	for i, o := range c.Operations {
		read, refused := readOperation(o)
		if refused == nil {
			refused = read.check()
		}
		if refused != nil {
			return nil, refused
		}
		operations[i] = read
	}
	return operations, nil
}

// change applies operations to the document, or to nothing, and checks what comes of it.
func (r *record) change(operations []operation) (change, *wire.Error) {
	made, old := change{}, func(uint64) Value { return Value{} }
	if r != nil {
		made.value, old = r.value, r.at
	}
	for _, o := range operations {
		if refused := made.apply(o, old); refused != nil {
			return change{}, refused
		}
	}
	switch {
	case !made.value.Exists():
		return change{}, noRecord()
	case made.value.Size() > wire.MaxRecordBytes:
		return change{}, tooLarge("document", wire.MaxRecordBytes)
	}
	return made, nil
}

// checkRoom refuses what the scope has no room for.
func (s *Scope) checkRoom(r *record, value Value) *wire.Error {
	size := 0
	if r != nil {
		size = r.value.Size()
	} else if len(s.records) >= s.config.MaxRecords {
		return wire.NewError(wire.CodeLimit, "the scope has as many records as it may have", "delete some, or let them expire")
	}
	if grows := value.Size() - size; grows > 0 && s.bytes+grows > s.config.MaxBytes {
		return wire.NewError(wire.CodeLimit, "the records of the scope are as large as they may be together", "delete some, or let them expire")
	}
	return nil
}

// conflict tells the caller what is there, if it may know.
func (s *Scope) conflict(by Caller, name string) *wire.Error {
	refused := wire.NewError(wire.CodeConflict, "the record has another version or incarnation", "merge with what is there, and write again")
	if s.mayRead(by, name, "") == nil {
		refused.Current = s.records[name].state(name, nil)
	}
	return refused
}

// store makes a write the next version, and tells everybody.
func (s *Scope) store(r *record, c RecordWrite, made change, durable bool) {
	before := Value{}
	if r == nil {
		s.incarnations++
		r = &record{name: c.Name, durable: durable, incarnation: s.incarnations, history: DefaultHistory}
		s.records[c.Name] = r
	} else {
		before = r.value
		r.keep(made.undo)
	}
	s.bytes += made.value.Size() - before.Size()
	r.value = made.value
	r.version++
	if c.History != nil {
		r.history = *c.History
		r.trim()
	}
	if c.TTLSeconds != nil {
		r.ttl = time.Duration(*c.TTLSeconds) * time.Second
	}
	s.prolong(r)
	operations := make([]wire.Operation, len(made.done))
	for i, o := range made.done {
		operations[i] = o.wire()
	}
	if r.durable {
		s.emit(Append{r.entry(operations)})
	}
	s.emit(Reply{Type: wire.TypeWritten, Body: wire.Written{Incarnation: r.incarnation, Version: r.version}, Waits: s.waits(r.name)})
	s.tellWritten(r, before, operations, c.By.Identity)
}

// tellWritten tells who is subscribed to the whole of each version, and who is subscribed to a part if that has changed.
func (s *Scope) tellWritten(r *record, before Value, operations []wire.Operation, by string) {
	s.askReaders(r.name)
	w := s.watches[r.name]
	if w == nil {
		return
	}
	s.tell(&w.whole, "", wire.TypeRecordChanged, wire.RecordChanged{
		Scope: s.config.Scope, Name: r.name, Incarnation: r.incarnation, Version: r.version, Operations: operations, By: by,
	}, s.waits(r.name))
	for _, p := range w.parts {
		if now := r.value.Get(p.path); !now.Equal(before.Get(p.path)) {
			s.tell(&p.audience, "", wire.TypeRecordPart, wire.RecordPart{
				Scope: s.config.Scope, Name: r.name, Path: p.path.String(), Incarnation: r.incarnation, Version: r.version,
				Value: now.JSON(), By: by,
			}, s.waits(r.name))
		}
	}
}

// prolong lets a record live for its TTL from now.
func (s *Scope) prolong(r *record) {
	if r.ttl == 0 {
		r.expires = time.Time{}
		return
	}
	r.expires = s.now.Add(r.ttl)
	s.arm(r)
}

// arm sees to it that somebody looks at a record when its time is over, or before.
func (s *Scope) arm(r *record) {
	if r.armed.IsZero() || r.expires.Before(r.armed) {
		r.armed = r.expires
		s.timers.add(timer{at: r.expires, record: r})
	}
}

// look deletes a record whose time is over; of one that was written meanwhile it looks again later.
func (s *Scope) look(r *record, at time.Time) {
	if s.records[r.name] != r || !r.armed.Equal(at) {
		return
	}
	switch r.armed = r.expires; {
	case r.expires.IsZero():
	case r.expires.After(s.now):
		s.timers.add(timer{at: r.expires, record: r})
	default:
		s.remove(r, "", true)
	}
}

// recordDelete deletes a record.
func (s *Scope) recordDelete(c RecordDelete) *wire.Error {
	if _, refused := s.asker(&c.By, false); refused != nil {
		return refused
	}
	if refused := checkName(c.Name); refused != nil {
		return refused
	}
	r := s.records[c.Name]
	access := Access{By: c.By, Kind: Records, Action: Delete, Name: c.Name}
	if r != nil {
		access.Old, access.Durable = r.value, r.durable
	}
	if denied := s.may(access); denied != nil {
		return denied
	}
	if r == nil {
		return noRecord()
	}
	version := cmp.Or(c.Version, r.version)
	if r.conflicts(&version, c.Incarnation) {
		return s.conflict(c.By, c.Name)
	}
	s.remove(r, c.By.Identity, false)
	s.emit(Reply{Type: wire.TypeOK, Body: wire.OK{}, Waits: s.waits(c.Name)})
	return nil
}

// remove takes a record out of the scope. Subscriptions to its name stay.
func (s *Scope) remove(r *record, by string, expired bool) {
	s.askReaders(r.name)
	s.discard(r)
	if r.durable {
		s.unsettled[r.name] = true
		s.emit(Append{Entry{Name: r.name, Incarnation: r.incarnation, Version: r.version, Deleted: true}})
	}
	w := s.watches[r.name]
	if w == nil {
		return
	}
	body := wire.RecordDeleted{Scope: s.config.Scope, Name: r.name, Incarnation: r.incarnation, Version: r.version, Expired: expired, By: by}
	s.tell(&audience{sessions: w.sessions()}, "", wire.TypeRecordDeleted, body, s.waits(r.name))
}

// waits tells whether what shows this record has to wait for what was appended. So does what shows the successor of a durable record,
// or that there is none any more, until the deletion is stored.
func (s *Scope) waits(name string) bool {
	r := s.records[name]
	return r != nil && r.durable || s.unsettled[name]
}

// sessions returns all that are subscribed to the whole or a part, each once.
func (w *watch) sessions() []string {
	all := slices.Clone(w.whole.sessions)
	for _, p := range w.parts {
		all = append(all, p.sessions...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
