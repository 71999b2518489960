package scopes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// floorAlone tells whether a commit says only what is not needed any more.
func floorAlone(b []byte) bool { return strings.HasSuffix(string(b), `"e":[]}`) }

// litter writes records and deletes them, so that there is something to purge behind the last deletion.
func litter(h *house) {
	h.t.Helper()
	for i := range 8 {
		if r := h.now(set(fmt.Sprint("litter", i), strings.Repeat("x", 200<<10))); r.Error != nil {
			h.t.Fatal(r.Error)
		}
	}
	for i := range 8 {
		if r := h.now(state.RecordDelete{RecordDelete: wire.RecordDelete{Name: fmt.Sprint("litter", 7-i)}}); r.Error != nil {
			h.t.Fatal(r.Error)
		}
	}
	synctest.Wait()
}

// moody is a log that fails the first commits of the floor alone.
type moody struct {
	bus.Log
	stored, late bool // they are stored all the same: at once, or before whatever is appended next

	mu      sync.Mutex
	fails   int // how many more
	failed  int
	waiting func() // stores what is late
}

func (l *moody) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting != nil {
		l.waiting()
		l.waiting = nil
	}
	if !floorAlone(b) || l.fails == 0 {
		return l.Log.Append(ctx, subject, after, b)
	}
	l.fails--
	l.failed++
	store := func() { _, _ = l.Log.Append(context.Background(), subject, after, b) }
	switch {
	case l.stored:
		store()
	case l.late:
		l.waiting = store
	}
	return 0, context.DeadlineExceeded
}

// Rule: a commit of the floor alone that fails disturbs nobody, whether it is stored or not: subscriptions and calls go on, and so do writes. What it was to say is said
// later, with what is written, or without.
func TestFloorFails(t *testing.T) {
	for _, writes := range []bool{true, false} {
		for what, log := range map[string]*moody{
			"is not stored": {}, "is stored": {stored: true}, "is stored late": {late: true},
		} {
			t.Run(fmt.Sprint(what, ", writes: ", writes), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { floorFails(t, log, writes) }) })
		}
	}
}

func floorFails(t *testing.T, log *moody, writes bool) {
	log.Log, log.fails = local.NewLog(1<<30), 2
	h := open(t, log)
	ann := h.attach("ann")
	h.now(state.RecordSubscribe{By: ann, RecordSubscribe: wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "a"}}}})
	h.now(state.RPCProvide{By: ann, RPCNames: wire.RPCNames{Names: []string{"add"}}})
	call := h.later(state.RPCRequest{RPCRequest: wire.RPCRequest{Name: "add"}})
	synctest.Wait()
	number := uint64(time.Now().UnixMicro())
	h.now(state.RPCAccept{By: ann, RPCAccept: wire.RPCAccept{Call: number}})
	litter(h)
	if log.failed == 0 {
		t.Fatal("no commit of the floor alone: that says nothing")
	}
	h.heard()
	for i := range uint64(3) {
		if !writes {
			break
		}
		if r := h.now(set("a", i)); r.Error != nil || r.Body.(wire.Written).Version != i+1 {
			t.Errorf("write %d: %+v", i, r)
		}
		if told := h.heard(); len(told) != 1 || !strings.HasPrefix(told[0], "[ann] record-changed ") {
			t.Errorf("write %d: ann was told %q", i, told)
		}
	}
	h.now(state.RPCAnswer{By: ann, RPCAnswer: wire.RPCAnswer{Call: number, Value: []byte(`5`)}})
	if r := <-call; r.Error != nil {
		t.Errorf("the call: %v", r.Error)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	if told := h.heard(); len(told) > 0 {
		t.Errorf("ann was told %q", told)
	}
	if left := numbers(t, log); len(left) > 7 {
		t.Errorf("%d commits are left", len(left))
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{}
	if writes {
		want["a"] = 3
	}
	if got, err := versions(open(t, log).Owner, []string{"a", "litter0", "litter7"}); err != nil || !maps.Equal(got, want) {
		t.Errorf("opened again: %v, %v, want %v", got, err, want)
	}
}

// Rule: where others write to a scope, that is found by a commit of the floor alone as by any other.
func TestFloorOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := local.NewLog(1 << 30)
		log := &moody{Log: inner, fails: 1}
		h := open(t, log)
		h.attach("ann")
		litter(h)
		last, err := inner.Last(t.Context(), "server")
		if err == nil {
			_, err = inner.Append(t.Context(), "server", last.Number, fmt.Appendf(nil, `{"c":7,"p":%d,"e":[{"n":"a","i":7,"v":1,"w":{"d":{}}}]}`, last.Number))
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if told := h.heard(); len(told) != 1 || told[0] != `[ann] state-lost {"scope":"server"}` {
			t.Errorf("ann was told %q", told)
		}
		if got, err := versions(h.Owner, names); err != nil || !maps.Equal(got, map[string]uint64{"a": 1}) {
			t.Errorf("there are %v, %v", got, err)
		}
	})
}

// Rule: an owner that ends while a commit of the floor alone fails stores what was accepted.
func TestFloorFailsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		h := open(t, d)
		for i := range 16 {
			w := h.later(set(fmt.Sprint("litter", i%2), strings.Repeat("x", 200<<10)))
			synctest.Wait()
			d.sync <- nil
			<-w
		}
		for i := range 2 {
			w := h.later(state.RecordDelete{RecordDelete: wire.RecordDelete{Name: fmt.Sprint("litter", i)}})
			synctest.Wait()
			d.sync <- nil
			<-w
		}
		synctest.Wait()
		if last := d.commits[len(d.commits)-1]; !floorAlone([]byte(last)) {
			t.Fatalf("the last commit is %.200s: that says nothing", last)
		}
		write := h.later(set("a", 1))
		synctest.Wait()
		go func() { _ = h.Close() }()
		synctest.Wait()
		d.sync <- errors.New("the disk is slow")
		synctest.Wait()
		close(d.sync)
		if r := <-write; r.Error != nil {
			t.Errorf("written: %v", r.Error)
		}
	})
}

// brimful is a log in which there is no room for a commit without entries. The purge with that number, if there is one, is cut short: it ends for ever, and so does the
// log.
type brimful struct {
	bus.Log

	mu      sync.Mutex
	below   []uint64 // what it was purged below
	cut     int
	short   bool            // of what it was to remove the first is left, else the last
	missing map[uint64]bool // what it has removed
}

func (l *brimful) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	if floorAlone(b) {
		return 0, bus.ErrFull
	}
	return l.Log.Append(ctx, subject, after, b)
}

func (l *brimful) Purge(ctx context.Context, subject string, below uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.below = append(l.below, below)
	switch {
	case l.missing != nil:
		return bus.ErrClosed
	case l.cut != len(l.below):
		return l.Log.Purge(ctx, subject, below)
	}
	l.missing = map[uint64]bool{}
	var all []uint64
	err := l.Log.Read(ctx, subject, 0, func(m bus.Stored) error {
		if m.Number < below {
			all = append(all, m.Number)
		}
		return nil
	})
	for i, n := range all {
		l.missing[n] = l.short == (i > 0)
	}
	return errors.Join(err, bus.ErrClosed)
}

// Rule: where there is no room even to say what is not needed any more, it is purged all the same, and nobody is disturbed.
func TestPurgeOfFullLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &brimful{Log: local.NewLog(1 << 30)}
		h := open(t, log)
		h.attach("ann")
		litter(h)
		if len(log.below) == 0 || len(h.heard()) > 0 {
			t.Errorf("purged %d times", len(log.below))
		}
		if left := numbers(t, log); len(left) > 8 {
			t.Errorf("%d commits are left", len(left))
		}
	})
}

// Rule: the last commit stays there too, also where nothing lives: it has the last incarnation, and the next one is stored behind it.
func TestLastOfFullLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &brimful{Log: local.NewLog(1 << 30)}
		h := open(t, log)
		h.attach("ann")
		for _, c := range []state.Command{set("a", 1), state.RecordDelete{RecordDelete: wire.RecordDelete{Name: "a"}}} {
			if r := h.now(c); r.Error != nil {
				t.Fatal(r.Error)
			}
		}
		end := make(chan error, 1)
		go func() { end <- h.Tidy(t.Context()) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := <-end; !errors.Is(err, bus.ErrFull) {
			t.Errorf("tidied: %v", err)
		}
		if left := numbers(t, log); len(left) == 0 {
			t.Error("no commit is left")
		}
		if r := h.now(set("a", 2)); r.Error != nil || len(h.heard()) > 0 {
			t.Errorf("the next write: %v", r.Error)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Rule: wherever a crash ends that, what is left is what the scope was.
func TestPurgeOfFullLogCutShort(t *testing.T) {
	for cut, reached := 1, true; reached; cut++ {
		for _, short := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				log := &brimful{Log: local.NewLog(1 << 30), cut: cut, short: short}
				h := open(t, log)
				litter(h)
				if reached = log.missing != nil; !reached && cut == 1 {
					t.Fatal("nothing was purged: that says nothing")
				}
				left := &gappy{Log: log.Log, t: t, missing: log.missing}
				o, err := openScope(left)
				if err != nil {
					t.Fatalf("purge %d: %v", cut, err)
				}
				defer o.Close()
				if got, err := versions(o, []string{"litter0", "litter1", "litter7"}); err != nil || len(got) > 0 {
					t.Errorf("purge %d: there are %v, %v", cut, got, err)
				}
			})
		}
	}
}

// Rule: where the log has been given less room than it takes, a scope that is opened gives back what it does not need, and says so as soon as there is room.
func TestLessRoom(t *testing.T) {
	node, err := nats.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	var names []string
	for i := range 9 {
		names = append(names, fmt.Sprint("r", i))
	}
	open := func(bytes int64) (*nats.Log, *scopes.Owner) {
		log, err := node.Log(t.Context(), "STATE", bus.Limits{MaxBytes: bytes})
		if err != nil {
			t.Fatal(err)
		}
		shelf, err := scopes.NewShelf(t.Context(), log, bytes/2, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(shelf.Close)
		o, err := scopes.Open(t.Context(), scopes.Config{
			State: state.Config{Scope: wire.ScopeServer, Durable: true}, Log: log, Subject: "server", Shelf: shelf,
			Tell: func(state.Tell, []byte) {}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		return log, o
	}
	_, o := open(64 << 20)
	for _, name := range names {
		if r, err := o.Do(t.Context(), set(name, strings.Repeat("x", 90<<10))); err != nil || r.Error != nil {
			t.Fatal(r, err)
		}
	}
	for _, name := range names[:8] {
		if r, err := o.Do(t.Context(), state.RecordDelete{RecordDelete: wire.RecordDelete{Name: name}}); err != nil || r.Error != nil {
			t.Fatal(r, err)
		}
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	log, o := open(512 << 10)
	defer o.Close()
	for start := time.Now(); ; time.Sleep(time.Millisecond) { // it is purged beside
		r, err := o.Do(t.Context(), set(names[8], 1))
		if err != nil || r.Error != nil && r.Error.Code != wire.CodeLimit || time.Since(start) > 10*time.Second {
			t.Fatal(r, err)
		}
		if r.Error == nil {
			break
		}
	}
	first, err := log.First(t.Context(), "server")
	last, err2 := log.Last(t.Context(), "server")
	if err := errors.Join(err, err2); err != nil || first.Number != 9 || !strings.Contains(string(last.Bytes), `"f":9,`) {
		t.Errorf("what is left begins with %d and ends with %.200s; %v", first.Number, last.Bytes, err)
	}
}
