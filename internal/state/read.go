package state

import (
	"slices"
	"strings"

	"github.com/parley-rtc/parley/wire"
)

// watch is who is subscribed to a record, whether it exists or not.
type watch struct {
	whole  audience
	parts  []*part // in the order of their paths
	partly []partly
	provision
}

// partly is a session that is subscribed to so many parts of a record. They are in the order of their names.
type partly struct {
	session string
	parts   int
}

// count notes that a session is subscribed to one more part, or one fewer.
func (w *watch) count(session string, by int) {
	i, found := slices.BinarySearchFunc(w.partly, session, func(p partly, session string) int { return strings.Compare(p.session, session) })
	if !found {
		w.partly = slices.Insert(w.partly, i, partly{session: session})
	}
	if w.partly[i].parts += by; w.partly[i].parts == 0 {
		w.partly = slices.Delete(w.partly, i, i+1)
	}
}

// sessions returns all that are subscribed to the whole or a part, each once, in the order of their names.
func (w *watch) sessions() []string {
	all := make([]string, 0, len(w.whole.sessions)+len(w.partly))
	rest := w.whole.sessions
	for _, p := range w.partly {
		i, found := slices.BinarySearch(rest, p.session)
		if all = append(append(all, rest[:i]...), p.session); found {
			i++
		}
		rest = rest[i:]
	}
	return append(all, rest...)
}

// part is who is subscribed to what is at a path.
type part struct {
	path Path
	audience
}

// find returns where the part with this path is, or where it would be.
func (w *watch) find(path Path) (int, bool) {
	return slices.BinarySearchFunc(w.parts, path, func(p *part, path Path) int { return p.path.compare(path) })
}

// audience is who is told of what is at a path; nil: nobody.
func (w *watch) audience(text string) *audience {
	if w == nil {
		return nil
	}
	if text == "" {
		return &w.whole
	}
	path, _ := ParsePath(text)
	if i, found := w.find(path); found {
		return &w.parts[i].audience
	}
	return nil
}

func (w *watch) empty() bool { return len(w.whole.sessions) == 0 && len(w.parts) == 0 }

// recordRead reads records once.
func (s *Scope) recordRead(c RecordRead) *wire.Error {
	if _, refused := s.asker(&c.By, false); refused != nil {
		return refused
	}
	if refused := checkCount(len(c.Records), "records"); refused != nil {
		return refused
	}
	bulk := s.newBulk(len(c.Records))
	for _, item := range c.Records {
		st, value, refused := s.read(c.By, item)
		bulk.add(item.Name, st, value, refused)
	}
	bulk.reply()
	return nil
}

func (s *Scope) read(by Caller, item wire.RecordWanted) (*wire.RecordState, Value, *wire.Error) {
	path, refused := s.readName(by, item.Name, item.Path)
	if refused != nil {
		return nil, Value{}, refused
	}
	r := s.records[item.Name]
	if r == nil {
		return nil, Value{}, noRecord()
	}
	st, document := r.head(item.Name, path), r.value
	if w := s.watches[item.Name]; w != nil {
		st.Provided = w.provided
	}
	if item.Version > 0 && item.Version != r.version {
		st.Version, st.Expires = item.Version, nil
		if document, refused = s.old(r, item.Version); refused != nil {
			return nil, Value{}, refused
		}
		if !document.Exists() {
			return nil, Value{}, wire.NewError(wire.CodeNotFound, "the history does not have this version", "ask for a later one, or let the record keep more: history")
		}
		// The present document may be read; this one may have been for others.
		if denied := s.may(Access{By: by, Kind: Records, Action: Read, Name: item.Name, Path: path.String(), Old: document, Durable: r.durable}); denied != nil {
			return nil, Value{}, denied
		}
	}
	if item.Head {
		return st, Value{}, nil
	}
	return st, document.Get(path), nil
}

// old returns a record's document at a version; none where it is not kept. In one request the way back is only so long.
func (s *Scope) old(r *record, version uint64) (Value, *wire.Error) {
	of := former{r, version}
	if v, ok := s.formers[of]; ok {
		return v, nil
	}
	operations, kept := r.back(version)
	if !kept {
		return Value{}, nil
	}
	if s.undone+operations > MaxHistoryOperations {
		return Value{}, wire.NewError(wire.CodeLimit, "the way back to the versions that are wanted is too long", "ask for this one in another request")
	}
	s.undone += operations
	v := r.at(version)
	if s.formers == nil {
		s.formers = map[former]Value{}
	}
	s.formers[of] = v
	return v, nil
}

// former is a record as it was.
type former struct {
	record  *record
	version uint64
}

// readName checks what names a record or a part of it, and whether the caller may read that.
func (s *Scope) readName(by Caller, name, path string) (Path, *wire.Error) {
	if refused := checkName(name); refused != nil {
		return nil, refused
	}
	p, refused := ParsePath(path)
	if refused != nil {
		return nil, refused
	}
	return p, s.mayRead(by, name, p.String())
}

// recordSubscribe subscribes to records, item by item.
func (s *Scope) recordSubscribe(c RecordSubscribe) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	if refused := checkCount(len(c.Records), "records"); refused != nil {
		return refused
	}
	bulk := s.newBulk(len(c.Records))
	for _, item := range c.Records {
		path, st, value, refused := s.compare(p, item)
		asks := s.depends
		if bulk.add(item.Name, st, value, refused) {
			s.watch(p, item.Name, path, asks)
			st.Provided = s.watches[item.Name].provided
		}
	}
	bulk.reply()
	if bulk.waits && s.settled < s.appended { // then what is told of the same names has to wait as well, or it would overtake the reply
		for _, r := range bulk.body.Results {
			if r.Record != nil {
				s.unsettle(ofRecord(r.Record.Name))
			}
		}
	}
	return nil
}

// compare reads what a session wants to subscribe to, unless it has that already.
func (s *Scope) compare(p *session, item wire.RecordHave) (Path, *wire.RecordState, Value, *wire.Error) {
	path, refused := s.readName(p.caller, item.Name, item.Path)
	if refused != nil {
		return nil, nil, Value{}, refused
	}
	if !p.links[link{wire.SubscribedRecord, item.Name, path.String()}] {
		if p.subscriptions() >= wire.MaxStateSubscriptions {
			return nil, nil, Value{}, beyond(wire.MaxStateSubscriptions, "subscriptions of one session")
		}
		if w := s.watches[item.Name]; w != nil && len(path) > 0 && len(w.parts) >= MaxPaths {
			if _, there := w.find(path); !there {
				return nil, nil, Value{}, beyond(MaxPaths, "paths of one record with subscriptions")
			}
		}
	}
	r := s.records[item.Name]
	st := r.head(item.Name, path)
	if st.Version > 0 && item.Incarnation == st.Incarnation && item.Version == st.Version {
		st.Same = true
		return path, st, Value{}, nil
	}
	return path, st, r.get(path), nil
}

// watch adds a session to those who are told of a record or a part of it, if it is not there yet. asks: because of what records say.
func (s *Scope) watch(p *session, name string, path Path, asks bool) {
	l := link{wire.SubscribedRecord, name, path.String()}
	if p.links[l] {
		return
	}
	p.links[l] = true
	w := s.watches[name]
	if w == nil {
		w = &watch{}
		s.watches[name] = w
		s.assign(wire.ListenRecords, name, &w.provision)
		w.provided = w.by != nil
	}
	if len(path) == 0 {
		w.whole.add(p.id, asks)
		return
	}
	i, found := w.find(path)
	if !found {
		w.parts = slices.Insert(w.parts, i, &part{path: path})
	}
	w.parts[i].add(p.id, asks)
	w.count(p.id, 1)
}

// askReaders asks again for those who may read a record because of what records say.
func (s *Scope) askReaders(name string) {
	w := s.watches[name]
	if w == nil {
		return
	}
	if len(w.whole.asks) > 0 {
		s.askAgain(link{kind: wire.SubscribedRecord, name: name})
	}
	for _, p := range slices.Clone(w.parts) {
		if len(p.asks) > 0 {
			s.askAgain(link{wire.SubscribedRecord, name, p.path.String()})
		}
	}
}

// unwatch takes a session out again. The link is gone already.
func (s *Scope) unwatch(p *session, l link) {
	w := s.watches[l.name]
	if l.path == "" {
		w.whole.remove(p.id)
	} else {
		path, _ := ParsePath(l.path)
		i, _ := w.find(path)
		w.count(p.id, -1)
		if w.parts[i].remove(p.id); len(w.parts[i].sessions) == 0 {
			w.parts = slices.Delete(w.parts, i, i+1)
		}
	}
	if w.empty() {
		delete(s.watches, l.name)
		s.dismiss(wire.ListenRecords, l.name, &w.provision)
	}
}

// recordUnsubscribe ends subscriptions. What is no subscription, as it is no path, is none afterwards either.
func (s *Scope) recordUnsubscribe(c RecordUnsubscribe) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	if refused := checkCount(len(c.Records), "records"); refused != nil {
		return refused
	}
	for _, item := range c.Records {
		if path, refused := ParsePath(item.Path); refused == nil {
			s.unlink(p, link{wire.SubscribedRecord, item.Name, path.String()})
		}
	}
	return nil
}

// bulk collects the results of a request about several records.
type bulk struct {
	scope *Scope
	body  wire.Records
	bytes int
	waits bool
}

func (s *Scope) newBulk(items int) *bulk {
	return &bulk{scope: s, body: wire.Records{Results: make([]wire.RecordResult, 0, items)}}
}

// add adds one result with its value, or a refusal in its place, which may show that there is no record any more. It reports whether there is
// one.
func (b *bulk) add(name string, st *wire.RecordState, value Value, refused *wire.Error) bool {
	b.waits = b.waits || b.scope.looked || b.scope.waits(ofRecord(name))
	size := value.Size()
	if refused == nil && b.bytes+size > wire.MaxBulkBytes {
		refused = wire.NewError(wire.CodeLimit, "the values in one reply are too large together", "ask for this one in another request")
	}
	if refused != nil {
		b.body.Results = append(b.body.Results, wire.RecordResult{Error: refused})
		return false
	}
	st.Value = value.JSON()
	b.bytes += size
	b.body.Results = append(b.body.Results, wire.RecordResult{Record: st})
	return true
}

func (b *bulk) reply() {
	b.waits = b.waits || b.scope.looked // for the sake of who provides it
	b.scope.emit(Reply{Type: wire.TypeRecords, Body: b.body, Waits: b.waits})
}
