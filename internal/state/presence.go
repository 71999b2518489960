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

// ofEverybody is a subscription to the presence of all.
var ofEverybody = link{kind: wire.SubscribedPresence}

// tellPresence tells who wants to know of all, or of this one; each once.
func (s *Scope) tellPresence(identity, event string, body any) {
	s.askAgain(ofEverybody)
	s.askAgain(link{kind: wire.SubscribedPresence, name: identity})
	named := s.somebody[identity]
	if named == nil && len(s.picky) == 0 {
		s.tell(&s.everybody, "", event, body, ofPresence)
		return
	}
	both := slices.DeleteFunc(slices.Clone(s.everybody.sessions), func(id string) bool {
		return s.picky[id] && !s.knows(s.config.May, s.sessions[id].caller, identity)
	})
	if named != nil {
		for _, id := range named.sessions {
			if !s.sessions[id].links[ofEverybody] {
				both = append(both, id)
			}
		}
	}
	s.tell(&audience{sessions: both}, "", event, body, ofPresence)
}

// pick notes whether a session that is subscribed to the presence of all is told of some only.
func (s *Scope) pick(p *session, picks bool) {
	if picks {
		s.picky[p.id] = true
	} else {
		delete(s.picky, p.id)
	}
}

// tooPicky tells whether as many as may be are told of some only, without this one.
func (s *Scope) tooPicky(p *session) bool { return !s.picky[p.id] && len(s.picky) >= MaxPicked }

func tooPicky() *wire.Error {
	return wire.NewError(wire.CodeLimit, "the rules would have to be asked about too many, one by one", "ask about single identities, by name")
}

// knows tells whether such rules let somebody be told of an identity.
func (s *Scope) knows(may func(Access) *wire.Error, by Caller, identity string) bool {
	return s.apart(func() *wire.Error {
		return s.mayUnder(may, Access{By: by, Kind: Presence, Action: Subscribe, Name: identity})
	}) == nil
}

// tellKnown tells a session that is subscribed to the presence of all about whom it may know now, and about whom no more, after its rules were
// before, and it was that caller.
func (s *Scope) tellKnown(p *session, before func(Access) *wire.Error, was Caller) {
	if s.compared += len(s.there); s.compared > MaxKnownAnew {
		s.forbid(p, ofEverybody, wire.NewError(wire.CodeLimit, "the rules have changed, and too many are there to ask for each", "subscribe again"))
		return
	}
	for _, identity := range s.there {
		switch knew, knows := s.knows(before, was, identity), s.knows(s.config.May, p.caller, identity); {
		case knows && !knew:
			s.tellOne(p, wire.TypePresenceJoined, wire.PresenceJoined{Scope: s.config.Scope, Identity: identity}, ofPresence)
		case knew && !knows:
			s.tellOne(p, wire.TypePresenceLeft, wire.PresenceLeft{Scope: s.config.Scope, Identity: identity}, ofPresence)
		}
	}
}

func (s *Scope) presenceSubscribe(c PresenceSubscribe) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	may := func(identity string) *wire.Error { return s.mayUse(p.caller, Presence, Subscribe, identity, nil) }
	if len(c.Identities) > 0 {
		return s.identities(c.Identities, func(identity string) *wire.Error {
			if denied := may(identity); denied != nil {
				return denied
			}
			return s.follow(p, identity, s.depends)
		})
	}
	if denied := may("*"); denied != nil {
		return denied
	}
	asks, picks := s.depends, !s.alike
	if picks && s.tooPicky(p) {
		return tooPicky()
	}
	present, refused := s.allPresent("", picks, may)
	if refused == nil {
		refused = s.follow(p, "", asks)
	}
	if refused != nil {
		return refused
	}
	s.pick(p, picks)
	s.emit(Reply{Type: wire.TypePresent, Body: present, Waits: s.waits(ofPresence)})
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
	if refused := checkCount(len(identities), "identities"); refused != nil {
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
	s.emit(Reply{Type: wire.TypePresent, Body: body, Waits: s.waits(ofPresence)})
	return nil
}

// allPresent returns who is there, by name, as many behind this one as one reply may have. picks: only those that may be known. Where the rules
// would have to look at too much to find the next one, that is refused.
func (s *Scope) allPresent(after string, picks bool, may func(identity string) *wire.Error) (wire.Present, *wire.Error) {
	i, found := slices.BinarySearch(s.there, after)
	if found && after != "" {
		i++
	}
	body := wire.Present{Identities: []string{}}
	for n, identity := range s.there[i:] {
		var denied *wire.Error
		switch {
		case picks && n >= MaxPicked:
			denied = tooPicky()
		case picks:
			denied = may(identity)
		}
		costs := denied != nil && denied.Code == wire.CodeLimit
		switch {
		case costs && len(body.Identities) == 0:
			return body, denied
		case costs, denied == nil && len(body.Identities) == wire.MaxPresent:
			body.More = true
			return body, nil
		case denied == nil:
			body.Identities = append(body.Identities, identity)
		}
	}
	return body, nil
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
	present, refused := s.allPresent(c.After, !s.alike, may)
	if refused == nil {
		s.emit(Reply{Type: wire.TypePresent, Body: present, Waits: s.waits(ofPresence)})
	}
	return refused
}

func (s *Scope) presenceUnsubscribe(c PresenceUnsubscribe) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	if len(c.Identities) == 0 {
		s.unlink(p, ofEverybody)
		return nil
	}
	if refused := checkCount(len(c.Identities), "identities"); refused != nil {
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
		delete(s.picky, p.id)
		return
	}
	a := s.somebody[identity]
	if a.remove(p.id); len(a.sessions) == 0 {
		delete(s.somebody, identity)
	}
}
