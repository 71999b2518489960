package scopes

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Rule: no commands are taken while as much waits for commits as may.
func TestFull(t *testing.T) {
	c := newCommits()
	large := state.Entry{Name: strings.Repeat("x", maxOpenBytes/4-30)}
	for c.openBytes+maxOpenBytes/4 <= maxOpenBytes {
		if c.full() {
			t.Fatalf("full with %d bytes", c.openBytes)
		}
		c.append(large, 1)
	}
	if c.append(large, 1); !c.full() {
		t.Errorf("not full with %d bytes", c.openBytes)
	}
	c = newCommits()
	c.append(state.Entry{}, 1)
	for range maxHeld {
		if c.full() {
			t.Fatalf("full with %d held", len(c.held))
		}
		c.let(true, 0, func() {}, nil)
	}
	if !c.full() {
		t.Errorf("not full with %d held", len(c.held))
	}
	c = newCommits()
	c.append(state.Entry{}, 1)
	for range 2 {
		if c.full() {
			t.Fatalf("full with %d bytes held", c.heldBytes)
		}
		c.let(true, maxHeldBytes/2, func() {}, nil)
	}
	if !c.full() {
		t.Errorf("not full with %d bytes held", c.heldBytes)
	}
	if c.stored(result{number: 1, entries: 1}); c.full() || c.heldBytes != 0 {
		t.Errorf("%d bytes are held after all has left", c.heldBytes)
	}
}

// Rule: what waits counts with the values in it, whatever they are in.
func TestSizeOf(t *testing.T) {
	value := []byte(`"1234567890"`)
	for _, c := range []struct {
		body any
		want int
	}{
		{wire.RecordChanged{Operations: []wire.Operation{{Value: value}, {Value: value}}}, 24},
		{wire.RecordPart{Value: value}, 12},
		{wire.Records{Results: []wire.RecordResult{{Record: &wire.RecordState{Value: value}}, {}, {Record: &wire.RecordState{Value: value}}}}, 24},
		{&wire.Error{Current: &wire.RecordState{Value: value}}, 12},
		{&wire.Error{}, 0},
		{(*wire.Error)(nil), 0},
		{wire.OK{}, 0},
		{nil, 0},
	} {
		if got := sizeOf(c.body); got != c.want {
			t.Errorf("%T: %d, want %d", c.body, got, c.want)
		}
	}
}

// Rule: what is larger than a commit is several, in order, and what waits leaves with the one that has its entry.
func TestCommitSize(t *testing.T) {
	l := local.NewLog(1 << 30)
	o := &Owner{config: Config{Log: l, Subject: "a"}, scope: state.New(state.Config{}), commits: newCommits()}
	left := 0
	for i := range 10 {
		o.commits.append(state.Entry{Name: strings.Repeat("x", maxCommitBytes/4)}, uint64(i+1))
		o.commits.let(true, 0, func() { left++ }, nil)
	}
	for n := 0; o.commits.safe < o.commits.appended; n++ {
		o.commits.start(o)
		o.commits.start(o) // one at a time
		r := <-o.commits.result
		if r.err != nil || n > 10 {
			t.Fatalf("commit %d: %v", n, r.err)
		}
		o.commits.stored(r)
		if r.upTo != o.commits.safe {
			t.Errorf("%d entries are stored, and it is said to be up to %d", o.commits.safe, r.upTo)
		}
		if uint64(left) != o.commits.safe {
			t.Errorf("%d entries are stored and %d have left", o.commits.safe, left)
		}
	}
	var sizes []int
	_ = l.Read(t.Context(), "a", 0, func(m bus.Stored) error {
		var c state.Commit
		if err := json.Unmarshal(m.Bytes, &c); err != nil || len(m.Bytes) > maxCommitBytes+64 {
			t.Errorf("a commit of %d bytes: %v", len(m.Bytes), err)
		}
		sizes = append(sizes, len(c.Entries))
		return nil
	})
	if len(sizes) != 4 || left != 10 || o.commits.openBytes != 0 {
		t.Errorf("commits of %v entries, %d left, %d bytes open", sizes, left, o.commits.openBytes)
	}
}

// Rule: whole copies keep nothing waiting: what shows a change leaves with the commit that has it, as the scope lets out all that comes after it from then on.
func TestCopiesKeepNothing(t *testing.T) {
	o := &Owner{config: Config{Log: local.NewLog(1 << 30), Subject: "a"}, scope: state.New(state.Config{}), commits: newCommits()}
	c := &o.commits
	c.append(state.Entry{Name: "a"}, 1)
	for range 2 { // more than the commit takes along
		c.append(state.Entry{Name: strings.Repeat("x", maxCommitBytes/2)}, 0)
	}
	left := 0
	leave := func() { left++ }
	c.let(true, 0, leave, nil)
	c.start(o)
	c.let(true, 0, leave, nil)
	c.stored(<-c.result)
	if left != 2 || len(c.open) == 0 {
		t.Errorf("%d of 2 have left, with %d copies behind", left, len(c.open))
	}
	if c.let(true, 0, leave, nil); left != 3 {
		t.Error("what comes now waits for copies")
	}
	c.append(state.Entry{Name: "a"}, 2)
	if c.let(true, 0, leave, nil); left != 3 {
		t.Error("what shows a change leaves before it is stored")
	}
	c.start(o)
	c.stored(<-c.result)
	if left != 4 {
		t.Errorf("%d of 4 have left", left)
	}
}

// Rule: what is stored is not kept.
func TestStoredIsNotKept(t *testing.T) {
	o := &Owner{config: Config{Log: local.NewLog(1 << 30), Subject: "a"}, scope: state.New(state.Config{}), commits: newCommits()}
	o.commits.append(state.Entry{Name: "a"}, 1)
	all := o.commits.open
	o.commits.start(o)
	if r := <-o.commits.result; r.err != nil || all[0].bytes != nil {
		t.Errorf("%d bytes are kept, %v", len(all[0].bytes), r.err)
	}
}
