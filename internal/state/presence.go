package state

import (
	"maps"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// arrive counts a connection of an identity.
func (s *Scope) arrive(identity string) {
	s.present[identity]++
	if s.present[identity] == 1 {
		s.tellPresence(identity, wire.TypePresenceJoined, wire.PresenceJoined{Scope: s.config.Scope, Identity: identity})
	}
}

// depart counts it off again.
func (s *Scope) depart(identity string) {
	if s.present[identity]--; s.present[identity] == 0 {
		delete(s.present, identity)
		s.tellPresence(identity, wire.TypePresenceLeft, wire.PresenceLeft{Scope: s.config.Scope, Identity: identity})
	}
}

// tellPresence tells who wants to know of all, or of this one; each once.
func (s *Scope) tellPresence(identity, event string, body any) {
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
	p, refused := s.asker(c.By, true)
	if refused != nil {
		return refused
	}
	links, refused := s.presenceLinks(p.caller, Subscribe, c.Identities)
	if refused != nil {
		return refused
	}
	added := slices.DeleteFunc(slices.Clone(links), func(l link) bool { return p.links[l] })
	if p.subscriptions()+len(added) > wire.MaxStateSubscriptions {
		return beyond(wire.MaxStateSubscriptions, "subscriptions of one session")
	}
	for _, l := range added {
		p.links[l] = true
		if l.name == "" {
			s.everybody.add(p.id)
			continue
		}
		if s.somebody[l.name] == nil {
			s.somebody[l.name] = &audience{}
		}
		s.somebody[l.name].add(p.id)
	}
	s.replyPresent(links)
	return nil
}

// presenceLinks checks a request for these identities, or for all. It is allowed as a whole or not at all: its reply names only who is
// there.
func (s *Scope) presenceLinks(by Caller, action Action, identities []string) ([]link, *wire.Error) {
	if len(identities) == 0 {
		return []link{{kind: wire.SubscribedPresence}}, s.mayUse(by, Presence, action, "*", nil)
	}
	if refused := checkCount(len(identities)); refused != nil {
		return nil, refused
	}
	var links []link
	for _, identity := range identities {
		if refused := checkName(identity); refused != nil {
			return nil, refused
		}
		if denied := s.mayUse(by, Presence, action, identity, nil); denied != nil {
			return nil, denied
		}
		if l := (link{kind: wire.SubscribedPresence, name: identity}); !slices.Contains(links, l) {
			links = append(links, l)
		}
	}
	return links, nil
}

func (s *Scope) replyPresent(links []link) {
	there := []string{}
	for _, l := range links {
		if l.name == "" {
			there = slices.AppendSeq(there, maps.Keys(s.present))
		} else if s.present[l.name] > 0 {
			there = append(there, l.name)
		}
	}
	slices.Sort(there)
	s.emit(Reply{Type: wire.TypePresent, Body: wire.Present{Identities: there}})
}

func (s *Scope) presenceRead(c PresenceRead) *wire.Error {
	if _, refused := s.asker(c.By, false); refused != nil {
		return refused
	}
	links, refused := s.presenceLinks(c.By, Read, c.Identities)
	if refused != nil {
		return refused
	}
	s.replyPresent(links)
	return nil
}

func (s *Scope) presenceUnsubscribe(c PresenceUnsubscribe) *wire.Error {
	p, refused := s.asker(c.By, true)
	if refused != nil {
		return refused
	}
	if len(c.Identities) == 0 {
		s.unlink(p, link{kind: wire.SubscribedPresence})
	}
	for _, identity := range c.Identities {
		s.unlink(p, link{kind: wire.SubscribedPresence, name: identity})
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
