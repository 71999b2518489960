package scopes_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// town is a service and those who use it.
type town struct {
	t   *testing.T
	bus bus.Bus
	*scopes.Service
	strict *atomic.Bool // nothing is allowed any more
}

const linger = 30 * time.Second

func newTown(t *testing.T, log bus.Log) *town {
	t.Helper()
	return newTownOf(t, log, linger)
}

func newTownOf(t *testing.T, log bus.Log, linger time.Duration) *town {
	t.Helper()
	return newTownWith(t, scopes.ServiceConfig{Log: log, Linger: linger})
}

// newTownWith has the rest of what a service is made of.
func newTownWith(t *testing.T, config scopes.ServiceConfig) *town {
	t.Helper()
	b, strict := local.New(), &atomic.Bool{}
	config.Bus, config.Random = b, rand.Reader
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	config.May = func(scope wire.Scope, room string) func(state.Access) *wire.Error {
		now := strict.Load()
		return func(a state.Access) *wire.Error {
			if strings.HasPrefix(a.Name, "looked at ") {
				_, refused := a.Unfold(a.Old)
				return refused
			}
			if now || a.Name == "forbidden in "+string(scope)+" "+room || a.Name == "only for tea" && a.By.Room != "tea" {
				return wire.NewError(wire.CodeForbidden, "", "")
			}
			return nil
		}
	}
	s, err := scopes.NewService(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return &town{t, b, s, strict}
}

// ask sends a request and returns its answer's body, or its code.
func (c *town) ask(room, session, typ, body string) string {
	c.t.Helper()
	return c.askBy(state.Caller{Session: session, Identity: session}, room, typ, body)
}

func (c *town) askBy(by state.Caller, room, typ, body string) string {
	c.t.Helper()
	r := scopes.Request{Scope: wire.ScopeRoom, Room: room, By: by, Type: typ}
	if body != "" {
		r.Body = json.RawMessage(body)
	}
	answer, err := c.bus.Request(context.Background(), scopes.Subject, r.Encode())
	if err != nil {
		return err.Error()
	}
	var a scopes.Answer
	if err := json.Unmarshal(answer, &a); err != nil {
		c.t.Fatal(err)
	}
	if a.Error != nil {
		return string(a.Error.Code)
	}
	return a.Type + string(a.Body)
}

// come attaches a session and returns its events.
func (c *town) come(room, session string) bus.Subscription {
	c.t.Helper()
	events, err := c.bus.Subscribe(scopes.SessionSubject(session), 16)
	if err != nil {
		c.t.Fatal(err)
	}
	if got := c.ask(room, session, scopes.TypeAttach, ""); got != "" {
		c.t.Fatalf("attach: %s", got)
	}
	return events
}

func heard(events bus.Subscription) (got []string) {
	synctest.Wait()
	for b, ok := events.Next(); ok; b, ok = events.Next() {
		got = append(got, string(b))
	}
	return got
}

func town1(t *testing.T, test func(t *testing.T, c *town)) {
	synctest.Test(t, func(t *testing.T) {
		c := newTown(t, local.NewLog(1<<30))
		test(t, c)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

const writeA = `{"name":"a","operations":[{"op":"set","path":"n","value":1}]`

// Rule: rooms do not see each other's state, all see the server's; each scope has its own rules; what a client names is no subject.
func TestScopesAreApart(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		tea, milk := c.come("tea.*", "ann"), c.come("tea.>", "bob")
		now := fmt.Sprint(time.Now().UnixMicro())
		for room, session := range map[string]string{"tea.*": "ann", "tea.>": "bob"} {
			for _, scope := range []string{"room", "server"} {
				if got := c.ask(room, session, "record-subscribe", `{"scope":"`+scope+`","records":[{"name":"a"}]}`); scope == "room" && !strings.HasPrefix(got, "records") {
					t.Fatal(got)
				}
			}
		}
		if got := c.ask("tea.*", "ann", "record-write", writeA+"}"); got != `written{"incarnation":`+now+`,"version":1}` {
			t.Errorf("written: %s", got)
		}
		want := `{"type":"record-changed","body":{"scope":"room","name":"a","incarnation":` + now + `,"version":1,"operations":[{"op":"set","path":"n","value":1}],"by":"ann"}}`
		if got := heard(tea); len(got) != 1 || got[0] != want {
			t.Errorf("ann heard %q", got)
		}
		if got := heard(milk); len(got) != 0 {
			t.Errorf("bob, in another room, heard %q", got)
		}
		for room, want := range map[string]string{"tea.*": "forbidden", "tea.>": "written"} {
			body := strings.Replace(writeA, `"a"`, `"forbidden in room tea.*"`, 1) + "}"
			if got := c.ask(room, "", "record-write", body); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s", room, got)
			}
		}
	})
}

// Rule: the server's scope takes those who attached to it; a request that cannot be read, or of nobody who is attached, is refused.
func TestServerScope(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		if got := c.ask("tea", "ann", "event-subscribe", `{"scope":"server","names":["x"]}`); got != "session-expired" {
			t.Errorf("not attached: %s", got)
		}
		r := scopes.Request{Scope: wire.ScopeServer, By: state.Caller{Session: "ann", Identity: "ann"}, Type: scopes.TypeAttach}
		if _, err := c.bus.Request(t.Context(), scopes.Subject, r.Encode()); err != nil {
			t.Fatal(err)
		}
		if got := c.ask("tea", "ann", "presence-subscribe", `{"scope":"server"}`); got != `present{"identities":["ann"]}` {
			t.Errorf("attached: %s", got)
		}
		for typ, body := range map[string]string{"record-write": `{"scope":"hall"}`, "chat": `{}`, "": ``} {
			if got := c.ask("tea", "ann", typ, body); got != "bad-request" {
				t.Errorf("%s %s: %s", typ, body, got)
			}
		}
		if answer, err := c.bus.Request(t.Context(), scopes.Subject, []byte("{")); err != nil || !strings.Contains(string(answer), "bad-request") {
			t.Errorf("no JSON: %s, %v", answer, err)
		}
	})
}

// Rule: a room's state lives as long as somebody is attached, and for a while after; durable records are there when it opens again.
func TestRoomScopeLingers(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		c.come("tea", "ann")
		c.come("tea", "bob")
		c.ask("tea", "ann", "record-write", writeA+"}")
		c.ask("tea", "ann", "record-write", strings.Replace(writeA, `"a"`, `"kept"`, 1)+`,"durable":true}`)
		versions := func() string {
			got := c.ask("tea", "", "record-read", `{"records":[{"name":"a","head":true},{"name":"kept","head":true}]}`)
			return fmt.Sprint(strings.Count(got, `"version":1`), strings.Count(got, "not-found"))
		}
		c.ask("tea", "ann", scopes.TypeDetach, "")
		time.Sleep(2 * linger)
		if got := versions(); got != "2 0" {
			t.Errorf("while bob is there: %s", got)
		}
		c.ask("tea", "bob", scopes.TypeDetach, "")
		time.Sleep(linger - time.Second)
		if got := versions(); got != "2 0" {
			t.Errorf("while it lingers: %s", got)
		}
		time.Sleep(linger - time.Second) // the question before has begun it anew
		c.come("tea", "ann")
		if got := versions(); got != "2 0" {
			t.Errorf("ann came back in time: %s", got)
		}
		c.ask("tea", "ann", scopes.TypeDetach, "")
		time.Sleep(linger + time.Second)
		if got := versions(); got != "1 1" {
			t.Errorf("opened again: %s", got)
		}
	})
}

// Rule: while its room is there a room's state stays, used or not; then it ends, but not sooner than a while after its last use. To hold a room opens nothing.
func TestHeldRoomKeepsItsState(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		read := func() string {
			return c.ask("tea", "", "record-read", `{"records":[{"name":"a","head":true}]}`)
		}
		is := func(when string, there bool) {
			t.Helper()
			if got := read(); strings.Contains(got, `"version":1`) != there {
				t.Errorf("%s: %s", when, got)
			}
		}
		for _, first := range []string{"room", "state"} {
			if first == "room" {
				c.Hold("tea")
			}
			c.come("tea", "ann")
			c.Hold("tea")
			c.ask("tea", "ann", "record-write", writeA+"}")
			c.ask("tea", "ann", scopes.TypeDetach, "")
			time.Sleep(3 * linger)
			is("held", true)
			time.Sleep(linger - time.Second)
			c.Release("tea")
			time.Sleep(time.Second / 2)
			is("a while after its last use", true) // and used again
			time.Sleep(linger + time.Second)
			is("the room has ended", false)
			c.Hold("tea")
			c.ask("tea", "", "record-write", writeA+"}")
			time.Sleep(3 * linger)
			c.Release("tea")
			time.Sleep(time.Second)
			is("the room has ended, and nobody had used it for long", false)
			time.Sleep(linger + time.Second)
		}
	})
}

// Rule: rules know in which room somebody is who uses what all rooms share.
func TestRulesKnowTheRoom(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		body := `{"scope":"server","name":"only for tea"}`
		if got := c.ask("tea", "", "event-publish", body) + " " + c.ask("milk", "", "event-publish", body); got != "ok{} forbidden" {
			t.Errorf("published: %s", got)
		}
	})
}

// Rule: new rules hold in every scope at once, and end what they forbid.
func TestServiceRecheck(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		for _, room := range []string{"tea", "milk"} {
			events := c.come(room, "ann in "+room)
			c.ask(room, "ann in "+room, "event-subscribe", `{"names":["x"]}`)
			c.strict.Store(true)
			c.Recheck()
			if got := heard(events); len(got) != 1 || !strings.Contains(got[0], "state-unsubscribed") {
				t.Errorf("%s: heard %q", room, got)
			}
			for _, body := range []string{`{"name":"x"}`, `{"scope":"server","name":"x"}`} {
				if got := c.ask(room, "", "event-publish", body); got != "forbidden" {
					t.Errorf("%s, %s: %s", room, body, got)
				}
			}
			c.strict.Store(false)
			c.Recheck()
		}
	})
}

// doorLog lets rooms be read when the test says so, and counts those who read.
type doorLog struct {
	bus.Log
	read    chan struct{} // one for each Last, with which a reading begins
	reading atomic.Int32
}

func (l *doorLog) Last(ctx context.Context, subject string) (bus.Stored, error) {
	if subject == "server" {
		return l.Log.Last(ctx, subject)
	}
	l.reading.Add(1)
	defer l.reading.Add(-1)
	select {
	case <-l.read:
		return l.Log.Last(ctx, subject)
	case <-ctx.Done():
		return bus.Stored{}, ctx.Err()
	}
}

// Rule: a scope that is being opened while the rules change has the new ones when it is there; no other waits for it.
func TestRecheckWhileOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &doorLog{Log: local.NewLog(1 << 20), read: make(chan struct{})}
		c := newTown(t, log)
		got := make(chan string, 1)
		go func() { got <- c.ask("tea", "", "event-publish", `{"name":"x"}`) }()
		synctest.Wait()
		c.strict.Store(true)
		c.Recheck()
		if got := c.ask("tea", "", "event-publish", `{"scope":"server","name":"x"}`); got != "forbidden" {
			t.Errorf("in the other scope: %s", got)
		}
		log.read <- struct{}{}
		if got := <-got; got != "forbidden" {
			t.Errorf("in the scope that was being opened: %s", got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Rule: a room's scope is opened when all of the same name that were there before have ended, also where these waited for each other.
func TestScopesOfOneNameFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := bustest.NewSlowLog(local.NewLog(1 << 20))
		log := &doorLog{Log: disk, read: make(chan struct{})}
		c := newTownOf(t, log, time.Second)
		ask := func(body string) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r := scopes.Request{Room: "tea", Type: wire.TypeRecordWrite, Body: json.RawMessage(body), By: state.Caller{Identity: "ann"}}
			_, _ = c.bus.Request(ctx, scopes.Subject, r.Encode())
		}
		go ask(writeA + `,"durable":true}`)
		log.read <- struct{}{}
		time.Sleep(3 * time.Second) // the first ends, but is storing
		go ask(writeA + "}")
		time.Sleep(3 * time.Second) // the second, which waits for the first, ends too
		close(disk.Stores)
		synctest.Wait()
		go ask(writeA + "}")
		synctest.Wait()
		if n := log.reading.Load(); n != 1 {
			t.Errorf("%d are being opened at once", n)
		}
		close(log.read)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Rule: a reset ends what a session has in the scope, and it can begin again.
func TestServiceReset(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		events := c.come("tea", "ann")
		c.ask("tea", "ann", "event-subscribe", `{"names":["x"]}`)
		c.ask("tea", "ann", scopes.TypeReset, "")
		c.ask("tea", "", "event-publish", `{"name":"x"}`)
		if got := heard(events); len(got) != 0 {
			t.Errorf("after a reset ann heard %q", got)
		}
		c.ask("tea", "ann", "event-subscribe", `{"names":["x"]}`)
		c.ask("tea", "", "event-publish", `{"name":"x"}`)
		if got := heard(events); len(got) != 1 {
			t.Errorf("begun again ann heard %q", got)
		}
	})
}

// readLog counts readings of a room, fails them if it is told to, and is what the service logs to.
type readLog struct {
	bus.Log
	failing atomic.Bool
	reads   atomic.Int32
	lines   atomic.Int32
}

func (l *readLog) Last(ctx context.Context, subject string) (bus.Stored, error) {
	if subject == "server" {
		return l.Log.Last(ctx, subject)
	}
	l.reads.Add(1)
	if l.failing.Load() {
		return bus.Stored{}, errors.New("the disk gives nothing")
	}
	return l.Log.Last(ctx, subject)
}

func (l *readLog) Write(line []byte) (int, error) {
	l.lines.Add(1)
	return len(line), nil
}

// Rule: what is stored of a room that cannot be opened is not read again, nor told again, for each request, and for those who come and go, but once in a while.
func TestScopeIsNotOpenedForEachRequest(t *testing.T) {
	for what, damaged := range map[string]bool{"damaged": true, "cannot be read": false} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &readLog{Log: local.NewLog(1 << 20)}
				log.failing.Store(!damaged)
				if _, err := log.Append(t.Context(), "rdGVh", 0, []byte("{")); err != nil {
					t.Fatal(err)
				}
				c := newTownWith(t, scopes.ServiceConfig{Log: log, Linger: linger, Logger: slog.New(slog.NewTextHandler(log, nil))})
				pause, want, swept := 11*time.Second, "overloaded", int32(0)
				if damaged {
					pause, want, swept = 11*time.Minute, "internal", 1 // the room is looked at once beside
				}
				for round := range int32(3) {
					for range 100 {
						for _, typ := range []string{scopes.TypeAttach, "presence-read", scopes.TypeDetach} {
							if got := c.ask("tea", "ann", typ, ""); got != want {
								t.Fatalf("%s: %s, want %s", typ, got, want)
							}
						}
						time.Sleep(10 * time.Millisecond)
					}
					if reads, lines := log.reads.Load(), log.lines.Load(); reads < round+1 || reads > round+1+swept || lines != round+1 {
						t.Fatalf("round %d: read %d times, told %d", round, reads, lines)
					}
					time.Sleep(pause)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Rule: a scope of which what is stored is damaged says so, and is tried again after a while.
func TestScopeCannotBeLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := local.NewLog(1 << 20)
		if _, err := l.Append(t.Context(), "rdGVh", 0, []byte("{")); err != nil { // base64 of tea
			t.Fatal(err)
		}
		c := newTown(t, l)
		if got := c.ask("tea", "", "record-write", writeA+"}"); got != "internal" {
			t.Errorf("broken: %s", got)
		}
		if got := c.ask("milk", "", "record-write", writeA+"}"); !strings.HasPrefix(got, "written") {
			t.Errorf("another room: %s", got)
		}
		if _, err := l.Append(t.Context(), "rdGVh", 1, []byte(`{"c":0,"e":[]}`)); err != nil {
			t.Fatal(err)
		}
		if err := l.Purge(t.Context(), "rdGVh", 2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Minute)
		if got := c.ask("tea", "", "record-write", writeA+"}"); !strings.HasPrefix(got, "written") {
			t.Errorf("repaired: %s", got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Rule: a node has at most MaxScopes of rooms, be all of one source.
func TestScopeLimit(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		eve := state.Caller{Source: netip.MustParseAddr("192.0.2.1")}
		for i := range scopes.MaxScopes {
			if got := c.askBy(eve, fmt.Sprint("room ", i), "presence-read", ""); !strings.HasPrefix(got, "present") {
				t.Fatalf("room %d: %s", i, got)
			}
		}
		if got := c.askBy(eve, "one more", "presence-read", ""); got != "overloaded" {
			t.Errorf("one more: %s", got)
		}
		time.Sleep(linger + time.Second)
		if got := c.ask("one more", "", "presence-read", ""); !strings.HasPrefix(got, "present") {
			t.Errorf("when others have gone: %s", got)
		}
	})
}

// Rule: where there are MaxScopes, one that nobody uses makes way for another, of the source that holds most, the longest unused first; who holds as
// many himself is refused. Where people are, and where somebody is attached, nothing makes way, and whoever comes there has a scope.
func TestScopesMakeWay(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		greedy, other, newcomer := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
		ask := func(source netip.Addr, room, typ, body string) string {
			return c.askBy(state.Caller{Identity: "eve", Source: source}, room, typ, body)
		}
		written := func(source netip.Addr, room string) bool {
			return strings.Contains(ask(source, room, "record-read", `{"records":[{"name":"a","head":true}]}`), `"version":1`)
		}
		c.Hold("people")
		for _, room := range []string{"people", "oldest"} {
			ask(greedy, room, "record-write", writeA+"}")
		}
		c.come("attached", "ann")
		c.ask("attached", "ann", "record-write", writeA+"}")
		for i := range scopes.MaxScopes - 3 {
			source := greedy
			if i%2 == 0 {
				source = other
			}
			if got := ask(source, fmt.Sprint("room ", i), "presence-read", ""); !strings.HasPrefix(got, "present") {
				t.Fatalf("room %d: %s", i, got)
			}
		}
		if got := ask(greedy, "one more", "presence-read", ""); got != "overloaded" || c.Crowded() != 1 {
			t.Errorf("who holds most asks for one more: %s, %d refused", got, c.Crowded())
		}
		ask(newcomer, "mine", "record-write", writeA+"}")
		for i := range 2000 { // now each takes from the other
			ask(greedy, fmt.Sprint("more ", i), "presence-read", "")
			ask(other, fmt.Sprint("others ", i), "presence-read", "")
		}
		c.Hold("new people")
		for room, want := range map[string]string{"people": "records", "attached": "records", "mine": "records", "new people": "records"} {
			if got := ask(greedy, room, "record-read", `{"records":[{"name":"a","head":true}]}`); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s", room, got)
			}
		}
		if !written(newcomer, "people") || !written(newcomer, "attached") || !written(newcomer, "mine") || written(newcomer, "oldest") {
			t.Error("what made way was not the oldest of those that nobody needs")
		}
		c.Release("people")
		time.Sleep(linger + time.Second)
		if written(newcomer, "people") {
			t.Error("what lingered has not ended")
		}
	})
}

// Rule: what is asked with a number is answered among the session's events, in order with what it brings about, and nobody waits meanwhile.
func TestRepliesAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		c := newTown(t, d)
		events := c.come("tea", "ann")
		number := 0
		ask := func(typ, body string) {
			t.Helper()
			number++
			r := scopes.Request{Room: "tea", By: state.Caller{Session: "ann", Identity: "ann"}, Type: typ, Body: json.RawMessage(body), Reply: uint64(number)}
			if answer, err := c.bus.Request(t.Context(), scopes.Subject, r.Encode()); err != nil || string(answer) != "{}" {
				t.Errorf("%s: %s, %v", typ, answer, err)
			}
		}
		brief := func() (got string) {
			for _, e := range heard(events) {
				var m scopes.Event
				if err := json.Unmarshal([]byte(e), &m); err != nil {
					t.Fatal(err)
				}
				got += fmt.Sprint(m.Reply, m.Type, " ")
			}
			return got
		}
		ask("record-write", writeA+`,"durable":true}`)
		synctest.Wait() // it is being stored
		ask("record-subscribe", `{"records":[{"name":"a"}]}`)
		ask("record-write", writeA+"}")
		ask("event-publish", `{"name":"x"}`)
		ask("record-write", `{"name":"b"}`)
		if got := brief(); got != "4ok 5error " {
			t.Errorf("while it is being stored: %s", got)
		}
		d.sync <- nil
		if got := brief(); got != "1written 2records " {
			t.Errorf("the first is stored: %s", got)
		}
		d.sync <- nil
		if got := brief(); got != "3written 0record-changed " {
			t.Errorf("all is stored: %s", got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Rule: what nobody waits for any more, as the scope was not to be had for too long, is refused and not carried out.
func TestAskedTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		h := open(t, d)
		h.later(set("a", 1))
		synctest.Wait()
		var replies []state.Reply
		asked := 0
		for { // until the owner takes no more
			err := h.Ask(t.Context(), set("b", strings.Repeat("x", 200<<10)), 0, func(r state.Reply) { replies = append(replies, r) })
			if synctest.Wait(); err != nil {
				break
			}
			asked++
		}
		for range 2 { // a commit has 10 s to be stored, and so has a request to be begun
			time.Sleep(9 * time.Second)
			d.sync <- nil
		}
		for synctest.Wait(); len(replies) < asked; synctest.Wait() {
			d.sync <- nil
		}
		late := 0
		for _, r := range replies {
			if r.Error != nil && r.Error.Code == wire.CodeOverloaded {
				late++
			}
		}
		if got := h.now(read("b")).Body.(wire.Records).Results[0].Record.Version; late == 0 || int(got) != asked-late {
			t.Errorf("of %d, %d were carried out and %d refused", asked, got, late)
		}
	})
}
