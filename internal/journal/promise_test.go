package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/journal"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// stored waits until so many entries behind a cursor are stored, and returns the last cursor.
func (s *shelf) stored(room string, after uint64, n int) uint64 {
	s.Helper()
	for {
		if last := s.readNow(room, "ann", wire.LogRead{After: after}).Last; last >= after+uint64(n) {
			return last
		}
		time.Sleep(time.Millisecond)
	}
}

// pushOut lets another room have so much to tell that a log of 64 KiB forgets all others.
func (s *shelf) pushOut(note func(text string)) {
	s.Helper()
	last := s.readNow("milk", "ann", wire.LogRead{}).Last
	for range 12 {
		note(strings.Repeat("x", 10<<10))
		last = s.stored("milk", last, 1)
	}
}

func (s *shelf) change(room, name string, version uint64) {
	s.Note(room, wire.TypeRecordChanged, fmt.Appendf(nil, `{"scope":"room","name":%q,"incarnation":7,"version":%d}`, name, version))
}

// onEach runs a scenario on logs in memory and on disk, of which the people's and the changes' have so many bytes.
func onEach(t *testing.T, limits [2]int64, run func(t *testing.T, people, changes bus.Log)) {
	within := func(i int) bus.Limits { return bus.Limits{MaxBytes: limits[i], Forget: true} }
	t.Run("in memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { run(t, local.NewLogWithin(within(0)), local.NewLogWithin(within(1))) })
	})
	t.Run("on disk", func(t *testing.T) {
		n, err := nats.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var logs [2]bus.Log
		for i, name := range []string{"LOG", "CHANGES"} {
			if logs[i], err = n.Log(t.Context(), name, within(i)); err != nil {
				t.Fatal(err)
			}
		}
		run(t, logs[0], logs[1])
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Rule: no cursor is given out twice, also where a room's last entries are changes that were pushed out by other rooms, and the process was killed
// before it could do anything about it. They do not come back either.
func TestChangesForgottenBehindPeople(t *testing.T) {
	onEach(t, [2]int64{1 << 30, 64 << 10}, func(t *testing.T, people, changes bus.Log) {
		before := openBoth(t, people, changes)
		defer before.Close() // it is killed, as far as the logs can tell: it does nothing any more
		began := time.Now()
		first := before.readNow("tea", "ann", wire.LogRead{}).Last
		before.say("tea", 1, 1)
		first = before.stored("tea", first, 1)
		for v := range uint64(3) {
			before.change("tea", "any1", v+1)
		}
		last := before.stored("tea", first, 3)

		s := openBoth(t, people, changes)
		defer s.Close()
		s.pushOut(func(text string) {
			s.Note("milk", wire.TypeRecordChanged, fmt.Appendf(nil, `{"name":"any","by":%q}`, text))
		})
		if l := s.readNow("tea", "ann", wire.LogRead{After: first}); len(l.Entries) > 0 || l.Complete <= last {
			t.Errorf("of the changes %d are left, and the log is complete from %d on; the last was %d", len(l.Entries), l.Complete, last)
		}
		s.CatchUp("tea", []state.LastChange{change("any1", 3, began.Add(time.Minute))})
		at := s.readNow("tea", "ann", wire.LogRead{}).Last
		s.say("tea", 2, 2)
		s.stored("tea", at, 1)
		s.want(s.readNow("tea", "ann", wire.LogRead{After: last}), "<2>")
	})
}

// Rule: the same where the last entries are what people did, and changes are left.
func TestPeopleForgottenBehindChanges(t *testing.T) {
	onEach(t, [2]int64{64 << 10, 1 << 30}, func(t *testing.T, people, changes bus.Log) {
		before := openBoth(t, people, changes)
		defer before.Close()
		first := before.readNow("tea", "ann", wire.LogRead{}).Last
		before.change("tea", "any1", 1)
		first = before.stored("tea", first, 1)
		before.say("tea", 1, 3)
		last := before.stored("tea", first, 3)
		before.pushOut(func(text string) {
			before.Note("milk", wire.TypeChatReceived, fmt.Appendf(nil, `{"id":1,"text":%q}`, text))
		})
		time.Sleep(10 * time.Millisecond) // the time in milliseconds has to go on by more than there were entries
		s := openBoth(t, people, changes)
		defer s.Close()
		l := s.readNow("tea", "ann", wire.LogRead{})
		if len(l.Entries) != 1 || l.Complete <= last {
			t.Errorf("%d entries are left, and the log is complete from %d on; the last was %d", len(l.Entries), l.Complete, last)
		}
		s.say("tea", 4, 4)
		at := s.stored("tea", l.Last, 1)
		if l := s.readNow("tea", "ann", wire.LogRead{After: last}); at <= last || fmt.Sprint(texts(l)) != "[<4>]" {
			t.Errorf("the next entry is %d, the last was %d; read %q", at, last, texts(l))
		}
	})
}

// Rule: however many changes there are, their cursors are promised before they are stored, with few messages.
func TestPromisesAreRenewed(t *testing.T) {
	people, changes := local.NewLog(1<<30), local.NewLog(1<<30)
	onBoth(t, people, changes, func(s *shelf) {
		s.say("tea", 1, 1)
		const all = 10_000
		for v := range uint64(all) {
			if s.change("tea", "any1", v+1); v%1000 == 0 {
				synctest.Wait()
			}
		}
		last := s.read("tea", "ann", wire.LogRead{}).Last
		messages := 0
		if err := people.Read(s.Context(), "rdGVh", 0, func(bus.Stored) error { messages++; return nil }); err != nil || messages > 6 {
			t.Errorf("%d messages tell of %d changes, %v", messages, all, err)
		}
		if err := changes.Purge(s.Context(), "rdGVh", 1<<60); err != nil {
			t.Fatal(err)
		}
		s = openBoth(s.T, people, changes)
		defer s.Close()
		s.say("tea", 2, 2)
		s.want(s.read("tea", "ann", wire.LogRead{After: last}), "<2>")
	})
}

// Rule: where the process is killed between a promise and the first change that it is for, that change is caught up with.
func TestPromiseWithoutChange(t *testing.T) {
	people, changes := local.NewLog(1<<30), local.NewLog(1<<30)
	synctest.Test(t, func(t *testing.T) {
		slow := bustest.NewSlowLog(changes)
		before := openBoth(t, people, slow)
		before.say("tea", 1, 1)
		synctest.Wait()
		time.Sleep(time.Second)
		began := time.Now()
		before.change("tea", "any1", 1)
		synctest.Wait()
		s := openBoth(t, people, changes)
		s.CatchUp("tea", []state.LastChange{change("any1", 1, began)})
		if got := fmt.Sprint(s.entries()); got != "[chat 0 record-changed any11]" {
			t.Errorf("the log has %s", got)
		}
		s.Close()
		before.Close()
	})
}

// Rule: a change whose cursor cannot be promised is not stored, and is counted as dropped; with what people did it is not lost, as it can be promised without.
func TestNotPromised(t *testing.T) {
	for name, c := range map[string]struct {
		says, fails int
		want        string
	}{
		"a change alone":         {0, journal.MaxTries, "[<2> note]"},
		"with what people did":   {1, journal.MaxTries, "[board <2> note]"},
		"with nothing before it": {1, 2 * journal.MaxTries, "[<2> note]"},
	} {
		t.Run(name, func(t *testing.T) {
			changes := bustest.NewSlowLog(local.NewLog(1 << 30))
			people := &faulty{Log: local.NewLog(1 << 30)}
			synctest.Test(t, func(t *testing.T) {
				s := openBoth(t, people, changes)
				s.read("tea", "ann", wire.LogRead{})
				people.fails = slices.Repeat([]error{errors.New("broken")}, c.fails)
				s.say("tea", 1, c.says)
				s.record("tea", "board")
				close(changes.Stores)
				time.Sleep(time.Hour)
				s.say("tea", 2, 2)
				s.record("tea", "note")
				all := s.read("tea", "ann", wire.LogRead{})
				if got := fmt.Sprint(texts(all)); got != c.want || s.Dropped() != uint64(c.says+3-len(all.Entries)) {
					t.Errorf("read %s, want %s; %d dropped", got, c.want, s.Dropped())
				}
				s.Close()
			})
		})
	}
}

// Rule: a log is complete only from behind the last message that is missing between others, or behind them.
func TestGaps(t *testing.T) {
	for name, gone := range map[string]int{"between": 2, "behind": 3} {
		t.Run(name, func(t *testing.T) {
			people, changes := local.NewLog(1<<30), local.NewLog(1<<30)
			onBoth(t, people, changes, func(s *shelf) {
				for v := range uint64(3) {
					s.change("tea", "any1", v+1)
					synctest.Wait()
				}
				s.say("tea", 1, 1)
				all := s.read("tea", "ann", wire.LogRead{})
				damaged := local.NewLog(1 << 30) // as the other one, but for one message
				var last, n uint64
				err := changes.Read(s.Context(), "rdGVh", 0, func(m bus.Stored) (err error) {
					if n++; n != uint64(gone) {
						last, err = damaged.Append(s.Context(), "rdGVh", last, m.Bytes)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				s = openBoth(s.T, people, damaged)
				defer s.Close()
				l := s.read("tea", "ann", wire.LogRead{})
				if want := all.Entries[gone].Cursor; len(l.Entries) != 3 || l.Complete != want {
					t.Errorf("%d entries; complete from %d on, want %d", len(l.Entries), l.Complete, want)
				}
			})
		})
	}
}

// Rule: where a log was damaged, and mended, what is left of it is read; from where on it is complete is told, and no cursor of what is lost is given out again.
func TestMended(t *testing.T) {
	dir := t.TempDir()
	open := func() (*nats.Node, *shelf) {
		n, err := nats.Start(nats.Config{Dir: dir, Mended: []string{"LOG", "CHANGES"}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		c := journal.Config{Bus: local.New(), Logger: slog.New(slog.DiscardHandler), Mended: func() time.Time { return n.Damage().At }}
		if c.Log, err = n.Log(t.Context(), "LOG", bus.Limits{MaxBytes: 1 << 30, Forget: true}); err != nil {
			t.Fatal(err)
		}
		if c.Changes, err = n.Log(t.Context(), "CHANGES", bus.Limits{MaxBytes: 1 << 30, Forget: true}); err != nil {
			t.Fatal(err)
		}
		s, err := journal.New(c)
		if err != nil {
			t.Fatal(err)
		}
		return n, &shelf{t, s, c.Bus, new(int)}
	}
	end := func(n *nats.Node, s *shelf) {
		s.Close()
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	n, s := open()
	last := s.readNow("tea", "ann", wire.LogRead{}).Last
	for i := range 4 {
		s.say("tea", i, i)
		last = s.stored("tea", last, 1)
	}
	end(n, s)
	path := filepath.Join(dir, "jetstream/$G/streams/LOG/msgs/1.blk")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"<1>", "<3>"} { // one between, and the last
		at := bytes.Index(b, []byte(text))
		if at < 0 {
			t.Fatalf("%q is not in %q", text, b)
		}
		b[at] ^= 1
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		n, s = open()
		l := s.readNow("tea", "ann", wire.LogRead{})
		s.want(l, "<0>", "<2>")
		if l.Complete <= last || l.Last < last {
			t.Errorf("it ends at %d, and is complete from %d on; the last was %d", l.Last, l.Complete, last)
		}
		end(n, s)
	}
	n, s = open()
	at := s.readNow("tea", "ann", wire.LogRead{}).Last
	s.say("tea", 5, 5)
	s.stored("tea", at, 1)
	s.want(s.readNow("tea", "ann", wire.LogRead{After: last}), "<5>")
	end(n, s)
}

// Rule: a log that cannot be read is tried again, at longer and longer intervals, and the operator is told now and then, however many rooms have it.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told bytes.Buffer
		l := &unreadable{Log: local.NewLog(1 << 30)}
		s, err := journal.New(journal.Config{Bus: local.New(), Log: l, Changes: local.NewLog(1 << 30), Logger: slog.New(slog.NewTextHandler(&told, nil))})
		if err != nil {
			t.Fatal(err)
		}
		const rooms = 100
		for i := range rooms {
			s.Hold(fmt.Sprint(i))
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait() // a try may be due at that instant
		if lines := strings.Count(told.String(), "\n"); lines < 2 || lines > 11 {
			t.Errorf("%d lines in ten minutes: %s", lines, told.String())
		}
		if n := l.reads.Load() / rooms; n < 10 || n > 30 {
			t.Errorf("read %d times in ten minutes", n)
		}
		s.Close()
	})
}

// unreadable is a log that the disk does not give.
type unreadable struct {
	bus.Log
	reads atomic.Int64
}

func (l *unreadable) Read(context.Context, string, uint64, func(bus.Stored) error) error {
	l.reads.Add(1)
	return errors.New("input/output error")
}

// Rule: where the process is killed when what people did is stored, and changes that happened before it are not, the log is complete only from behind these.
func TestKilledBetweenTheTwo(t *testing.T) {
	people, changes := local.NewLog(1<<30), local.NewLog(1<<30)
	synctest.Test(t, func(t *testing.T) {
		s := openBoth(t, people, changes)
		s.record("tea", "list")
		s.Close()
		first, never := bustest.NewSlowLog(people), bustest.NewSlowLog(changes)
		before := openBoth(t, first, never)
		before.say("tea", 1, 1)
		synctest.Wait() // it is being stored
		before.record("tea", "board")
		before.say("tea", 2, 2)
		before.record("tea", "note")
		before.say("tea", 3, 4)
		close(first.Stores)
		synctest.Wait()
		for range 2 {
			s := openBoth(t, people, changes)
			l := s.read("tea", "ann", wire.LogRead{})
			if s.want(l, "list", "<1>", "<2>", "<3>", "<4>"); l.Complete != l.Entries[3].Cursor {
				t.Errorf("from %d to %d, complete from %d on", l.First, l.Last, l.Complete)
			}
			s.Close()
		}
		close(never.Stores)
		before.Close()
	})
}
