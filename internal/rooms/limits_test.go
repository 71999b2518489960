package rooms_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// Rule: what the media plane cannot take now it gets later, in order, and new requests that would add to it are refused.
func TestMediaFull(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		s.plane.set(1, false)
		ann, bob := s.join("ann"), s.join("bob")
		ann.offer("chromium")
		bob.offer("firefox")
		if n := len(s.plane.commands()); n != 1 {
			t.Fatalf("%d commands taken", n)
		}
		var refused *wire.Error
		offers := 0
		for ; refused == nil && offers < 10_000; offers++ {
			refused = ann.ask(rooms.TypeRestart, rooms.Restart{ICE: sdp.ICE{Ufrag: fmt.Sprint("u", offers), Pwd: "p"}}).Error
		}
		if refused == nil || refused.Code != wire.CodeOverloaded || refused.RetrySeconds == 0 {
			t.Fatalf("after %d offers: %+v", offers, refused)
		}
		ann.ask(wire.TypeLeave, nil) // what ends something is always taken
		time.Sleep(2 * linger)       // and nothing of it is forgotten
		bob.ask(wire.TypeLeave, nil)
		s.plane.set(-1, false)
		time.Sleep(time.Second)
		commands := kinds(s.plane.commands())
		if commands[0] != "Negotiate" || len(commands) < offers || s.plane.openTransports() != 0 {
			t.Errorf("%d commands from %s, %d transports open", len(commands), commands[0], s.plane.openTransports())
		}
		s.join("cid").offer("chromium")
	})
}

// Rule: only an offer that opens a Transport takes a place, for which somebody else may have to make way. One that goes on with the
// Transport that there is needs none, where all places are taken too; and one that is refused for another reason takes none.
func TestOfferTakesPlace(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		ann := s.join("ann")
		reserves := func(what string, want int) {
			t.Helper()
			if got := s.plane.reserved; got != want {
				t.Errorf("%s: %d places taken in all, want %d", what, got, want)
			}
		}
		unnamed := wire.Offer{SDP: fixture(t, "firefox-slots"), Slots: []wire.OfferSlot{{Audio: "none"}}}
		ann.refused(wire.TypeOffer, unnamed, wire.CodeBadRequest)
		noCodec := strings.NewReplacer("opus", "speex", "VP8", "H261", "VP9", "H261", "H264", "H261", "AV1", "H261")
		ann.refused(wire.TypeOffer, wire.Offer{
			SDP: noCodec.Replace(fixture(t, "chromium-publish")), Tracks: []wire.OfferTrack{{Mid: "0", Source: wire.SourceMicrophone}},
		}, wire.CodeUnsupportedCodec)
		reserves("refused offers", 0)
		ann.offer("chromium")
		reserves("the first", 1)
		s.plane.refusal = media.Unchecked
		ann.offer("chromium")
		reserves("a renegotiation", 1)
		if opened := s.plane.openTransports(); opened != 1 {
			t.Errorf("%d transports", opened)
		}
		ann.refused(wire.TypeOffer, unnamed, wire.CodeBadRequest)
		ann.refused(wire.TypeOffer, wire.Offer{SDP: fixture(t, "firefox-slots")}, wire.CodeOverloaded)
		reserves("another PeerConnection", 2)
		ann.offer("chromium") // as if nothing had been
	})
}

// Rule: a node takes a bounded number of rooms, and one more once one has ended.
func TestMaxRooms(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		s.join("ann")
		for i := 1; i < rooms.MaxRooms; i++ {
			b, err := s.bus.Request(t.Context(), rooms.OpenSubject, fmt.Appendf(nil, `{"room":"%d"}`, i))
			if err != nil || strings.Contains(string(b), "error") {
				t.Fatalf("room %d: %s, %v", i, b, err)
			}
		}
		x := s.session("x", 1)
		x.room = "one more"
		join := rooms.Request{Type: wire.TypeJoin, Carrier: rooms.CarrierWS, Join: &rooms.Admission{Identity: "x"}}
		if reply := x.do(join); reply.Error == nil || reply.Error.Code != wire.CodeOverloaded || reply.Error.RetrySeconds == 0 {
			t.Errorf("one more room: %+v", reply)
		}
		time.Sleep(linger + time.Second) // nobody has entered the others
		x.must(join)
		if n := s.service.Stats().Rooms; n != 2 {
			t.Errorf("%d rooms", n)
		}
	})
}

// Rule: who joins in the very moment in which the room ends gets in.
func TestJoinWhileEnding(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		for i := range 200 {
			first := s.session(fmt.Sprint("first", i), 1)
			first.join(rooms.CarrierWS, rooms.Admission{Identity: "first"})
			first.ask(rooms.TypeGone, rooms.Gone{})
			time.Sleep(linger)
			second := s.session(fmt.Sprint("second", i), 1)
			second.join(rooms.CarrierWS, rooms.Admission{Identity: "second"})
			second.ask(rooms.TypeGone, rooms.Gone{})
		}
	})
}

// Rule: 1,000 sessions that break off at any stage of their life leave nothing behind: no participant, no Transport, no room, and
// (the bubble sees to it) no goroutine.
func TestAbortedSessions(t *testing.T) {
	run(t, func(t *testing.T, s *scene) {
		var wait sync.WaitGroup
		const sessions, stages = 1000, 9
		for i := range sessions {
			x := s.session(fmt.Sprint("s", i), 4) // too small for a busy room: it must not matter
			x.room = fmt.Sprint("room", i%7)
			wait.Go(func() {
				time.Sleep(time.Duration(i%50) * linger / 40)
				x.live(i % stages)
				x.events.Close()
			})
		}
		wait.Wait()
		time.Sleep(2 * linger)
		synctest.Wait()
		if stats := s.service.Stats(); stats.Rooms+stats.Participants+stats.Hidden+stats.Publications != 0 || stats.Joins == 0 {
			t.Errorf("left: %+v", stats)
		}
		if n := s.plane.openTransports(); n != 0 {
			t.Errorf("%d transports are open", n)
		}
	})
}

// live lives until the stage, and breaks off there.
func (x *session) live(stage int) {
	ctx, cancel := context.WithCancel(x.s.t.Context())
	defer cancel()
	join := rooms.Request{Session: x.id, Type: wire.TypeJoin, Carrier: rooms.CarrierWS, Join: &rooms.Admission{Identity: x.id, Grants: grants}}
	switch stage {
	case 0: // given up before
		cancel()
	case 1: // given up while it is under way
		go cancel()
	case 2: // replaced by another, sooner or later
		join.Join.Identity = "everybody"
	}
	if _, err := rooms.Do(ctx, x.s.bus, x.room, join); err != nil {
		return // Do has undone it
	}
	if stage > 3 {
		x.ask(wire.TypeOffer, wire.Offer{SDP: fixture(x.s.t, "chromium-publish"), Tracks: []wire.OfferTrack{{Mid: "0", Source: wire.SourceMicrophone}}})
	}
	if stage == 5 {
		x.ask(wire.TypeOffer, wire.Offer{SDP: "v=0"})
	}
	if stage > 5 {
		x.ask(wire.TypeOffer, wire.Offer{SDP: fixture(x.s.t, "firefox-slots"), Slots: []wire.OfferSlot{{Audio: "0", Video: "1"}}})
	}
	if stage > 6 {
		x.ask(wire.TypeMute, wire.Mute{Publication: "p1", Muted: true})
		x.ask(wire.TypeLeave, nil)
	}
	x.ask(rooms.TypeGone, rooms.Gone{Reason: wire.CodeTimeout}) // signalling always says so in the end
}
