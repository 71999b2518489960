package signal_test

import (
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/auth/authtest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// joined is message 1 and holds all that a client needs; events go on from its snapshot.
func TestJoin(t *testing.T) {
	scenario(t, nil, func(n *node) {
		ann, bob := n.connect(), n.connect()
		a := ann.join("ann")
		if a.Identity != "ann" || a.Room.Name != "tea" || len(a.Room.Participants) != 1 || a.ICEServers == nil {
			t.Errorf("joined: %+v", a)
		}
		if len(a.Session) < 22 || len(a.ResumeToken) < 43 || a.ResumeSeconds != 30 || a.PingSeconds != 10 {
			t.Errorf("joined: %+v", a)
		}
		if a.Grants != (wire.Grants{Publish: true, Subscribe: true, PublishData: true}) {
			t.Errorf("grants in open mode: %+v", a.Grants)
		}
		b := bob.join("")
		if b.Identity == "" || len(b.Room.Participants) != 2 || b.Session == a.Session || b.ResumeToken == a.ResumeToken {
			t.Errorf("joined: %+v", b)
		}
		e := ann.last()
		if e.Type != wire.TypeParticipantJoined || e.Seq != 2 || e.Rev <= a.Room.Revision {
			t.Errorf("event: %+v", e)
		}
	})
}

// The first request is join or resume, one of them succeeds within three tries; before that nothing is numbered.
func TestThreeTries(t *testing.T) {
	scenario(t, nil, func(n *node) {
		s := n.connect()
		for i, c := range []struct {
			kind string
			body any
			want wire.Code
		}{
			{wire.TypeChat, wire.Chat{Text: "x"}, wire.CodeUnauthorized},
			{wire.TypeJoin, wire.Join{Protocol: 99, Room: "tea"}, wire.CodeProtocol},
			{wire.TypeJoin, wire.Join{Protocol: 1, Room: "a/b"}, wire.CodeBadRequest},
		} {
			if got := s.refused(uint64(i+1), c.kind, c.body); got != c.want {
				t.Errorf("%s: %s, want %s", c.kind, got, c.want)
			}
		}
		for _, m := range s.messages() {
			if m.Seq != 0 {
				t.Errorf("numbered before join: %+v", m)
			}
		}
		if end := s.end(); end != signal.EndRefused {
			t.Errorf("ended %v", end)
		}
		again := n.connect()
		again.refused(1, wire.TypePing, wire.Ping{})
		again.refused(2, wire.TypeJoin, "not an object")
		if m := again.reply(3, wire.TypeJoin, wire.Join{Protocol: 1, Room: "tea"}); m.Type != wire.TypeJoined {
			t.Errorf("third try: %+v", m)
		}
	})
}

// A socket that has not joined after 10 seconds is told so and closed.
func TestJoinTime(t *testing.T) {
	scenario(t, nil, func(n *node) {
		start, s := time.Now(), n.connect()
		end := s.end()
		if took := time.Since(start); end != signal.EndRefused || took != signal.JoinTime {
			t.Errorf("%v after %v", end, took)
		}
		if m := s.messages(); len(m) != 1 || code(m[0]) != wire.CodeTimeout {
			t.Errorf("told %+v", m)
		}
	})
}

// At most MaxUnauthenticated sockets wait to join. One that joins, or goes, makes room.
func TestMaxUnauthenticated(t *testing.T) {
	scenario(t, nil, func(n *node) {
		var all []*signal.Attachment
		for range signal.MaxUnauthenticated {
			a, err := n.service.Attach(netip.Addr{})
			if err != nil {
				n.Fatal(err)
			}
			all = append(all, a)
		}
		if _, err := n.service.Attach(netip.Addr{}); err == nil || err.Code != wire.CodeOverloaded || err.RetrySeconds == 0 {
			t.Errorf("one too many: %v", err)
		}
		all[0].Release()
		s := n.connect()
		s.join("ann")
		n.connect().cut()
		for _, a := range all[1:] {
			a.Release()
		}
		s.cut()
	})
}

// Before join a message is at most 16 KiB, afterwards 512 KiB. A larger one is refused with too-large, and the socket is closed; the
// session can be resumed.
func TestMessageLimits(t *testing.T) {
	request := func(size int) []byte {
		const head, tail = `{"id":7,"type":"update","body":{"x":"`, `"}}`
		return []byte(head + strings.Repeat("x", size-len(head)-len(tail)) + tail)
	}
	for _, c := range []struct {
		name        string
		joined      bool
		size, limit int
	}{
		{"before join", false, wire.MaxMessageBytesBeforeJoin, wire.MaxMessageBytesBeforeJoin},
		{"after join", true, wire.MaxMessageBytes, wire.MaxMessageBytes},
	} {
		t.Run(c.name, func(t *testing.T) {
			scenario(t, nil, func(n *node) {
				s := n.connect()
				var j wire.Joined
				if c.joined {
					j = s.join("ann")
				}
				if s.a.Limit() != c.limit {
					t.Errorf("limit %d", s.a.Limit())
				}
				if err := s.a.Receive(request(c.size)); err != nil || s.last().Type == wire.TypeError && code(s.last()) == wire.CodeTooLarge {
					t.Errorf("largest message: %v, %+v", err, s.last())
				}
				if err := s.a.Receive(request(c.size + 1)); err == nil {
					t.Error("larger message taken")
				}
				m := s.last()
				if end := s.end(); end != signal.EndTooLarge || code(m) != wire.CodeTooLarge || m.Reply != 0 {
					t.Errorf("%v after %+v", end, m)
				}
				if c.joined {
					next := n.connect()
					if r := next.resume(j, 9, m.Seq); r.Replayed != 0 {
						t.Errorf("resumed: %+v", r)
					}
				}
			})
		})
	}
}

// No forged token gets in over a session, and no token is in what the server says or logs.
func TestForgeriesCannotJoin(t *testing.T) {
	scenario(t, authtest.Keys, func(n *node) {
		forgeries := authtest.Forgeries(time.Now())
		for _, f := range forgeries {
			s := n.connect()
			_ = s.send(1, wire.TypeJoin, wire.Join{Protocol: 1, Room: "tea", Token: f.Token})
			if got := code(s.last()); got != wire.CodeUnauthorized && got != wire.CodeTooLarge {
				t.Errorf("%s: %s", f.Name, got)
			}
			s.cut()
			if f.Token != "" && len(f.Token) > 16 && (strings.Contains(s.raw.String(), f.Token) || strings.Contains(n.log.String(), f.Token)) {
				t.Errorf("%s: the token is repeated", f.Name)
			}
		}
		if s := n.service.Stats(); s.Joins != 0 || s.JoinsRefused < 60 {
			t.Errorf("%+v", s)
		}
	})
}

// The token decides room, identity and metadata, and the name where it has one; the client's wishes must agree or fill gaps.
func TestTokenDecides(t *testing.T) {
	const updatable = `{"room":"tea","roomJoin":true,"canUpdateOwnMetadata":true}`
	for _, c := range []struct {
		name   string
		change authtest.Object
		join   wire.Join
		want   wire.Code
		is     wire.Participant
	}{
		{"nothing asked", nil, wire.Join{}, "", wire.Participant{Identity: "ann", Name: "Ann"}},
		{"the same asked", nil, wire.Join{Room: "tea", Identity: "ann", Name: "Eve"}, "", wire.Participant{Identity: "ann", Name: "Ann"}},
		{"another room", nil, wire.Join{Room: "coffee"}, wire.CodeForbidden, wire.Participant{}},
		{"another identity", nil, wire.Join{Identity: "bob"}, wire.CodeForbidden, wire.Participant{}},
		{"a room that looks alike", nil, wire.Join{Room: "Tea"}, wire.CodeForbidden, wire.Participant{}},
		{"a wildcard room is a name", authtest.Object{"video": `{"room":"*","roomJoin":true}`}, wire.Join{Room: "tea"}, wire.CodeForbidden, wire.Participant{}},
		{"no name in the token", authtest.Object{"name": ""}, wire.Join{Name: "Annie"}, "", wire.Participant{Identity: "ann", Name: "Annie"}},
		{"own metadata not allowed", nil, wire.Join{Metadata: "admin"}, "", wire.Participant{Identity: "ann", Name: "Ann"}},
		{"own metadata allowed", authtest.Object{"video": updatable}, wire.Join{Metadata: "m"}, "", wire.Participant{Identity: "ann", Name: "Ann", Metadata: "m"}},
		{"the token's metadata wins", authtest.Object{"video": updatable, "metadata": `"t"`}, wire.Join{Metadata: "m"}, "", wire.Participant{Identity: "ann", Name: "Ann", Metadata: "t"}},
		{"a name with control characters", authtest.Object{"name": ""}, wire.Join{Name: "a\x00b"}, wire.CodeBadRequest, wire.Participant{}},
		{"a long name", authtest.Object{"name": ""}, wire.Join{Name: strings.Repeat("n", 129)}, wire.CodeTooLarge, wire.Participant{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			scenario(t, authtest.Keys, func(n *node) {
				s := n.connect()
				c.join.Protocol, c.join.Token = 1, authtest.Good(time.Now(), c.change)
				m := s.reply(1, wire.TypeJoin, c.join)
				if c.want != "" {
					if m.Type != wire.TypeError || code(m) != c.want {
						t.Errorf("%s %s", m.Type, m.Body)
					}
					return
				}
				got := body[wire.Joined](m).Room.Participants[0]
				if got.Identity != c.is.Identity || got.Name != c.is.Name || got.Metadata != c.is.Metadata {
					t.Errorf("joined as %+v", got)
				}
			})
		})
	}
}

// What the token does not allow is forbidden: changing oneself here, all else by the room.
func TestGrantsAreKept(t *testing.T) {
	scenario(t, authtest.Keys, func(n *node) {
		s := n.connect()
		token := authtest.Good(time.Now(), authtest.Object{"video": `{"room":"tea","roomJoin":true,"canPublishData":false}`})
		if m := s.reply(1, wire.TypeJoin, wire.Join{Protocol: 1, Token: token}); m.Type != wire.TypeJoined {
			n.Fatalf("%s", m.Body)
		}
		name := "Eve"
		for kind, b := range map[string]any{
			wire.TypeUpdate: wire.Update{Name: &name}, wire.TypeChat: wire.Chat{Text: "x"}, wire.TypeKick: wire.Kick{Identity: "ann"},
		} {
			if got := s.refused(uint64(len(kind))+10, kind, b); got != wire.CodeForbidden {
				t.Errorf("%s: %s", kind, got)
			}
		}
	})
}

// Keys are asked for with every token: one that is taken away lets nobody in any more.
func TestKeysAreNotKept(t *testing.T) {
	keys := authtest.Keys()
	scenario(t, func() auth.Keys { return keys }, func(n *node) {
		token := authtest.Good(time.Now(), nil)
		admits := func(token, room string) bool {
			_, ok := n.service.Admits(token, room)
			return ok
		}
		if !admits(token, "tea") || admits(token, "coffee") || admits("", "tea") {
			t.Error("admits")
		}
		keys = auth.Keys{}
		if admits(token, "tea") {
			t.Error("admitted without a key")
		}
	})
}

// Sessions and calls end within a second with the code unauthorized when the key that signed their token is taken away or has
// another secret, also one that has no socket; those of other keys go on.
func TestRevokedKeys(t *testing.T) {
	for name, change := range map[string]func(auth.Keys){
		"taken away":     func(k auth.Keys) { delete(k, authtest.KeyName) },
		"another secret": func(k auth.Keys) { k[authtest.KeyName] = k["APIother"] },
	} {
		t.Run(name, func(t *testing.T) {
			var keys atomic.Pointer[auth.Keys]
			first := authtest.Keys()
			keys.Store(&first)
			scenario(t, func() auth.Keys { return *keys.Load() }, func(n *node) {
				grants := wire.Grants{Publish: true, Subscribe: true}
				token := func(key, identity string) string {
					token, err := auth.Sign(time.Now(), auth.Claims{Key: key, Identity: identity, Room: "tea", Grants: grants, Expires: time.Now().Add(time.Hour)}, first)
					if err != nil {
						t.Fatal(err)
					}
					return token
				}
				ann, bob, eve := n.connect(), n.connect(), n.connect()
				joined := body[wire.Joined](ann.reply(1, wire.TypeJoin, wire.Join{Protocol: 1, Token: token(authtest.KeyName, "ann")}))
				ann.cut()
				bob.reply(1, wire.TypeJoin, wire.Join{Protocol: 1, Token: token("APIother", "bob")})
				eve.reply(1, wire.TypeJoin, wire.Join{Protocol: 1, Token: token(authtest.KeyName, "eve")})
				camera, _, refused := n.service.OpenCall(signal.CallOffer{
					Carrier: rooms.CarrierWHIP, Token: token(authtest.KeyName, "camera"), Room: "tea", SDP: published(t),
				})
				if refused != nil {
					t.Fatal(refused)
				}
				n.service.Recheck()
				synctest.Wait()
				if s := n.service.Stats(); s.Sessions != 3 || s.Calls != 1 {
					t.Errorf("nothing has changed, and yet %+v", s)
				}
				next := authtest.Keys()
				change(next)
				keys.Store(&next)
				n.service.Recheck()
				synctest.Wait()
				if last := eve.last(); last.Type != wire.TypeEnded || body[wire.Ended](last).Code != wire.CodeUnauthorized || body[wire.Ended](last).Rejoin {
					t.Errorf("eve: %+v", last)
				}
				select {
				case <-camera.Done():
				default:
					t.Error("the call goes on")
				}
				if n := count(bob.messages(), wire.TypeParticipantLeft); n != 3 {
					t.Errorf("bob saw %d leave", n)
				}
				if m := bob.reply(2, wire.TypePing, nil); m.Type != wire.TypeOK {
					t.Errorf("bob: %+v", m)
				}
				back := n.connect()
				back.resume(joined, 2, 1)
				if last := back.last(); last.Type != wire.TypeEnded || body[wire.Ended](last).Code != wire.CodeUnauthorized {
					t.Errorf("ann: %+v", last)
				}
			})
		})
	}
}

// Whose key goes while the room is asked gets no session that lasts.
func TestRevokedWhileJoining(t *testing.T) {
	var calls atomic.Int64
	scenario(t, func() auth.Keys {
		if calls.Add(1) > 1 {
			return auth.Keys{}
		}
		return authtest.Keys()
	}, func(n *node) {
		s := n.connect()
		s.reply(1, wire.TypeJoin, wire.Join{Protocol: 1, Token: authtest.Good(time.Now(), nil)})
		if last := s.last(); last.Type != wire.TypeEnded || body[wire.Ended](last).Code != wire.CodeUnauthorized {
			t.Errorf("%+v", last)
		}
	})
}

// published is a browser's offer to send.
func published(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../sdp/testdata/chromium-publish.offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What is relayed is counted by participant where tokens say who that is, and by address where nobody does.
func TestWhoseICEServers(t *testing.T) {
	source := netip.MustParseAddr("2001:db8:0:7::9")
	for _, c := range []struct {
		keys           func() auth.Keys
		named          string
		room, identity string
	}{
		{nil, "ann", "", "2001:db8:0:7::"},
		{func() auth.Keys { return nil }, "ann", "tea", "ann"},
		{func() auth.Keys { return nil }, "", "tea", "2001:db8:0:7::"},
	} {
		b := local.New()
		var room, identity string
		var until time.Time
		s := signal.New(signal.Config{Bus: b, Keys: c.keys, ICEServers: func(r, i string, u time.Time) []wire.ICEServer {
			room, identity, until = r, i, u
			return nil
		}})
		ends := time.Unix(1795770000, 0)
		s.ICEServers(source, "tea", c.named, ends)
		if room != c.room || identity != c.identity || !until.Equal(ends) {
			t.Errorf("counted as %q in %q, want %q in %q; until %v", identity, room, c.identity, c.room, until)
		}
		s.Close()
		b.Close()
	}
}
