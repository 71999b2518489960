package journal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/journal"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// shelf is a service and those who read.
type shelf struct {
	*testing.T
	*journal.Service
	bus   bus.Bus
	asked *int // how often it was asked who may read records
}

// open opens a service on a log, and one in memory for changes.
func open(t *testing.T, l bus.Log) *shelf {
	t.Helper()
	return openBoth(t, l, local.NewLog(1<<30))
}

// openBoth opens a service on two logs, on which records whose names begin with "any" may be read whatever they say, those with "secret" by ann alone, and of those that begin with "costly"
// one can be asked about at once.
func openBoth(t *testing.T, l, changes bus.Log) *shelf {
	t.Helper()
	b, asked := local.New(), new(int)
	s, err := journal.New(journal.Config{
		Bus: b, Log: l, Changes: changes, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		ReadsAny: func(_ string, _ state.Caller, record string) bool { return strings.HasPrefix(record, "any") },
		Denied: func(_ context.Context, _ string, by state.Caller, records []string) (map[string]bool, error) {
			denied := map[string]bool{}
			for i, name := range records {
				if i > 0 && strings.HasPrefix(name, "costly") {
					continue
				}
				denied[name] = by.Identity != "ann" && strings.HasPrefix(name, "secret")
			}
			return denied, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &shelf{t, s, b, asked}
}

// on runs a scenario in virtual time.
func on(t *testing.T, l bus.Log, run func(s *shelf)) {
	t.Helper()
	onBoth(t, l, local.NewLog(1<<30), run)
}

func onBoth(t *testing.T, l, changes bus.Log, run func(s *shelf)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := openBoth(t, l, changes)
		run(s)
		s.Close()
	})
}

// say logs chat messages with these numbers.
func (s *shelf) say(room string, from, to int) {
	for i := from; i <= to; i++ {
		s.Note(room, wire.TypeChatReceived, fmt.Appendf(nil, `{"id":%d,"from":"ann","text":"<%d>","at":"2026-11-27T00:00:00Z"}`, i, i))
	}
}

func (s *shelf) record(room, name string) {
	s.Note(room, wire.TypeRecordChanged, fmt.Appendf(nil, `{"name":%q,"version":1}`, name))
}

// read asks as an identity once all is stored.
func (s *shelf) read(room, identity string, r wire.LogRead) wire.Log {
	s.Helper()
	synctest.Wait()
	return s.readNow(room, identity, r)
}

func (s *shelf) readNow(room, identity string, r wire.LogRead) wire.Log {
	s.Helper()
	b, err := json.Marshal(journal.Request{Room: room, By: state.Caller{Identity: identity}, LogRead: r})
	if err != nil {
		s.Fatal(err)
	}
	answer, err := s.bus.Request(s.Context(), journal.Subject, b)
	if err != nil {
		s.Fatal(err)
	}
	var a journal.Answer
	if err := json.Unmarshal(answer, &a); err != nil || a.Error != nil {
		s.Fatal(err, a.Error)
	}
	return *a.Log
}

// texts are what entries say, of chat the text and of records the name.
func texts(l wire.Log) (got []string) {
	for _, e := range l.Entries {
		var body struct{ Name, Text string }
		if err := json.Unmarshal(e.Body, &body); err != nil {
			panic(err)
		}
		got = append(got, body.Name+body.Text)
	}
	return got
}

func (s *shelf) want(l wire.Log, want ...string) {
	s.Helper()
	if got := texts(l); fmt.Sprint(got) != fmt.Sprint(want) {
		s.Errorf("read %q, want %q", got, want)
	}
}

// Rule: entries are read in their order after a cursor; cursors grow by one; rooms are apart, whatever they are called.
func TestRead(t *testing.T) {
	on(t, local.NewLog(1<<30), func(s *shelf) {
		if l := s.read("tea.*", "ann", wire.LogRead{}); len(l.Entries) != 0 || l.First != l.Last+1 {
			t.Errorf("empty: %+v", l)
		}
		s.say("tea.*", 1, 3)
		s.say("tea.>", 4, 4)
		s.say("tea.*", 5, 5)
		all := s.read("tea.*", "bob", wire.LogRead{})
		s.want(all, "<1>", "<2>", "<3>", "<5>")
		for i, e := range all.Entries {
			if e.Cursor != all.First+uint64(i) || e.Type != wire.TypeChatReceived || !e.At.Equal(time.Now()) {
				t.Errorf("entry %d: %+v", i, e)
			}
		}
		if all.Last != all.First+3 {
			t.Errorf("from %d to %d", all.First, all.Last)
		}
		s.want(s.read("tea.*", "bob", wire.LogRead{After: all.First, Limit: 2}), "<2>", "<3>")
		s.want(s.read("tea.*", "bob", wire.LogRead{After: all.Last}))
		s.want(s.read("tea.>", "bob", wire.LogRead{}), "<4>")
	})
}

// Rule: a log goes on where it was when the server starts again, or was not used for long; the last chat is there.
func TestReopened(t *testing.T) {
	for name, close := range map[string]bool{"closed": true, "idle": false} {
		t.Run(name, func(t *testing.T) {
			l, changes := local.NewLog(1<<30), local.NewLog(1<<30)
			onBoth(t, l, changes, func(s *shelf) {
				s.say("tea", 1, wire.MaxChatKept+5)
				s.record("tea", "board")
				last := s.read("tea", "ann", wire.LogRead{}).Last
				if close {
					s.Close()
					s = openBoth(s.T, l, changes)
					defer s.Close()
				} else {
					time.Sleep(time.Hour)
				}
				s.say("tea", 1000, 1000)
				s.want(s.read("tea", "ann", wire.LogRead{After: last}), "<1000>")
				chat, err := s.Chat(s.Context(), "tea")
				if err != nil || len(chat) != wire.MaxChatKept || chat[0].ID != 7 || chat[len(chat)-1].ID != 1000 {
					t.Errorf("%d messages, %v", len(chat), err)
				}
				if chat, err := s.Chat(s.Context(), "milk"); err != nil || len(chat) != 0 {
					t.Errorf("another room: %v, %v", chat, err)
				}
			})
		})
	}
}

// loads is a log that counts how often it is read.
type loads struct {
	bus.Log
	n int
}

func (l *loads) Read(ctx context.Context, subject string, after uint64, visit func(bus.Stored) error) error {
	l.n++
	return l.Log.Read(ctx, subject, after, visit)
}

// Rule: the log of a room that is there stays at hand, however seldom something happens; that of one that has ended is closed.
func TestHeld(t *testing.T) {
	l := &loads{Log: local.NewLog(1 << 30)}
	on(t, l, func(s *shelf) {
		s.Hold("tea")
		for i := range 3 {
			time.Sleep(time.Hour)
			s.say("tea", i, i)
			synctest.Wait()
		}
		if l.n != 1 {
			t.Errorf("read %d times while the room was there", l.n)
		}
		s.Release("tea")
		time.Sleep(time.Hour)
		s.say("tea", 3, 3)
		synctest.Wait()
		if l.n != 2 {
			t.Errorf("read %d times in all: the log of a room that has ended stayed open", l.n)
		}
	})
}

// Rule: nobody waits for the disk; of what does not fit into the queue nothing is logged, and it is counted; what gathers meanwhile is stored
// as few messages.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bustest.NewSlowLog(local.NewLog(1 << 30))
		s := open(t, l)
		start := time.Now()
		s.say("tea", 1, 1)
		synctest.Wait()
		s.say("tea", 2, journal.MaxQueued+7)
		if d := s.Dropped(); d != 7 || time.Since(start) != 0 {
			t.Errorf("%d dropped, after %v", d, time.Since(start))
		}
		for range 5 {
			s.Note("milk", "x", bytes.Repeat([]byte("1"), journal.MaxQueuedBytes/4))
		}
		if d := s.Dropped(); d != 7+2 { // each takes some bytes more
			t.Errorf("%d dropped", d)
		}
		for range journal.MaxQueued + 3 {
			s.record("tea", "board")
		}
		if d := s.Dropped(); d != 7+2+3 { // records have a share of their own
			t.Errorf("%d dropped", d)
		}
		close(l.Stores)
		if all := s.read("tea", "ann", wire.LogRead{}); all.Last-all.First+1 != 2*journal.MaxQueued {
			t.Errorf("from %d to %d", all.First, all.Last)
		}
		messages := 0
		if err := l.Read(t.Context(), "rdGVh", 0, func(bus.Stored) error { messages++; return nil }); err != nil || messages > 3 {
			t.Errorf("%d messages, %v", messages, err)
		}
		s.Close()
	})
}

// Rule: what a slow disk has not stored in time is tried again, and stored in its order.
func TestStoredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bustest.NewSlowLog(local.NewLog(1 << 30))
		s := open(t, l)
		s.say("tea", 1, 1)
		time.Sleep(time.Minute)
		s.say("tea", 2, 2)
		close(l.Stores)
		time.Sleep(time.Minute)
		all := s.read("tea", "ann", wire.LogRead{})
		s.want(all, "<1>", "<2>")
		if s.Dropped() != 0 || all.Last != all.First+1 {
			t.Errorf("%d dropped, cursors from %d to %d", s.Dropped(), all.First, all.Last)
		}
		s.Close()
	})
}

// faulty is a log whose next appends fail, of which it has stored some all the same.
type faulty struct {
	bus.Log
	fails  []error
	stores bool
}

func (l *faulty) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	if len(l.fails) == 0 {
		return l.Log.Append(ctx, subject, after, b)
	}
	err := l.fails[0]
	l.fails = l.fails[1:]
	if l.stores {
		if _, err := l.Log.Append(ctx, subject, after, b); err != nil {
			return 0, err
		}
	}
	return 0, err
}

// Rule: an entry whose storing was not answered is in the log once, and is not counted as dropped.
func TestStoredWithoutAnswer(t *testing.T) {
	l := &faulty{Log: local.NewLog(1 << 30), fails: []error{context.DeadlineExceeded}, stores: true}
	on(t, l, func(s *shelf) {
		s.say("tea", 1, 3)
		synctest.Wait()
		s.say("tea", 4, 4)
		time.Sleep(time.Minute)
		all := s.read("tea", "ann", wire.LogRead{})
		s.want(all, "<1>", "<2>", "<3>", "<4>")
		if s.Dropped() != 0 || all.Last != all.First+3 {
			s.Errorf("%d dropped, cursors from %d to %d", s.Dropped(), all.First, all.Last)
		}
	})
}

// Rule: what cannot be stored after so many tries, or never can, is gone with its cursors and counted, and the log goes on; what is queued
// when it ends is counted too.
func TestNotStored(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		fails []error
		want  string
	}{
		"often enough": {slices.Repeat([]error{broken}, journal.MaxTries-1), "[<1> <2>]"},
		"too often":    {slices.Repeat([]error{broken}, journal.MaxTries), "[<2>]"},
		"never":        {[]error{bus.ErrTooLarge}, "[<2>]"},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, &faulty{Log: local.NewLog(1 << 30), fails: c.fails}, func(s *shelf) {
				s.say("tea", 1, 1)
				synctest.Wait()
				s.say("tea", 2, 2)
				time.Sleep(time.Hour)
				all := s.read("tea", "ann", wire.LogRead{})
				if got := fmt.Sprint(texts(all)); got != c.want || s.Dropped() != uint64(2-len(all.Entries)) {
					t.Errorf("read %s, %d dropped", got, s.Dropped())
				}
				first := all.Entries[0].Cursor
				s.say("tea", 3, 3)
				if l := s.read("tea", "ann", wire.LogRead{After: first}); l.Entries[0].Cursor != first+1 {
					t.Errorf("%+v", l)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := open(t, &faulty{Log: local.NewLog(1 << 30), fails: slices.Repeat([]error{broken}, journal.MaxTries)})
		s.say("tea", 1, 3)
		synctest.Wait()
		s.Close()
		if s.Dropped() != 3 {
			t.Errorf("closed: %d dropped", s.Dropped())
		}
	})
}

// Rule: one room's log has a limit of its own; the oldest messages go.
func TestRoomBytes(t *testing.T) {
	l := local.NewLog(1 << 30)
	on(t, l, func(s *shelf) {
		s.say("milk", 1, 1)
		s.say("tea", 1, 1)
		first := s.read("tea", "ann", wire.LogRead{}).First
		body := fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 100<<10))
		for range 2 * journal.MaxRoomBytes / len(body) {
			s.Note("tea", "x", body)
			synctest.Wait()
		}
		all := s.read("tea", "ann", wire.LogRead{})
		if all.First == first || all.Entries[0].Cursor != all.First {
			t.Errorf("it begins at %d, it was %d", all.First, first)
		}
		size := 0
		if err := l.Read(s.Context(), "rdGVh", 0, func(m bus.Stored) error { size += len(m.Bytes); return nil }); err != nil || size > journal.MaxRoomBytes+2<<20 {
			t.Errorf("%d bytes, %v", size, err)
		}
		// The values of one reply have a limit too, and the next one goes on.
		after, n := all.Entries[len(all.Entries)-1].Cursor, len(all.Entries)
		if next := s.read("tea", "ann", wire.LogRead{After: after}); n > 4 || next.Entries[0].Cursor != after+1 {
			t.Errorf("%d entries, then %d after %d", n, next.Entries[0].Cursor, after)
		}
		s.want(s.read("milk", "ann", wire.LogRead{}), "<1>")
	})
}

// Rule: where all of a room was forgotten, its cursors do not begin anew.
func TestForgotten(t *testing.T) {
	l := local.NewLog(1 << 30)
	on(t, l, func(s *shelf) {
		s.say("tea", 1, 3)
		last := s.read("tea", "ann", wire.LogRead{}).Last
		if err := l.Purge(s.Context(), "rdGVh", 1<<60); err != nil {
			t.Fatal(err)
		}
		s.say("tea", 4, 4)
		all := s.read("tea", "ann", wire.LogRead{After: last})
		s.want(all, "<4>")
		if all.First <= last {
			t.Errorf("it begins at %d, after %d", all.First, last)
		}
		if err := l.Purge(s.Context(), "rdGVh", 1<<60); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.Close()
		s = open(s.T, l)
		defer s.Close()
		s.say("tea", 5, 5)
		if again := s.read("tea", "ann", wire.LogRead{After: all.Last}); len(again.Entries) != 1 || again.First <= all.Last {
			t.Errorf("after a start it begins at %d, after %d", again.First, all.Last)
		}
	})
}

// Rule: what is about records is given to those alone who may read them; who may not read a whole page gets the next.
func TestWithheld(t *testing.T) {
	on(t, local.NewLog(1<<30), func(s *shelf) {
		s.record("tea", "board")
		for range 2 * wire.MaxLogEntries {
			s.record("tea", "secret")
		}
		s.say("tea", 1, 1)
		if l := s.read("tea", "bob", wire.LogRead{Limit: 2}); l.After != l.First+1 {
			t.Errorf("after two entries it goes on behind %d, the first is %d", l.After, l.First)
		} else {
			s.want(l, "board")
		}
		first := s.read("tea", "bob", wire.LogRead{}).First
		if l := s.read("tea", "bob", wire.LogRead{After: first}); l.After != l.Last {
			t.Errorf("it goes on behind %d, the last is %d", l.After, l.Last)
		} else {
			s.want(l, "<1>")
		}
		if n := len(s.read("tea", "ann", wire.LogRead{}).Entries); n != wire.MaxLogEntries {
			t.Errorf("ann reads %d entries", n)
		}
	})
}

// Rule: a reading ends before what it cannot be said of whether it may be read, and the next one goes on from there.
func TestUndecided(t *testing.T) {
	on(t, local.NewLog(1<<30), func(s *shelf) {
		s.record("tea", "secret")
		for _, name := range []string{"costly 1", "board", "costly 1", "costly 2", "secret", "costly 3"} {
			s.record("tea", name)
		}
		for identity, want := range map[string][]string{
			"ann": {"[secret]", "[costly 1 board costly 1]", "[costly 2 secret]", "[costly 3]"},
			"bob": {"[costly 1 board costly 1]", "[costly 2]", "[costly 3]"},
		} {
			var got []string
			for l := s.read("tea", identity, wire.LogRead{}); len(l.Entries) > 0; {
				got = append(got, fmt.Sprint(texts(l)))
				l = s.read("tea", identity, wire.LogRead{After: l.Entries[len(l.Entries)-1].Cursor})
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s read %q, want %q", identity, got, want)
			}
		}
	})
}

// Rule: what was written into a record is told to those alone who may read it whatever it says; who may read it because of what it says now is told of
// which version of which record the entry is.
func TestOperationsWithheld(t *testing.T) {
	on(t, local.NewLog(1<<30), func(s *shelf) {
		for _, name := range []string{"any", "some", "secret"} {
			s.Note("tea", wire.TypeRecordChanged, encoded(wire.RecordChanged{
				Scope: wire.ScopeRoom, Name: name, Incarnation: 5, Version: 7, By: "ann", Operations: []wire.Operation{{Op: wire.OperationErase, Path: "former"}},
			}))
			s.Note("tea", wire.TypeRecordDeleted, encoded(wire.RecordDeleted{Scope: wire.ScopeRoom, Name: name, Incarnation: 5, Version: 7, By: "ann"}))
		}
		l := s.read("tea", "bob", wire.LogRead{})
		s.want(l, "any", "any", "some", "some")
		if !strings.Contains(string(l.Entries[0].Body), "former") || !strings.Contains(string(l.Entries[1].Body), "ann") {
			t.Errorf("any: %s, %s", l.Entries[0].Body, l.Entries[1].Body)
		}
		for _, e := range l.Entries[2:] {
			if got := string(e.Body); got != `{"scope":"room","name":"some","incarnation":5,"version":7}` {
				t.Errorf("%s: %s", e.Type, got)
			}
		}
	})
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Rule: a reading looks at so much and no more, whatever its limit, also where all of that is left out; whoever goes on from there gets to what
// may be read, and to the end.
func TestWithheldLong(t *testing.T) {
	const secrets = 20_000
	on(t, local.NewLog(1<<30), func(s *shelf) {
		for i := range secrets {
			if s.record("tea", "secret"); i%1000 == 0 {
				synctest.Wait()
			}
		}
		s.say("tea", 1, 2)
		var got []string
		r, readings := wire.LogRead{Limit: 1}, 0
		for {
			*s.asked = 0
			l := s.read("tea", "bob", r)
			if *s.asked > journal.MaxRounds || l.After <= r.After || len(l.Entries) > 1 {
				t.Fatalf("after %d: asked %d times, %d entries up to %d", r.After, *s.asked, len(l.Entries), l.After)
			}
			got, readings, r.After = append(got, texts(l)...), readings+1, l.After
			if l.After == l.Last {
				break
			}
		}
		if fmt.Sprint(got) != "[<1> <2>]" || readings > secrets/wire.MaxLogEntries/journal.MaxRounds+4 {
			t.Errorf("read %q in %d readings", got, readings)
		}
	})
}

// Rule: there are so many open logs; what happens in a room beyond is counted as dropped, until others were not used for a while.
func TestRooms(t *testing.T) {
	on(t, local.NewLog(1<<30), func(s *shelf) {
		for i := range journal.MaxRooms + 1 {
			s.Note(fmt.Sprint(i), "x", []byte("{}"))
		}
		if s.Dropped() != 1 {
			t.Errorf("%d dropped", s.Dropped())
		}
		if _, err := s.Chat(s.Context(), "another"); err == nil {
			t.Error("another log was opened")
		}
		time.Sleep(time.Hour)
		s.Note("another", "x", []byte("{}"))
		if s.Dropped() != 1 {
			t.Error("it is not dropped any more")
		}
	})
}
