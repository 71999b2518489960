package state

import (
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// arrive counts a connection of an identity.
func (s *Scope) arrive(identity string) {
	s.present[identity]++
	if s.present[identity] == 1 {
		i, _ := slices.BinarySearch(s.there, identity)
		s.there = slices.Insert(s.there, i, identity)
		s.tellPresence(identity, wire.TypePresenceJoined, wire.PresenceJoined{Scope: s.config.Scope, Identity: identity})
	}
}

// depart counts it off again.
func (s *Scope) depart(identity string) {
	if s.present[identity]--; s.present[identity] == 0 {
		delete(s.present, identity)
		i, _ := slices.BinarySearch(s.there, identity)
		s.there = slices.Delete(s.there, i, i+1)
		s.tellPresence(identity, wire.TypePresenceLeft, wire.PresenceLeft{Scope: s.config.Scope, Identity: identity})
	}
}

// tellPresence tells who wants to know of all, or of this one; each once.
func (s *Scope) tellPresence(identity, event string, body any) {
	s.askAgain(link{kind: wire.SubscribedPresence})
	s.askAgain(link{kind: wire.SubscribedPresence, name: identity})
	named := s.somebody[identity]
	if named == nil {
		s.tell(&s.everybody, "", event, body, false)
		return
	}
	both := slices.Clone(s.everybody.sessions)
	for _, id := range named.sessions {
		if !s.sessions[id].links[link{kind: wire.SubscribedPresence}] {
			both = append(both, id)
		}
	}
	s.tell(&audience{sessions: both}, "", event, body, false)
}

func (s *Scope) presenceSubscribe(c PresenceSubscribe) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	follow := func(identity, asked string) *wire.Error {
		if denied := s.mayUse(p.caller, Presence, Subscribe, asked, nil); denied != nil {
			return denied
		}
		return s.follow(p, identity, s.depends)
	}
	if len(c.Identities) > 0 {
		return s.identities(c.Identities, func(identity string) *wire.Error { return follow(identity, identity) })
	}
	if refused := follow("", "*"); refused != nil {
		return refused
	}
	s.replyPresent("")
	return nil
}

// follow adds a session to those who are told of an identity, or of all, if it is not there yet. asks: because of what records say.
func (s *Scope) follow(p *session, identity string, asks bool) *wire.Error {
	l := link{kind: wire.SubscribedPresence, name: identity}
	switch {
	case p.links[l]:
		return nil
	case p.subscriptions() >= wire.MaxStateSubscriptions:
		return beyond(wire.MaxStateSubscriptions, "subscriptions of one session")
	}
	p.links[l] = true
	if identity != "" && s.somebody[identity] == nil {
		s.somebody[identity] = &audience{}
	}
	s.audience(l).add(p.id, asks)
	return nil
}

// identities carries out one request for several identities, item by item, and replies who of those that were not refused is there.
func (s *Scope) identities(identities []string, one func(identity string) *wire.Error) *wire.Error {
	if refused := checkCount(len(identities)); refused != nil {
		return refused
	}
	body := wire.Present{Identities: []string{}}
	for _, identity := range slices.Compact(slices.Sorted(slices.Values(identities))) {
		refused := checkName(identity)
		if refused == nil {
			refused = one(identity)
		}
		switch {
		case refused != nil:
			body.Refused = append(body.Refused, wire.NameResult{Name: identity, Error: refused})
		case s.present[identity] > 0:
			body.Identities = append(body.Identities, identity)
		}
	}
	s.emit(Reply{Type: wire.TypePresent, Body: body})
	return nil
}

// replyPresent replies who is there, by name, as many behind this one as one reply may have.
func (s *Scope) replyPresent(after string) {
	i, found := slices.BinarySearch(s.there, after)
	if found && after != "" {
		i++
	}
	rest := s.there[i:]
	page := slices.Clone(rest[:min(len(rest), wire.MaxPresent)])
	if page == nil {
		page = []string{}
	}
	s.emit(Reply{Type: wire.TypePresent, Body: wire.Present{Identities: page, More: len(page) < len(rest)}})
}

func (s *Scope) presenceRead(c PresenceRead) *wire.Error {
	if _, refused := s.asker(&c.By, false); refused != nil {
		return refused
	}
	may := func(identity string) *wire.Error { return s.mayUse(c.By, Presence, Read, identity, nil) }
	if len(c.Identities) > 0 {
		return s.identities(c.Identities, may)
	}
	if denied := may("*"); denied != nil {
		return denied
	}
	s.replyPresent(c.After)
	return nil
}

func (s *Scope) presenceUnsubscribe(c PresenceUnsubscribe) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	if len(c.Identities) == 0 {
		s.unlink(p, link{kind: wire.SubscribedPresence})
		return nil
	}
	if refused := checkCount(len(c.Identities)); refused != nil {
		return refused
	}
	for _, identity := range c.Identities {
		if identity != "" { // no name, and not all of them
			s.unlink(p, link{kind: wire.SubscribedPresence, name: identity})
		}
	}
	return nil
}

// ignore takes a session out of those who are told of an identity, or of all. The link is gone already.
func (s *Scope) ignore(p *session, identity string) {
	if identity == "" {
		s.everybody.remove(p.id)
		return
	}
	a := s.somebody[identity]
	if a.remove(p.id); len(a.sessions) == 0 {
		delete(s.somebody, identity)
	}
}
