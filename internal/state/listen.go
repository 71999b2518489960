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
}

// provision is who is told of the subscribers of one name.
type provision struct {
	by       *listener
	rejected []*session // since the first subscriber came
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
	}
	p.links[l] = true
	p.listens++
	made := &listener{session: p, kind: c.Kind, pattern: newPattern(c.Pattern), names: map[string]*provision{}}
	s.listeners = append(s.listeners, made)
	s.offer(made)
	return nil
}

// offer gives a new pattern what nobody provides, in the order of the names.
func (s *Scope) offer(l *listener) {
	free := map[string]*provision{}
	for name, v := range s.provisions(l.kind) {
		if v.by == nil && l.pattern.matches(name) {
			free[name] = v
		}
	}
	for _, name := range slices.Sorted(maps.Keys(free)) {
		s.assign(l.kind, name, free[name])
		s.tellProvided(l.kind, name, free[name], false)
	}
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
	s.listeners = slices.Delete(s.listeners, i, i+1)
	for _, name := range slices.Sorted(maps.Keys(gone.names)) {
		s.replace(gone.kind, name, gone.names[name])
	}
}

// replace takes a name from its provider, who knows, and gives it to another one.
func (s *Scope) replace(kind wire.ListenKind, name string, v *provision) {
	delete(v.by.names, name)
	v.by = nil
	s.assign(kind, name, v)
	s.tellProvided(kind, name, v, true)
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
	all := maps.Collect(s.provisions(kind))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		switch v := all[name]; {
		case v.by == nil:
			s.assign(kind, name, v)
			s.tellProvided(kind, name, v, false)
		case !s.mayProvide(v.by, name):
			s.tellStop(kind, name, v.by)
			s.replace(kind, name, v)
		}
	}
}

// assign chooses a provider for a name that has none, and tells it.
func (s *Scope) assign(kind wire.ListenKind, name string, v *provision) {
	var best []*listener
	for _, l := range s.listeners {
		if l.kind != kind || l.session.leaving || slices.Contains(v.rejected, l.session) || !l.pattern.matches(name) || !s.mayProvide(l, name) {
			continue
		}
		if len(best) > 0 && best[0].pattern.weight != l.pattern.weight {
			if best[0].pattern.weight > l.pattern.weight {
				continue
			}
			best = nil
		}
		best = append(best, l)
	}
	if len(best) == 0 {
		return
	}
	v.by = best[s.random.IntN(len(best))]
	v.by.names[name] = v
	s.tellOne(v.by.session, wire.TypeListenStart, wire.ListenStart{
		Scope: s.config.Scope, Kind: kind, Pattern: v.by.pattern.text, Name: name,
	})
}

// mayProvide asks for each name: a pattern is wider than what it may stand for.
func (s *Scope) mayProvide(l *listener, name string) bool {
	kind, _ := kindOf(l.kind)
	return s.apart(func() *wire.Error { return s.mayUse(l.session.caller, kind, Listening, name, nil) }) == nil
}

// dismiss tells the provider of a name that its last subscriber has gone.
func (s *Scope) dismiss(kind wire.ListenKind, name string, v *provision) {
	if v.by != nil {
		delete(v.by.names, name)
		s.tellStop(kind, name, v.by)
	}
}

func (s *Scope) tellStop(kind wire.ListenKind, name string, l *listener) {
	s.tellOne(l.session, wire.TypeListenStop, wire.ListenStop{Scope: s.config.Scope, Kind: kind, Pattern: l.pattern.text, Name: name})
}

// tellProvided tells a record's subscribers if it is another thing now whether there is a provider. It comes no sooner than the reply to
// their subscription.
func (s *Scope) tellProvided(kind wire.ListenKind, name string, v *provision, before bool) {
	if now := v.by != nil; kind == wire.ListenRecords && now != before {
		s.tell(&audience{sessions: s.watches[name].sessions()}, "", wire.TypeRecordProvided, wire.RecordProvided{
			Scope: s.config.Scope, Name: name, Provided: now,
		}, s.waits(name))
	}
}
