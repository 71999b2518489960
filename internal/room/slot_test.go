package room

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-rtc/parley/wire"
)

// viewer is bob, with so many slots, in a room where ann publishes sources in this order. It returns what fills bob's slots.
func viewer(t *testing.T, pairs, videos int, sources ...wire.Source) (*scene, *client) {
	s := newScene(t)
	bob := s.join("bob")
	bob.pc.receive(pairs, videos, video...)
	s.offer(bob)
	ann := s.join("ann")
	for i, source := range sources {
		codec := "opus"
		if source == wire.SourceCamera || source == wire.SourceScreen {
			codec = "vp8"
		}
		ann.pc.publish(fmt.Sprint(i), source, codec)
	}
	s.offer(ann)
	return s, bob
}

func filled(c *client) map[string]string {
	m := map[string]string{}
	for mid, s := range c.slots {
		if s.Publication != "" {
			m[mid] = s.Publication
		}
	}
	return m
}

// Rule: microphone and camera of one participant share a pair, whichever comes first; a screen takes a video-only slot, and
// its sound the audio of a pair that is free.
func TestPlaces(t *testing.T) {
	const mic, cam, screen, sound, other = wire.SourceMicrophone, wire.SourceCamera, wire.SourceScreen, wire.SourceScreenAudio, wire.SourceOther
	for _, test := range []struct {
		sources       []wire.Source
		pairs, videos int
		want          map[string]string
		grow          wire.GrowSlots
	}{
		{[]wire.Source{mic, cam}, 2, 0, map[string]string{"a0": "p1", "v0": "p2"}, wire.GrowSlots{}},
		{[]wire.Source{cam, mic}, 2, 0, map[string]string{"v0": "p1", "a0": "p2"}, wire.GrowSlots{}},
		{[]wire.Source{screen, mic, cam}, 1, 1, map[string]string{"s1": "p1", "a0": "p2", "v0": "p3"}, wire.GrowSlots{}},
		{[]wire.Source{screen, sound, mic}, 2, 1, map[string]string{"s2": "p1", "a0": "p2", "a1": "p3"}, wire.GrowSlots{}},
		{[]wire.Source{sound, cam, mic}, 2, 0, map[string]string{"a0": "p1", "v1": "p2", "a1": "p3"}, wire.GrowSlots{}},
		{[]wire.Source{mic, mic, cam, cam}, 2, 0, map[string]string{"a0": "p1", "a1": "p2", "v0": "p3", "v1": "p4"}, wire.GrowSlots{}},
		{[]wire.Source{screen}, 2, 0, map[string]string{}, wire.GrowSlots{Pairs: 2, Videos: 1}},
		{[]wire.Source{screen, screen, screen}, 0, 1, map[string]string{"s0": "p1"}, wire.GrowSlots{Pairs: 0, Videos: 4}},
		{[]wire.Source{mic, sound}, 1, 0, map[string]string{"a0": "p1"}, wire.GrowSlots{Pairs: 4, Videos: 0}},
		{[]wire.Source{mic, cam}, 0, 2, map[string]string{}, wire.GrowSlots{Pairs: 4, Videos: 2}},
		{[]wire.Source{other, other, other, other, other}, 4, 0, map[string]string{"a0": "p1", "a1": "p2", "a2": "p3", "a3": "p4"}, wire.GrowSlots{Pairs: 8, Videos: 0}},
	} {
		t.Run(fmt.Sprint(test.sources, test.pairs, test.videos), func(t *testing.T) {
			_, bob := viewer(t, test.pairs, test.videos, test.sources...)
			if d := cmp.Diff(test.want, filled(bob)); d != "" {
				t.Errorf("slots: %s", d)
			}
			if bob.grow != test.grow {
				t.Errorf("asked for %+v, want %+v", bob.grow, test.grow)
			}
		})
	}
}

// Rule: when a publication vanishes its slot goes to who has waited longest, in one switch.
func TestSlotPassesOn(t *testing.T) {
	s, bob := viewer(t, 1, 0, wire.SourceMicrophone)
	for _, name := range []string{"cid", "dan"} {
		c := s.join(name)
		c.pc.publish("0", wire.SourceMicrophone, "opus")
		s.offer(c)
	}
	before := bob.slots["a0"].Generation
	s.must(Unpublish{Session: "ann", Publication: "p1"})
	if got := bob.slots["a0"]; got.Publication != "p2" || got.Generation != before+1 {
		t.Errorf("the slot has %+v", got)
	}
	s.must(Leave{Session: "cid"})
	if got := bob.slots["a0"]; got.Publication != "p3" {
		t.Errorf("the slot has %+v", got)
	}
}

// Rule: a pair that one half holds is nobody else's, even while its other half is free.
func TestPairIsNotShared(t *testing.T) {
	s, bob := viewer(t, 1, 0, wire.SourceCamera)
	cid := s.join("cid")
	cid.pc.publish("0", wire.SourceMicrophone, "opus")
	s.offer(cid)
	if d := cmp.Diff(map[string]string{"v0": "p1"}, filled(bob)); d != "" {
		t.Error(d)
	}
	if bob.subscriptions["p2"] != "" || bob.grow.Pairs != 4 {
		t.Errorf("told %q, asked for %+v", bob.subscriptions["p2"], bob.grow)
	}
}

// Rule: a subscription that finds its place can make another fit that was passed over. Here ann's first camera cannot go
// beside her microphone, and her second one can; then the first takes another pair.
func TestPlaceMakesPlace(t *testing.T) {
	s := newScene(t)
	bob, ann := s.join("bob"), s.join("ann")
	bob.pc.receive(1, 0, "vp9")
	bob.pc.receive(1, 0, "h264")
	s.offer(bob)
	ann.pc.publish("0", wire.SourceMicrophone, "opus")
	ann.pc.publish("1", wire.SourceCamera, "h264")
	ann.pc.publish("2", wire.SourceCamera, "vp9")
	s.offer(ann)
	if d := cmp.Diff(map[string]string{"a0": "p1", "v0": "p3", "v1": "p2"}, filled(bob)); d != "" {
		t.Error(d)
	}
}

// Rule: a slot may be audio alone.
func TestAudioOnly(t *testing.T) {
	s := newScene(t)
	bob, ann := s.join("bob"), s.join("ann")
	bob.pc.receive(2, 0, "vp8")
	bob.pc.slots[0].Video = ""
	s.offer(bob)
	s.offer(bob)
	ann.pc.publish("0", wire.SourceMicrophone, "opus")
	ann.pc.publish("1", wire.SourceCamera, "vp8")
	s.offer(ann)
	if d := cmp.Diff(map[string]string{"a0": "p1", "v1": "p2"}, filled(bob)); d != "" {
		t.Error(d)
	}
}

// Rule: the pool doubles on demand, up to 24 pairs, each number being asked for once an offer; then subscriptions wait.
func TestGrow(t *testing.T) {
	s := newScene(t)
	bob := s.join("bob")
	bob.pc.receive(4, 0, "vp8")
	s.offer(bob)
	asked := 0
	for i := range 30 {
		name := fmt.Sprint("w", i)
		s.must(Join{Session: name, Carrier: WHIP, Identity: name, Grants: allGrants})
		c := s.clients[name]
		c.pc.publish("0", "", "opus")
		c.pc.publish("1", "", "vp8")
		s.offer(c)
		if pairs, _ := s.r.sessions["bob"].slotCounts(); bob.grow.Pairs > pairs {
			asked++
			bob.pc.receive(bob.grow.Pairs-pairs, 0, "vp8")
			s.offer(bob)
		}
	}
	pairs, _ := s.r.sessions["bob"].slotCounts()
	if pairs != wire.MaxSlotPairs || asked != 3 || len(s.r.sessions["bob"].waiting) != 12 {
		t.Errorf("%d pairs after %d requests, %d wait", pairs, asked, len(s.r.sessions["bob"].waiting))
	}
}

// Rule: many at once are asked for at once; without an offer in between nothing is asked twice; WHEP is not asked.
func TestGrowAtOnce(t *testing.T) {
	s := newScene(t)
	for i := range 9 {
		name := fmt.Sprint("w", i)
		s.must(Join{Session: name, Carrier: WHIP, Identity: name, Grants: allGrants})
		c := s.clients[name]
		c.pc.publish("0", "", "opus")
		s.offer(c)
	}
	bob := s.join("bob")
	if bob.grow.Pairs != 0 {
		t.Error("asked before the first offer")
	}
	bob.pc.receive(4, 0, "vp8")
	s.offer(bob)
	if bob.grow.Pairs != 16 {
		t.Errorf("asked for %+v", bob.grow)
	}
	bob.grow = wire.GrowSlots{}
	s.must(Subscribe{Session: "bob", Publications: []string{"p9"}, Subscribed: false})
	s.must(Subscribe{Session: "bob", Publications: []string{"p9"}, Subscribed: true})
	if bob.grow.Pairs != 0 {
		t.Errorf("asked again for %+v", bob.grow)
	}
}

// Rule: who cannot decode a publication is told so and gets no slot for it, until an offer or another codec changes that.
func TestUnsupportedCodec(t *testing.T) {
	s := newScene(t)
	ann, bob := s.join("ann"), s.join("bob")
	ann.pc.publish("0", wire.SourceCamera, "h264", "vp8")
	ann.pc.publish("1", wire.SourceMicrophone, "opus")
	s.offer(ann)
	bob.pc.receive(2, 1, "vp8", "av1")
	s.offer(bob)
	if bob.subscriptions["p1"] != wire.SubscriptionUnsupportedCodec || bob.slots["a0"].Publication != "p2" || bob.grow.Pairs != 0 {
		t.Errorf("bob: %v, %v, asked for %+v", bob.subscriptions, bob.slots, bob.grow)
	}
	if d := cmp.Diff([]string{"vp8", "av1"}, ann.room.Codecs.Video); d != "" {
		t.Errorf("ann was told: %s", d)
	}
	ann.pc.lines[0].codecs = []string{"vp8"} // what an SDK does then
	s.offer(ann)
	if bob.slots["v0"].Publication != "p3" || bob.subscriptions["p3"] != wire.SubscriptionActive {
		t.Errorf("bob: %v, %v", bob.subscriptions, bob.slots)
	}
	for i := range bob.pc.lines {
		if bob.pc.lines[i].mid[0] != 'a' {
			bob.pc.lines[i].codecs = []string{"av1"} // takes VP8 out of what was negotiated
		}
	}
	s.offer(bob)
	if bob.slots["v0"].Publication != "" || bob.subscriptions["p3"] != wire.SubscriptionUnsupportedCodec {
		t.Errorf("bob: %v, %v", bob.subscriptions, bob.slots)
	}
	s.must(Leave{Session: "bob"})
	if len(s.r.codecs.Video) != 4 {
		t.Errorf("codecs %v after the one who limited them left", s.r.codecs)
	}
}

// Rule: a slot whose m-line receives no longer is emptied, and filled again when it does.
func TestSlotCloses(t *testing.T) {
	s, bob := viewer(t, 1, 0, wire.SourceMicrophone)
	bob.pc.lines[0].direction = "inactive"
	s.offer(bob)
	if bob.slots["a0"].Publication != "" || bob.subscriptions["p1"] != wire.SubscriptionPending {
		t.Errorf("bob: %v %v", bob.slots, bob.subscriptions)
	}
	bob.pc.lines[0].direction = "recvonly"
	s.offer(bob)
	if bob.slots["a0"].Publication != "p1" {
		t.Errorf("bob: %v", bob.slots)
	}
}

// Rule: slot-ready opens the newest generation of a filled slot; an older one changes nothing; an unknown slot is refused.
func TestSlotReady(t *testing.T) {
	s, bob := viewer(t, 1, 0, wire.SourceMicrophone)
	g := bob.slots["a0"].Generation
	s.must(SlotReady{Session: "bob", Mid: "a0", Generation: g - 1})
	s.transcript("reply ok")
	s.must(SlotReady{Session: "bob", Mid: "a0", Generation: g})
	s.transcript(fmt.Sprintf("open slot 1/a0 generation %d", g), "reply ok")
	s.must(Unpublish{Session: "ann", Publication: "p1"})
	s.must(SlotReady{Session: "bob", Mid: "a0", Generation: bob.slots["a0"].Generation})
	s.transcript("reply ok")
	s.refused(SlotReady{Session: "bob", Mid: "zz", Generation: 1}, wire.CodeNotFound)
}

// Rule: what a participant does not want gives its slot back; by hand, nothing is wanted at first.
func TestSubscribe(t *testing.T) {
	s, bob := viewer(t, 1, 0, wire.SourceMicrophone, wire.SourceCamera)
	s.must(Subscribe{Session: "bob", Publications: []string{"p1", "p77"}, Subscribed: false})
	if d := cmp.Diff(map[string]string{"v0": "p2"}, filled(bob)); d != "" || bob.subscriptions["p1"] != wire.SubscriptionOff {
		t.Errorf("%s %v", d, bob.subscriptions)
	}
	s.must(Subscribe{Session: "bob", Publications: []string{"p1"}, Subscribed: true})
	if d := cmp.Diff(map[string]string{"a0": "p1", "v0": "p2"}, filled(bob)); d != "" {
		t.Error(d)
	}
	s.must(Subscribe{Session: "bob", Subscribed: true}) // of nothing
	s.refused(Subscribe{Session: "bob", Publications: []string{"p77"}, Subscribed: true}, wire.CodeNotFound)
	s.refused(Subscribe{Session: "bob", Publications: make([]string, MaxSubscribe+1)}, wire.CodeLimit)
	s.refused(Subscribe{Session: "ann", Publications: []string{"p1"}, Subscribed: true}, wire.CodeNotFound) // her own

	s.must(Join{Session: "eve", Carrier: WS, Identity: "eve", Grants: allGrants, ManualSubscribe: true})
	eve := s.clients["eve"]
	eve.pc.receive(1, 0, "vp8")
	s.offer(eve)
	if len(filled(eve)) != 0 {
		t.Errorf("eve got %v unasked", filled(eve))
	}
	s.must(Subscribe{Session: "eve", Publications: []string{"p2"}, Subscribed: true})
	if d := cmp.Diff(map[string]string{"v0": "p2"}, filled(eve)); d != "" {
		t.Error(d)
	}
	s.must(Join{Session: "deaf", Carrier: WS, Identity: "deaf", Grants: wire.Grants{Publish: true}})
	deaf := s.clients["deaf"]
	deaf.pc.receive(1, 0, "vp8")
	s.offer(deaf)
	if len(filled(deaf)) != 0 {
		t.Errorf("deaf got %v without the grant", filled(deaf))
	}
	s.refused(Subscribe{Session: "deaf", Publications: []string{"p2"}, Subscribed: true}, wire.CodeForbidden)
}

// Rule: looking for a place among slots that are taken compares no codecs: a full room does that for everyone at every change.
func TestPlaceAmongTakenSlots(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	for i := range 3 {
		bob := s.join(fmt.Sprint("bob", i))
		bob.pc.publish("0", wire.SourceCamera, "h264")
		s.offer(bob)
	}
	ann.pc.receive(2, 1, "h264")
	s.offer(ann)
	p := s.r.sessions["ann"]
	if len(p.waiting) != 1 {
		t.Fatalf("%d wait", len(p.waiting))
	}
	pub := p.waiting[0].publication
	if n := testing.AllocsPerRun(10, func() { p.place(pub) }); n != 0 { // reading H.264 parameters would allocate
		t.Errorf("%v allocations", n)
	}
}
