package state

import (
	"cmp"
	"maps"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// session is who gets events.
type session struct {
	id       string
	caller   Caller
	node     string
	hidden   bool
	links    map[link]bool // all that it is subscribed to and provides
	provided int           // RPCs among them
	listens  int           // patterns among them
	open     []*call       // calls of its own that have no result
	asked    []*call       // calls that it was asked to answer
}

// link is one thing that a session is subscribed to or provides.
type link struct {
	kind       wire.SubscriptionKind
	name, path string
}

// subscriptions counts the links that are neither RPCs nor patterns.
func (p *session) subscriptions() int { return len(p.links) - p.provided - p.listens }

// audience is the sessions that are told something, in the order in which they subscribed.
type audience struct {
	sessions []string
	shared   bool // handed out: not to be changed any more
}

func (a *audience) own() {
	if a.shared {
		a.sessions, a.shared = slices.Clone(a.sessions), false
	}
}

func (a *audience) add(session string) {
	a.own()
	a.sessions = append(a.sessions, session)
}

func (a *audience) remove(session string) {
	a.own()
	if i := slices.Index(a.sessions, session); i >= 0 {
		a.sessions = slices.Delete(a.sessions, i, i+1)
	}
}

// told returns the sessions for an effect.
func (a *audience) told() []string {
	a.shared = true
	return a.sessions
}

// attach lets a session in. One that is there is left as it is.
func (s *Scope) attach(c Attach) {
	if s.sessions[c.By.Session] != nil || len(s.sessions) == MaxSessions {
		return
	}
	p := &session{id: c.By.Session, caller: c.By, node: c.Node, hidden: c.By.Grants.Hidden, links: map[link]bool{}}
	s.sessions[p.id] = p
	if !p.hidden {
		s.arrive(p.caller.Identity)
	}
}

func (s *Scope) detach(id string) {
	p := s.sessions[id]
	if p == nil {
		return
	}
	s.reset(id)
	delete(s.sessions, id)
	if !p.hidden {
		s.depart(p.caller.Identity)
	}
}

// reset ends all links and calls of a session. What it was asked to answer goes to others.
func (s *Scope) reset(id string) {
	p := s.sessions[id]
	if p == nil {
		return
	}
	for _, c := range p.open {
		s.forget(c)
	}
	p.open = nil
	for _, l := range p.sorted() {
		s.unlink(p, l)
	}
	s.abandon(p)
}

// sorted returns the links in an order that does not depend on chance.
func (p *session) sorted() []link {
	return slices.SortedFunc(maps.Keys(p.links), func(a, b link) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.path, b.path))
	})
}

// unlink ends one link of a session, if there is one.
func (s *Scope) unlink(p *session, l link) {
	if !p.links[l] {
		return
	}
	delete(p.links, l)
	switch l.kind {
	case wire.SubscribedRecord:
		s.unwatch(p, l)
	case wire.SubscribedEvent:
		s.leaveTopic(p, l.name)
	case wire.SubscribedPresence:
		s.ignore(p, l.name)
	case wire.ProvidedRPC:
		p.provided--
		s.withdraw(p, l.name)
	case wire.ListenedRecord, wire.ListenedEvent:
		p.listens--
		s.endListener(p, l)
	}
}

// asker finds the session of a caller. A caller without one gets none, where that is enough.
func (s *Scope) asker(by Caller, needed bool) (*session, *wire.Error) {
	if by.Session == "" && !needed {
		return nil, nil
	}
	if p := s.sessions[by.Session]; p != nil {
		return p, nil
	}
	return nil, wire.NewError(wire.CodeSessionExpired, "this session is not part of the scope", "join again")
}

// recheck replaces the rules.
func (s *Scope) recheck(c Recheck) {
	s.config.May = c.May
	for _, id := range slices.Sorted(maps.Keys(s.sessions)) {
		p := s.sessions[id]
		for _, l := range p.sorted() {
			if refused := s.mayKeep(p, l); refused != nil {
				s.unlink(p, l)
				s.tellOne(p, wire.TypeStateUnsubscribe, wire.StateUnsubscribed{
					Scope: s.config.Scope, Kind: l.kind, Name: l.name, Path: l.path, Error: refused,
				})
			}
		}
	}
}

// mayKeep asks for a link as when it was made.
func (s *Scope) mayKeep(p *session, l link) *wire.Error {
	switch l.kind {
	case wire.SubscribedRecord:
		return s.mayRead(p.caller, l.name, l.path)
	case wire.SubscribedEvent:
		return s.mayUse(p.caller, Events, Subscribe, l.name, nil)
	case wire.SubscribedPresence:
		return s.mayUse(p.caller, Presence, Subscribe, cmp.Or(l.name, "*"), nil)
	case wire.ProvidedRPC:
		return s.mayUse(p.caller, RPCs, Provide, l.name, nil)
	case wire.ListenedRecord:
		return s.mayUse(p.caller, Records, Listening, l.name, nil)
	}
	return s.mayUse(p.caller, Events, Listening, l.name, nil)
}
