package state

import (
	"maps"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// listener is a session's pattern.
type listener struct {
	session *session
	kind    wire.ListenKind
	pattern pattern
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
	p, refused := s.asker(c.By, true)
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
	s.listeners = append(s.listeners, &listener{session: p, kind: c.Kind, pattern: newPattern(c.Pattern)})
	s.provisions(c.Kind, func(name string, v *provision) {
		if v.by == nil {
			s.assign(c.Kind, name, v)
			s.tellProvided(c.Kind, name, v, false)
		}
	})
	return nil
}

func (s *Scope) unlisten(c Unlisten) *wire.Error {
	p, refused := s.asker(c.By, true)
	if refused != nil {
		return refused
	}
	s.unlink(p, linkOf(c.Kind, c.Pattern))
	return nil
}

// listenReject leaves a name that the session provides to another one.
func (s *Scope) listenReject(c ListenReject) *wire.Error {
	p, refused := s.asker(c.By, true)
	if refused != nil {
		return refused
	}
	var v *provision
	if w := s.watches[c.Name]; w != nil && c.Kind == wire.ListenRecords {
		v = &w.provision
	}
	if e := s.events[c.Name]; e != nil && c.Kind == wire.ListenEvents {
		v = &e.provision
	}
	if v == nil || v.by == nil || v.by.session != p {
		return wire.NewError(wire.CodeNotFound, "this session does not provide that name", "")
	}
	v.rejected = append(v.rejected, p)
	v.by = nil
	s.assign(c.Kind, c.Name, v)
	s.tellProvided(c.Kind, c.Name, v, true)
	return nil
}

// endListener takes a pattern away. What it provided goes to others. The link is gone already.
func (s *Scope) endListener(p *session, l link) {
	i := slices.IndexFunc(s.listeners, func(x *listener) bool { return x.session == p && x.link() == l })
	gone := s.listeners[i]
	s.listeners = slices.Delete(s.listeners, i, i+1)
	s.provisions(gone.kind, func(name string, v *provision) {
		if v.by == gone {
			v.by = nil
			s.assign(gone.kind, name, v)
			s.tellProvided(gone.kind, name, v, true)
		}
	})
}

// provisions visits every name with subscribers, in the order of the names.
func (s *Scope) provisions(kind wire.ListenKind, visit func(name string, v *provision)) {
	if kind == wire.ListenEvents {
		for _, name := range slices.Sorted(maps.Keys(s.events)) {
			visit(name, &s.events[name].provision)
		}
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.watches)) {
		visit(name, &s.watches[name].provision)
	}
}

// assign chooses a provider for a name that has none, and tells it.
func (s *Scope) assign(kind wire.ListenKind, name string, v *provision) {
	var best []*listener
	for _, l := range s.listeners {
		if l.kind != kind || slices.Contains(v.rejected, l.session) || !l.pattern.matches(name) || !s.mayProvide(l, name) {
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
	s.tellOne(v.by.session, wire.TypeListenStart, wire.ListenStart{
		Scope: s.config.Scope, Kind: kind, Pattern: v.by.pattern.text, Name: name,
	})
}

// mayProvide asks for each name: a pattern is wider than what it may stand for.
func (s *Scope) mayProvide(l *listener, name string) bool {
	kind, _ := kindOf(l.kind)
	return s.mayUse(l.session.caller, kind, Listening, name, nil) == nil
}

// dismiss tells the provider of a name that its last subscriber has gone.
func (s *Scope) dismiss(kind wire.ListenKind, name string, v *provision) {
	if v.by != nil {
		s.tellOne(v.by.session, wire.TypeListenStop, wire.ListenStop{
			Scope: s.config.Scope, Kind: kind, Pattern: v.by.pattern.text, Name: name,
		})
	}
}

// tellProvided tells a record's subscribers if it is another thing now whether there is a provider.
func (s *Scope) tellProvided(kind wire.ListenKind, name string, v *provision, before bool) {
	if now := v.by != nil; kind == wire.ListenRecords && now != before {
		s.tell(&audience{sessions: s.watches[name].sessions()}, "", wire.TypeRecordProvided, wire.RecordProvided{
			Scope: s.config.Scope, Name: name, Provided: now,
		}, false)
	}
}
