package room

import (
	"cmp"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// grant rules what a participant may do, and lets end what it may not do any more. It holds for the identity, also when it joins again.
func (r *Room) grant(c Grant) *wire.Error {
	p := r.identities[c.Identity]
	if p == nil {
		return noParticipant(c.Identity)
	}
	if c.Sources != nil && (len(*c.Sources) > len(sources) || slices.ContainsFunc(*c.Sources, func(s wire.Source) bool { return !slices.Contains(sources, s) })) {
		return wire.NewError(wire.CodeBadRequest, "the sources are too many, or one does not exist", "name microphone, camera, screen, screen-audio or other")
	}
	before, ruled := r.rulings[c.Identity]
	if !ruled && len(r.rulings) >= MaxRulings {
		return wire.NewError(wire.CodeLimit, "of too many identities in this room it was ruled what they may do", "let the room end, or give them other tokens")
	}
	c = c.over(before)
	r.rulings[c.Identity] = c
	r.regrant(p, c)
	r.emit(Reply{Type: wire.TypeGrantsChanged, Body: p.granted()})
	if p.carrier == WHIP && !p.grants.Publish || p.carrier == WHEP && !p.grants.Subscribe {
		r.expel(p, wire.Ended{Code: wire.CodeForbidden, Message: "an admin has taken the grant away that the call is for"})
	}
	return nil
}

var sources = []wire.Source{wire.SourceMicrophone, wire.SourceCamera, wire.SourceScreen, wire.SourceScreenAudio, wire.SourceOther}

// granted answers what somebody may do who joins, or asks without a session, with these grants.
func (r *Room) granted(c Granted) {
	grants, sources := r.rulings[c.Identity].of(c.Grants, c.Sources)
	r.emit(Reply{Type: wire.TypeGrantsChanged, Body: wire.GrantsChanged{Grants: grants, Sources: sources}})
}

// over returns what holds of two rulings, of which this is the later one.
func (c Grant) over(before Grant) Grant {
	c.Publish = cmp.Or(c.Publish, before.Publish)
	c.Subscribe = cmp.Or(c.Subscribe, before.Subscribe)
	c.PublishData = cmp.Or(c.PublishData, before.PublishData)
	c.Sources = cmp.Or(c.Sources, before.Sources)
	return c
}

// of returns what somebody may do who has these grants otherwise.
func (c Grant) of(g wire.Grants, sources []wire.Source) (wire.Grants, []wire.Source) {
	rule(&g.Publish, c.Publish)
	rule(&g.Subscribe, c.Subscribe)
	rule(&g.PublishData, c.PublishData)
	rule(&sources, c.Sources)
	return g, sources
}

func rule[T any](what, ruled *T) {
	if ruled != nil {
		*what = *ruled
	}
}

// regrant makes a participant's grants what is ruled.
func (r *Room) regrant(p *participant, c Grant) {
	was, sources, sent := p.grants, p.sources, p.maySendData()
	p.grants, p.sources = c.of(p.grants, p.sources)
	if p.grants == was && slices.Equal(p.sources, sources) {
		return
	}
	r.tell(p, wire.TypeGrantsChanged, p.granted())
	for _, pub := range slices.Clone(p.publications) {
		if !p.mayPublish(pub.Source) {
			r.withdraw(pub)
		}
	}
	if p.grants.Subscribe != was.Subscribe {
		r.resubscribe(p)
	}
	if may := p.maySendData(); may != sent && p.transport != nil {
		r.emit(AllowData{Transport: p.transport.id, PublishData: may})
	}
}

func (p *participant) granted() wire.GrantsChanged {
	return wire.GrantsChanged{Grants: p.grants, Sources: p.sources}
}

func (p *participant) mayPublish(s wire.Source) bool {
	return p.grants.Publish && (len(p.sources) == 0 || slices.Contains(p.sources, s))
}

func (p *participant) maySendData() bool { return p.grants.PublishData && !p.grants.Hidden }

// resubscribe gives a participant subscriptions that may have them now, or takes them away.
func (r *Room) resubscribe(p *participant) {
	for _, pub := range r.publications {
		switch s := p.subscriptions[pub]; {
		case s != nil:
			p.release(s)
			r.setStatus(p, s, wire.SubscriptionOff, "")
			delete(p.subscriptions, pub)
		case p.learn(pub):
			r.tell(p, wire.TypeSubscription, p.subscriptions[pub].shown())
		}
	}
	r.unsettle(p)
}
