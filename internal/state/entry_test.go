package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// durable is a scope with some history, and all that was stored of it.
func durable(t *testing.T) *scene {
	t.Helper()
	c := newScene(t, Config{Scope: wire.ScopeServer, Durable: true})
	c.attach("ann1")
	c.write("ann1", "board", set("a[0]", `1`), set("b", `{}`))
	c.write("ann1", "board", set("a[3]", `2`))
	c.write("ann1", "board", erase("a[0]"), erase("b"))
	c.write("ann1", "queue", entry(wire.OperationInsert, "x"))
	c.write("ann1", "queue", entries(1, "y", "x", "z"), entry(wire.OperationMove, "x", 1, 0))
	ttl, kept := 60, 3
	w := c.writing("ann1", "short", set("a", `1`))
	w.TTLSeconds, w.History = &ttl, &kept
	must[wire.Written](c, w)
	c.write("ann1", "gone", set("a", `1`))
	must[wire.OK](c, RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "gone"}})
	return c
}

// Rule: commits lead to the same records, versions, histories and times; incarnations go on.
func TestReplay(t *testing.T) {
	c := durable(t)
	c.checkStored(c.stored)
	back := newScene(t, c.config)
	for _, commit := range c.stored {
		if err := back.s.Replay(commit); err != nil {
			t.Fatal(err)
		}
	}
	back.now = c.now
	back.attach("ann1")
	if w := must[wire.Written](back, back.writing("ann1", "gone", set("a", `1`))); w.Incarnation != c.s.Incarnations()+1 || w.Version != 1 {
		t.Errorf("after the replay a record is created as %+v", w)
	}
	if got := back.read("board", 2); got != c.read("board", 2) || got == "not-found" {
		t.Errorf("version 2 is %s", got)
	}
	back.wait(time.Minute)
	if got := back.read("short", 0); got != "not-found" {
		t.Errorf("after its TTL: %s", got)
	}
	if entries := back.stored[len(back.stored)-1].Entries; len(entries) != 1 || !entries[0].Deleted {
		t.Errorf("its end was stored as %+v", entries)
	}
}

// Rule: a whole copy makes what came before it superfluous, wherever it stands; what is older than the copy is passed over.
func TestReplayWhole(t *testing.T) {
	c := durable(t)
	before := len(c.stored)
	c.write("ann1", "board", set("c", `1`))
	whole, ok := c.s.Whole("board")
	if !ok {
		t.Fatal("there is no whole copy")
	}
	c.write("ann1", "board", set("c", `2`))
	copied := reencode(t, c.s.Commit([]Entry{whole}))
	// As it is when the copy is taken along by a later commit, and everything before some place is gone.
	all := append(append([]Commit{}, c.stored[:before+1]...), copied)
	all = append(all, c.stored[before+1])
	c.checkStored(all)
	for cut := range before {
		if touches(c.stored[cut:], "queue", "short", "gone") {
			continue // these have no copy yet
		}
		c.checkStored(all[cut:])
	}
	var twice []Commit // as when the store took what it was believed to have lost
	for _, commit := range all {
		twice = append(twice, commit, commit)
	}
	c.checkStored(twice)
	if _, ok := c.s.Whole("nothing"); ok {
		t.Error("there is a whole copy of nothing")
	}
}

// touches tells whether one of these records is created before the commits.
func touches(commits []Commit, names ...string) bool {
	for _, c := range commits {
		for _, e := range c.Entries {
			for i, name := range names {
				if e.Name == name && e.Version == 1 && e.Whole != nil {
					names[i] = ""
				}
			}
		}
	}
	return strings.Join(names, "") != ""
}

// Rule: commits that are missing, and stored operations that are none, are found.
func TestReplayFaults(t *testing.T) {
	c := durable(t)
	for missing := range c.stored[:6] {
		back := New(c.config)
		for i, commit := range c.stored {
			if i != missing {
				if err := back.Replay(commit); err != nil {
					t.Fatal(err)
				}
			}
		}
		// The last write of each record is not followed by anything that would miss it.
		if err := back.Replayed(); (err == nil) != (missing == 2 || missing == 4 || missing == 5) {
			t.Errorf("without commit %d: %v", missing, err)
		}
	}
	board := c.s.records["board"].incarnation
	for _, e := range []Entry{
		{Name: "board", Incarnation: board, Version: 4, Operations: []wire.Operation{set("a.b", `1`)}},
		{Name: "board", Incarnation: board, Version: 4, Operations: []wire.Operation{set("[", `1`)}},
		{Name: "x", Incarnation: 1, Version: 4, Whole: &Whole{Document: []byte(`{`)}},
	} {
		back := New(c.config)
		for _, commit := range c.stored {
			_ = back.Replay(commit)
		}
		if err := back.Replay(Commit{Entries: []Entry{e}}); err == nil {
			t.Errorf("%+v was taken", e)
		}
	}
}

// 10,000 records are there again within a fraction of the second that a start may take.
func BenchmarkReplay(b *testing.B) {
	c := New(Config{Durable: true})
	var commits []Commit
	for i := range 10_000 {
		for _, e := range c.Apply(time.Unix(1, 0), RecordWrite{RecordWrite: wire.RecordWrite{
			Name: fmt.Sprint("record ", i), Operations: []wire.Operation{set("", `{"title":"a record","shapes":[{"x":1,"y":2},{"x":3,"y":4}]}`)},
		}}) {
			if a, ok := e.(Append); ok {
				commits = append(commits, c.Commit([]Entry{a.Entry}))
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		back := New(Config{Durable: true})
		for _, commit := range commits {
			if err := back.Replay(commit); err != nil {
				b.Fatal(err)
			}
		}
	}
}
