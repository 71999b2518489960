package scopes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// disk is a log whose syncs the test does by hand, and which can break.
type disk struct {
	bus.Log
	sync chan error // one for each Append: nil, or why it is not stored

	mu      sync.Mutex
	commits []string
}

func newDisk() *disk { return &disk{Log: local.NewLog(1 << 30), sync: make(chan error)} }

func (d *disk) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	d.mu.Lock()
	d.commits = append(d.commits, string(b))
	d.mu.Unlock()
	if err := <-d.sync; err != nil {
		return 0, err
	}
	return d.Log.Append(ctx, subject, after, b)
}

func (d *disk) written() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.commits)
}

// house is an owner and what its sessions were told.
type house struct {
	*scopes.Owner
	t    *testing.T
	gate chan struct{} // if there is one, the loop waits for it before it tells something

	mu   sync.Mutex
	told []string
}

func open(t *testing.T, log bus.Log) *house {
	t.Helper()
	h := &house{t: t}
	o, err := scopes.Open(t.Context(), scopes.Config{
		State: state.Config{Scope: wire.ScopeServer, Durable: true}, Log: log, Subject: "server",
		Tell: func(e state.Tell, body []byte) {
			if h.gate != nil {
				<-h.gate
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			h.told = append(h.told, fmt.Sprint(e.Sessions, " ", e.Type, " ", string(body)))
		},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Owner = o
	t.Cleanup(func() { _ = o.Close() })
	return h
}

// heard returns what was told since it was asked last.
func (h *house) heard() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	told := h.told
	h.told = nil
	return told
}

func (h *house) attach(session string) state.Caller {
	h.t.Helper()
	by := state.Caller{Session: session, Identity: session}
	if _, err := h.Do(h.t.Context(), state.Attach{By: by}); err != nil {
		h.t.Fatal(err)
	}
	return by
}

func set(name string, value any) state.RecordWrite {
	b, _ := json.Marshal(value)
	return state.RecordWrite{RecordWrite: wire.RecordWrite{
		Name: name, Operations: []wire.Operation{{Op: wire.OperationSet, Path: "n", Value: b}},
	}}
}

func read(name string) state.RecordRead {
	return state.RecordRead{RecordRead: wire.RecordRead{Records: []wire.RecordWanted{{Name: name}}}}
}

// later carries out a command and returns where its reply appears.
func (h *house) later(command state.Command) chan state.Reply {
	replies := make(chan state.Reply, 1)
	go func() {
		if r, err := h.Do(context.Background(), command); err == nil {
			replies <- r
		} else {
			replies <- state.Reply{Error: &wire.Error{Message: err.Error()}}
		}
	}()
	return replies
}

// now carries out a command whose reply waits for nothing.
func (h *house) now(command state.Command) state.Reply {
	h.t.Helper()
	replies := h.later(command)
	synctest.Wait()
	select {
	case r := <-replies:
		return r
	default:
		h.t.Fatalf("%T waits", command)
		return state.Reply{}
	}
}

func waiting(t *testing.T, what string, replies chan state.Reply) {
	t.Helper()
	select {
	case r := <-replies:
		t.Errorf("%s was answered before it was stored: %+v", what, r)
	default:
	}
}

// bubble runs a test in virtual time, and then stores whatever is left.
func bubble(t *testing.T, test func(t *testing.T, d *disk, h *house)) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		test(t, d, open(t, d))
		close(d.sync)
	})
}

// Rule: nothing that shows a durable write leaves before the write is stored: no reply, no event, no read; all else leaves at once.
func TestAcknowledgedMeansStored(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		ann := h.attach("ann")
		h.now(state.RecordSubscribe{By: ann, RecordSubscribe: wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "a"}}}})
		h.now(state.EventSubscribe{By: ann, EventNames: wire.EventNames{Names: []string{"wave"}}})
		first := h.later(set("a", 1))
		synctest.Wait()
		second := h.later(set("a", 2))
		synctest.Wait()
		reading := h.later(read("a"))
		synctest.Wait()
		h.now(read("other"))
		h.now(state.EventPublish{EventPublish: wire.EventPublish{Name: "wave"}})
		waiting(t, "a write", first)
		waiting(t, "another write", second)
		waiting(t, "a read", reading)
		if told := h.heard(); len(told) != 1 {
			t.Errorf("before anything was stored ann was told %q", told)
		}
		d.sync <- nil
		synctest.Wait()
		if r := <-first; r.Error != nil || r.Body.(wire.Written).Version != 1 {
			t.Errorf("first write: %+v", r)
		}
		waiting(t, "another write", second)
		waiting(t, "a read", reading)
		if told := h.heard(); len(told) != 1 {
			t.Errorf("after the first commit ann was told %q", told)
		}
		d.sync <- nil
		synctest.Wait()
		if r := <-second; r.Error != nil || r.Body.(wire.Written).Version != 2 {
			t.Errorf("second write: %+v", r)
		}
		if r := <-reading; string(r.Body.(wire.Records).Results[0].Record.Value) != `{"n":2}` {
			t.Errorf("read: %+v", r)
		}
		h.now(read("a"))
	})
}

// Rule: nothing shows a deletion before it is stored either, and what is told of a record does not overtake the reply to its subscription.
func TestNothingOvertakes(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		ann, bob := h.attach("ann"), h.attach("bob")
		first := h.later(set("a", 1))
		synctest.Wait()
		have := []wire.RecordHave{{Name: "a"}, {Name: "b"}}
		subscribed := h.later(state.RecordSubscribe{By: ann, RecordSubscribe: wire.RecordSubscribe{Records: have}})
		synctest.Wait()
		h.now(state.Listen{By: bob, Listen: wire.Listen{Kind: wire.ListenRecords, Pattern: "*"}})
		ephemeral, no := set("b", 1), false
		ephemeral.Durable = &no
		second := h.later(ephemeral)
		synctest.Wait()
		waiting(t, "a subscription", subscribed)
		for _, told := range h.heard() {
			if !strings.HasPrefix(told, "[bob] listen-start") {
				t.Errorf("before ann was subscribed: %s", told)
			}
		}
		d.sync <- nil
		synctest.Wait()
		<-first
		<-subscribed
		<-second
		if told := h.heard(); len(told) != 3 { // two providers and a change
			t.Errorf("then %q", told)
		}
		deleted := h.later(state.RecordDelete{RecordDelete: wire.RecordDelete{Name: "a"}})
		synctest.Wait()
		version := uint64(1)
		again := set("a", 2)
		again.Version = &version
		for what, replies := range map[string]chan state.Reply{
			"a read": h.later(read("a")), "a second deletion": h.later(state.RecordDelete{RecordDelete: wire.RecordDelete{Name: "a"}}),
			"a conflict": h.later(again), "the deletion": deleted,
		} {
			synctest.Wait()
			waiting(t, what, replies)
		}
		d.sync <- nil
	})
}

// Rule: what comes while a commit is being stored is one commit together.
func TestWritersShareCommits(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		var all []chan state.Reply
		for i := range 64 {
			all = append(all, h.later(set(fmt.Sprint("r", i), i)))
			synctest.Wait()
		}
		if n := d.written(); n != 1 {
			t.Fatalf("%d commits are being stored", n)
		}
		d.sync <- nil
		synctest.Wait()
		d.sync <- nil
		synctest.Wait()
		for i, replies := range all {
			select {
			case r := <-replies:
				if r.Error != nil {
					t.Errorf("write %d: %v", i, r.Error)
				}
			default:
				t.Fatalf("write %d waits after two commits", i)
			}
		}
		if n := d.written(); n != 2 {
			t.Errorf("%d commits for 64 writes", n)
		}
	})
}

// Rule: where a commit cannot be stored, whoever waits is told so, sessions are told that their subscriptions are gone, and the scope is
// what is stored, and what was never to be; the next write finds that.
func TestStoreFails(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		ann := h.attach("ann")
		stored := h.later(set("a", 1))
		synctest.Wait()
		d.sync <- nil
		<-stored
		cursor, no, ttl := set("cursor", 1), false, 60
		cursor.Durable, cursor.TTLSeconds = &no, &ttl
		h.now(cursor)
		h.now(state.RecordSubscribe{By: ann, RecordSubscribe: wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "a"}}}})
		lost := h.later(set("a", 2))
		synctest.Wait()
		behind, reading := h.later(set("b", 1)), h.later(read("a"))
		synctest.Wait()
		d.sync <- errors.New("the disk is broken")
		synctest.Wait()
		for what, replies := range map[string]chan state.Reply{"a write": lost, "one behind it": behind, "a read": reading} {
			if r := <-replies; r.Error == nil || r.Error.Code != wire.CodeInternal {
				t.Errorf("%s: %+v", what, r)
			}
		}
		if told := h.heard(); len(told) != 1 || told[0] != `[ann] state-lost {"scope":"server"}` {
			t.Errorf("ann was told %q", told)
		}
		if r := h.now(read("a")); string(r.Body.(wire.Records).Results[0].Record.Value) != `{"n":1}` {
			t.Errorf("read: %+v", r.Body)
		}
		if r := h.now(read("cursor")); string(r.Body.(wire.Records).Results[0].Record.Value) != `{"n":1}` {
			t.Errorf("what is not stored: %+v", r.Body)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if r := h.now(read("cursor")); r.Body.(wire.Records).Results[0].Error == nil {
			t.Errorf("what is not stored lives longer than it may: %+v", r.Body)
		}
		next := h.later(set("a", 3))
		synctest.Wait()
		d.sync <- nil
		if r := <-next; r.Error != nil || r.Body.(wire.Written).Version != 2 {
			t.Errorf("the next write: %+v", r)
		}
		if r := h.now(state.PresenceRead{}); fmt.Sprint(r.Body.(wire.Present).Identities) != "[ann]" {
			t.Errorf("present: %v", r.Body)
		}
	})
}

// Rule: what rules have decided by a write that is not stored waits for it, in its order. Where it cannot be stored, nobody has heard of that, who asked is told so, and
// what was written to records that are not durable is undone.
func TestDecisionsWaitForWhatTheyLookAt(t *testing.T) {
	for _, fails := range []bool{false, true} {
		bubble(t, func(t *testing.T, d *disk, h *house) {
			ann := h.attach("ann")
			h.Recheck(func(a state.Access) *wire.Error {
				if a.By.Identity == "bob" && !a.Lookup("gate").Exists() {
					return wire.NewError(wire.CodeForbidden, "", "")
				}
				return nil
			})
			no := false
			cursor := set("cursor", 1)
			cursor.Durable = &no
			h.now(cursor)
			h.now(state.EventSubscribe{By: ann, EventNames: wire.EventNames{Names: []string{"wave"}}})
			publish := func(who, value string) state.EventPublish {
				return state.EventPublish{By: state.Caller{Identity: who}, EventPublish: wire.EventPublish{Name: "wave", Value: []byte(value)}}
			}
			if r := h.now(publish("bob", "1")); r.Error == nil {
				t.Error("the gate is not there, and bob publishes")
			}
			gate := h.later(set("gate", 1))
			synctest.Wait()
			cursor = set("cursor", 2)
			cursor.By.Identity = "bob"
			replies := map[string]chan state.Reply{"the gate": gate, "what bob publishes": h.later(publish("bob", "2"))}
			synctest.Wait()
			replies["what follows"], replies["what bob writes"] = h.later(publish("cid", "3")), h.later(cursor)
			synctest.Wait()
			for what, reply := range replies {
				waiting(t, what, reply)
			}
			if told := h.heard(); len(told) > 0 {
				t.Errorf("told %q before the gate is stored", told)
			}
			want, value := "2 3", `{"n":2}`
			if fails {
				d.sync <- errors.New("the disk is broken")
				want, value = "lost", `{"n":1}`
			} else {
				d.sync <- nil
			}
			synctest.Wait()
			for what, reply := range replies {
				if r := <-reply; fails != (r.Error != nil) || fails && r.Error.Code != wire.CodeInternal {
					t.Errorf("fails %v, %s: %+v", fails, what, r)
				}
			}
			var told []string
			for _, e := range h.heard() {
				if _, after, ok := strings.Cut(e, `"value":`); ok {
					told = append(told, after[:1])
				} else if strings.Contains(e, "state-lost") {
					told = append(told, "lost")
				}
			}
			if got := strings.Join(told, " "); got != want {
				t.Errorf("fails %v: ann is told %q, want %q", fails, got, want)
			}
			if r := h.now(read("cursor")); string(r.Body.(wire.Records).Results[0].Record.Value) != value {
				t.Errorf("fails %v: the cursor is %+v, want %s", fails, r.Body, value)
			}
		})
	}
}

// Rule: a store that stays broken does not make the owner spend all its time on loading.
func TestStoreStaysBroken(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		start := time.Now()
		for range 3 {
			write := h.later(set("a", 1))
			d.sync <- errors.New("the disk is broken")
			if r := <-write; r.Error == nil {
				t.Errorf("written: %+v", r)
			}
		}
		if _, err := h.Do(t.Context(), read("a")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("three failures took %v", took)
		}
	})
}

// Rule: an owner that takes no commands, as its disk stands still, has other rules all the same, and ends what they do not allow.
func TestRecheckOfWhoIsHeldUp(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		ann := h.attach("ann")
		h.now(state.EventSubscribe{By: ann, EventNames: wire.EventNames{Names: []string{"wave"}}})
		for range 10_000 { // more than may wait for a commit, and for the loop
			h.later(set("a", 1))
		}
		synctest.Wait()
		h.Recheck(func(a state.Access) *wire.Error { return wire.NewError(wire.CodeForbidden, "", "") })
		synctest.Wait()
		if told := h.heard(); len(told) != 1 || !strings.HasPrefix(told[0], "[ann] state-unsubscribed ") {
			t.Errorf("ann was told %q", told)
		}
		for last := h.later(set("a", 1)); ; {
			select {
			case d.sync <- nil:
			case r := <-last:
				if r.Error == nil || r.Error.Code != wire.CodeForbidden {
					t.Errorf("written after the rules had changed: %+v", r)
				}
				return
			}
		}
	})
}

// Rule: an owner that is closed before it is loaded again shows nothing of what it could not store.
func TestCloseAfterFailure(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, _ *house) {
		for range 20 { // what is chosen of a command and the end is chance
			h := open(t, d)
			for range 2 { // the second time it waits
				write := h.later(set("a", 1))
				synctest.Wait()
				d.sync <- errors.New("the disk is broken")
				<-write
			}
			reading := h.later(read("a"))
			synctest.Wait()
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			if r := <-reading; r.Error == nil {
				t.Fatalf("read: %+v", r.Body)
			}
		}
	})
}

// Rule: a fault ends nothing but what was under way in the scope; what is stored is there.
func TestFault(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		ann := h.attach("ann")
		first := h.later(set("a", 1))
		synctest.Wait()
		d.sync <- nil
		<-first
		h.Recheck(func(a state.Access) *wire.Error {
			if a.Name == "fault" {
				panic("a fault")
			}
			return nil
		})
		h.now(state.EventSubscribe{By: ann, EventNames: wire.EventNames{Names: []string{"wave"}}})
		behind := h.later(set("a", 2))
		synctest.Wait()
		fault := h.later(set("fault", 1))
		synctest.Wait()
		d.sync <- nil // the scope waits for what is being stored
		for what, replies := range map[string]chan state.Reply{"what brought it about": fault, "what was under way": behind} {
			if r := <-replies; r.Error == nil || r.Error.Code != wire.CodeInternal {
				t.Errorf("%s: %+v", what, r)
			}
		}
		if r := h.now(read("a")); r.Body.(wire.Records).Results[0].Record.Version != 2 {
			t.Errorf("after the fault: %+v", r.Body)
		}
		if told := h.heard(); len(told) != 1 || told[0] != `[ann] state-lost {"scope":"server"}` {
			t.Errorf("ann was told %q", told)
		}
		if r := h.now(set("fault", 1)); r.Error == nil || r.Error.Code != wire.CodeInternal {
			t.Errorf("the rules were forgotten: %+v", r)
		}
	})
}

// Rule: who calls without a session is answered once, when the call has ended, or when nobody knows any more how it ended.
func TestCallWithoutSession(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		bob := h.attach("bob")
		provide := state.RPCProvide{By: bob, RPCNames: wire.RPCNames{Names: []string{"add"}}}
		call := state.RPCRequest{By: state.Caller{Identity: "shop"}, RPCRequest: wire.RPCRequest{Name: "add"}}
		if r := h.now(call); r.Error == nil || r.Error.Code != wire.CodeNoProvider {
			t.Errorf("nobody provides: %+v", r)
		}
		h.now(provide)
		first := h.later(call)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.Do(ctx, call); !errors.Is(err, context.Canceled) {
			t.Errorf("nobody waits: %v", err)
		}
		number := uint64(time.Now().UnixMicro()) + 1 // the second call in the same moment
		h.now(state.RPCAccept{By: bob, RPCAccept: wire.RPCAccept{Call: number}})
		h.now(state.RPCAnswer{By: bob, RPCAnswer: wire.RPCAnswer{Call: number, Value: []byte(`5`)}})
		if r := <-first; r.Error != nil || r.Type != wire.TypeRPCResult || string(r.Body.(wire.RPCResult).Value) != `5` {
			t.Errorf("answered: %+v", r)
		}
		second, write := h.later(call), h.later(set("a", 1))
		synctest.Wait()
		d.sync <- errors.New("the disk is broken")
		<-write
		if r := <-second; r.Error == nil || r.Error.Code != wire.CodeInternal {
			t.Errorf("the scope was loaded again: %+v", r)
		}
	})
}

// Rule: Close waits for what was accepted, and what is opened again has it.
func TestCloseStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		h := open(t, d)
		a, b := h.later(set("a", 1)), h.later(set("a", 2))
		synctest.Wait()
		closed := make(chan error)
		go func() { closed <- h.Close() }()
		synctest.Wait()
		close(d.sync)
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		for _, replies := range []chan state.Reply{a, b} {
			if r := <-replies; r.Error != nil {
				t.Errorf("a write: %v", r.Error)
			}
		}
		if _, err := h.Do(t.Context(), read("a")); !errors.Is(err, scopes.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if r := open(t, d).now(read("a")); r.Body.(wire.Records).Results[0].Record.Version != 2 {
			t.Errorf("opened again: %+v", r.Body)
		}
	})
}

// Rule: however much is written, the log stays about as long as what it describes, and still leads to the scope.
func TestLogStaysShort(t *testing.T) {
	l := local.NewLog(1 << 30)
	h := open(t, l)
	text := strings.Repeat("x", 64<<10)
	if r, err := h.Do(t.Context(), set("quiet", "never written again")); err != nil || r.Error != nil {
		t.Fatal(r, err)
	}
	for i := range 500 { // 32 MiB, of 10 records with a history of 4 versions
		if r, err := h.Do(t.Context(), set(fmt.Sprint("busy", i%10), text)); err != nil || r.Error != nil {
			t.Fatal(r, err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	size, messages := 0, 0
	if err := l.Read(t.Context(), "server", 0, func(m bus.Stored) error {
		size += len(m.Bytes)
		messages++
		return nil
	}); err != nil || size > 16<<20 || messages > 250 {
		t.Errorf("the log has %d bytes in %d messages, %v", size, messages, err)
	}
	again := open(t, l)
	for name, want := range map[string]uint64{"quiet": 1, "busy0": 50, "busy9": 50} {
		r, err := again.Do(t.Context(), read(name))
		if err != nil || r.Body.(wire.Records).Results[0].Record.Version != want {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// Rule: a record goes at its time, without anybody asking.
func TestTimer(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		ann := h.attach("ann")
		h.now(state.RecordSubscribe{By: ann, RecordSubscribe: wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "a"}}}})
		w, ttl := set("a", 1), 5
		w.TTLSeconds = &ttl
		stored := h.later(w)
		synctest.Wait()
		d.sync <- nil
		<-stored
		h.heard()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if told := h.heard(); len(told) != 0 {
			t.Errorf("told %q before its end was stored", told)
		}
		d.sync <- nil
		synctest.Wait()
		if told := h.heard(); len(told) != 1 {
			t.Errorf("told %q", told)
		}
	})
}

// Rule: what is due at the moment when a commit is stored is done like at any other.
func TestDueWhenStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		var mu sync.Mutex
		told := map[string]int{}
		o, err := scopes.Open(t.Context(), scopes.Config{
			State: state.Config{Scope: wire.ScopeRoom}, Log: d, Subject: "r",
			Tell: func(e state.Tell, body []byte) {
				time.Sleep(time.Second) // meanwhile more becomes due, and is stored
				mu.Lock()
				defer mu.Unlock()
				told[e.Type]++
			},
			Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		h := &house{t: t, Owner: o}
		ann := h.attach("ann")
		const rounds = 20
		for i := range rounds {
			name := fmt.Sprint("mortal", i)
			h.now(state.RecordSubscribe{By: ann, RecordSubscribe: wire.RecordSubscribe{Records: []wire.RecordHave{{Name: name}}}})
			h.now(state.EventSubscribe{By: ann, EventNames: wire.EventNames{Names: []string{"wave"}}})
			w, ttl := set(name, 1), 2
			w.TTLSeconds = &ttl
			h.later(w)
			time.Sleep(1500 * time.Millisecond) // it was told in the first second
			durable, yes := set("durable", i), true
			durable.Durable = &yes
			stored := h.later(durable)
			h.later(state.EventPublish{EventPublish: wire.EventPublish{Name: "wave"}})
			synctest.Wait()
			d.sync <- nil
			<-stored
			time.Sleep(5 * time.Second)
		}
		close(d.sync)
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		if told[wire.TypeRecordDeleted] != rounds {
			t.Errorf("of %d records that went, ann was told of %d", rounds, told[wire.TypeRecordDeleted])
		}
	})
}

// Rule: where a scope begins again, incarnations go on, though they were not stored and no time has passed.
func TestIncarnationsGoOn(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		ephemeral, no := set("a", 1), false
		ephemeral.Durable = &no
		before := h.now(ephemeral).Body.(wire.Written).Incarnation
		lost := h.later(set("b", 1))
		synctest.Wait()
		d.sync <- errors.New("the disk is broken")
		<-lost
		synctest.Wait()
		ephemeral.Name = "c"
		if after := h.now(ephemeral).Body.(wire.Written).Incarnation; after <= before+1 { // which b had
			t.Errorf("incarnation %d came after %d", after, before+1)
		}
	})
}

// Rule: the scopes of a node share what their records may take; what one gives back, another can use.
func TestBudget(t *testing.T) {
	l, budget := local.NewLog(1<<30), scopes.NewBudget(2100)
	open := func(subject string) *scopes.Owner {
		o, err := scopes.Open(t.Context(), scopes.Config{
			State: state.Config{Scope: wire.ScopeRoom, Durable: true}, Log: l, Subject: subject, Budget: budget,
			Tell: func(state.Tell, []byte) {}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	do := func(o *scopes.Owner, c state.Command) bool {
		r, err := o.Do(t.Context(), c)
		if err != nil || r.Error != nil && r.Error.Code != wire.CodeLimit {
			t.Fatal(r, err)
		}
		return r.Error == nil
	}
	a, b := open("a"), open("b")
	if !do(a, set("large", strings.Repeat("x", 1000))) {
		t.Fatal("the first record has no room")
	}
	if do(b, set("large", strings.Repeat("x", 1000))) {
		t.Error("the second scope takes more than is left")
	}
	if !do(b, set("small", 1)) {
		t.Error("what is left cannot be used")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if !do(b, set("large", strings.Repeat("x", 1000))) {
		t.Error("what a scope gave back when it ended cannot be used")
	}
	a = open("a") // what is stored is there in any case
	if do(a, set("small", 1)) {
		t.Error("there is room where there is none")
	}
	if !do(b, state.RecordDelete{RecordDelete: wire.RecordDelete{Name: "large"}}) || !do(a, set("small", 1)) {
		t.Error("what a deletion gave back cannot be used")
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
}

// Rule: a log that does not lead to a scope is not opened.
func TestOpenRefuses(t *testing.T) {
	for _, commit := range []string{`{`, `{"c":1,"e":[{"n":"a","i":1,"v":2,"o":[{"op":"set","path":"a","value":1}]}]}`} {
		l := local.NewLog(1 << 20)
		if _, err := l.Append(t.Context(), "server", 0, []byte(commit)); err != nil {
			t.Fatal(err)
		}
		if o, err := scopes.Open(t.Context(), scopes.Config{Log: l, Subject: "server"}); err == nil {
			_ = o.Close()
			t.Errorf("%s was opened", commit)
		}
	}
}

func TestMain(m *testing.M) {
	if dir, ok := childFolder(); ok {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// Rule: where the owner takes no more, whoever asks directly is told so in BusyTime, and whoever has no time for that at once; who comes or goes
// waits longer.
func TestFullInbox(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		h.attach("ann")
		h.now(state.EventSubscribe{By: state.Caller{Session: "ann"}, EventNames: wire.EventNames{Names: []string{"wave"}}})
		h.gate = make(chan struct{})
		waved := h.later(state.EventPublish{EventPublish: wire.EventPublish{Name: "wave"}})
		synctest.Wait() // the loop is held up
		asked := 0
		for ; h.Ask(t.Context(), set("a", asked), 0, func(state.Reply) {}) == nil; asked++ {
		}
		for wait, ask := range map[time.Duration]func() error{
			0: func() error { return h.Ask(t.Context(), set("a", 0), 0, func(state.Reply) {}) },
			scopes.BusyTime: func() error {
				_, err := h.Do(t.Context(), set("a", 0))
				return err
			},
			scopes.AskTime: func() error {
				_, err := h.Do(t.Context(), state.Detach{Session: "ann"})
				return err
			},
		} {
			start := time.Now()
			if err := ask(); !errors.Is(err, scopes.ErrBusy) || time.Since(start) != wait {
				t.Errorf("behind %d, after %v in place of %v: %v", asked, time.Since(start), wait, err)
			}
		}
		close(h.gate)
		<-waved
	})
}

// Rule: whoever gives up is told whether what it asked was begun: what was not is never carried out.
func TestGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, h *house) {
		begun, cancel := context.WithTimeout(t.Context(), scopes.StoreTime-scopes.AskTime-time.Millisecond)
		defer cancel()
		if _, err := h.Do(begun, set("a", 1)); !errors.Is(err, scopes.ErrUnderway) {
			t.Errorf("begun: %v", err)
		}
		h.attach("ann")
		h.now(state.EventSubscribe{By: state.Caller{Session: "ann"}, EventNames: wire.EventNames{Names: []string{"wave"}}})
		h.gate = make(chan struct{})
		waved := h.later(state.EventPublish{EventPublish: wire.EventPublish{Name: "wave"}})
		synctest.Wait()
		start := time.Now()
		if _, err := h.Do(t.Context(), set("a", 2)); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != scopes.AskTime {
			t.Errorf("not begun, after %v: %v", time.Since(start), err)
		}
		close(h.gate)
		<-waved
		d.sync <- nil
		synctest.Wait()
		if r := h.now(read("a")); r.Body.(wire.Records).Results[0].Record.Version != 1 {
			t.Errorf("read: %+v", r)
		}
	})
}
