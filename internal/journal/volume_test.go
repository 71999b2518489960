package journal_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/journal"
	"github.com/parley-rtc/parley/wire"
)

// Rule: however much is written into records, what people said stays in the log, in memory as on disk; all of it is read as one sequence, and from where
// on nothing is gone is told. Small changes are as good at it as large ones.
func TestChangesPushNothingOut(t *testing.T) {
	limits := bus.Limits{MaxBytes: 2 * journal.MaxRoomBytes, Forget: true}
	t.Run("in memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { pushes(t, local.NewLogWithin(limits), local.NewLogWithin(limits)) })
	})
	t.Run("on disk", func(t *testing.T) {
		n, err := nats.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var logs [2]bus.Log
		for i, name := range []string{"LOG", "CHANGES"} {
			if logs[i], err = n.Log(t.Context(), name, limits); err != nil {
				t.Fatal(err)
			}
		}
		pushes(t, logs[0], logs[1])
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
}

func pushes(t *testing.T, people, changes bus.Log) {
	const each = 3 << 10
	s := openBoth(t, people, changes)
	defer s.Close()
	var said []string
	last, noted := s.readNow("tea", "ann", wire.LogRead{}).Last, uint64(0)
	for i := range 3 * journal.MaxRoomBytes / each / 100 {
		s.say("tea", i, i)
		said = append(said, fmt.Sprintf("<%d>", i))
		for range 100 {
			s.Note("tea", wire.TypeRecordChanged, fmt.Appendf(nil, `{"name":"any","by":%q}`, strings.Repeat("x", each)))
		}
		for noted += 101; s.readNow("tea", "ann", wire.LogRead{After: last + noted}).Last < last+noted; {
			time.Sleep(time.Millisecond)
		}
	}
	var chat []string
	size, expect := 0, uint64(0)
	for after := uint64(0); ; {
		l := s.readNow("tea", "ann", wire.LogRead{After: after})
		for _, e := range l.Entries {
			switch {
			case e.Cursor <= after || expect > 0 && e.Cursor != expect:
				t.Fatalf("entry %d comes after %d; the log is complete from %d on", e.Cursor, after, l.Complete)
			case e.Cursor >= l.Complete:
				expect = e.Cursor + 1
			}
			if after = e.Cursor; e.Type == wire.TypeChatReceived {
				chat = append(chat, texts(wire.Log{Entries: []wire.LogEntry{e}})...)
			} else {
				size += len(e.Body)
			}
		}
		if l.First != last+1 || l.Complete <= l.First || l.Complete > l.Last {
			t.Fatalf("the log begins at %d, is complete from %d on, and ends at %d", l.First, l.Complete, l.Last)
		}
		if after = l.After; after == l.Last {
			break
		}
	}
	if !slices.Equal(chat, said) {
		t.Errorf("of %d messages %d are left", len(said), len(chat))
	}
	if size < journal.MaxRoomBytes/2 || size > journal.MaxRoomBytes+2<<20 {
		t.Errorf("%d bytes of changes are left", size)
	}
}

// Rule: nothing is read before what happened before it: a change that is not stored yet holds up what was said after it, also where that is stored.
// What cannot be stored takes nothing else with it.
func TestOneOfTwoIsNotStored(t *testing.T) {
	for name, c := range map[string]struct {
		fails int
		want  string
	}{
		"for a while": {2, "[<1> board <2> note <3>]"},
		"never":       {journal.MaxTries, "[<1> <2> <3>]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				people := bustest.NewSlowLog(local.NewLog(1 << 30))
				s := openBoth(t, people, &faulty{Log: local.NewLog(1 << 30), fails: slices.Repeat([]error{errors.New("broken")}, c.fails)})
				defer s.Close()
				s.say("tea", 1, 1)
				synctest.Wait() // it is being stored
				s.record("tea", "board")
				s.say("tea", 2, 2)
				s.record("tea", "note")
				s.say("tea", 3, 3)
				close(people.Stores)
				before := s.read("tea", "ann", wire.LogRead{})
				s.want(before, "<1>")
				if before.Last != before.First {
					t.Errorf("meanwhile it ends at %d, the first is %d", before.Last, before.First)
				}
				time.Sleep(time.Hour)
				all := s.read("tea", "ann", wire.LogRead{})
				if got := fmt.Sprint(texts(all)); got != c.want || s.Dropped() != uint64(5-len(all.Entries)) || all.Last != all.First+4 {
					t.Errorf("read %s from %d to %d, %d dropped", got, all.First, all.Last, s.Dropped())
				}
			})
		})
	}
}

// Rule: a log is complete from its beginning on, wherever records began to change, until some of it is gone; then it is known from where on, also
// where nothing is left of what is gone, and after a start.
func TestComplete(t *testing.T) {
	people, changes := local.NewLog(1<<30), local.NewLog(1<<30)
	onBoth(t, people, changes, func(s *shelf) {
		want := func(complete uint64) {
			s.Helper()
			if l := s.read("tea", "ann", wire.LogRead{}); l.Complete != l.First+complete {
				s.Errorf("it begins at %d and is complete from %d on, want %d more", l.First, l.Complete, complete)
			}
		}
		want(0)
		s.say("tea", 1, 2)
		want(0)
		s.record("tea", "board")
		want(0)
		synctest.Wait()
		s.record("tea", "note")
		s.say("tea", 3, 3)
		want(0)
		if err := changes.Purge(s.Context(), "rdGVh", 2); err != nil {
			t.Fatal(err)
		}
		want(3)
		if err := changes.Purge(s.Context(), "rdGVh", 3); err != nil {
			t.Fatal(err)
		}
		want(4)
		s.say("tea", 4, 4) // it tells what there was
		synctest.Wait()
		s.Close()
		s = openBoth(s.T, people, changes)
		defer s.Close()
		if l := s.read("tea", "ann", wire.LogRead{}); l.Complete != l.Last+1 || l.Complete <= l.First+4 { // behind what was said last more changes may have been
			t.Errorf("after a start it begins at %d, ends at %d, and is complete from %d on", l.First, l.Last, l.Complete)
		}
		s.record("tea", "board")
		if l := s.read("tea", "ann", wire.LogRead{}); l.Complete != l.Last {
			t.Errorf("with one more change it ends at %d, and is complete from %d on", l.Last, l.Complete)
		}
	})
}
