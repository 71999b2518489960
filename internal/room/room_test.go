package room

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/ice"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

var video = []string{"vp8", "vp9", "h264", "av1"}

// Rule: a call of two, from the first join to the last leave, is this and nothing else.
func TestTranscriptOfACall(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	s.transcript("tell  #1 participant-joined ann", "reply joined ann at #1")
	ann.pc.publish("0", wire.SourceMicrophone, "opus")
	ann.pc.publish("1", wire.SourceCamera, "vp8", "vp9")
	ann.pc.receive(1, 1, video...)
	s.offer(ann)
	s.transcript(
		"reply answer 0=p1 1=p2",
		"open transport 1 for ann",
		"negotiate 1: 5 m-lines",
		"start producer 2 on 1/0",
		"tell ann #2 track-published ann p1 microphone opus",
		"start producer 3 on 1/1",
		"tell ann #3 track-published ann p2 camera vp8",
		"tell ann encodings p2 []",
	)
	bob := s.join("bob")
	s.transcript("tell ann #4 participant-joined bob", "reply joined bob at #4")
	bob.pc.receive(1, 0, "vp8")
	s.offer(bob)
	s.transcript(
		"reply answer",
		"open transport 4 for bob",
		"negotiate 4: 2 m-lines",
		"tell ann,bob #5 codecs opus vp8",
		"tell bob subscription p1 active",
		"tell bob subscription p2 active",
		"assign 2 to 4/a0 generation 1",
		"tell bob slot a0 generation 1 p1",
		"assign 3 to 4/v0 generation 2",
		"tell bob slot v0 generation 2 p2",
		`tell ann encodings p2 [""]`,
	)
	s.must(SlotReady{Session: "bob", Mid: "v0", Generation: 2})
	s.transcript("open slot 4/v0 generation 2", "reply ok")
	s.must(Mute{Session: "ann", Publication: "p1", Muted: true})
	s.transcript("tell ann,bob #6 track-muted ", "reply ok")
	s.must(Unpublish{Session: "ann", Publication: "p2"})
	s.transcript(
		"stop producer 3",
		"tell ann,bob #7 track-unpublished ann p2",
		"reply ok",
		"assign 0 to 4/v0 generation 3",
		"tell bob slot v0 generation 3 ",
	)
	s.must(TransportState{Transport: 7<<32 + 4, State: Connected})
	s.transcript("tell bob transport connected")
	s.must(Leave{Session: "ann"})
	s.transcript(
		"close transport 1",
		"tell bob #8 participant-left ann left",
		"reply ok",
		"assign 0 to 4/a0 generation 4",
		"tell bob slot a0 generation 4 ",
	)
	s.must(Leave{Session: "bob", Reason: wire.CodeTimeout})
	s.transcript("close transport 4", "tell  #9 participant-left bob timeout", "reply ok", "tell  #10 codecs opus vp8,vp9,h264,av1")
	if !s.r.Empty() {
		t.Error("the room is not empty")
	}
}

// Rule: an identity is unique. The same one again ends the older session, and others see it leave before it joins.
func TestIdentityReplaced(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	ann.pc.publish("0", wire.SourceMicrophone, "opus")
	s.offer(ann)
	s.join("bob")
	s.must(Join{Session: "second", Carrier: WS, Identity: "ann", Grants: allGrants})
	s.transcript(
		"tell ann ended replaced",
		"close transport 1",
		"tell bob #4 participant-left ann replaced",
		"tell bob #5 participant-joined ann",
		"reply joined ann at #5",
	)
	if ann.ended.Rejoin {
		t.Error("the replaced session is told to join again: the two would replace each other for ever")
	}
	s.refused(Chat{Session: "ann", Text: "still here"}, wire.CodeSessionExpired)
	s.refused(Join{Session: "second", Carrier: WS, Identity: "eve", Grants: allGrants}, wire.CodeBadRequest)
}

// Rule: who comes without an identity is given one that nobody else has.
func TestIdentityMade(t *testing.T) {
	s := newScene(t)
	seen := map[string]bool{}
	for i := range 50 {
		j := s.must(Join{Session: fmt.Sprint(i), Carrier: WS, Grants: allGrants}).(wire.Joined)
		if j.Identity == "" || seen[j.Identity] {
			t.Fatalf("identity %q", j.Identity)
		}
		seen[j.Identity] = true
	}
}

// Rule: names are 1 to 128 bytes of UTF-8 without control characters; metadata is UTF-8 of bounded size.
func TestTextsRefused(t *testing.T) {
	s := newScene(t)
	s.join("ann")
	for _, name := range []string{strings.Repeat("x", wire.MaxNameBytes+1), "a\nb", "\xff", "\u0085"} {
		s.refused(Join{Session: "x", Carrier: WS, Identity: name}, wire.CodeBadRequest)
		s.refused(Join{Session: "x", Carrier: WS, Name: name}, wire.CodeBadRequest)
		s.refused(Update{Session: "ann", Name: &name}, wire.CodeBadRequest)
		if CheckName(name) == nil {
			t.Errorf("a room may be called %q", name)
		}
	}
	if CheckName("") == nil || CheckName(strings.Repeat("x", wire.MaxNameBytes)) != nil {
		t.Error("the empty name passes, or the longest does not")
	}
	large, bad := strings.Repeat("x", wire.MaxMetadataBytes+1), "\xff"
	s.refused(Join{Session: "x", Carrier: WS, Metadata: large}, wire.CodeTooLarge)
	s.refused(Update{Session: "ann", Metadata: &large}, wire.CodeTooLarge)
	s.refused(Update{Session: "ann", Metadata: &bad}, wire.CodeBadRequest)
}

// Rule: name and metadata change where they are given; a change of nothing is no change.
func TestUpdate(t *testing.T) {
	s := newScene(t)
	s.join("ann")
	name, metadata := "Ann", "{}"
	s.must(Update{Session: "ann", Name: &name})
	s.must(Update{Session: "ann", Metadata: &metadata})
	before := s.r.Revision()
	s.must(Update{Session: "ann", Name: &name, Metadata: &metadata})
	if got := s.r.Snapshot().Participants[0]; got.Name != name || got.Metadata != metadata || s.r.Revision() != before {
		t.Errorf("got %+v at #%d, want #%d", got, s.r.Revision(), before)
	}
}

// Rule: a room takes a bounded number of participants, hidden viewers and metadata. Who replaces somebody takes no more room.
func TestRoomLimits(t *testing.T) {
	s := newScene(t)
	full := strings.Repeat("m", wire.MaxMetadataBytes)
	for i := range MaxRoomMetadataBytes / wire.MaxMetadataBytes {
		s.must(Join{Session: fmt.Sprint("m", i), Carrier: WHIP, Identity: fmt.Sprint("m", i), Metadata: full})
	}
	s.refused(Join{Session: "x", Carrier: WHIP, Identity: "x", Metadata: "m"}, wire.CodeLimit)
	s.must(Join{Session: "again", Carrier: WHIP, Identity: "m1", Metadata: full})
	for i := len(s.r.participants); i < MaxParticipants; i++ {
		s.must(Join{Session: fmt.Sprint(i), Carrier: WHIP, Identity: fmt.Sprint(i)})
	}
	if e := s.refused(Join{Session: "x", Carrier: WS, Identity: "x"}, wire.CodeLimit); e.RetrySeconds == 0 || e.Next == "" {
		t.Errorf("no next step: %+v", e)
	}
	s.must(Join{Session: "x", Carrier: WHIP, Identity: "m2"})
	for i := range MaxHidden {
		s.must(Join{Session: fmt.Sprint("h", i), Carrier: WHIP, Identity: fmt.Sprint("h", i), Grants: wire.Grants{Hidden: true}})
	}
	s.refused(Join{Session: "y", Carrier: WS, Identity: "y", Grants: wire.Grants{Hidden: true}}, wire.CodeLimit)
	s.must(Update{Session: "x", Metadata: &full}) // m2 had as much
	one := "m"
	s.refused(Update{Session: "100", Metadata: &one}, wire.CodeLimit)
	s.must(Leave{Session: "m3"})
	s.must(Update{Session: "100", Metadata: &one})
}

// Rule: a late joiner is given the last 200 messages to all; private ones are for two and are not kept.
func TestChat(t *testing.T) {
	s := newScene(t)
	ann, bob, eve := s.join("ann"), s.join("bob"), s.join("eve")
	for i := range wire.MaxChatKept + 10 {
		s.must(Chat{Session: "ann", Text: fmt.Sprint(i)})
	}
	chat := s.join("late").room.Chat
	if len(chat) != wire.MaxChatKept || chat[0].Text != "10" || chat[0].ID != 11 || chat[199].Text != "209" {
		t.Errorf("the late joiner has %d messages from %+v", len(chat), chat[0])
	}
	before := s.r.Revision()
	s.must(Chat{Session: "ann", Text: "psst", To: "bob"})
	s.must(Chat{Session: "ann", Text: "note", To: "ann"})
	if len(ann.whispers) != 2 || len(bob.whispers) != 1 || len(eve.whispers) != 0 || s.r.Revision() != before {
		t.Errorf("private messages: ann %d, bob %d, eve %d", len(ann.whispers), len(bob.whispers), len(eve.whispers))
	}
	s.must(Join{Session: "whip", Carrier: WHIP, Identity: "obs", Grants: allGrants})
	s.must(Join{Session: "ghost", Carrier: WS, Identity: "ghost", Grants: wire.Grants{Hidden: true, PublishData: true}})
	s.must(Join{Session: "mute", Carrier: WS, Identity: "mute", Grants: wire.Grants{Publish: true}})
	s.refused(Chat{Session: "ann", Text: "x", To: "nobody"}, wire.CodeNotFound)
	s.refused(Chat{Session: "ann", Text: "x", To: "ghost"}, wire.CodeNotFound)
	s.refused(Chat{Session: "ann", Text: "x", To: "obs"}, wire.CodeUnsupported)
	s.refused(Chat{Session: "ann", Text: ""}, wire.CodeBadRequest)
	s.refused(Chat{Session: "ann", Text: "\xff"}, wire.CodeBadRequest)
	s.refused(Chat{Session: "ann", Text: strings.Repeat("x", wire.MaxChatBytes+1)}, wire.CodeTooLarge)
	s.refused(Chat{Session: "mute", Text: "x"}, wire.CodeForbidden)
	s.refused(Chat{Session: "ghost", Text: "x"}, wire.CodeForbidden)
}

// Rule: an admin ends the session of anyone, and only an admin does.
func TestKick(t *testing.T) {
	s := newScene(t)
	s.must(Join{Session: "admin", Carrier: WS, Identity: "admin", Grants: wire.Grants{Admin: true}})
	bob := s.join("bob")
	s.refused(Kick{Session: "bob", Identity: "admin"}, wire.CodeForbidden)
	s.refused(Kick{Session: "admin", Identity: "nobody"}, wire.CodeNotFound)
	s.refused(Kick{Session: "admin", Identity: "bob", Reason: strings.Repeat("x", MaxReasonBytes+1)}, wire.CodeTooLarge)
	s.must(Kick{Session: "admin", Identity: "bob", Reason: "be nice"})
	if bob.ended == nil || bob.ended.Code != wire.CodeKicked || bob.ended.Message != "be nice" || bob.ended.Rejoin {
		t.Errorf("bob was told %+v", bob.ended)
	}
	s.must(Kick{Session: "admin", Identity: "admin"})
	if !s.r.Empty() {
		t.Error("somebody is left")
	}
}

// Rule: nobody hears of a hidden participant, and it does not count for the codecs of the room.
func TestHidden(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	before := s.r.Revision()
	s.must(Join{Session: "ghost", Carrier: WS, Identity: "ghost", Grants: wire.Grants{Hidden: true, Subscribe: true, Publish: true}})
	ghost := s.clients["ghost"]
	if len(ghost.room.Participants) != 1 || s.r.Revision() != before {
		t.Errorf("the ghost sees %v at #%d", ghost.room.Participants, s.r.Revision())
	}
	ghost.pc.receive(1, 0, "av1")
	s.offer(ghost)
	ann.pc.publish("0", wire.SourceMicrophone, "opus")
	s.offer(ann)
	if ghost.slots["a0"].Identity != "ann" || len(s.r.codecs.Video) != 4 {
		t.Errorf("the ghost hears %+v, codecs %v", ghost.slots["a0"], s.r.codecs)
	}
	ghost.pc.publish("9", wire.SourceMicrophone, "opus")
	s.refused(ghost.offer(t), wire.CodeForbidden)
	name := "boo"
	s.must(Update{Session: "ghost", Name: &name})
	s.must(Leave{Session: "ghost"})
	if s.r.Revision() != before+1 {
		t.Errorf("the room is at #%d, want #%d", s.r.Revision(), before+1)
	}
}

// Rule: a resync has everything that the session would know had it missed nothing.
func TestResync(t *testing.T) {
	s := newScene(t)
	ann, bob := s.join("ann"), s.join("bob")
	bob.pc.receive(1, 0, video...)
	s.offer(bob)
	for i, source := range []wire.Source{wire.SourceMicrophone, wire.SourceScreenAudio} {
		ann.pc.publish(fmt.Sprint(i), source, "opus")
	}
	s.offer(ann)
	grow := bob.grow
	body := s.must(Resync{Session: "bob"}).(wire.Resync) // the scene replaces bob's replica, and checks it
	if len(body.Slots) != 2 || len(body.Subscriptions) != 2 || grow.Pairs != 4 || bob.grow != grow {
		t.Errorf("resync %+v, asked for %+v and %+v", body, grow, bob.grow)
	}
	s.must(Chat{Session: "ann", Text: "and on it goes"})
}

// Rule: at the end everyone is told why, and every Transport is closed.
func TestEnd(t *testing.T) {
	s := newScene(t)
	ann, bob := s.join("ann"), s.join("bob")
	ann.pc.receive(1, 0, "vp8")
	s.offer(ann)
	s.must(Join{Session: "whip", Carrier: WHIP, Identity: "obs", Grants: allGrants})
	s.do(End{Code: wire.CodeDraining, Message: "going down", Rejoin: true})
	for _, c := range []*client{ann, bob} {
		if c.ended == nil || c.ended.Code != wire.CodeDraining || !c.ended.Rejoin {
			t.Errorf("%s was told %+v", c.session, c.ended)
		}
	}
	if !s.r.Empty() || len(s.plane.transports) != 0 {
		t.Error("something is left")
	}
}

// Rule: a request of a session that is not in the room is refused, whatever it is.
func TestStrangers(t *testing.T) {
	s := newScene(t)
	s.join("ann")
	for _, c := range []Command{
		Leave{Session: "x"},
		Offer{Session: "x"},
		Restart{Session: "x"},
		Unpublish{Session: "x"},
		Subscribe{Session: "x"},
		SlotReady{Session: "x"},
		Mute{Session: "x"},
		Update{Session: "x"},
		Chat{Session: "x"},
		Kick{Session: "x"},
		Resync{Session: "x"},
	} {
		if _, refused := s.do(c); refused == nil || refused.Code != wire.CodeSessionExpired {
			t.Errorf("%T: %v", c, refused)
		}
	}
	s.must(TransportState{Transport: 12345, State: Failed})
	s.transcript()
}

// Rule: the user fragment begins with the shard's letter, so that checks find their shard; the rest is random.
func TestCredentialsTellTheShard(t *testing.T) {
	r := New(Config{ID: 1})
	for shard := range ice.MaxShards {
		c := r.credentials(shard, WS)
		if got, ok := ice.Shard([]byte(c.Ufrag)); !ok || got != shard || len(c.Ufrag) != 12 {
			t.Errorf("shard %d: ufrag %s", shard, c.Ufrag)
		}
	}
}

// Rule: the seed decides everything that is random, and two seeds share nothing.
func TestSeed(t *testing.T) {
	a, b, c := New(Config{ID: 1, Seed: [32]byte{1}}), New(Config{ID: 1, Seed: [32]byte{1}}), New(Config{ID: 1, Seed: [32]byte{2}})
	x, y, z := a.credentials(0, WS), b.credentials(0, WS), c.credentials(0, WS)
	if x != y || x == z || len(x.Ufrag) < 8 || len(x.Pwd) < 24 {
		t.Errorf("credentials %v, %v, %v", x, y, z)
	}
	if (x == sdp.ICE{}) || a.credentials(0, WS) == x {
		t.Error("credentials repeat")
	}
}
