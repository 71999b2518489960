package room

import (
	"slices"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// Rule: whoever may not publish any more publishes nothing any more, which all are told, and is told why; what it may still do stays.
func TestPublishIsTakenAway(t *testing.T) {
	s := newScene(t)
	ann, bob := s.join("ann"), s.join("bob")
	ann.pc.publish("mic", wire.SourceMicrophone, "opus")
	ann.pc.publish("cam", wire.SourceCamera, "vp8")
	s.offer(ann)
	s.must(Grant{Identity: "ann", Sources: &[]wire.Source{wire.SourceMicrophone}})
	if got := bob.room.Participants[0].Publications; len(got) != 1 || got[0].Source != wire.SourceMicrophone || len(s.plane.producers) != 1 {
		t.Errorf("only a microphone is left of %+v, %d producers", got, len(s.plane.producers))
	}
	s.refused(ann.offer(t), wire.CodeForbidden)
	if got := s.must(Grant{Identity: "ann", Publish: new(false)}).(wire.GrantsChanged); got.Grants.Publish || !got.Grants.Subscribe || len(got.Sources) != 1 {
		t.Errorf("granted %+v", got)
	}
	if len(bob.room.Participants[0].Publications) != 0 || len(s.plane.producers) != 0 || len(ann.granted) != 2 || ann.granted[1].Grants.Publish || len(bob.granted) != 0 {
		t.Errorf("afterwards %+v; ann was told %+v, bob %+v", bob.room.Participants[0], ann.granted, bob.granted)
	}
	s.must(Chat{Session: "ann", Text: "hello"})
	s.must(Grant{Identity: "ann", Publish: new(true), Sources: &[]wire.Source{}})
	if s.offer(ann); len(bob.room.Participants[0].Publications) != 2 {
		t.Errorf("given back: %+v", bob.room.Participants[0])
	}
	s.must(Grant{Identity: "ann", Publish: new(true)}) // as it was: nobody is told
	if len(ann.granted) != 3 {
		t.Errorf("told %+v", ann.granted)
	}
}

// Rule: whoever may not subscribe any more has nothing in its slots, and what it may have again is told.
func TestSubscribeIsTakenAway(t *testing.T) {
	s := newScene(t)
	ann, bob := s.join("ann"), s.join("bob")
	ann.pc.publish("mic", wire.SourceMicrophone, "opus")
	s.offer(ann)
	bob.pc.receive(1, 0, "vp8")
	s.offer(bob)
	id := ann.room.Participants[0].Publications[0].ID
	filled := func() bool {
		return slices.ContainsFunc(s.r.identities["bob"].shownSlots(), func(x wire.Slot) bool { return x.Publication == id })
	}
	if !filled() {
		t.Fatal("bob does not hear ann")
	}
	s.must(Grant{Identity: "bob", Subscribe: new(false)})
	if filled() || bob.subscriptions[id] != wire.SubscriptionOff {
		t.Errorf("bob hears ann: %v, and believes %v", filled(), bob.subscriptions)
	}
	s.refused(Subscribe{Session: "bob", Publications: []string{id}, Subscribed: true}, wire.CodeForbidden)
	s.must(Grant{Identity: "bob", Subscribe: new(true)})
	if !filled() || bob.subscriptions[id] != wire.SubscriptionActive {
		t.Errorf("bob hears ann again: %v, and believes %v", filled(), bob.subscriptions)
	}
}

// Rule: whoever may not publish data any more chats no more, and its Transport is told; it holds for the identity, also when it joins again, and for
// what is asked without a session.
func TestDataIsTakenAway(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	ann.pc.receive(1, 0, "vp8")
	s.offer(ann)
	s.must(Grant{Identity: "ann", PublishData: new(false)}) // the scene holds it against the plane
	s.refused(Chat{Session: "ann", Text: "hello"}, wire.CodeForbidden)
	s.must(Leave{Session: "ann"})
	if s.join("ann"); s.r.identities["ann"].grants.PublishData {
		t.Error("it may again when it has joined again")
	}
	for identity, may := range map[string]bool{"ann": false, "bob": true} {
		if got := s.must(Granted{Identity: identity, Grants: allGrants}).(wire.GrantsChanged).Grants; got.PublishData != may || !got.Publish {
			t.Errorf("%s without a session: %+v", identity, got)
		}
	}
	if got := s.must(Resync{Session: "ann"}).(wire.Resync); got.Grants.PublishData || !got.Grants.Publish {
		t.Errorf("resync: %+v", got.Grants)
	}
}

// Rule: a call ends without the grant that it is for.
func TestCallWithoutGrant(t *testing.T) {
	s := newScene(t)
	s.must(Join{Session: "studio", Carrier: WHIP, Identity: "studio", Grants: wire.Grants{Publish: true}})
	s.must(Grant{Identity: "studio", PublishData: new(true)})
	if s.clients["studio"] == nil {
		t.Fatal("it has ended too early")
	}
	s.must(Grant{Identity: "studio", Publish: new(false)})
	if !s.r.Empty() {
		t.Error("it goes on")
	}
}

// Rule: what cannot be granted changes nothing; a room has so many rulings.
func TestGrantRefused(t *testing.T) {
	s := newScene(t)
	s.join("ann")
	s.refused(Grant{Identity: "nobody", Publish: new(false)}, wire.CodeNotFound)
	s.refused(Grant{Identity: "ann", Sources: &[]wire.Source{"window"}}, wire.CodeBadRequest)
	s.refused(Grant{Identity: "ann", Sources: new(slices.Repeat([]wire.Source{wire.SourceCamera}, 6))}, wire.CodeBadRequest)
	for i := range MaxRulings {
		s.r.rulings[string(rune(i))] = Grant{}
	}
	s.refused(Grant{Identity: "ann", Publish: new(false)}, wire.CodeLimit)
}
