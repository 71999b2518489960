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
	links    map[link]bool // all that it is subscribed to and provides
	leaving  bool          // all that is about to end: it is told nothing of it, and gets nothing new
	provided int           // RPCs among them
	listens  int           // patterns among them
	listened int           // names that it provides by them
	starved  bool          // it was passed over, as these are as many as it may have
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

// audience is the sessions that are told something, in the order of their names.
type audience struct {
	sessions []string
	shared   bool     // handed out: not to be changed any more
	asks     []string // of these, whose permission depends on what records say: it is asked for before they are told
}

func (a *audience) own() {
	if a.shared {
		a.sessions, a.shared = slices.Clone(a.sessions), false
	}
}

func (a *audience) add(session string, asks bool) {
	a.own()
	i, _ := slices.BinarySearch(a.sessions, session)
	a.sessions = slices.Insert(a.sessions, i, session)
	a.ask(session, asks)
}

func (a *audience) remove(session string) {
	a.own()
	if i, found := slices.BinarySearch(a.sessions, session); found {
		a.sessions = slices.Delete(a.sessions, i, i+1)
	}
	a.ask(session, false)
}

// ask notes whether somebody's permission is to be asked for again.
func (a *audience) ask(session string, again bool) {
	i := slices.Index(a.asks, session)
	switch {
	case again && i < 0:
		a.asks = append(a.asks, session)
	case !again && i >= 0:
		a.asks = slices.Delete(a.asks, i, i+1)
	}
}

// told returns the sessions for an effect.
func (a *audience) told() []string {
	a.shared = true
	return a.sessions
}

// attach lets a session in. One that is there is from now on what this says, and loses what it may not have as such.
func (s *Scope) attach(c Attach) {
	p := s.sessions[c.By.Session]
	switch {
	case p != nil && p.caller == c.By && p.node == c.Node:
	case p != nil:
		s.appear(c.By) // first: the same identity has not gone meanwhile
		s.vanish(p.caller)
		was := p.caller
		p.caller, p.node = c.By, c.Node
		s.revoke(p, s.config.May, was)
		s.reassign(wire.ListenRecords)
		s.reassign(wire.ListenEvents)
	case len(s.sessions) < MaxSessions:
		p = &session{id: c.By.Session, caller: c.By, node: c.Node, links: map[link]bool{}}
		s.sessions[p.id] = p
		s.appear(p.caller)
	}
}

// appear makes a session's caller present, and vanish ends that.
func (s *Scope) appear(by Caller) {
	if !by.Grants.Hidden {
		s.arrive(by.Identity)
	}
}

func (s *Scope) vanish(by Caller) {
	if !by.Grants.Hidden {
		s.depart(by.Identity)
	}
}

func (s *Scope) detach(id string) {
	p := s.sessions[id]
	if p == nil {
		return
	}
	s.reset(id)
	delete(s.sessions, id)
	s.vanish(p.caller)
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
	p.open, p.leaving = nil, true
	for _, l := range p.sorted() {
		s.unlink(p, l)
	}
	p.leaving = false
	s.abandon(p, "")
}

// sorted returns the links in an order that does not depend on chance. Patterns are the last: what others are told of them is of no
// interest to their session, which may be subscribed to the same names.
func (p *session) sorted() []link {
	return slices.SortedFunc(maps.Keys(p.links), func(a, b link) int {
		return cmp.Or(a.last()-b.last(), cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.path, b.path))
	})
}

func (l link) last() int {
	if l.kind == wire.ListenedRecord || l.kind == wire.ListenedEvent {
		return 1
	}
	return 0
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

// asker finds the session of a caller, who then is what that session was attached as. A caller without one gets none, where that is enough.
func (s *Scope) asker(by *Caller, needed bool) (*session, *wire.Error) {
	if by.Session == "" && !needed {
		return nil, nil
	}
	if p := s.sessions[by.Session]; p != nil {
		*by = p.caller
		return p, nil
	}
	return nil, wire.NewError(wire.CodeSessionExpired, "this session is not part of the scope", "join again")
}

// recheck replaces the rules.
func (s *Scope) recheck(c Recheck) {
	before := s.config.May
	s.config.May = c.May
	for _, id := range slices.Sorted(maps.Keys(s.sessions)) {
		p := s.sessions[id]
		s.revoke(p, before, p.caller)
	}
	for _, id := range slices.Sorted(maps.Keys(s.calls)) {
		if c := s.calls[id]; c != nil && c.caller == nil {
			s.mayGoOn(c)
		}
	}
	s.reassign(wire.ListenRecords)
	s.reassign(wire.ListenEvents)
}

// revoke ends what a session may not have any more, and the calls that it may not make, after its rules were before, and it was that caller.
func (s *Scope) revoke(p *session, before func(Access) *wire.Error, was Caller) {
	picked := s.picky[p.id]
	for _, l := range p.sorted() {
		refused := s.mayKeep(p, l)
		if a := s.audience(l); a != nil {
			a.ask(p.id, s.depends)
		}
		if l == ofEverybody && refused == nil {
			if !s.alike && s.tooPicky(p) {
				refused = tooPicky()
			}
			s.pick(p, !s.alike)
		}
		if refused != nil {
			s.forbid(p, l, refused)
		}
	}
	if p.links[ofEverybody] && (picked || s.picky[p.id]) {
		s.tellKnown(p, before, was)
	}
	for _, c := range slices.Clone(p.open) {
		s.mayGoOn(c)
	}
}

// askAgain asks for those whose permission depends on what records say, before they are told something.
func (s *Scope) askAgain(l link) {
	a := s.audience(l)
	if a == nil {
		return
	}
	for _, id := range slices.Clone(a.asks) {
		p := s.sessions[id]
		if refused := s.mayKeep(p, l); refused != nil {
			s.forbid(p, l, refused)
		}
	}
}

// forbid ends a link that is not allowed any more. What a provider was asked goes to others.
func (s *Scope) forbid(p *session, l link, refused *wire.Error) {
	s.unlink(p, l)
	if l.kind == wire.ProvidedRPC {
		s.abandon(p, l.name)
	}
	s.emit(Tell{
		Sessions: []string{p.id}, Type: wire.TypeStateUnsubscribe,
		Body:  wire.StateUnsubscribed{Scope: s.config.Scope, Kind: l.kind, Name: l.name, Path: l.path, Error: refused},
		Waits: s.waits(p.about(l)), // behind what it was told before
	})
}

// about is what such a link of the session leads to effects about.
func (p *session) about(l link) subject {
	switch l.kind {
	case wire.SubscribedRecord:
		return ofRecord(l.name)
	case wire.SubscribedEvent:
		return ofEvent(l.name)
	case wire.SubscribedPresence:
		return ofPresence
	case wire.ProvidedRPC:
		return ofRPC(l.name)
	}
	return ofListener(p.id)
}

// audience is who is told because of such a link; nil: nobody, or it is no subscription.
func (s *Scope) audience(l link) *audience {
	switch l.kind {
	case wire.SubscribedRecord:
		return s.watches[l.name].audience(l.path)
	case wire.SubscribedEvent:
		if e := s.events[l.name]; e != nil {
			return &e.audience
		}
	case wire.SubscribedPresence:
		if l.name == "" {
			return &s.everybody
		}
		return s.somebody[l.name]
	}
	return nil
}

// mayKeep asks for a link as when it was made.
func (s *Scope) mayKeep(p *session, l link) *wire.Error {
	return s.apart(func() *wire.Error { return s.mayHave(p, l) })
}

func (s *Scope) mayHave(p *session, l link) *wire.Error {
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
