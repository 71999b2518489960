package signal_test

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/auth/authtest"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// Rule: a fault while a request is carried out ends its session, with internal; the other sessions of the room go on and see its
// participant leave.
func TestFaultInRequest(t *testing.T) {
	scenario(t, nil, func(n *node) {
		bob, ann := n.connect(), n.connect()
		bob.join("bob")
		ann.join("ann")
		n.bus.failOn(`"type":"chat"`)
		_ = ann.send(2, wire.TypeChat, wire.Chat{Text: "x"})
		if m := ann.last(); m.Type != wire.TypeEnded || !strings.Contains(string(m.Body), `"code":"internal"`) || !strings.Contains(string(m.Body), `"rejoin":true`) {
			t.Errorf("%s %s", m.Type, m.Body)
		}
		if e := ann.end(); e != signal.EndFinished && e != signal.EndLost {
			t.Errorf("ended as %v", e)
		}
		if m := bob.last(); m.Type != wire.TypeParticipantLeft || !strings.Contains(string(m.Body), "ann") {
			t.Errorf("%s %s", m.Type, m.Body)
		}
		_ = bob.send(3, wire.TypeChat, wire.Chat{Text: "y"})
		if s := n.service.Stats(); s.Panics != 1 || s.Sessions != 1 || count(bob.messages(), wire.TypeChatReceived) != 1 {
			t.Errorf("%+v", s)
		}
		if log := n.log.String(); !strings.Contains(log, "broken") || !strings.Contains(log, "bench_test.go") {
			t.Errorf("logged: %s", log)
		}
	})
}

// Rule: the same for the session's own loop, and for somebody who is just joining: nobody is left in the room.
func TestFaultInLoop(t *testing.T) {
	var gone atomic.Bool
	keys := func() auth.Keys {
		if gone.Load() {
			return auth.Keys{}
		}
		return authtest.Keys()
	}
	scenario(t, keys, func(n *node) {
		s := n.connect()
		s.reply(1, wire.TypeJoin, wire.Join{Protocol: 1, Token: authtest.Good(time.Now(), nil)})
		n.bus.failOn(`"type":"gone"`)
		gone.Store(true)
		n.service.Recheck() // the loop tells the room that the session is over, and fails
		s.end()
		pass(0)
		if st, r := n.service.Stats(), n.rooms.Stats(); st.Panics != 1 || st.Sessions != 0 || r.Participants != 0 {
			t.Errorf("%+v %+v", st, r)
		}
	})
	scenario(t, nil, func(n *node) {
		s := n.connect()
		n.bus.failOn(`"type":"join"`)
		_ = s.send(1, wire.TypeJoin, wire.Join{Protocol: 1, Room: "tea"})
		if e := s.end(); e != signal.EndLost {
			t.Errorf("ended as %v", e)
		}
		if st, r := n.service.Stats(), n.rooms.Stats(); st.Panics != 1 || r.Participants != 0 {
			t.Errorf("%+v %+v", st, r)
		}
	})
}

// Rule: a call that fails while it is opened is refused, and one that fails later is over; nobody stays in the room for it.
func TestFaultInCall(t *testing.T) {
	b, err := os.ReadFile("../sdp/testdata/chromium-publish.offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	offer := signal.CallOffer{Carrier: rooms.CarrierWHIP, Room: "tea", SDP: string(b)}
	scenario(t, nil, func(n *node) {
		n.bus.failOn(`"type":"offer"`)
		if _, _, err := n.service.OpenCall(offer); err == nil || err.Code != wire.CodeInternal {
			t.Errorf("opened: %v", err)
		}
		c, _, refused := n.service.OpenCall(offer)
		if refused != nil {
			t.Fatal(refused)
		}
		n.bus.failOn(`"type":"gone"`)
		c.Hangup()
		pass(0)
		if s, r := n.service.Stats(), n.rooms.Stats(); s.Panics != 2 || s.Calls != 0 || r.Participants != 0 {
			t.Errorf("%+v %+v", s, r)
		}
	})
}
