package state

import (
	"iter"
	"maps"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// listener is a session's pattern.
type listener struct {
	session *session
	kind    wire.ListenKind
	pattern pattern
	names   map[string]*provision // that it provides
	telling *telling              // the last one of this Apply
	ended   bool
}

// orphan is a name for which a provider is looked for.
type orphan struct {
	kind wire.ListenKind
	name string
	*provision
}

// telling is what a listener is told of some names at the end of an Apply.
type telling struct {
	to     *listener
	starts bool
	names  []string
}

// provision is who is told of the subscribers of one name.
type provision struct {
	by       *listener
	rejected []*session // since the first subscriber came
	orphaned bool       // it is among the orphans of the scope
	provided bool       // as far as subscribers of a record know
}

func linkOf(kind wire.ListenKind, text string) link {
	if kind == wire.ListenEvents {
		return link{kind: wire.ListenedEvent, name: text}
	}
	return link{kind: wire.ListenedRecord, name: text}
}

func (l *listener) link() link { return linkOf(l.kind, l.pattern.text) }

func kindOf(kind wire.ListenKind) (Kind, *wire.Error) {
	switch kind {
	case wire.ListenRecords:
		return Records, nil
	case wire.ListenEvents:
		return Events, nil
	}
	return "", badRequest("a pattern is for records or for events", `say "record" or "event"`)
}

func (s *Scope) listen(c Listen) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	kind, refused := kindOf(c.Kind)
	if refused == nil {
		refused = checkName(c.Pattern)
	}
	if refused == nil {
		refused = s.mayUse(p.caller, kind, Listening, c.Pattern, nil)
	}
	if refused != nil {
		return refused
	}
	l := linkOf(c.Kind, c.Pattern)
	switch {
	case p.links[l]:
		return nil
	case p.listens == wire.MaxListens:
		return beyond(wire.MaxListens, "patterns of one session")
	case len(s.listeners) == MaxListeners:
		return beyond(MaxListeners, "patterns of all sessions of the scope")
	}
	p.links[l] = true
	p.listens++
	made := &listener{session: p, kind: c.Kind, pattern: newPattern(c.Pattern), names: map[string]*provision{}}
	s.listeners = slices.Insert(s.listeners, s.place(made), made)
	s.offer(made)
	return nil
}

// place is where a pattern belongs: behind those that are chosen before it.
func (s *Scope) place(l *listener) int {
	i := slices.IndexFunc(s.listeners, func(x *listener) bool { return x.pattern.weight < l.pattern.weight })
	if i < 0 {
		return len(s.listeners)
	}
	return i
}

// offer gives a pattern what nobody provides, as much as its session has room for, in the order of the names.
func (s *Scope) offer(l *listener) {
	free, room := map[string]*provision{}, wire.MaxListened-l.session.listened
	for name, v := range s.provisions(l.kind) {
		if v.by != nil || !l.pattern.matches(name) {
			continue
		}
		if len(free) == room {
			s.starve(l.session)
			break
		}
		if s.fits(l, name, v) {
			free[name] = v
		}
	}
	for _, name := range slices.Sorted(maps.Keys(free)) {
		s.give(l, name, free[name])
		s.tellProvided(l.kind, name, free[name])
	}
}

// fits tells whether a listener whose pattern matches may have a name, and has room for it.
func (s *Scope) fits(l *listener, name string, v *provision) bool {
	if l.session.listened == wire.MaxListened {
		s.starve(l.session)
		return false
	}
	return !slices.Contains(v.rejected, l.session) && s.mayProvide(l, name)
}

// starve notes that a session was passed over, as it has no room.
func (s *Scope) starve(p *session) {
	if !p.starved {
		p.starved = true
		s.starved = append(s.starved, p)
	}
}

// give makes it the provider of a name.
func (s *Scope) give(l *listener, name string, v *provision) {
	v.by = l
	l.names[name] = v
	l.session.listened++
	s.tellListener(l, true, name)
}

func (s *Scope) unlisten(c Unlisten) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	s.unlink(p, linkOf(c.Kind, c.Pattern))
	return nil
}

// listenReject leaves a name that the session provides to another one.
func (s *Scope) listenReject(c ListenReject) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	v := s.provision(c.Kind, c.Name)
	if v == nil || v.by == nil || v.by.session != p {
		return wire.NewError(wire.CodeNotFound, "this session does not provide that name", "wait for listen-start")
	}
	// Who has gone meanwhile need not be remembered: it does not come back as the same session.
	v.rejected = slices.DeleteFunc(v.rejected, func(x *session) bool { return s.sessions[x.id] != x })
	v.rejected = append(v.rejected, p)
	s.replace(c.Kind, c.Name, v)
	return nil
}

func (s *Scope) provision(kind wire.ListenKind, name string) *provision {
	if w := s.watches[name]; w != nil && kind == wire.ListenRecords {
		return &w.provision
	}
	if e := s.events[name]; e != nil && kind == wire.ListenEvents {
		return &e.provision
	}
	return nil
}

// endListener takes a pattern away. What it provided goes to others. The link is gone already.
func (s *Scope) endListener(p *session, l link) {
	i := slices.IndexFunc(s.listeners, func(x *listener) bool { return x.session == p && x.link() == l })
	gone := s.listeners[i]
	s.listeners, gone.ended = slices.Delete(s.listeners, i, i+1), true
	for _, name := range slices.Sorted(maps.Keys(gone.names)) {
		v := gone.names[name]
		v.free(name)
		s.orphan(gone.kind, name, v)
	}
}

// orphan has a provider looked for, soon.
func (s *Scope) orphan(kind wire.ListenKind, name string, v *provision) {
	if !v.orphaned {
		v.orphaned = true
		s.orphans = append(s.orphans, orphan{kind, name, v})
	}
}

// adopt gives names that have lost their providers to others: some, the rest in the next Apply.
func (s *Scope) adopt() {
	n := min(len(s.orphans), MaxAdopted)
	now := s.orphans[:n]
	s.orphans = s.orphans[n:]
	for _, o := range now {
		o.orphaned = false
		if v := o.provision; v.by == nil && s.provision(o.kind, o.name) == v { // and not the name's next one
			s.assign(o.kind, o.name, v)
			s.tellProvided(o.kind, o.name, v)
		}
	}
	if len(s.orphans) == 0 {
		s.orphans = nil
	}
}

// replace takes a name from its provider, who knows, and gives it to another one.
func (s *Scope) replace(kind wire.ListenKind, name string, v *provision) {
	v.free(name)
	s.assign(kind, name, v)
	s.tellProvided(kind, name, v)
}

// free takes a name from its provider.
func (v *provision) free(name string) {
	delete(v.by.names, name)
	v.by.session.listened--
	v.by = nil
}

// provisions visits every name with subscribers, in any order.
func (s *Scope) provisions(kind wire.ListenKind) iter.Seq2[string, *provision] {
	return func(yield func(string, *provision) bool) {
		if kind == wire.ListenEvents {
			for name, e := range s.events {
				if !yield(name, &e.provision) {
					return
				}
			}
			return
		}
		for name, w := range s.watches {
			if !yield(name, &w.provision) {
				return
			}
		}
	}
}

// reassign asks for every name anew who may provide it.
func (s *Scope) reassign(kind wire.ListenKind) {
	if len(s.listeners) == 0 {
		return
	}
	all := maps.Collect(s.provisions(kind))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		switch v := all[name]; {
		case v.by == nil:
			s.orphan(kind, name, v)
		case !s.mayProvide(v.by, name):
			s.tellListener(v.by, false, name)
			s.replace(kind, name, v)
		}
	}
}

// assign chooses a provider for a name that has none, and tells it.
func (s *Scope) assign(kind wire.ListenKind, name string, v *provision) {
	var best []*listener
	for _, l := range s.listeners {
		if len(best) > 0 && best[0].pattern.weight > l.pattern.weight {
			break
		}
		if l.kind == kind && !l.session.leaving && l.pattern.matches(name) && s.fits(l, name, v) {
			best = append(best, l)
		}
	}
	if len(best) > 0 {
		s.give(best[s.random.IntN(len(best))], name, v)
	}
}

// mayProvide asks for each name: a pattern is wider than what it may stand for.
func (s *Scope) mayProvide(l *listener, name string) bool {
	kind, _ := kindOf(l.kind)
	return s.apart(func() *wire.Error { return s.mayUse(l.session.caller, kind, Listening, name, nil) }) == nil
}

// dismiss tells the provider of a name that its last subscriber has gone.
func (s *Scope) dismiss(kind wire.ListenKind, name string, v *provision) {
	if v.by != nil {
		s.tellListener(v.by, false, name)
		v.free(name)
	}
}

// tellListener tells it of the beginning or the end of a name when all else is done: of many names at once, so that it has them all before
// it has got too much to be told.
func (s *Scope) tellListener(l *listener, starts bool, name string) {
	if l.session.leaving {
		return
	}
	if t := l.telling; t != nil && t.starts == starts && len(t.names) < wire.MaxBulkNames {
		t.names = append(t.names, name)
		return
	}
	l.telling = &telling{l, starts, []string{name}}
	s.tellings = append(s.tellings, l.telling)
}

// tellListeners ends an Apply.
func (s *Scope) tellListeners() {
	s.adopt()
	s.feed()
	for _, t := range s.tellings {
		l := t.to
		l.telling = nil
		switch {
		case l.ended || s.sessions[l.session.id] != l.session:
		case t.starts:
			s.tellOne(l.session, wire.TypeListenStart, wire.ListenStart{Scope: s.config.Scope, Kind: l.kind, Pattern: l.pattern.text, Names: t.names}, ofListener(l.session.id))
		default:
			s.tellOne(l.session, wire.TypeListenStop, wire.ListenStop{Scope: s.config.Scope, Kind: l.kind, Pattern: l.pattern.text, Names: t.names}, ofListener(l.session.id))
		}
	}
	s.tellings = nil
}

// feed offers sessions what they were passed over for, once they have room for a good part of what they may have: each offer goes over all
// names.
func (s *Scope) feed() {
	var hungry []*session
	s.starved = slices.DeleteFunc(s.starved, func(p *session) bool {
		switch {
		case s.sessions[p.id] != p:
			return true
		case p.listened > wire.MaxListened*3/4:
			return false
		}
		p.starved = false
		hungry = append(hungry, p)
		return true
	})
	for _, p := range hungry {
		for _, l := range slices.Clone(s.listeners) {
			if l.session == p && !l.ended && p.listened < wire.MaxListened {
				s.offer(l)
			}
		}
	}
}

// tellProvided tells a record's subscribers if it is another thing now whether there is a provider. It comes no sooner than the reply to
// their subscription.
func (s *Scope) tellProvided(kind wire.ListenKind, name string, v *provision) {
	now := v.by != nil
	if kind != wire.ListenRecords || now == v.provided {
		return
	}
	v.provided = now
	s.askReaders(name)
	if w := s.watches[name]; w != nil {
		s.tell(&audience{sessions: w.sessions()}, "", wire.TypeRecordProvided, wire.RecordProvided{Scope: s.config.Scope, Name: name, Provided: now}, ofRecord(name))
	}
}
