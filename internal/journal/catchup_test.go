package journal_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// change is the last one of a record.
func change(name string, version uint64, at time.Time) state.LastChange {
	return state.LastChange{RecordNoted: wire.RecordNoted{Scope: wire.ScopeRoom, Name: name, Incarnation: 7, Version: version}, At: at}
}

// entries are types, names and versions of what is in the log.
func (s *shelf) entries() (all []string) {
	s.Helper()
	for _, e := range s.read("tea", "ann", wire.LogRead{}).Entries {
		var name string
		var version uint64
		for _, c := range []string{"any1", "any2", "any3", "any4"} {
			for v := range uint64(5) {
				if string(e.Body) == fmt.Sprintf(`{"scope":"room","name":%q,"incarnation":7,"version":%d}`, c, v) {
					name, version = c, v
				}
			}
		}
		all = append(all, fmt.Sprint(e.Type, " ", name, version))
	}
	return all
}

// Rule: of the last changes of records those are put into the log that it has not, before what is noted after them, once; but none from before the log.
func TestCatchUp(t *testing.T) {
	log, changes := local.NewLog(1<<30), local.NewLog(1<<30)
	var began time.Time
	note := func(s *shelf, name string, version uint64) {
		s.Note("tea", wire.TypeRecordChanged, fmt.Appendf(nil, `{"scope":"room","name":%q,"incarnation":7,"version":%d}`, name, version))
	}
	onBoth(t, log, changes, func(s *shelf) {
		time.Sleep(time.Hour)
		began = time.Now()
		note(s, "any1", 1)
		note(s, "any2", 1)
	})
	for range 2 { // what was put there the first time is there the second time
		onBoth(t, log, changes, func(s *shelf) {
			time.Sleep(2 * time.Hour)
			gone := change("any1", 1, began.Add(2*time.Second))
			gone.Deleted = true
			s.CatchUp("tea", []state.LastChange{change("any4", 1, began.Add(-time.Minute)), change("any2", 1, began), change("any3", 2, began.Add(time.Second)), gone})
			synctest.Wait()
			want := "[record-changed any11 record-changed any21 record-changed any32 record-deleted any11]"
			if got := fmt.Sprint(s.entries()); got != want {
				t.Errorf("the log has %s, want %s", got, want)
			}
		})
	}
	onBoth(t, log, changes, func(s *shelf) {
		time.Sleep(3 * time.Hour)
		note(s, "any2", 2) // queued, and logged by then
		s.CatchUp("tea", []state.LastChange{change("any2", 2, time.Now()), change("any3", 3, time.Now())})
		note(s, "any3", 4)
		want := "[record-changed any11 record-changed any21 record-changed any32 record-deleted any11 record-changed any22 record-changed any33 record-changed any34]"
		if got := fmt.Sprint(s.entries()); got != want {
			t.Errorf("the log has %s, want %s", got, want)
		}
		if s.Dropped() != 0 {
			t.Errorf("%d entries were dropped", s.Dropped())
		}
	})
}

// Rule: where no change was ever logged, those since the log began are put there.
func TestCatchUpWithTheFirst(t *testing.T) {
	on(t, local.NewLog(1<<30), func(s *shelf) {
		s.say("tea", 1, 1)
		s.CatchUp("tea", []state.LastChange{change("any1", 1, time.Now().Add(-time.Minute)), change("any2", 1, time.Now().Add(time.Second))})
		if got := fmt.Sprint(s.entries()); got != "[chat 0 record-changed any21]" {
			t.Errorf("the log has %s", got)
		}
	})
}

// Rule: where some of the first changes are logged and others never were, as the process ended between them, those are put there, though they are older than what is
// stored of changes.
func TestCatchUpAmongTheFirst(t *testing.T) {
	log, changes := local.NewLog(1<<30), local.NewLog(1<<30)
	var written time.Time
	onBoth(t, log, changes, func(s *shelf) {
		s.say("tea", 1, 1)
		synctest.Wait()
		written = time.Now()
		time.Sleep(time.Millisecond)
		s.Note("tea", wire.TypeRecordChanged, []byte(`{"scope":"room","name":"any1","incarnation":7,"version":1}`))
	})
	onBoth(t, log, changes, func(s *shelf) {
		s.CatchUp("tea", []state.LastChange{change("any1", 1, written), change("any2", 1, written), change("any3", 1, written.Add(-time.Minute))})
		if got := fmt.Sprint(s.entries()); got != "[chat 0 record-changed any11 record-changed any21]" {
			t.Errorf("the log has %s", got)
		}
	})
}

// Rule: of a room whose log has nothing, as it was forgotten, nothing is put there.
func TestCatchUpWithForgotten(t *testing.T) {
	on(t, local.NewLog(1<<30), func(s *shelf) {
		s.CatchUp("tea", []state.LastChange{change("any1", 1, time.Now())})
		if got := s.entries(); len(got) > 0 {
			t.Errorf("the log has %s", got)
		}
	})
}
