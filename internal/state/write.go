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
	if r == nil && c.Initial != nil {
		c.TTLSeconds, c.History = cmp.Or(c.TTLSeconds, c.Initial.TTLSeconds), cmp.Or(c.History, c.Initial.History)
	}
	conflicts := r.conflicts(c.Version, c.Incarnation)
	if conflicts && s.mayRead(c.By, c.Name, "") == nil { // rules about what comes of it would judge what nobody wants
		return s.conflict(c.By, c.Name)
	}
	made, refused := s.change(r, operations)
	if refused != nil && s.mayRead(c.By, c.Name, "") == nil {
		return refused
	}
	durable := s.config.Durable
	if r != nil {
		durable = r.durable
	} else if c.Durable != nil {
		durable = *c.Durable
	}
	if denied := s.mayWrite(r, c, made.value, durable); denied != nil {
		return denied // before anything is told that only a reader may know
	}
	if conflicts {
		return s.conflict(c.By, c.Name)
	}
	if refused == nil && durable {
		refused = s.stores()
	}
	if refused == nil {
		refused = s.checkRoom(r, c.RecordWrite, made)
	}
	if refused != nil {
		return refused
	}
	s.store(r, c, made, durable)
	return nil
}

// mayWrite asks for a write of which this document would come.
func (s *Scope) mayWrite(r *record, c RecordWrite, made Value, durable bool) *wire.Error {
	access := Access{By: c.By, Kind: Records, Action: Create, Name: c.Name, New: made, Durable: durable}
	if r != nil {
		access.Action, access.Old = Write, r.value
	}
	denied := s.may(access)
	if denied == nil && r.loses(c.RecordWrite) {
		denied = s.mayDelete(c.By, c.Name)
	}
	return denied
}

// loses tells whether a write lets a record that is there live shorter, or keep fewer versions, than it would without.
func (r *record) loses(c wire.RecordWrite) bool {
	if r == nil {
		return false
	}
	ttl, history := r.ttl, r.history
	if c.TTLSeconds != nil {
		ttl = time.Duration(*c.TTLSeconds) * time.Second
	}
	if c.History != nil {
		history = *c.History
	}
	return history < r.history || ttl > 0 && (r.ttl == 0 || ttl < r.ttl)
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
	}
	refused := checkSettings(c.TTLSeconds, c.History)
	if refused == nil && c.Initial != nil {
		refused = checkSettings(c.Initial.TTLSeconds, c.Initial.History)
	}
	if refused != nil {
		return nil, refused
	}
	operations, values := make([]operation, len(c.Operations)), 0
	for i, o := range c.Operations {
		read, refused := readOperation(o)
		if values += read.value.measured().values; refused == nil && values > wire.MaxRecordValues {
			refused = tooManyValues()
		}
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

func checkSettings(ttlSeconds, history *int) *wire.Error {
	switch {
	case ttlSeconds != nil && (*ttlSeconds < 0 || *ttlSeconds > wire.MaxTTLSeconds):
		return wire.NewError(wire.CodeLimit, "ttlSeconds is below 0 or beyond a year", "write 0 for a record that stays")
	case history != nil && (*history < 0 || *history > wire.MaxHistory):
		return wire.NewError(wire.CodeLimit, "history is below 0 or beyond the limit", "see docs/protocol.md, section 15.5")
	}
	return nil
}

// change applies operations to the document, or to nothing, and checks what comes of it.
func (s *Scope) change(r *record, operations []operation) (change, *wire.Error) {
	made := change{old: func(version uint64) (Value, *wire.Error) {
		if r == nil {
			return Value{}, nil
		}
		return s.old(r, version)
	}}
	if r != nil {
		made.value = r.value
	}
	return made.all(operations)
}

// all applies operations, and checks what comes of it.
func (c change) all(operations []operation) (change, *wire.Error) {
	before := c.value
	for _, o := range operations {
		if refused := c.apply(o); refused != nil {
			return change{}, refused
		}
	}
	switch m := c.value.measured(); {
	case m.values == 0:
		return change{}, noRecord()
	case m.size > wire.MaxRecordBytes:
		return change{}, tooLarge("document", wire.MaxRecordBytes)
	case m.values > wire.MaxRecordValues:
		return change{}, tooManyValues()
	}
	c.settle(before)
	return c, nil
}

// checkRoom refuses what the scope, or the node, has no room for.
func (s *Scope) checkRoom(r *record, c wire.RecordWrite, made change) *wire.Error {
	grows := made.value.measured().held()
	if r == nil {
		if len(s.records) >= s.config.MaxRecords {
			return wire.NewError(wire.CodeLimit, "the scope has as many records as it may have", "delete some, or let them expire")
		}
		grows += recordBytes + len(c.Name)
	} else {
		history := r.history
		if c.History != nil {
			history = *c.History
		}
		p := newPast(made.undo)
		_, less, _ := surplus(append(slices.Clip(r.past), p), history, r.pastSize+p.size, r.pastSteps+len(p.undo))
		grows += p.size - less - r.value.measured().held()
	}
	switch {
	case grows <= 0:
		return nil
	case s.bytes+s.imageBytes+grows > s.config.MaxBytes:
		return wire.NewError(wire.CodeLimit, "the records of the scope are as large as they may be together", "delete some, or let them expire")
	case grows > s.spare:
		return wire.NewError(wire.CodeLimit, "the records of all scopes are as large as they may be together", "delete some, or let them expire")
	}
	return nil
}

// stores refuses a write of a durable record where none is taken.
func (s *Scope) stores() *wire.Error {
	if s.shut {
		return Shut()
	}
	return s.full
}

// Shut refuses what would have to be stored, where nothing can be.
func Shut() *wire.Error {
	return &wire.Error{
		Code: wire.CodeOverloaded, Message: "the server can store nothing at present, as its disk is full or fails: the change was not begun",
		Next: "try again later, or tell whoever runs the server: its log says what to do", RetrySeconds: shutSeconds,
	}
}

// Full refuses what there is no room for where durable records are stored.
func Full() *wire.Error {
	return wire.NewError(wire.CodeLimit, "all durable records of the server take all the room that they may take",
		"delete some, let them expire, or ask whoever runs the server for more (--state-bytes)")
}

// conflict tells the caller what is there, if it may know.
func (s *Scope) conflict(by Caller, name string) *wire.Error {
	refused := wire.NewError(wire.CodeConflict, "the record has another version or incarnation", "merge with what is there, and write again")
	if s.mayRead(by, name, "") == nil {
		r := s.records[name]
		refused.Current = r.head(name, nil)
		refused.Current.Value = r.get(nil).JSON()
	}
	return refused
}

// store makes a write the next version, and tells everybody.
func (s *Scope) store(r *record, c RecordWrite, made change, durable bool) {
	before := Value{}
	if r == nil {
		s.incarnations = s.count(s.incarnations)
		r = &record{name: c.Name, durable: durable, incarnation: s.incarnations, history: DefaultHistory}
		s.records[c.Name] = r
		s.bytes += r.held()
	} else {
		before = r.value
	}
	s.keepImage(r, before.Exists())
	s.amend(r, func() {
		if before.Exists() {
			r.keep(newPast(made.undo))
		}
		r.value = made.value
		r.version++
		if c.History != nil {
			r.history = *c.History
			r.trim()
		}
	})
	if c.TTLSeconds != nil {
		r.ttl = time.Duration(*c.TTLSeconds) * time.Second
	}
	s.prolong(r)
	operations := make([]wire.Operation, len(made.done))
	for i, o := range made.done {
		operations[i] = o.wire()
	}
	body := wire.RecordChanged{
		Scope: s.config.Scope, Name: r.name, Incarnation: r.incarnation, Version: r.version, Operations: operations, By: c.By.Identity,
	}
	if r.durable {
		s.append(r.entry(operations), wire.TypeRecordChanged, body)
		r.number = s.appended
	}
	s.emit(Reply{Type: wire.TypeWritten, Body: wire.Written{Incarnation: r.incarnation, Version: r.version}, Waits: s.waits(ofRecord(r.name))})
	s.tellWritten(r, before, body)
}

// amend changes a record of the scope, and the scope's books with it.
func (s *Scope) amend(r *record, change func()) {
	s.bytes -= r.held()
	change()
	s.bytes += r.held()
}

// append has an entry stored, which an event tells.
func (s *Scope) append(e Entry, event string, body any) {
	s.appended++
	s.emit(Append{Entry: e, Number: s.appended, Type: event, Body: body})
}

// tellWritten tells who is subscribed to the whole of each version, and who is subscribed to a part if that has changed.
func (s *Scope) tellWritten(r *record, before Value, body wire.RecordChanged) {
	s.askReaders(r.name)
	w := s.watches[r.name]
	if w == nil {
		return
	}
	s.tell(&w.whole, "", wire.TypeRecordChanged, body, ofRecord(r.name))
	changed := w.changed(before, r.value)
	encoded := encodings{}
	for _, p := range slices.Backward(changed) { // what lies below is encoded first
		encoded.add(r.value.Get(p.path))
	}
	for _, p := range changed {
		s.tell(&p.audience, "", wire.TypeRecordPart, wire.RecordPart{
			Scope: s.config.Scope, Name: r.name, Path: p.path.String(), Incarnation: r.incarnation, Version: r.version,
			Value: encoded.of(r.value.Get(p.path)), By: body.By,
		}, ofRecord(r.name))
	}
}

// changed returns the parts that are another one in a new document. Below what is the same, all is.
func (w *watch) changed(before, now Value) (changed []*part) {
	for i := 0; i < len(w.parts); i++ {
		p := w.parts[i]
		if !now.Get(p.path).Equal(before.Get(p.path)) {
			changed = append(changed, p)
			continue
		}
		for i+1 < len(w.parts) && p.path.leadsTo(w.parts[i+1].path) {
			i++
		}
	}
	return changed
}

// prolong lets a record live for its TTL from now.
func (s *Scope) prolong(r *record) {
	if r.ttl == 0 {
		s.mortal(r, time.Time{})
	} else {
		s.mortal(r, s.now.Add(r.ttl))
	}
}

// mortal lets a record live until then; zero: without end.
func (s *Scope) mortal(r *record, until time.Time) {
	if r.expires = until; until.IsZero() {
		s.timers.stop(r.timer)
		return
	}
	if r.timer == nil {
		r.timer = &timer{record: r}
	}
	s.timers.set(r.timer, until)
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
	conflicts := r != nil && r.conflicts(c.expected(), c.Incarnation)
	if conflicts && s.mayRead(c.By, c.Name, "") == nil {
		return s.conflict(c.By, c.Name)
	}
	if denied := s.mayDelete(c.By, c.Name); denied != nil {
		return denied
	}
	if r == nil {
		return noRecord()
	}
	if conflicts {
		return s.conflict(c.By, c.Name)
	}
	if r.durable && s.shut {
		return Shut()
	}
	s.remove(r, c.By.Identity, false)
	s.emit(Reply{Type: wire.TypeOK, Body: wire.OK{}, Waits: s.waits(ofRecord(c.Name))})
	return nil
}

// expected is the version that the record must have; nil: any.
func (c RecordDelete) expected() *uint64 {
	if c.Version == 0 {
		return nil
	}
	return &c.Version
}

// remove takes a record out of the scope. Subscriptions to its name stay.
func (s *Scope) remove(r *record, by string, expired bool) {
	s.askReaders(r.name)
	s.keepImage(r, true)
	s.discard(r)
	body := wire.RecordDeleted{Scope: s.config.Scope, Name: r.name, Incarnation: r.incarnation, Version: r.version, Expired: expired, By: by}
	if r.durable {
		s.append(Entry{Name: r.name, Incarnation: r.incarnation, Version: r.version, Deleted: true}, wire.TypeRecordDeleted, body)
		s.unsettle(ofRecord(r.name))
	}
	w := s.watches[r.name]
	if w == nil {
		return
	}
	s.tell(&audience{sessions: w.sessions()}, "", wire.TypeRecordDeleted, body, ofRecord(r.name))
}
