package rooms_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// kinds are the types of commands, in order.
func kinds(commands []media.Command) []string {
	var s []string
	for _, c := range commands {
		s = append(s, strings.TrimPrefix(fmt.Sprintf("%T", c), "media."))
	}
	return s
}

// Rule: a call of Chromium and Firefox, message by message.
func TestCall(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann := s.join("ann")
		if ann.joined.Identity != "ann" || ann.joined.Session != "ann" || ann.joined.Room.Revision != 1 || !ann.joined.Grants.Publish {
			t.Errorf("joined %+v", ann.joined)
		}
		reply := ann.offer("chromium")
		var answer wire.Answer
		decode(t, reply.Body, &answer)
		if reply.Type != wire.TypeAnswer || len(answer.Publications) != 2 || !strings.Contains(answer.SDP, "127.0.0.1 8443") {
			t.Errorf("answer %+v", answer)
		}
		published := ann.expect(wire.TypeTrackPublished, wire.TypeTrackPublished, wire.TypeEncodings)
		if published[0].Rev != 2 || published[1].Rev != 3 {
			t.Errorf("revisions %d, %d", published[0].Rev, published[1].Rev)
		}
		commands := s.plane.commands()
		if d := cmp.Diff([]string{"OpenTransport", "Negotiate", "Publish", "Publish"}, kinds(commands)); d != "" {
			t.Errorf("commands: %s", d)
		}
		open := commands[0].(media.OpenTransport)
		if open.Identity != "ann" || !open.PublishData || open.Room == 0 || len(open.Fingerprints) == 0 || open.Remote.Pwd == "" ||
			!strings.Contains(answer.SDP, "a=ice-ufrag:"+open.Local.Ufrag) {
			t.Errorf("opened %+v", open)
		}

		bob := s.session("bob", 256)
		joined := bob.join(rooms.CarrierWS, rooms.Admission{Identity: "bob", Grants: grants})
		ann.expect(wire.TypeParticipantJoined)
		if joined.Rev != 4 || joined.After != 0 || len(bob.joined.Room.Participants[0].Publications) != 2 {
			t.Errorf("joined %+v", joined)
		}
		answered := bob.offer("firefox")
		bob.expect(wire.TypeTrackPublished, wire.TypeTrackPublished, wire.TypeCodecs, wire.TypeSubscription, wire.TypeSubscription, wire.TypeSlot, wire.TypeSlot)
		if answered.After != 0 {
			t.Errorf("the answer comes after event %d", answered.After)
		}
		ann.expect(wire.TypeTrackPublished, wire.TypeTrackPublished, wire.TypeCodecs, wire.TypeSubscription, wire.TypeSubscription,
			wire.TypeSlot, wire.TypeSlot, wire.TypeEncodings)
		ann.idle()
		bob.idle()
	})
}

// Rule: a reply says after which event it comes, and a snapshot holds all up to there.
func TestSnapshot(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann, bob := s.join("ann"), s.join("bob")
		bob.ask(wire.TypeChat, wire.Chat{Text: "one"})
		reply := ann.ask(rooms.TypeSnapshot, nil)
		bob.ask(wire.TypeChat, wire.Chat{Text: "two"})
		var resync wire.Resync
		decode(t, reply.Body, &resync)
		if reply.Type != wire.TypeResync || reply.After != 2 || reply.Rev != resync.Room.Revision || len(resync.Room.Chat) != 1 {
			t.Errorf("reply %+v", reply)
		}
		events := ann.expect(wire.TypeParticipantJoined, wire.TypeChatReceived, wire.TypeChatReceived)
		if events[1].Rev != reply.Rev || events[2].Rev != reply.Rev+1 {
			t.Errorf("events %+v, snapshot at #%d", events, reply.Rev)
		}
	})
}

// Rule: text goes through as it is: nothing is escaped twice, or for HTML.
func TestTextIsKept(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann := s.join("ann")
		const text = "a < b & \"c\" \u2028 日本 \\u003c"
		ann.ask(wire.TypeChat, wire.Chat{Text: text})
		e := ann.read()
		var m wire.ChatMessage
		decode(t, e.Body, &m)
		if m.Text != text || strings.Contains(string(e.Body), "\\u003c b") {
			t.Errorf("got %q in %s", m.Text, e.Body)
		}
	})
}

// Rule: an empty room keeps its chat for a while, then ends and leaves nothing; a join opens another one.
func TestLinger(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann := s.join("ann")
		ann.ask(wire.TypeChat, wire.Chat{Text: "hello"})
		ann.ask(wire.TypeLeave, nil)
		time.Sleep(linger - time.Second)
		if again := s.join("again"); len(again.joined.Room.Chat) != 1 {
			t.Errorf("chat %v", again.joined.Room.Chat)
		} else {
			time.Sleep(2 * linger) // somebody is there: it stays
			again.refused(wire.TypeKick, wire.Kick{Identity: "x"}, wire.CodeForbidden)
			again.ask(wire.TypeLeave, nil)
		}
		time.Sleep(linger + time.Second)
		if n := s.service.Stats().Rooms; n != 0 {
			t.Errorf("%d rooms", n)
		}
		if last := s.join("last"); len(last.joined.Room.Chat) != 0 || last.joined.Room.Revision != 1 {
			t.Errorf("room %+v", last.joined.Room)
		}
	})
}

// Rule: requests to an empty room do not keep it alive.
func TestLingerIsNotProlonged(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann := s.join("ann")
		ann.ask(wire.TypeLeave, nil)
		for range 10 {
			time.Sleep(linger / 8)
			ann.refused(wire.TypeChat, wire.Chat{Text: "x"}, wire.CodeSessionExpired)
		}
		if n := s.service.Stats().Rooms; n != 0 {
			t.Errorf("%d rooms", n)
		}
	})
}

// Rule: a session that does not read loses events, and learns from the numbers that it did; the room and the others go on.
func TestSlowSession(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		slow := s.session("slow", 2)
		slow.join(rooms.CarrierWS, rooms.Admission{Identity: "slow", Grants: grants})
		ann := s.join("ann")
		for i := range 100 {
			ann.ask(wire.TypeChat, wire.Chat{Text: fmt.Sprint(i)})
			ann.expect(wire.TypeChatReceived)
		}
		slow.expect(wire.TypeParticipantJoined, wire.TypeChatReceived)
		if lost := slow.events.Lost(); lost != 99 {
			t.Errorf("lost %d", lost)
		}
		reply := slow.ask(rooms.TypeSnapshot, nil)
		var resync wire.Resync
		decode(t, reply.Body, &resync)
		slow.seq = reply.After
		ann.ask(wire.TypeChat, wire.Chat{Text: "after"})
		if e := slow.read(); e.Rev != resync.Room.Revision+1 || len(resync.Room.Chat) != 100 {
			t.Errorf("event #%d after snapshot #%d", e.Rev, resync.Room.Revision)
		}
	})
}

// Rule: a session that is lost leaves the room with the reason that signalling gives.
func TestGone(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann, bob := s.join("ann"), s.join("bob")
		bob.offer("chromium")
		bob.ask(rooms.TypeGone, rooms.Gone{Reason: wire.CodeSlowReader})
		ann.expect(wire.TypeParticipantJoined, wire.TypeTrackPublished, wire.TypeTrackPublished, wire.TypeParticipantLeft)
		if s.plane.openTransports() != 0 {
			t.Error("the transport is still open")
		}
		bob.refused(rooms.TypeGone, rooms.Gone{}, wire.CodeSessionExpired)
		bob.refused(wire.TypeLeave, nil, wire.CodeSessionExpired)
	})
}

// Rule: sessions that end without their doing are told why: replaced, kicked, the server going down.
func TestEnds(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		admin := s.session("admin", 256)
		admin.join(rooms.CarrierWS, rooms.Admission{Identity: "admin", Grants: wire.Grants{Admin: true}})
		ann := s.join("ann")
		again := s.session("again", 256)
		again.join(rooms.CarrierWS, rooms.Admission{Identity: "ann", Grants: grants})
		if e := ann.ended(); e.Code != wire.CodeReplaced {
			t.Errorf("ann: %+v", e)
		}
		admin.ask(wire.TypeKick, wire.Kick{Identity: "ann"})
		if e := again.ended(); e.Code != wire.CodeKicked {
			t.Errorf("again: %+v", e)
		}
		again.refused(wire.TypeChat, wire.Chat{Text: "x"}, wire.CodeSessionExpired)
		s.service.Close()
		if e := admin.ended(); e.Code != wire.CodeDraining || !e.Rejoin {
			t.Errorf("admin: %+v", e)
		}
		admin.refused(wire.TypeChat, wire.Chat{Text: "x"}, wire.CodeSessionExpired)
		if reply := admin.do(rooms.Request{Type: wire.TypeJoin, Carrier: rooms.CarrierWS, Join: &rooms.Admission{}}); reply.Error == nil || reply.Error.Code != wire.CodeDraining {
			t.Errorf("joined a closed service: %+v", reply)
		}
	})
}

// Rule: whoever comes in and goes is told of, with the reason, hidden participants too, and each once.
func TestPresence(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		admin := s.session("admin", 256)
		admin.join(rooms.CarrierWS, rooms.Admission{Identity: "admin", Grants: wire.Grants{Admin: true, Hidden: true}})
		s.join("ann")
		again := s.session("again", 256)
		again.join(rooms.CarrierWS, rooms.Admission{Identity: "ann", Grants: grants})
		bob := s.join("bob")
		admin.ask(wire.TypeKick, wire.Kick{Identity: "ann"})
		again.ask(rooms.TypeGone, rooms.Gone{Reason: wire.CodeTimeout}) // is not there any more
		bob.ask(wire.TypeLeave, struct{}{})
		carl := s.join("carl")
		carl.ask(rooms.TypeGone, rooms.Gone{Reason: wire.CodeTimeout})
		s.service.Close()
		want := []string{
			"tea/admin enters", "tea/ann enters", "tea/ann replaced", "tea/ann enters", "tea/bob enters", "tea/ann kicked", "tea/bob left",
			"tea/carl enters", "tea/carl timeout", "tea/admin draining",
		}
		if !slices.Equal(s.present.said, want) {
			t.Errorf("told: %q, want %q", s.present.said, want)
		}
	})
}

// Rule: the newest state of a Transport reaches its session; a failed one is replaced by the next offer.
func TestTransportStates(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann := s.join("ann")
		ann.offer("chromium")
		ann.expect(wire.TypeTrackPublished, wire.TypeTrackPublished, wire.TypeEncodings)
		id, sink := s.plane.open(t)
		for _, state := range []media.State{media.Connected, media.Disconnected, media.Connected, media.Failed} {
			if !sink.Post(media.Event{Transport: id, State: state}) {
				t.Fatal("refused")
			}
			synctest.Wait()
			var got wire.Transport
			decode(t, ann.expect(wire.TypeTransport)[0].Body, &got)
			if got.State != state.String() {
				t.Errorf("got %s, want %s", got.State, state)
			}
		}
		s.plane.commands()
		ann.offer("firefox") // another certificate
		if d := cmp.Diff([]string{"CloseTransport", "OpenTransport", "Negotiate", "Publish", "Publish"}, kinds(s.plane.commands())); d != "" {
			t.Error(d)
		}
		ann.expect(wire.TypeCodecs) // Firefox here decodes no H.264; the publications are the same ones
		ann.idle()
	})
}

// Rule: who speaks in the media plane is told to every session; the newest word supersedes those that waited.
func TestSpeakers(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann := s.join("ann")
		ann.offer("chromium")
		ann.expect(wire.TypeTrackPublished, wire.TypeTrackPublished, wire.TypeEncodings)
		var microphone media.ProducerID
		for _, c := range s.plane.commands() {
			if p, ok := c.(media.Publish); ok && p.Microphone {
				microphone = p.Producer
			}
		}
		id, sink := s.plane.open(t)
		sink.Post(media.Event{Transport: id, State: media.Connected})
		synctest.Wait()
		ann.expect(wire.TypeTransport)
		sink.Post(media.Event{Speakers: &media.Speakers{Dominant: microphone, Speaking: []media.ProducerID{microphone}}})
		synctest.Wait()
		var got wire.Speakers
		decode(t, ann.expect(wire.TypeSpeakers)[0].Body, &got)
		if got.Dominant != "ann" || len(got.Speaking) != 1 || got.Speaking[0] != "ann" {
			t.Errorf("got %+v", got)
		}
		ann.idle()
	})
}

// Rule: the media plane can always post, for states of one Transport supersede each other; after the room's end it cannot.
func TestPostNeverRefused(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann := s.join("ann")
		ann.offer("chromium")
		id, sink := s.plane.open(t)
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				for range 10_000 {
					if !sink.Post(media.Event{Transport: id, State: media.Disconnected}) {
						t.Error("refused")
						return
					}
				}
			})
		}
		wait.Wait()
		ann.ask(wire.TypeLeave, nil)
		time.Sleep(2 * linger)
		if sink.Post(media.Event{Transport: id, State: media.Failed}) {
			t.Error("a room that has ended took an event")
		}
	})
}

// Rule: a draining node lets nobody in, and those who are in go on.
func TestDrain(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann := s.join("ann")
		s.service.Drain()
		for _, room := range []string{"tea", "coffee"} {
			x := s.session("x"+room, 1)
			x.room = room
			reply := x.do(rooms.Request{Type: wire.TypeJoin, Carrier: rooms.CarrierWS, Join: &rooms.Admission{}})
			if reply.Error == nil || reply.Error.Code != wire.CodeDraining || reply.Error.RetrySeconds == 0 {
				t.Errorf("%s: %+v", room, reply)
			}
		}
		ann.offer("chromium")
		ann.expect(wire.TypeTrackPublished, wire.TypeTrackPublished, wire.TypeEncodings)
	})
}

// Rule: a fault in one room ends that room with a code, and no other.
func TestFault(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann := s.join("ann")
		ann.offer("chromium")
		other := s.session("other", 256)
		other.room = "coffee"
		other.join(rooms.CarrierWS, rooms.Admission{Identity: "other", Grants: grants})
		s.plane.set(-1, true)
		ann.refused(wire.TypeUnpublish, wire.Unpublish{Publication: "p1"}, wire.CodeSessionExpired)
		if e := ann.ended(); e.Code != wire.CodeInternal || !e.Rejoin {
			t.Errorf("ann: %+v", e)
		}
		if stats := s.service.Stats(); stats.Rooms != 1 || stats.Participants != 1 || stats.Publications != 0 || stats.Panics != 1 {
			t.Errorf("stats %+v", stats)
		}
		other.ask(wire.TypeChat, wire.Chat{Text: "what was that"})
		other.expect(wire.TypeChatReceived)
		if s.join("again").joined.Room.Revision != 1 {
			t.Error("the room is the same one")
		}
	})
}

// Rule: what cannot be understood is refused with a code and changes nothing.
func TestBadRequests(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann := s.join("ann")
		for name, r := range map[string]rooms.Request{
			"unknown type":      {Type: "dance"},
			"body of a type":    {Type: wire.TypeMute, Body: []byte(`{"publication":7}`)},
			"no offer":          {Type: wire.TypeOffer},
			"join without":      {Type: wire.TypeJoin},
			"unknown carrier":   {Type: wire.TypeJoin, Carrier: "pigeon", Join: &rooms.Admission{}},
			"joined already":    {Type: wire.TypeJoin, Carrier: rooms.CarrierWS, Join: &rooms.Admission{}},
			"nothing to resume": {Type: wire.TypeResume},
		} {
			want := wire.CodeBadRequest
			if name == "no offer" {
				want = wire.CodeSDP
			}
			if reply := ann.do(r); reply.Error == nil || reply.Error.Code != want || reply.Error.Next == "" {
				t.Errorf("%s: %+v", name, reply.Error)
			}
		}
		ann.refused(wire.TypeOffer, wire.Offer{SDP: "v=0\r\n"}, wire.CodeSDP)
		ann.refused(wire.TypeOffer, wire.Offer{SDP: strings.Repeat("x", wire.MaxSDPBytes+1)}, wire.CodeTooLarge)
		if reply, err := rooms.Do(t.Context(), s.bus, "tea", rooms.Request{Type: wire.TypeLeave}); err != nil || reply.Error.Code != wire.CodeBadRequest {
			t.Errorf("without a session: %+v, %v", reply, err)
		}
		for _, subject := range []string{rooms.Subject("tea"), rooms.OpenSubject} {
			if b, err := s.bus.Request(t.Context(), subject, []byte("{")); err != nil || !strings.Contains(string(b), "bad-request") {
				t.Errorf("%s: %s, %v", subject, b, err)
			}
		}
		bad := s.session("bad", 1)
		bad.room = "a\nb"
		if reply := bad.do(rooms.Request{Type: wire.TypeJoin, Carrier: rooms.CarrierWS, Join: &rooms.Admission{}}); reply.Error == nil || reply.Error.Code != wire.CodeBadRequest {
			t.Errorf("a room with a bad name: %+v", reply)
		}
		if s.service.Stats().Refusals[wire.CodeBadRequest] == 0 {
			t.Error("refusals are not counted")
		}
		ann.idle()
	})
}

// Rule: names of rooms and sessions cannot be made to mean another's subject.
func TestSubjects(t *testing.T) {
	seen := map[string]bool{}
	b := local.New()
	for _, name := range []string{"tea", "tea.x", "*", ">", "a b", "\xff", "日本", strings.Repeat("x", wire.MaxNameBytes)} {
		for _, subject := range []string{rooms.Subject(name), rooms.SessionSubject(name)} {
			if seen[subject] {
				t.Errorf("subject %s is used twice", subject)
			}
			seen[subject] = true
			if err := b.Publish(subject, nil); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

// Rule: WHEP finds a room only where there is one and somebody publishes; a viewer of a room leaves when its media fails.
func TestWHEP(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		viewer := s.session("viewer", 256)
		join := rooms.Request{Type: wire.TypeJoin, Carrier: rooms.CarrierWHEP, Join: &rooms.Admission{Grants: grants}}
		if reply := viewer.do(join); reply.Error == nil || reply.Error.Code != wire.CodeNotFound || reply.Error.RetrySeconds == 0 {
			t.Errorf("no room: %+v", reply)
		}
		if s.service.Stats().Rooms != 0 {
			t.Error("a viewer opened a room")
		}
		publisher := s.session("publisher", 256)
		publisher.join(rooms.CarrierWHIP, rooms.Admission{Identity: "obs", Grants: grants})
		if reply := viewer.do(join); reply.Error == nil || reply.Error.Code != wire.CodeNotFound {
			t.Errorf("nobody publishes: %+v", reply)
		}
		if reply := publisher.ask(wire.TypeOffer, wire.Offer{SDP: fixture(t, "chromium-publish")}); reply.Error != nil {
			t.Fatal(reply.Error)
		}
		viewer.join(rooms.CarrierWHEP, rooms.Admission{Grants: grants, Follow: "obs"})
		s.plane.commands()
		if reply := viewer.ask(wire.TypeOffer, wire.Offer{SDP: fixture(t, "firefox-slots")}); reply.Error != nil {
			t.Fatal(reply.Error)
		}
		commands := s.plane.commands()
		if d := cmp.Diff([]string{"OpenTransport", "Negotiate", "Assign", "Assign"}, kinds(commands)); d != "" {
			t.Error(d)
		} else if !commands[3].(media.Assign).Immediate {
			t.Errorf("commands %+v", commands)
		}
		restarted := viewer.ask(rooms.TypeRestart, rooms.Restart{ICE: sdp.ICE{Ufrag: "abcd", Pwd: "passwordpasswordpassword"}})
		var r rooms.Restarted
		decode(t, restarted.Body, &r)
		if restarted.Type != rooms.TypeRestarted || r.ICE.Ufrag == "" || r.ICE.Pwd == "" {
			t.Errorf("restarted %+v", restarted)
		}
		if stats := s.service.Stats(); stats.Hidden != 1 || stats.Participants != 1 || stats.Publications != 2 {
			t.Errorf("stats %+v", stats)
		}
		id, sink := s.plane.open(t)
		sink.Post(media.Event{Transport: id, State: media.Failed})
		if e := viewer.ended(); e.Code != wire.CodeTimeout {
			t.Errorf("viewer: %+v", e)
		}
	})
}

// Rule: every request of the protocol reaches the room.
func TestRequests(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann, bob := s.join("ann"), s.join("bob")
		bob.offer("chromium")
		ann.offer("chromium")
		name := "Ann"
		for _, test := range []struct {
			kind string
			body any
			tell string // to bob
		}{
			{wire.TypeMute, wire.Mute{Publication: "p3", Muted: true}, wire.TypeTrackMuted},
			{wire.TypeUpdate, wire.Update{Name: &name}, wire.TypeParticipantUpdated},
			{wire.TypeChat, wire.Chat{Text: "hello", To: "bob"}, wire.TypeChatReceived},
			{wire.TypeUnpublish, wire.Unpublish{Publication: "p4"}, wire.TypeTrackUnpublished},
			{wire.TypeLeave, wire.Leave{}, wire.TypeParticipantLeft},
		} {
			bob.readAll()
			if reply := ann.ask(test.kind, test.body); reply.Error != nil || reply.Type != wire.TypeOK || string(reply.Body) != "{}" {
				t.Errorf("%s: %+v", test.kind, reply)
			}
			bob.expect(test.tell)
			if test.kind == wire.TypeChat {
				if reply := bob.ask(wire.TypeSlotReady, wire.SlotReady{Mid: "2", Generation: 1}); reply.Error != nil {
					t.Errorf("slot-ready: %+v", reply)
				}
				if reply := bob.ask(wire.TypeSubscribe, wire.Subscribe{Publications: []string{"p3"}}); reply.Error != nil {
					t.Errorf("subscribe: %+v", reply)
				}
				bob.expect(wire.TypeSubscription, wire.TypeSlot)
			}
		}
		last := kinds(s.plane.commands())
		if d := cmp.Diff([]string{"SlotReady", "Assign", "Unpublish", "Assign", "CloseTransport"}, last[len(last)-5:]); d != "" {
			t.Error(d)
		}
	})
}
