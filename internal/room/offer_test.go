package room

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// Rule: an offer whose lists do not fit its description is refused as a whole, with a next step.
func TestOfferRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		code   wire.Code
		grants wire.Grants
		change func(p *pc)
	}{
		{"a track on an unknown mid", wire.CodeBadRequest, allGrants, func(p *pc) { p.tracks[0].Mid = "77" }},
		{"a track named twice", wire.CodeBadRequest, allGrants, func(p *pc) { p.tracks = append(p.tracks, p.tracks[0]) }},
		{"a camera on an audio m-line", wire.CodeBadRequest, allGrants, func(p *pc) { p.tracks[0].Source = wire.SourceCamera }},
		{"a microphone on a video m-line", wire.CodeBadRequest, allGrants, func(p *pc) { p.tracks[1].Source = wire.SourceMicrophone }},
		{"a source that does not exist", wire.CodeBadRequest, allGrants, func(p *pc) { p.tracks[0].Source = "kazoo" }},
		{"a track on the data channels", wire.CodeBadRequest, allGrants, func(p *pc) {
			p.data = true
			p.tracks[0] = wire.OfferTrack{Mid: "data", Source: wire.SourceOther}
		}},
		{"a name with a control character", wire.CodeBadRequest, allGrants, func(p *pc) { p.tracks[0].Name = "\x07" }},
		{"no codec to publish with", wire.CodeUnsupportedCodec, allGrants, func(p *pc) { p.lines[0].codecs = []string{"g722"} }},
		{"every m-line is stopped", wire.CodeSDP, allGrants, func(p *pc) {
			for i := range p.lines {
				p.lines[i].stopped = true
			}
			p.tracks, p.slots = nil, nil
		}},
		{"encrypted VP8 without a descriptor", wire.CodeUnsupported, allGrants, func(p *pc) { p.tracks[1].Encrypted = true }},
		{"encrypted H.264 without a descriptor", wire.CodeUnsupported, allGrants, func(p *pc) {
			p.tracks[1].Encrypted, p.lines[1].codecs = true, []string{"h264", "vp9"}
		}},
		{"no grant to publish", wire.CodeForbidden, wire.Grants{Subscribe: true}, func(*pc) {}},
		{"too many tracks", wire.CodeLimit, allGrants, func(p *pc) {
			for i := range wire.MaxPublications {
				p.publish(fmt.Sprint("x", i), wire.SourceOther, "opus")
			}
		}},
		{"a slot on an unknown mid", wire.CodeBadRequest, allGrants, func(p *pc) { p.slots[0].Video = "77" }},
		{"a slot of nothing", wire.CodeBadRequest, allGrants, func(p *pc) { p.slots[0] = wire.OfferSlot{} }},
		{"a slot of the other kind", wire.CodeBadRequest, allGrants, func(p *pc) { p.slots[0].Video, p.slots[0].Audio = "a0", "v0" }},
		{"an m-line in two slots", wire.CodeBadRequest, allGrants, func(p *pc) { p.slots[1] = p.slots[0] }},
		{"an m-line in a slot and a track", wire.CodeBadRequest, allGrants, func(p *pc) { p.slots[0].Audio = "0" }},
		{"too many pairs", wire.CodeLimit, allGrants, func(p *pc) { p.receive(wire.MaxSlotPairs, 0, "vp8") }},
		{"too many video-only slots", wire.CodeLimit, allGrants, func(p *pc) { p.receive(0, MaxVideoSlots+1, "vp8") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScene(t)
			s.must(Join{Session: "ann", Carrier: WS, Identity: "ann", Grants: test.grants})
			ann := s.clients["ann"]
			ann.pc.publish("0", wire.SourceMicrophone, "opus")
			ann.pc.publish("1", wire.SourceCamera, "vp8")
			ann.pc.receive(2, 0, "vp8")
			test.change(&ann.pc)
			if e := s.refused(ann.offer(t), test.code); e.Next == "" || e.Message == "" {
				t.Errorf("no next step: %+v", e)
			}
		})
	}
}

// Rule: what is encrypted is published where its key frames can be found: with a dependency descriptor, or by a codec whose
// payload descriptor tells. Audio has none, and an m-line that does not send needs none.
func TestEncryptedPublications(t *testing.T) {
	for name, change := range map[string]func(p *pc){
		"VP8 with a descriptor":   func(p *pc) { p.lines[1].descriptor = true },
		"H.264 with a descriptor": func(p *pc) { p.lines[1].descriptor, p.lines[1].codecs = true, []string{"h264"} },
		"VP9":                     func(p *pc) { p.lines[1].codecs = []string{"vp9", "vp8"} },
		"AV1":                     func(p *pc) { p.lines[1].codecs = []string{"av1"} },
		"VP8 that is not sent":    func(p *pc) { p.lines[1].direction = "inactive" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			ann := s.join("ann")
			ann.pc.publish("0", wire.SourceMicrophone, "opus")
			ann.pc.publish("1", wire.SourceCamera, "vp8")
			ann.pc.tracks[0].Encrypted, ann.pc.tracks[1].Encrypted = true, true
			change(&ann.pc)
			s.offer(ann)
		})
	}
}

// Rule: slots are only ever added. Those of the connection keep order and mids.
func TestSlotsOnlyAdded(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	ann.pc.receive(2, 0, "vp8")
	s.offer(ann)
	before := s.r.sessions["ann"].slots
	for name, slots := range map[string][]wire.OfferSlot{
		"one is missing":     {{Audio: "a0", Video: "v0"}},
		"the order changed":  {{Audio: "a1", Video: "v1"}, {Audio: "a0", Video: "v0"}},
		"one lost its video": {{Audio: "a0"}, {Audio: "a1", Video: "v1"}},
	} {
		o := ann.offer(t)
		o.Slots = slots
		if _, refused := s.do(o); refused == nil || refused.Code != wire.CodeBadRequest {
			t.Errorf("%s: %v", name, refused)
		}
	}
	ann.pc.receive(1, 1, "vp8")
	s.offer(ann)
	after := s.r.sessions["ann"].slots
	if len(after) != 4 || after[0] != before[0] || after[1] != before[1] {
		t.Errorf("slots %v became %v", before, after)
	}
}

// Rule: a pair shares stream and CNAME; no two pairs do; no SSRC is used twice.
func TestSlotIdentifiers(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	ann.pc.receive(4, 2, "vp8")
	s.offer(ann)
	ssrcs, names := map[uint32]bool{0: true}, map[string]bool{}
	for _, slot := range s.r.sessions["ann"].slots {
		first := slot.lines()[0].local
		if names[first.StreamID] || names[first.CNAME] {
			t.Errorf("names of %+v are used twice", first)
		}
		names[first.StreamID], names[first.CNAME] = true, true
		for _, l := range slot.lines() {
			if l.local.StreamID != first.StreamID || l.local.CNAME != first.CNAME {
				t.Errorf("%+v and %+v are one pair", first, l.local)
			}
			if ssrcs[l.local.SSRC] || l.kind == wire.KindVideo && ssrcs[l.local.RTXSSRC] {
				t.Errorf("an SSRC of %+v is used twice", l.local)
			}
			ssrcs[l.local.SSRC], ssrcs[l.local.RTXSSRC] = true, true
		}
	}
}

// Rule: an m-line that was published keeps its publication; one that is no longer named, or no longer sends, is unpublished;
// one that carries something else is another publication.
func TestReoffer(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(p *pc)
		want   []wire.AnswerTrack
		left   []string // publications
	}{
		{"nothing changed", func(*pc) {}, []wire.AnswerTrack{{Mid: "0", Publication: "p1"}, {Mid: "1", Publication: "p2"}}, []string{"p1", "p2"}},
		{"another name", func(p *pc) { p.tracks[0].Name = "headset" }, []wire.AnswerTrack{{Mid: "0", Publication: "p1"}, {Mid: "1", Publication: "p2"}}, []string{"p1", "p2"}},
		{"one is not named", func(p *pc) { p.tracks = p.tracks[1:] }, []wire.AnswerTrack{{Mid: "1", Publication: "p2"}}, []string{"p2"}},
		{"none is named", func(p *pc) { p.tracks = nil }, []wire.AnswerTrack{}, nil},
		{"one does not send", func(p *pc) { p.lines[0].direction = "inactive" }, []wire.AnswerTrack{{Mid: "0"}, {Mid: "1", Publication: "p2"}}, []string{"p2"}},
		{"one is stopped", func(p *pc) { p.lines[1].stopped = true }, []wire.AnswerTrack{{Mid: "0", Publication: "p1"}, {Mid: "1"}}, []string{"p1"}},
		{"another source", func(p *pc) { p.tracks[1].Source = wire.SourceScreen }, []wire.AnswerTrack{{Mid: "0", Publication: "p1"}, {Mid: "1", Publication: "p3"}}, []string{"p1", "p3"}},
		{"encrypted from now on", func(p *pc) { p.tracks[1].Encrypted, p.lines[1].descriptor = true, true }, []wire.AnswerTrack{{Mid: "0", Publication: "p1"}, {Mid: "1", Publication: "p3"}}, []string{"p1", "p3"}},
		{"another codec first", func(p *pc) { p.lines[1].codecs = []string{"av1", "vp8"} }, []wire.AnswerTrack{{Mid: "0", Publication: "p1"}, {Mid: "1", Publication: "p3"}}, []string{"p1", "p3"}},
		{"one more", func(p *pc) { p.publish("2", wire.SourceScreen, "vp8") }, []wire.AnswerTrack{{Mid: "0", Publication: "p1"}, {Mid: "1", Publication: "p2"}, {Mid: "2", Publication: "p3"}}, []string{"p1", "p2", "p3"}},
		{"a new connection", func(p *pc) { p.renew() }, []wire.AnswerTrack{{Mid: "0", Publication: "p1"}, {Mid: "1", Publication: "p2"}}, []string{"p1", "p2"}},
		{"a new connection without one", func(p *pc) { p.renew(); p.tracks = p.tracks[:1] }, []wire.AnswerTrack{{Mid: "0", Publication: "p1"}}, []string{"p1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScene(t)
			ann, bob := s.join("ann"), s.join("bob")
			bob.pc.receive(2, 1, video...)
			s.offer(bob)
			ann.pc.publish("0", wire.SourceMicrophone, "opus")
			ann.pc.publish("1", wire.SourceCamera, "vp8")
			s.offer(ann)
			test.change(&ann.pc)
			if d := cmp.Diff(test.want, s.offer(ann)); d != "" {
				t.Errorf("answer: %s", d)
			}
			var left []string
			for _, pub := range s.r.publications {
				left = append(left, pub.ID)
			}
			if d := cmp.Diff(test.left, left); d != "" {
				t.Errorf("publications: %s", d)
			}
		})
	}
}

// Rule: an m-line whose publication was withdrawn becomes another publication when it is offered again.
func TestUnpublishThenOffer(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	ann.pc.publish("0", wire.SourceMicrophone, "opus")
	s.offer(ann)
	s.refused(Unpublish{Session: "ann", Publication: "p9"}, wire.CodeNotFound)
	s.refused(Mute{Session: "ann", Publication: "p9"}, wire.CodeNotFound)
	s.must(Unpublish{Session: "ann", Publication: "p1"})
	s.refused(Unpublish{Session: "ann", Publication: "p1"}, wire.CodeNotFound)
	if got := s.offer(ann); got[0].Publication != "p2" {
		t.Errorf("got %v", got)
	}
}

// Rule: another user fragment restarts ICE; another certificate, or an offer after failure, is another Transport. The old
// Transport's late news change nothing.
func TestTransports(t *testing.T) {
	s := newScene(t)
	ann, bob := s.join("ann"), s.join("bob")
	bob.pc.receive(1, 0, "vp8")
	s.offer(bob)
	ann.pc.publish("0", wire.SourceMicrophone, "opus")
	s.offer(ann)
	first := s.r.sessions["ann"].transport.id
	firstBob := s.r.sessions["bob"].transport.id

	ann.pc.restarts++
	s.offer(ann)
	s.transcript("reply answer 0=p1", "restart ice of 2 with user1", "negotiate 2: 1 m-lines")
	s.must(Restart{Session: "ann", ICE: sdp.ICE{Ufrag: "user", Pwd: "passwordpasswordpassword"}})
	s.transcript("restart ice of 2 with user", "reply")
	s.must(Restart{Session: "ann", ICE: sdp.ICE{Ufrag: "user", Pwd: "passwordpasswordpassword"}})
	s.refused(Restart{Session: "ann"}, wire.CodeBadRequest)

	s.must(TransportState{Transport: first, State: Disconnected})
	s.must(TransportState{Transport: first, State: Failed})
	if ann.transport != "failed" {
		t.Errorf("ann was told %q", ann.transport)
	}
	s.must(TransportState{Transport: first, State: Connected})
	s.transcript()
	s.refused(Restart{Session: "ann", ICE: sdp.ICE{Ufrag: "user", Pwd: "passwordpasswordpassword"}}, wire.CodeNotFound)
	ann.pc.renew()
	s.offer(ann)
	s.transcript(
		"reply answer 0=p1",
		"close transport 2",
		"open transport 4 for ann",
		"negotiate 4: 1 m-lines",
		"start producer 5 on 4/0",
		"assign 5 to 1/a0 generation 2",
		"tell bob slot a0 generation 2 p1",
	)
	s.must(TransportState{Transport: first, State: Failed})
	s.transcript()

	// A subscriber's new connection: the slots start empty and are filled again, with generations that go on.
	s.must(TransportState{Transport: firstBob, State: Failed})
	bob.pc.renew()
	s.offer(bob)
	s.transcript(
		"reply answer",
		"close transport 1",
		"open transport 6 for bob",
		"negotiate 6: 2 m-lines",
		"assign 5 to 6/a0 generation 3",
		"tell bob slot a0 generation 3 p1",
	)
}

// Rule: a WHIP or WHEP session whose Transport fails is over, for it cannot offer again.
func TestWHIPFails(t *testing.T) {
	s := newScene(t)
	s.must(Join{Session: "whip", Carrier: WHIP, Identity: "obs", Grants: allGrants})
	whip := s.clients["whip"]
	whip.pc.publish("0", "", "opus")
	whip.pc.tracks = nil
	s.offer(whip)
	s.must(TransportState{Transport: s.r.sessions["whip"].transport.id, State: Disconnected})
	s.transcript()
	s.must(TransportState{Transport: s.r.sessions["whip"].transport.id, State: Failed})
	s.transcript("tell whip ended timeout", "close transport 1", "tell  #3 participant-left obs timeout")
}

// Rule: a WHIP offer publishes all that it sends, the audio as microphone and the video as camera, stream by stream.
func TestWHIPOffer(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	ann.pc.receive(2, 0, "vp8")
	s.offer(ann)
	s.must(Join{Session: "whip", Carrier: WHIP, Identity: "obs", Grants: allGrants})
	whip := s.clients["whip"]
	for i, stream := range []string{"A", "B", "A", "B"} {
		codec := "opus"
		if i >= 2 {
			codec = "vp8"
		}
		whip.pc.lines = append(whip.pc.lines, mline{mid: fmt.Sprint(i), direction: "sendonly", stream: stream, codecs: []string{codec}})
	}
	whip.pc.lines = append(whip.pc.lines, mline{mid: "9", direction: "recvonly", codecs: []string{"opus"}})
	want := []wire.AnswerTrack{
		{Mid: "0", Publication: "p1"}, {Mid: "2", Publication: "p2"}, {Mid: "1", Publication: "p3"}, {Mid: "3", Publication: "p4"},
	}
	if d := cmp.Diff(want, s.offer(whip)); d != "" {
		t.Error(d)
	}
	for mid, pub := range map[string]string{"a0": "p1", "v0": "p2", "a1": "p3", "v1": "p4"} {
		if ann.slots[mid].Publication != pub {
			t.Errorf("slot %s has %s, want %s", mid, ann.slots[mid].Publication, pub)
		}
	}
}

// Rule: however many publish, a viewer who names nobody of them is told of the first ten.
func TestToldPublishers(t *testing.T) {
	s := newScene(t)
	for i := range maxToldPublishers + 2 {
		session := fmt.Sprintf("s%d", i)
		s.must(Join{Session: session, Carrier: WHIP, Identity: fmt.Sprintf("p%d", i), Grants: allGrants})
		c := s.clients[session]
		c.pc.publish("0", "", "opus")
		s.offer(c)
	}
	e := s.refused(Join{Session: "v", Carrier: WHEP, Grants: wire.Grants{Subscribe: true}, Follow: "Bob"}, wire.CodeNotFound)
	if !strings.HasSuffix(e.Next, "these publish: p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 and 2 more") {
		t.Errorf("%+v", e)
	}
}

// Rule: a WHEP viewer watches one participant: the one it names, or the first who publishes. Nobody there: 404 and when to
// try again. Its slots are filled at once, and go on when the publisher comes again.
func TestWHEP(t *testing.T) {
	s := newScene(t)
	join := func(session, follow string) Join {
		return Join{Session: session, Carrier: WHEP, Grants: wire.Grants{Subscribe: true}, Follow: follow}
	}
	s.join("bob")
	if e := s.refused(join("v", ""), wire.CodeNotFound); e.RetrySeconds == 0 {
		t.Errorf("no Retry-After: %+v", e)
	}
	s.refused(join("v", "bob"), wire.CodeNotFound)
	publish := func(session, identity string) {
		s.must(Join{Session: session, Carrier: WHIP, Identity: identity, Grants: allGrants})
		c := s.clients[session]
		c.pc.publish("0", "", "opus")
		c.pc.publish("1", "", "vp8")
		s.offer(c)
	}
	publish("w1", "obs")
	publish("w2", "cam")
	if e := s.refused(join("v", "bob"), wire.CodeNotFound); e.Next != "participant is an identity, not a name; these publish: obs, cam" || e.RetrySeconds == 0 {
		t.Errorf("%+v", e)
	}
	s.must(join("v1", ""))
	s.must(join("v2", "cam"))
	v1, v2 := s.clients["v1"], s.clients["v2"]
	if v1.identity == v2.identity || s.r.sessions["v1"].follow != "obs" || len(v1.room.Participants) != 3 {
		t.Errorf("viewers %s and %s, first follows %s", v1.identity, v2.identity, s.r.sessions["v1"].follow)
	}
	v1.pc.lines = []mline{
		{mid: "0", direction: "sendrecv", codecs: []string{"opus"}}, {mid: "1", direction: "recvonly", codecs: []string{"h264", "vp8"}},
	}
	s.offer(v1)
	s.transcript(
		"reply answer",
		"open transport 7 for "+v1.identity,
		"negotiate 7: 2 m-lines",
		"assign 2 to 7/0 generation 1 at once",
		"assign 3 to 7/1 generation 2 at once",
	)
	s.must(Join{Session: "w3", Carrier: WHIP, Identity: "obs", Grants: allGrants})
	again := s.clients["w3"]
	again.pc.publish("0", "", "opus")
	s.offer(again)
	if s.r.sessions["v1"].slots[0].audio.filled == nil || s.r.sessions["v1"].slots[0].video.filled != nil {
		t.Error("the viewer does not hear the publisher that came again")
	}
	v2.pc.lines = []mline{{mid: "0", direction: "recvonly", codecs: []string{"av1"}}}
	if e := s.refused(v2.offer(t), wire.CodeUnsupportedCodec); e.Next == "" {
		t.Errorf("no next step: %+v", e)
	}
	v2.pc.lines[0].codecs = []string{"vp8"} // a single video m-line is enough
	s.offer(v2)
	if s.r.sessions["v2"].slots[0].video.filled == nil {
		t.Error("the viewer with video only sees nothing")
	}
}

// Rule: the room takes a bounded number of publications.
func TestRoomPublications(t *testing.T) {
	s := newScene(t)
	for i := range MaxRoomPublications / wire.MaxPublications {
		session := fmt.Sprint(i)
		s.must(Join{Session: session, Carrier: WHIP, Identity: session, Grants: wire.Grants{Publish: true}})
		c := s.clients[session]
		for m := range wire.MaxPublications {
			c.pc.publish(fmt.Sprint(m), "", "opus")
		}
		s.offer(c)
	}
	bob := s.join("bob")
	bob.pc.publish("0", wire.SourceMicrophone, "opus")
	s.refused(bob.offer(t), wire.CodeLimit)
	s.must(Leave{Session: "0"})
	s.offer(bob)
}

// Rule: sources are limited where the token limits them, and who joins is told to which.
func TestSources(t *testing.T) {
	s := newScene(t)
	joined := s.must(Join{Session: "ann", Carrier: WS, Identity: "ann", Grants: allGrants, Sources: []wire.Source{wire.SourceMicrophone}}).(wire.Joined)
	if !slices.Equal(joined.Sources, []wire.Source{wire.SourceMicrophone}) {
		t.Errorf("told %v", joined.Sources)
	}
	ann := s.clients["ann"]
	ann.pc.publish("0", wire.SourceMicrophone, "opus")
	s.offer(ann)
	ann.pc.publish("1", wire.SourceCamera, "vp8")
	s.refused(ann.offer(t), wire.CodeForbidden)
}

// Rule: what browsers really offer is answered: a session of Chromium with a session of Firefox, with and without each other.
func TestBrowserOffers(t *testing.T) {
	s := newScene(t)
	browsers := map[string]*client{}
	for _, name := range []string{"chromium", "firefox"} {
		c := s.join(name)
		browsers[name] = c
		text, err := os.ReadFile("../sdp/testdata/" + name + "-session.offer.sdp")
		if err != nil {
			t.Fatal(err)
		}
		o, err := sdp.ParseOffer(string(text))
		if err != nil {
			t.Fatal(err)
		}
		s.must(Offer{
			Session: name, SDP: o, Fingerprint: fingerprint(99),
			Tracks: []wire.OfferTrack{{Mid: "0", Source: wire.SourceMicrophone}, {Mid: "1", Source: wire.SourceCamera}},
			Slots: []wire.OfferSlot{
				{Audio: "2", Video: "3"},
				{Audio: "4", Video: "5"},
				{Audio: "6", Video: "7"},
				{Audio: "8", Video: "9"},
				{Video: "10"},
				{Video: "11"},
			},
		})
	}
	for name, c := range browsers {
		other := map[string]string{"chromium": "firefox", "firefox": "chromium"}[name]
		if c.slots["2"].Identity != other || c.slots["3"].Identity != other {
			t.Errorf("%s has %+v", name, c.slots)
		}
	}
	// Chromium decodes H.264, Firefox here does so too in its offer or not: both must be able to decode what is common.
	if v := s.r.codecs.Video; len(v) == 0 || v[0] != "vp8" {
		t.Errorf("common codecs %v", v)
	}
}

// Rule: a refusal of package sdp tells its next step once, and keeps its code where it is about codecs.
func TestRefusal(t *testing.T) {
	for _, test := range []struct {
		err  error
		want *wire.Error
	}{
		{&sdp.Error{Reason: "no BUNDLE", Next: "use max-bundle"}, &wire.Error{Code: wire.CodeSDP, Message: "session description: no BUNDLE", Next: "use max-bundle"}},
		{fmt.Errorf("x: %w", &sdp.Error{Reason: "no codec", NoCodec: true}), &wire.Error{Code: wire.CodeUnsupportedCodec, Message: "session description: no codec"}},
		{errors.New("else"), &wire.Error{Code: wire.CodeSDP, Message: "else"}},
	} {
		got := Refusal(test.err)
		if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("%v: %s", test.err, d)
		}
	}
}
