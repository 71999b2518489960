package signal_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// A session that loses its sockets again and again, at any moment, gets every message once and in order.
func TestResumeLosesNothing(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			scenario(t, nil, func(n *node) {
				random := rand.New(rand.NewPCG(seed, 1))
				k := n.talker()
				s := n.connect()
				j := s.join("ann")
				var seen []wire.Message
				request, resumed := uint64(10), 0
				for range 30 {
					k.say(random.IntN(16))
					if random.IntN(2) == 0 {
						request++
						_ = s.send(request, wire.TypeSubscribe, wire.Subscribe{Subscribed: true})
					}
					if random.IntN(2) == 0 {
						synctest.Wait()
					}
					seen = append(seen, s.cut()...)
					k.say(random.IntN(16))
					pass(time.Duration(random.IntN(29)) * time.Second)
					// The client may have processed less than was written to it.
					seen = slices.DeleteFunc(seen, func(m wire.Message) bool { return m.Seq == 0 })
					if len(seen) > 3 {
						seen = seen[:max(resumed, len(seen)-random.IntN(3))] // but not than it has said before
					}
					resumed = len(seen)
					reading := make(chan struct{}, 1000)
					for range random.IntN(30) + 1 {
						reading <- struct{}{}
					}
					s = n.connectReading(reading)
					request++
					_ = s.send(request, wire.TypeResume, wire.Resume{Protocol: 1, Session: j.Session, Token: j.ResumeToken, Seq: seen[len(seen)-1].Seq})
				}
				close(s.reading)
				seen = append(seen, s.messages()...)
				if contiguous(t, 0, seen); count(seen, wire.TypeResync) != 0 {
					t.Error("a resync came instead")
				}
				if got := chats(seen); !slices.Equal(got, numbers(k.said)) {
					t.Errorf("%d messages were said, heard %d", k.said, len(got))
				}
				s.cut()
			})
		})
	}
}

// A gap of up to 1000 messages is replayed; a larger one becomes one resync, which has the next number.
func TestResumeGap(t *testing.T) {
	for _, c := range []struct {
		missed int
		resync bool
	}{{wire.ResumeMessages, false}, {wire.ResumeMessages + 1, true}, {3000, true}} {
		t.Run(fmt.Sprint(c.missed, " missed"), func(t *testing.T) {
			scenario(t, nil, func(n *node) {
				k := n.talker()
				first := n.connect()
				j := first.join("ann")
				after := contiguous(t, 0, first.cut())
				k.say(c.missed)
				s := n.connect()
				r := s.resume(j, 2, after)
				got := s.messages()[1:]
				if r.Replayed != len(got) || r.Revision == 0 {
					t.Errorf("resumed %+v, %d follow", r, len(got))
				}
				after = contiguous(t, after, got)
				if !c.resync {
					if !slices.Equal(chats(got), numbers(c.missed)) {
						t.Errorf("heard %d", len(chats(got)))
					}
					return
				}
				if len(got) != 1 || got[0].Type != wire.TypeResync {
					n.Fatalf("%d messages, the first is %s", len(got), got[0].Type)
				}
				snapshot := body[wire.Resync](got[0]).Room
				if len(snapshot.Participants) != 2 || len(snapshot.Chat) != wire.MaxChatKept || snapshot.Chat[wire.MaxChatKept-1].Text != fmt.Sprint(k.said) {
					t.Errorf("snapshot: %d participants, %d chats", len(snapshot.Participants), len(snapshot.Chat))
				}
				k.say(2)
				if more := s.messages()[2:]; contiguous(t, after, more) != after+2 || chats(more)[1] != fmt.Sprint(k.said) {
					t.Errorf("after the resync: %+v", more)
				}
			})
		})
	}
}

// A reply outlives the events around it: after too large a gap it still comes, before the resync.
func TestResumeGapKeepsReplies(t *testing.T) {
	scenario(t, nil, func(n *node) {
		k := n.talker()
		reading := make(chan struct{}, 1)
		first := n.connectReading(reading)
		reading <- struct{}{}
		j := first.join("ann")
		k.say(200)
		synctest.Wait()
		_ = first.send(2, wire.TypeSubscribe, wire.Subscribe{Subscribed: true}) // its reply is never read
		first.cut()
		k.say(900)
		s := n.connect()
		r := s.resume(j, 3, 1)
		got := s.messages()[1:]
		contiguous(t, 1, got)
		if r.Replayed != 2 || len(got) != 2 || got[0].Reply != 2 || got[0].Type != wire.TypeOK || got[1].Type != wire.TypeResync {
			t.Errorf("resumed %+v, got %+v", r, got)
		}
	})
}

// A reply that was lost with a silent socket is there for as long as its session can be resumed, also where the messages around it are not: what
// was done is not done again.
func TestReplyOutlastsSilence(t *testing.T) {
	scenario(t, nil, func(n *node) {
		k := n.talker()
		first := n.connect()
		j := first.join("ann")
		after := contiguous(t, 0, first.messages())
		first.reply(7, wire.TypeChat, wire.Chat{Text: "once"}) // the client does not get it any more
		pass(30 * time.Second)
		if end := first.end(); end != signal.EndLost {
			t.Fatalf("the silent socket ended %v", end)
		}
		k.say(wire.ResumeMessages + 1)
		pass(29 * time.Second)
		s := n.connect()
		s.resume(j, 8, after)
		if m := s.reply(7, wire.TypeChat, wire.Chat{Text: "once"}); m.Type != wire.TypeOK || slices.Contains(chats(s.messages()), "once") {
			t.Errorf("repeated after 59 s: %s, heard %q", m.Type, chats(s.messages()))
		}
	})
}

// Messages are replayed for as long as a session from which nothing comes can be resumed; from before that it gets a resync, and nothing
// is kept for it.
func TestResumeFromLongAgo(t *testing.T) {
	for _, c := range []struct {
		ago    time.Duration
		resync bool
	}{{signal.KeptTime - time.Second, false}, {signal.KeptTime + 30*time.Second, true}} {
		scenario(t, nil, func(n *node) {
			k := n.talker()
			s := n.connect()
			j := s.join("ann")
			k.say(5)
			synctest.Wait()
			for range c.ago / (10 * time.Second) { // the server hears of a client that its page does not
				pass(10 * time.Second)
				s.a.Heard()
			}
			pass(c.ago % (10 * time.Second))
			s.cut()
			again := n.connect()
			again.resume(j, 2, 1)
			got := again.messages()[1:]
			contiguous(t, 1, got)
			if resync := len(got) == 1 && got[0].Type == wire.TypeResync; resync != c.resync || !resync && len(chats(got)) != 5 {
				t.Errorf("after %v: %s", c.ago, types(got))
			}
		})
	}
}

// Whoever cannot resume learns nothing but that: an unknown session, a wrong token, an impossible number, and one that is over look
// the same.
func TestResumeRefused(t *testing.T) {
	scenario(t, nil, func(n *node) {
		first := n.connect()
		j := first.join("ann")
		first.cut()
		q := wire.Resume{Protocol: 1, Session: j.Session, Token: j.ResumeToken, Seq: 1}
		answers := map[string]bool{}
		for name, change := range map[string]func(*wire.Resume){
			"unknown session":    func(r *wire.Resume) { r.Session = "x" + r.Session[1:] + "y" },
			"no session":         func(r *wire.Resume) { r.Session = "" },
			"wrong token":        func(r *wire.Resume) { r.Token = r.Token[:42] + "?" },
			"shorter token":      func(r *wire.Resume) { r.Token = r.Token[:42] },
			"no token":           func(r *wire.Resume) { r.Token = "" },
			"session as token":   func(r *wire.Resume) { r.Token = r.Session },
			"a number ahead":     func(r *wire.Resume) { r.Seq = 2 },
			"a number far ahead": func(r *wire.Resume) { r.Seq = 1<<64 - 1 },
		} {
			s, bad := n.connect(), q
			change(&bad)
			m := s.reply(1, wire.TypeResume, bad)
			if m.Type != wire.TypeError || code(m) != wire.CodeSessionExpired {
				t.Errorf("%s: %s %s", name, m.Type, m.Body)
			}
			answers[string(m.Body)] = true
			s.cut()
		}
		if len(answers) != 1 {
			t.Errorf("answers differ: %v", answers)
		}
		s := n.connect()
		if got := s.refused(1, wire.TypeResume, wire.Resume{Protocol: 2, Session: j.Session, Token: j.ResumeToken}); got != wire.CodeProtocol {
			t.Errorf("other protocol: %s", got)
		}
		s.resume(j, 2, 1)
		if st := n.service.Stats(); st.Resumes != 1 || st.ResumesRefused != 8 {
			t.Errorf("%+v", st)
		}
	})
}

// A session can be resumed for 30 seconds; then the room hears that its participant timed out.
func TestResumeTime(t *testing.T) {
	scenario(t, nil, func(n *node) {
		bob := n.connect()
		bob.join("bob")
		first := n.connect()
		j := first.join("ann")
		first.cut()
		pass(29 * time.Second)
		bob.a.Heard()
		second := n.connect()
		second.resume(j, 2, 1)
		second.cut()
		pass(29 * time.Second)
		bob.a.Heard()
		if bob.last().Type != wire.TypeParticipantJoined {
			t.Errorf("too early: %+v", bob.last())
		}
		pass(time.Second)
		if e := bob.last(); e.Type != wire.TypeParticipantLeft || body[wire.ParticipantLeft](e).Reason != wire.CodeTimeout {
			t.Errorf("event: %s %s", e.Type, e.Body)
		}
		late := n.connect()
		if got := late.refused(1, wire.TypeResume, wire.Resume{Protocol: 1, Session: j.Session, Token: j.ResumeToken, Seq: 1}); got != wire.CodeSessionExpired {
			t.Error(got)
		}
		if late.join("ann"); n.service.Stats().Timeouts != 1 {
			t.Errorf("%+v", n.service.Stats())
		}
	})
}

// Resuming takes the session over: the old socket is closed, and nothing of it counts any more.
func TestResumeReplacesSocket(t *testing.T) {
	scenario(t, nil, func(n *node) {
		k := n.talker()
		old := n.connect()
		j := old.join("ann")
		next := n.connect()
		next.resume(j, 2, 1)
		if end := old.end(); end != signal.EndReplaced {
			t.Errorf("old socket ended %v", end)
		}
		k.say(1)
		if got := chats(next.messages()); len(got) != 1 || len(chats(old.messages())) != 0 {
			t.Errorf("heard %v", got)
		}
	})
}

// A client that never got joined has nothing to resume with: its session ends with its socket.
func TestLostBeforeJoined(t *testing.T) {
	scenario(t, nil, func(n *node) {
		bob := n.connect()
		bob.join("bob")
		s := n.connectReading(make(chan struct{}))
		_ = s.send(1, wire.TypeJoin, wire.Join{Protocol: 1, Room: "tea", Identity: "ann"})
		s.cut()
		synctest.Wait()
		if bob.last().Type != wire.TypeParticipantLeft || n.service.Stats().Sessions != 1 {
			t.Errorf("%+v, %+v", bob.last(), n.service.Stats())
		}
	})
}

// Whoever was kicked without a socket learns it by resuming.
func TestResumeTellsEnd(t *testing.T) {
	scenario(t, nil, func(n *node) {
		k := n.talker()
		first := n.connect()
		j := first.join("ann")
		first.cut()
		k.kick("ann")
		pass(20 * time.Second)
		s := n.connect()
		s.resume(j, 2, 1)
		if end := s.end(); end != signal.EndFinished {
			t.Errorf("ended %v", end)
		}
		if m := s.last(); m.Type != wire.TypeEnded || body[wire.Ended](m).Code != wire.CodeKicked {
			t.Errorf("last: %s %s", m.Type, m.Body)
		}
		synctest.Wait()
		if n.service.Stats().Sessions != 0 {
			t.Error("the session is still there")
		}
	})
}
