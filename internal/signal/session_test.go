package signal_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// A repeated request id is answered again with the same reply and not done again, on another socket too; for 60 seconds, and for 256
// requests.
func TestRepeatedRequests(t *testing.T) {
	scenario(t, nil, func(n *node) {
		s := n.connect()
		j := s.join("ann")
		say := func(id uint64) { _ = s.send(id, wire.TypeChat, wire.Chat{Text: "hello"}) }
		heard := func() int { return count(s.messages(), wire.TypeChatReceived) }
		say(7)
		say(7)
		replies := slices.DeleteFunc(s.messages(), func(m wire.Message) bool { return m.Reply != 7 })
		if heard() != 1 || len(replies) != 2 || string(replies[0].Body) != string(replies[1].Body) || replies[0].Type != replies[1].Type {
			t.Errorf("heard %d times, replies %+v", heard(), replies)
		}
		after := contiguous(t, 0, s.messages())
		if s.refused(8, wire.TypeKick, wire.Kick{Identity: "x"}) != s.refused(8, wire.TypeChat, wire.Chat{Text: "other"}) {
			t.Error("a repeated refusal differs")
		}
		s.cut()
		s = n.connect()
		s.resume(j, 9, after)
		if say(7); heard() != 0 {
			t.Error("done again after a resume")
		}
		for range 3 {
			if pass(19 * time.Second); s.refused(10, wire.TypeKick, wire.Kick{Identity: "x"}) != wire.CodeForbidden { // a sign of life
				t.Error("the sign of life was carried out")
			}
		}
		if say(7); heard() != 0 {
			t.Error("done again within 57 seconds")
		}
		pass(signal.KeptTime - 57*time.Second)
		if say(7); heard() != 1 {
			t.Error("a reply is kept for longer than 60 seconds")
		}
		pass(10 * time.Second) // for the pace
		for id := range uint64(signal.MaxKeptReplies - 1) {
			_ = s.send(1000+id, wire.TypeSubscribe, wire.Subscribe{})
			if id%100 == 99 {
				pass(2 * time.Second)
			}
		}
		if say(7); heard() != 1 {
			t.Error("done again within 256 requests")
		}
		_ = s.send(2000, wire.TypeSubscribe, wire.Subscribe{})
		if say(7); heard() != 2 {
			t.Error("more than 256 replies are kept")
		}
		contiguous(t, after, s.messages())
	})
}

// A request that is under way when its socket is lost is finished once, and answered once more where the client repeats it.
func TestRepeatedWhileUnderWay(t *testing.T) {
	scenario(t, nil, func(n *node) {
		s := n.connect()
		j := s.join("ann")
		n.bus.set(nil, true)
		go func() { _ = s.send(5, wire.TypeChat, wire.Chat{Text: "x"}) }()
		pass(time.Second)
		s.cut()
		next := n.connect()
		next.resume(j, 6, 1)
		go func() { _ = next.send(5, wire.TypeChat, wire.Chat{Text: "x"}) }()
		pass(20 * time.Second)
		n.bus.set(nil, false)
		replies := slices.DeleteFunc(next.messages(), func(m wire.Message) bool { return m.Reply != 5 })
		if len(replies) != 2 || code(replies[0]) != wire.CodeOverloaded || code(replies[1]) != wire.CodeOverloaded {
			t.Errorf("replies: %+v", replies)
		}
		if !strings.Contains(n.log.String(), "ask a room to chat") || strings.Contains(n.log.String(), j.ResumeToken) {
			t.Errorf("log: %s", n.log)
		}
	})
}

// A client that does not take its messages is told to resync instead of getting the backlog; replies stay; others get everything.
func TestSlowReaderResyncs(t *testing.T) {
	scenario(t, nil, func(n *node) {
		k := n.talker()
		ann := n.connect()
		ann.join("ann")
		reading := make(chan struct{}, 1)
		bob := n.connectReading(reading)
		reading <- struct{}{}
		bob.join("bob")
		_ = bob.send(2, wire.TypeSubscribe, wire.Subscribe{})
		_ = bob.send(3, wire.TypeSubscribe, wire.Subscribe{})
		k.say(signal.MaxWaiting * 2 / 3)
		synctest.Wait()
		k.say(signal.MaxWaiting * 2 / 3)
		pass(4 * time.Second)
		close(reading)
		got := bob.messages()
		contiguous(t, 0, got)
		var kinds []string
		for _, m := range got {
			kinds = append(kinds, m.Type)
		}
		at := slices.Index(kinds, wire.TypeResync)
		if at < 0 || count(got[:at], wire.TypeOK) != 2 || count(got, wire.TypeResync) != 1 {
			n.Fatalf("got %v", kinds)
		}
		// Together, the snapshot and what came before and after it are everything, once.
		texts := []string{}
		for _, c := range body[wire.Resync](got[at]).Room.Chat {
			texts = append(texts, c.Text)
		}
		texts = append(texts, chats(got[at:])...)
		if want := numbers(k.said); !slices.Equal(texts, want[len(want)-len(texts):]) || len(texts) < wire.MaxChatKept {
			t.Errorf("heard %v", texts)
		}
		k.say(1)
		if bob.last().Type != wire.TypeChatReceived || len(chats(ann.messages())) != k.said {
			t.Errorf("then %+v; ann heard %d of %d", bob.last(), len(chats(ann.messages())), k.said)
		}
		if s := n.service.Stats(); s.Resyncs != 1 || s.SlowReaders != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A resync that is not taken within 5 seconds, or that another backlog follows, ends the session with slow-reader, within 10 seconds in
// all; others lose nothing.
func TestSlowReaderIsDropped(t *testing.T) {
	for name, more := range map[string]bool{"silent": false, "another backlog": true} {
		t.Run(name, func(t *testing.T) {
			scenario(t, nil, func(n *node) {
				k := n.talker()
				ann := n.connect()
				ann.join("ann")
				reading := make(chan struct{}, 1)
				bob := n.connectReading(reading)
				reading <- struct{}{}
				j := bob.join("bob")
				start := time.Now()
				k.say(signal.MaxWaiting + 10)
				synctest.Wait()
				if more {
					k.say(signal.MaxWaiting)
				}
				if end := bob.end(); end != signal.EndFinished {
					t.Errorf("ended %v", end)
				}
				took := time.Since(start)
				if took > 10*time.Second || more && took > 2*time.Second || !more && took < 5*time.Second {
					t.Errorf("dropped after %v", took)
				}
				told := slices.DeleteFunc(ann.messages(), func(m wire.Message) bool { return m.Type != wire.TypeParticipantLeft })
				if len(told) != 1 || body[wire.ParticipantLeft](told[0]).Reason != wire.CodeSlowReader {
					t.Errorf("ann was told %+v", told)
				}
				if got := chats(ann.messages()); !slices.Equal(got, numbers(k.said)) {
					t.Errorf("ann heard %d of %d", len(got), k.said)
				}
				if n.service.Stats().SlowReaders != 1 {
					t.Errorf("%+v", n.service.Stats())
				}
				late := n.connect()
				if got := late.refused(1, wire.TypeResume, wire.Resume{Protocol: 1, Session: j.Session, Token: j.ResumeToken, Seq: 1}); got != wire.CodeSessionExpired {
					t.Error(got)
				}
			})
		})
	}
}

// A client that asks and asks and never reads the replies is dropped: replies are not unlimited either.
func TestUnreadReplies(t *testing.T) {
	scenario(t, nil, func(n *node) {
		reading := make(chan struct{}, 1)
		s := n.connectReading(reading)
		reading <- struct{}{}
		s.join("ann")
		for id := range uint64(signal.MaxWaiting + 1) {
			_ = s.send(10+id, wire.TypePing, nil)
		}
		if end := s.end(); end != signal.EndFinished || n.service.Stats().SlowReaders != 1 {
			t.Errorf("ended %v, %+v", end, n.service.Stats())
		}
	})
}

// A socket from which nothing comes for 30 seconds is lost; a pong or any request is a sign of life.
func TestSilence(t *testing.T) {
	scenario(t, nil, func(n *node) {
		quiet, ponging, pinging := n.connect(), n.connect(), n.connect()
		quiet.join("quiet")
		ponging.join("ponging")
		pinging.join("pinging")
		start := time.Now()
		for i := range 8 {
			pass(10 * time.Second)
			ponging.a.Heard()
			pinging.reply(uint64(i)+10, wire.TypePing, nil)
			if i == 1 && quiet.a.Context().Err() != nil {
				t.Error("lost too early")
			}
		}
		if end := quiet.end(); end != signal.EndLost {
			t.Errorf("ended %v", end)
		}
		if e := pinging.messages(); count(e, wire.TypeParticipantLeft) != 1 || time.Since(start) < time.Minute {
			t.Errorf("told %+v", e)
		}
		if s := n.service.Stats(); s.Sessions != 2 || s.Timeouts != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// 200 requests may come at once and 50 a second after that. What is beyond is refused with rate, and done when it is repeated.
func TestPace(t *testing.T) {
	scenario(t, nil, func(n *node) {
		s := n.connect()
		s.join("ann")
		for id := range uint64(signal.MaxRequestBurst) {
			if m := s.reply(10+id, wire.TypePing, nil); m.Type != wire.TypeOK {
				n.Fatalf("request %d: %s", id, m.Body)
			}
		}
		if m := s.reply(500, wire.TypeChat, wire.Chat{Text: "x"}); code(m) != wire.CodeRate || body[wire.Error](m).RetrySeconds == 0 {
			t.Errorf("one too many: %s", m.Body)
		}
		pass(time.Second)
		if m := s.reply(500, wire.TypeChat, wire.Chat{Text: "x"}); m.Type != wire.TypeOK {
			t.Errorf("repeated: %s", m.Body)
		}
		for id := range uint64(signal.RequestsPerSecond - 1) {
			if m := s.reply(600+id, wire.TypePing, nil); m.Type != wire.TypeOK {
				n.Fatalf("request %d: %s", id, m.Body)
			}
		}
		if got := s.refused(700, wire.TypePing, nil); got != wire.CodeRate {
			t.Error(got)
		}
	})
}

// What only signalling may ask of a room is not a client's to ask; nor is what does not exist.
func TestForeignRequests(t *testing.T) {
	scenario(t, nil, func(n *node) {
		s := n.connect()
		s.join("ann")
		for i, kind := range []string{rooms.TypeGone, rooms.TypeSnapshot, rooms.TypeRestart, "join", "resume", "joined", "ended", "Chat", "no such thing"} {
			if got := s.refused(uint64(10+i), kind, map[string]any{}); got != wire.CodeBadRequest {
				t.Errorf("%s: %s", kind, got)
			}
		}
		for i, kind := range []string{wire.TypeRecordWrite, wire.TypeEventPublish, wire.TypeRPCAnswer, wire.TypePresenceRead, wire.TypeLogRead} {
			if got := s.refused(uint64(50+i), kind, map[string]any{}); got != wire.CodeUnsupported { // there is no state behind them
				t.Errorf("%s: %s", kind, got)
			}
		}
		if m := s.reply(99, wire.TypePing, nil); m.Type != wire.TypeOK || string(m.Body) != "{}" {
			t.Errorf("%+v", m)
		}
	})
}

// A malformed message is answered by an error without reply, and nothing else comes of it.
func TestMalformedMessages(t *testing.T) {
	scenario(t, nil, func(n *node) {
		s := n.connect()
		s.join("ann")
		for _, text := range []string{
			"", "{", "null", "[]", `"x"`, "7", `{"id":0,"type":"ping"}`, `{"id":-1,"type":"ping"}`, `{"id":1.5,"type":"ping"}`,
			`{"id":"1","type":"ping"}`, `{"id":9007199254740992,"type":"ping"}`, `{"id":1}`, `{"id":1,"type":7}`,
			`{"id":1,"type":"ping"} {}`, "{\"id\":1,\"type\":\"\xff\"}", `{"id":1,"type":"chat","body":{"text":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}}",
		} {
			before := len(s.messages())
			if err := s.a.Receive([]byte(text)); err != nil {
				n.Fatal(err)
			}
			got := s.messages()[before:]
			if len(got) != 1 || got[0].Type != wire.TypeError || got[0].Reply != 0 || code(got[0]) != wire.CodeBadRequest {
				t.Errorf("%q: %+v", text, got)
			}
		}
		if got := s.refused(2, wire.TypePing, []int{}); got != wire.CodeBadRequest {
			t.Errorf("body a list: %s", got)
		}
		if m := s.reply(2, wire.TypeChat, wire.Chat{Text: "still here"}); m.Type != wire.TypeOK {
			t.Errorf("%+v", m)
		}
		contiguous(t, 0, s.messages())
	})
}

// Events that the bus has lost are made good by a resync.
func TestLostEvents(t *testing.T) {
	scenario(t, nil, func(n *node) {
		k := n.talker()
		s := n.connect()
		s.join("ann")
		k.say(2)
		n.bus.set(func(m []byte) bool { return bytes.Contains(m, []byte(`"text":"3"`)) }, false)
		k.say(1)
		n.bus.set(nil, false)
		k.say(2)
		got := s.messages()
		contiguous(t, 0, got)
		if count(got, wire.TypeResync) != 1 || !slices.Equal(chats(got)[:2], numbers(2)) {
			n.Fatalf("got %+v", got)
		}
		for _, m := range got {
			if m.Type == wire.TypeResync {
				if c := body[wire.Resync](m).Room.Chat; len(c) < 4 || c[2].Text != "3" {
					t.Errorf("snapshot: %+v", c)
				}
			}
		}
		if k.say(1); s.last().Type != wire.TypeChatReceived {
			t.Errorf("then %+v", s.last())
		}
		n.bus.set(func(m []byte) bool { return bytes.Contains(m, []byte(wire.TypeEnded)) }, false)
		k.kick("ann") // the end itself is lost: the next event shows the gap, or the next request finds nobody
		n.bus.set(nil, false)
		_ = s.send(50, wire.TypeChat, wire.Chat{Text: "x"})
		if end := s.end(); end != signal.EndFinished || body[wire.Ended](s.last()).Code != wire.CodeSessionExpired {
			t.Errorf("%v after %s", end, s.last().Body)
		}
	})
}

// leave is answered, then ended is the last message; the session cannot be resumed.
func TestLeave(t *testing.T) {
	scenario(t, nil, func(n *node) {
		s := n.connect()
		j := s.join("ann")
		_ = s.send(2, wire.TypeLeave, nil)
		if end := s.end(); end != signal.EndFinished {
			t.Errorf("ended %v", end)
		}
		got := s.messages()
		contiguous(t, 0, got)
		if len(got) != 3 || got[1].Type != wire.TypeOK || got[1].Reply != 2 || got[2].Type != wire.TypeEnded || body[wire.Ended](got[2]).Code != wire.CodeLeft {
			t.Errorf("got %+v", got)
		}
		again := n.connect()
		if got := again.refused(1, wire.TypeResume, wire.Resume{Protocol: 1, Session: j.Session, Token: j.ResumeToken, Seq: 3}); got != wire.CodeSessionExpired {
			t.Error(got)
		}
	})
}

// The same identity again ends the older session with replaced.
func TestReplaced(t *testing.T) {
	scenario(t, nil, func(n *node) {
		old, other := n.connect(), n.connect()
		old.join("ann")
		other.join("ann")
		if end := old.end(); end != signal.EndFinished || body[wire.Ended](old.last()).Code != wire.CodeReplaced {
			t.Errorf("%v after %+v", end, old.last())
		}
	})
}

// Who is in is told that the server ends, and so is whoever comes in while it does, with the time that is left.
func TestDrain(t *testing.T) {
	scenario(t, nil, func(n *node) {
		ann, bob := n.connect(), n.connect()
		ann.join("ann")
		n.service.Drain(time.Minute)
		time.Sleep(5 * time.Second)
		bob.join("bob")
		for c, seconds := range map[*socket]int{ann: 60, bob: 55} {
			told := slices.IndexFunc(c.messages(), func(m wire.Message) bool {
				return m.Type == wire.TypeDraining && body[wire.Draining](m).Seconds == seconds
			})
			if told < 0 {
				t.Errorf("nobody was told that it ends in %d s; the last message is %s", seconds, c.last().Type)
			}
		}
	})
}

// Close tells every session, attached or not, closes every socket, and waits until all is over; then nobody gets in.
func TestClose(t *testing.T) {
	scenario(t, nil, func(n *node) {
		joined, lost, fresh := n.connect(), n.connect(), n.connect()
		stuck := n.connectReading(make(chan struct{}, 1))
		joined.join("ann")
		lost.join("bob")
		lost.cut()
		stuck.reading <- struct{}{}
		stuck.join("carol")
		ends := make(chan signal.End, 3)
		for _, s := range []*socket{joined, fresh, stuck} {
			go func() { ends <- s.end() }()
		}
		start := time.Now()
		n.service.Close()
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("took %v", took)
		}
		for range 3 {
			<-ends
		}
		if m := joined.last(); body[wire.Ended](m).Code != wire.CodeDraining || !body[wire.Ended](m).Rejoin || fresh.ended != signal.EndClosing {
			t.Errorf("%+v, %v", m, fresh.ended)
		}
		if _, err := n.service.Attach(netip.Addr{}); err == nil || err.Code != wire.CodeDraining {
			t.Errorf("attached: %v", err)
		}
	})
}

// 300 clients that come, break off at some stage, and go leave nothing behind.
func TestChurn(t *testing.T) {
	scenario(t, nil, func(n *node) {
		for i := range 300 {
			s := n.connect()
			if i%5 > 0 {
				_ = s.send(1, wire.TypeJoin, wire.Join{Protocol: 1, Room: "tea"})
			}
			if i%5 > 1 {
				synctest.Wait()
			}
			if i%5 == 3 {
				_ = s.send(2, wire.TypeLeave, nil)
			}
			s.cut()
		}
		pass(time.Minute)
		if s := n.service.Stats(); s.Sessions != 0 || s.Unauthenticated != 0 {
			t.Errorf("%+v", s)
		}
	})
}
