package state

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/parley-rtc/parley/wire"
)

// topic is who is subscribed to an event.
type topic struct {
	audience
	provision
}

// names carries out one request for several names, and replies item by item.
func (s *Scope) names(kind Kind, names []string, one func(name string) *wire.Error) *wire.Error {
	if refused := checkCount(len(names), "names"); refused != nil {
		return refused
	}
	body := wire.Subscribed{Results: make([]wire.NameResult, len(names))}
	var about []subject
	for i, name := range names {
		refused := checkName(name)
		if refused == nil {
			refused = one(name)
		}
		if refused == nil {
			about = append(about, subject{kind, name})
		}
		body.Results[i] = wire.NameResult{Name: name, Error: refused}
	}
	s.emit(Reply{Type: wire.TypeSubscribed, Body: body, Waits: s.waits(about...)})
	return nil
}

func (s *Scope) eventSubscribe(c EventSubscribe) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	return s.names(Events, c.Names, func(name string) *wire.Error {
		if denied := s.mayUse(p.caller, Events, Subscribe, name, nil); denied != nil {
			return denied
		}
		asks := s.depends
		l := link{kind: wire.SubscribedEvent, name: name}
		switch {
		case p.links[l]:
			return nil
		case p.subscriptions() >= wire.MaxStateSubscriptions:
			return beyond(wire.MaxStateSubscriptions, "subscriptions of one session")
		}
		p.links[l] = true
		e := s.events[name]
		if e == nil {
			e = &topic{}
			s.events[name] = e
			s.assign(wire.ListenEvents, name, &e.provision)
		}
		e.add(p.id, asks)
		return nil
	})
}

func (s *Scope) eventUnsubscribe(c EventUnsubscribe) *wire.Error {
	p, refused := s.asker(&c.By, true)
	if refused != nil {
		return refused
	}
	if refused := checkCount(len(c.Names), "names"); refused != nil {
		return refused
	}
	for _, name := range c.Names {
		s.unlink(p, link{kind: wire.SubscribedEvent, name: name})
	}
	return nil
}

// leaveTopic takes a session out of an event's subscribers. The link is gone already.
func (s *Scope) leaveTopic(p *session, name string) {
	e := s.events[name]
	if e.remove(p.id); len(e.sessions) == 0 {
		delete(s.events, name)
		s.dismiss(wire.ListenEvents, name, &e.provision)
	}
}

func (s *Scope) eventPublish(c EventPublish) *wire.Error {
	if _, refused := s.asker(&c.By, false); refused != nil {
		return refused
	}
	if refused := checkName(c.Name); refused != nil {
		return refused
	}
	if refused := CheckPayload("event", c.Value, wire.MaxEventBytes); refused != nil {
		return refused
	}
	if denied := s.mayUse(c.By, Events, Publish, c.Name, c.Value); denied != nil {
		return denied
	}
	s.askAgain(link{kind: wire.SubscribedEvent, name: c.Name})
	if e := s.events[c.Name]; e != nil {
		s.tell(&e.audience, c.By.Session, wire.TypeEventPublished, wire.EventPublished{
			Scope: s.config.Scope, Name: c.Name, Value: c.Value, From: c.By.Identity,
		}, ofEvent(c.Name))
	}
	return nil
}

// CheckPayload is the rule for values of events and RPCs, which are passed on as they are.
func CheckPayload(what string, value []byte, maxBytes int) *wire.Error {
	switch {
	case len(value) > maxBytes:
		return tooLarge(what, maxBytes)
	case len(value) > 0 && (!utf8.Valid(value) || !json.Valid(value)): // one who gets text that is not UTF-8 has to end its WebSocket
		return badRequest("the value is not JSON", "send JSON (RFC 8259) in UTF-8")
	case Levels(value) > wire.MaxRecordDepth:
		return wire.NewError(wire.CodeTooLarge, fmt.Sprintf("the %s is nested deeper than %d levels", what, wire.MaxRecordDepth), "send it flatter, or as text")
	}
	return nil
}

// Levels is how deep JSON is nested. It looks for brackets outside of strings; whether they match is for whoever decodes it to find out.
func Levels(value []byte) (deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
