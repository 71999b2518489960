package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/wire"
)

// converse opens a session to a server that answers each request by what script says; nothing is answered where it says nothing.
func converse(t *testing.T, script func(wire.Request) []wire.Message) *session {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"parley.v1"}})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			_, b, err := conn.Read(r.Context())
			var q wire.Request
			if err != nil || json.Unmarshal(b, &q) != nil {
				return
			}
			for _, m := range script(q) {
				b, _ := json.Marshal(m)
				if conn.Write(r.Context(), websocket.MessageText, b) != nil {
					return
				}
			}
		}
	}))
	t.Cleanup(server.Close)
	s, err := dial(t.Context(), server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func body(v any) json.RawMessage {
	b, _ := json.Marshal(v)
	return b
}

// Replies go to whoever asked, events and refusals that nobody waits for are handed on in order.
func TestSessionSorts(t *testing.T) {
	s := converse(t, func(q wire.Request) []wire.Message {
		switch q.Type {
		case wire.TypeJoin:
			return []wire.Message{
				{Type: wire.TypeCodecs, Body: body(wire.Codecs{})},
				{Reply: q.ID, Type: wire.TypeJoined, Body: body(wire.Joined{Identity: "ann"})},
			}
		case wire.TypeSlotReady:
			return []wire.Message{{Reply: q.ID, Type: wire.TypeError, Body: body(wire.Error{Code: wire.CodeNotFound})}}
		case wire.TypeMute:
			return []wire.Message{{Reply: q.ID, Type: wire.TypeOK, Body: body(wire.OK{})}}
		}
		return []wire.Message{{Reply: q.ID, Type: wire.TypeError, Body: body(wire.Error{Code: wire.CodeForbidden, Next: "ask"})}}
	})
	var joined wire.Joined
	if err := s.request(t.Context(), wire.TypeJoin, wire.Join{}, &joined); err != nil || joined.Identity != "ann" {
		t.Errorf("%+v, %v", joined, err)
	}
	for _, kind := range []string{wire.TypeSlotReady, wire.TypeMute} {
		if _, err := s.send(kind, wire.OK{}, nil); err != nil {
			t.Error(err)
		}
	}
	var refused *wire.Error
	if err := s.request(t.Context(), wire.TypeKick, wire.Kick{}, nil); !errors.As(err, &refused) || refused.Next != "ask" {
		t.Error(err)
	}
	for _, want := range []string{wire.TypeCodecs, wire.TypeError} {
		if m := <-s.events; m.Type != want {
			t.Errorf("%s in place of %s", m.Type, want)
		}
	}
	if len(s.events) != 0 || len(s.waiting) != 0 {
		t.Errorf("%d more events, %d waiting", len(s.events), len(s.waiting))
	}
}

// A server that does not answer pings has gone; one that answers has not.
func TestSessionKeepsAlive(t *testing.T) {
	var pings atomic.Int32
	s := converse(t, func(q wire.Request) []wire.Message {
		if q.Type != wire.TypePing || pings.Add(1) > 3 {
			return nil
		}
		return []wire.Message{{Reply: q.ID, Type: wire.TypeOK, Body: body(wire.OK{})}}
	})
	s.keepAlive(5 * time.Millisecond)
	<-s.over
	if n := pings.Load(); n != 4 || s.fault() == nil {
		t.Errorf("%d pings, %v", n, s.fault())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.request(ctx, wire.TypePing, wire.Ping{}, nil); err == nil {
		t.Error("a session that is over answers")
	}
}

// More events than can be looked at end the session.
func TestSessionEventLimit(t *testing.T) {
	s := converse(t, func(wire.Request) []wire.Message {
		all := make([]wire.Message, maxEvents+1)
		for i := range all {
			all[i] = wire.Message{Type: wire.TypeCodecs, Body: body(wire.Codecs{})}
		}
		return all
	})
	_, _ = s.send(wire.TypePing, wire.Ping{}, nil)
	<-s.over
	if err := s.fault(); len(s.events) != maxEvents || !strings.Contains(err.Error(), "more events") {
		t.Errorf("%d events, %v", len(s.events), err)
	}
}

// An answer tells which m-line a stream belongs to, and what an RTX stream repairs.
func TestLines(t *testing.T) {
	const answer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ssrc:10 cname:x\r\na=ssrc:10 msid:a b\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ssrc-group:FID 20 21\r\na=ssrc:20 cname:x\r\na=ssrc:21 cname:x\r\na=ssrc-group:SIM 1\r\na=ssrc:y\r\n"
	got, err := lines(answer)
	want := map[uint32]line{10: {"0", false, false, 10}, 20: {"1", true, false, 20}, 21: {"1", true, true, 20}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := lines("v=1"); err == nil {
		t.Error("no answer is read")
	}
}

// However many slots a server asks for, a client offers what the protocol allows.
func TestSlotLimits(t *testing.T) {
	c := newClient(&crew{}, "room", "me", 0, false, true)
	var err error
	if c.pc, err = webrtc.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.pc.GracefulClose() }()
	for _, n := range []struct{ pairs, videos, want int }{
		{firstPairs, firstVideos, firstPairs + firstVideos},
		{firstPairs, 1000, firstPairs + maxVideos},
		{1000, 1000, wire.MaxSlotPairs + maxVideos},
		{1, 1, wire.MaxSlotPairs + maxVideos},
	} {
		if err := c.addSlots(n.pairs, n.videos); err != nil || len(c.slots) != n.want {
			t.Errorf("%+v: %d slots, %v", n, len(c.slots), err)
		}
	}
}

// A resync replaces what was known: who left meanwhile is gone, and slots are as it says.
func TestResync(t *testing.T) {
	c := newClient(&crew{plan: &Plan{}}, "room", "me", 0, false, true)
	ready := make(chan wire.SlotReady, 4)
	c.session = converse(t, func(q wire.Request) []wire.Message {
		var r wire.SlotReady
		_ = json.Unmarshal(q.Body, &r)
		ready <- r
		return nil
	})
	snapshot := func(ids ...string) (s wire.Snapshot) {
		for _, id := range ids {
			s.Participants = append(s.Participants, wire.Participant{Identity: "of " + id, Publications: []wire.Publication{{ID: id, Kind: wire.KindVideo}}})
		}
		return s
	}
	c.snapshot(snapshot("p1", "p2"), true)
	c.fill(wire.Slot{Mid: "0", Generation: 3, Publication: "p1"})
	c.fill(wire.Slot{Mid: "0", Generation: 2, Publication: "p2"}) // outdated
	m := wire.Message{Type: wire.TypeResync, Body: body(wire.Resync{
		Room: snapshot("p2", "p3"), Slots: []wire.Slot{{Mid: "0", Generation: 4, Publication: "p3"}},
		Subscriptions: []wire.Subscription{{Publication: "p3", Status: wire.SubscriptionActive}},
	})}
	if err := c.event(m); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(c.owners) != "map[p2:of p2 p3:of p3]" || fmt.Sprint(c.statuses) != "map[p3:active]" {
		t.Errorf("owners %v, statuses %v", c.owners, c.statuses)
	}
	for _, want := range []uint64{3, 4} {
		if r := <-ready; r.Generation != want {
			t.Errorf("ready for %+v", r)
		}
	}
	c.gone("of p2")
	if len(c.owners) != 1 {
		t.Errorf("owners %v", c.owners)
	}
}

// Three sizes are one track with its encodings, the smallest first. What nobody wants is paused, also when that is told before the
// answer says whose it is.
func TestWanted(t *testing.T) {
	p := small()
	p.Simulcast = true
	c := newClient(&crew{plan: &p}, "room", "me", 0, true, false)
	var err error
	if c.pc, err = webrtc.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.pc.GracefulClose() }()
	if err := c.addSenders(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.pc.CreateOffer(nil); err != nil {
		t.Fatal(err)
	}
	tracks := c.tracks()
	if len(tracks) != 2 || tracks[0].Source != wire.SourceMicrophone || tracks[0].Encodings != nil {
		t.Fatalf("%+v", tracks)
	}
	camera := tracks[1]
	if camera.Width != 1280 || len(camera.Encodings) != 3 || camera.Encodings[0] != (wire.OfferEncoding{RID: "q", Width: 320, Height: 180, MaxBitrate: 125_000}) {
		t.Errorf("%+v", camera)
	}
	paused := func() (all string) {
		for _, s := range c.sending {
			all += fmt.Sprint(s.paused.Load(), " ")
		}
		return all
	}
	c.encodings(wire.Encodings{Publication: "p2", Active: []string{"q", "f"}})
	before := paused()
	c.published = map[string]string{"p1": tracks[0].Mid, "p2": camera.Mid}
	c.direct()
	if after := paused(); before != "false false false false " || after != "false false true false " {
		t.Errorf("paused %s, then %s", before, after)
	}
	number := uint32(0)
	bytes := func(s *sender) int {
		number++
		return s.frame(time.Unix(1000, 0), number)
	}
	largest := c.sending[3]
	key, other := bytes(largest), bytes(largest)
	c.encodings(wire.Encodings{Publication: "p2"})
	nothing := bytes(largest)
	c.encodings(wire.Encodings{Publication: "p2", Active: []string{"f"}})
	if again := bytes(largest); nothing != 0 || other >= key/2 || again != key {
		t.Errorf("a key frame of %d bytes, a frame of %d; paused %d; again %d", key, other, nothing, again)
	}
}
