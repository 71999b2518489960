package room

import (
	"slices"

	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/wire"
)

// subscription is what one participant has to do with one publication of another. A client that has heard nothing of a
// subscription takes it as pending, or as off where it subscribes manually.
type subscription struct {
	// static after construction
	publication *publication

	// owned by the room
	wanted         bool
	want           route.Want
	left           bool   // out, for others come first: it waits, whatever slots are free
	starved        bool   // the client's network has no room for it
	status, reason string // of wire, as the client knows them
	line           *line  // that it fills, or nil
}

// learn gives the participant a subscription where it may have the publication, and reports whether it waits for a slot.
func (p *participant) learn(pub *publication) bool {
	switch {
	case pub.owner == p, !p.grants.Subscribe, p.carrier == WHIP:
		return false
	case p.carrier == WHEP && pub.owner.identity != p.follow:
		return false
	}
	s := &subscription{
		publication: pub, wanted: !p.manual, want: route.DefaultWant, status: wire.SubscriptionOff,
	}
	p.subscriptions[pub] = s
	if s.wanted {
		s.status = wire.SubscriptionPending
		p.waiting = append(p.waiting, s)
	}
	return s.wanted
}

// release takes a subscription out of its slot, or out of the queue for one.
func (p *participant) release(s *subscription) {
	if s.line != nil {
		s.vacate()
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(o *subscription) bool { return o == s })
}

// vacate takes a subscription out of its m-line.
func (s *subscription) vacate() {
	s.line.filled, s.line, s.starved = nil, nil, false
}

// starve tells a participant what its network has no room for, and what is sent again.
func (r *Room) starve(c Starved) {
	p := r.transports[c.Transport]
	if p == nil {
		return
	}
	for _, l := range p.lines() {
		if s := l.filled; s != nil {
			s.starved = slices.Contains(c.Producers, s.publication.producer)
			r.setStatus(p, s, wire.SubscriptionActive, "")
		}
	}
}

func (p *participant) shownSubscriptions(all []*publication) []wire.Subscription {
	shown := []wire.Subscription{}
	for _, pub := range all {
		if s := p.subscriptions[pub]; s != nil {
			shown = append(shown, s.shown())
		}
	}
	return shown
}

// subscribe changes what the session wants. Publications that have gone meanwhile are passed over, unless all have.
func (r *Room) subscribe(c Subscribe) *wire.Error {
	p, refused := r.member(c.Session)
	switch {
	case refused != nil:
		return refused
	case !p.grants.Subscribe:
		return wire.NewError(wire.CodeForbidden, "this participant may not subscribe",
			"join with a token that has the canSubscribe grant")
	case len(c.Publications) > MaxSubscribe:
		return wire.NewError(wire.CodeLimit, "too many publications in one request", "name at most 512")
	}
	found := len(c.Publications) == 0
	for _, id := range c.Publications {
		if s := p.subscription(id, r.publications); s != nil {
			found = true
			r.want(p, s, c.Subscribed)
			r.use(p, s, c)
		}
	}
	if !found {
		return wire.NewError(wire.CodeNotFound, "none of these publications is there", "name publications of others in this room")
	}
	return nil
}

func (p *participant) subscription(id string, all []*publication) *subscription {
	for _, pub := range all {
		if pub.ID == id {
			return p.subscriptions[pub]
		}
	}
	return nil
}

func (r *Room) want(p *participant, s *subscription, wanted bool) {
	if s.wanted == wanted {
		return
	}
	s.wanted = wanted
	if wanted {
		p.waiting = append(p.waiting, s)
		r.setStatus(p, s, wire.SubscriptionPending, "")
	} else {
		p.release(s)
		s.left = false
		r.setStatus(p, s, wire.SubscriptionOff, "")
	}
	r.unsettle(p)
}

// setStatus tells the client where the status changes. What is active may be paused.
func (r *Room) setStatus(p *participant, s *subscription, status, reason string) {
	switch {
	case status != wire.SubscriptionActive:
	case s.want.Paused:
		status, reason = wire.SubscriptionPaused, wire.PausedOff
	case s.starved:
		status, reason = wire.SubscriptionPaused, wire.PausedBandwidth
	}
	if s.status == status && s.reason == reason {
		return
	}
	s.status, s.reason = status, reason
	r.wish(s.publication)
	r.tell(p, wire.TypeSubscription, s.shown())
}

func (s *subscription) shown() wire.Subscription {
	return wire.Subscription{Publication: s.publication.ID, Status: s.status, Reason: s.reason}
}
