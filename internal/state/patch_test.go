package state

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/wire"
)

// readShared reads cases that the SDK's tests have in common with these.
func readShared(t *testing.T, file string, cases any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err == nil {
		err = json.Unmarshal(b, cases)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func noVersion(uint64) (Value, *wire.Error) { return Value{}, nil }

// Rule: a path is keys and places; it has one way to be written, and all others mean the same.
func TestParsePath(t *testing.T) {
	var shared struct {
		Same [][2]string // as it is written, and the one way to write it
		Bad  []string
	}
	readShared(t, "paths.json", &shared)
	for _, c := range shared.Same {
		in, want := c[0], c[1]
		p, refused := ParsePath(in)
		if refused != nil || p.String() != want {
			t.Errorf("%s: got %s, %v; want %s", in, p, refused, want)
		}
		if again, refused := ParsePath(p.String()); refused != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%s: read again it is %v, %v", in, again, refused)
		}
	}
	for _, in := range append(shared.Bad, "a\xff", `["\`, `["\"`, `a["\u`) {
		if p, refused := ParsePath(in); refused == nil || refused.Code != wire.CodeBadRequest {
			t.Errorf("%q: got %v, %v; want bad-request", in, p, refused)
		}
	}
	for _, c := range []struct{ fits, tooLarge string }{
		{"", `[".` + strings.Repeat(`\n`, 500) + `"]`}, // as it is stored: \u000a
		{strings.Repeat("x", wire.MaxPathBytes), strings.Repeat("x", wire.MaxPathBytes+1)},
		{strings.Repeat("[0]", wire.MaxPathSteps), strings.Repeat("[0]", wire.MaxPathSteps+1)},
		{fmt.Sprintf("a[%d]", wire.MaxElements-1), fmt.Sprintf("a[%d]", wire.MaxElements)},
	} {
		if _, refused := ParsePath(c.fits); refused != nil {
			t.Errorf("%.20s…: %v", c.fits, refused)
		}
		if _, refused := ParsePath(c.tooLarge); refused == nil || refused.Code != wire.CodeTooLarge {
			t.Errorf("%.20s…: got %v, want too-large", c.tooLarge, refused)
		}
	}
}

// Rule: set makes missing parents, arrays where a place follows; erase takes away and lets arrays close up; what is in the way of
// another kind refuses the write. Each change can be undone.
func TestOperations(t *testing.T) {
	var shared struct {
		Operations []struct {
			Before, After json.RawMessage // after: or a code
			Operation     wire.Operation
		}
	}
	readShared(t, "operations.json", &shared)
	type row struct {
		before    string
		operation wire.Operation
		after     string
	}
	rows := []row{
		{`[]`, set("[1024]", `1`), `[` + strings.Repeat("null,", 1024) + `1]`},
		{`{}`, set(strings.TrimSuffix(strings.Repeat("a.", 23), "."), `{}`), strings.Repeat(`{"a":`, 23) + "{}" + strings.Repeat("}", 23)},
		{`{}`, set(strings.TrimSuffix(strings.Repeat("a.", 23), "."), `{"a":[]}`), "too-large"},
		{`{}`, set("a", ``), "bad-request"},
	}
	for _, c := range shared.Operations {
		after, refused := Parse(c.After)
		if refused != nil {
			t.Fatal(refused)
		}
		want := string(after.JSON())
		if code, ok := after.Any().(string); ok {
			want = code
		}
		rows = append(rows, row{string(c.Before), c.Operation, want})
	}
	for _, c := range rows {
		before, _ := Parse([]byte(c.before))
		made := change{value: before, old: noVersion}
		o, refused := readOperation(c.operation)
		if refused == nil {
			refused = o.check()
		}
		if refused == nil {
			refused = made.apply(o)
		}
		got := string(made.value.JSON())
		if refused != nil {
			got = string(refused.Code)
			if !made.value.Equal(before) {
				t.Errorf("%s with %+v: refused, and left %s", c.before, c.operation, made.value.JSON())
			}
		}
		if got != c.after {
			t.Errorf("%s with %s %s %s: got %s, want %s", c.before, c.operation.Op, c.operation.Path, c.operation.Value, got, c.after)
		}
		undone := change{value: made.value}
		for _, o := range slices.Backward(made.undo) {
			if refused := undone.revert(o); refused != nil {
				t.Errorf("undo: %v", refused)
			}
		}
		if !undone.value.Equal(before) || string(before.JSON()) != string(undone.value.JSON()) {
			t.Errorf("%s with %+v: undone it is %s", c.before, c.operation, undone.value.JSON())
		}
	}
}

// Rule: operations do what their plain description does, leave the document that they began with as it was, and can be undone; sizes
// stay those of the encoding.
func TestAnyOperations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := anyJSON(t, 3)
		first := valueOf(t, start)
		if !first.root() {
			t.Skip("no root")
		}
		made := change{value: first}
		for range rapid.IntRange(1, 6).Draw(t, "operations") {
			o := operation{kind: wire.OperationErase, path: anyPath(t), at: -1, to: -1}
			if rapid.IntRange(0, 2).Draw(t, "set") > 0 {
				o.kind, o.value = wire.OperationSet, valueOf(t, anyJSON(t, 2))
			}
			was, kept := made.value.Any(), len(made.done)
			refused := made.apply(o)
			if !reflect.DeepEqual(first.Any(), start) {
				t.Fatalf("%v changed a document that others have", o)
			}
			for _, done := range made.done[kept:] {
				was = plainApply(was, done.wire())
			}
			if refused != nil && len(made.done) > kept || !reflect.DeepEqual(made.value.Any(), was) {
				t.Fatalf("%v: got %v, plainly %v (%v)", o, made.value.Any(), was, refused)
			}
			if made.value.Size() != len(made.value.JSON()) {
				t.Fatalf("%v: size %d of %s", o, made.value.Size(), made.value.JSON())
			}
		}
		last := made.value.Any()
		undone := change{value: made.value}
		for _, o := range slices.Backward(made.undo) {
			if refused := undone.revert(o); refused != nil {
				t.Fatalf("undo: %v", refused)
			}
		}
		if !undone.value.Equal(first) || undone.value.measured() != first.measured() {
			t.Fatalf("undone it is %s, and was %s", undone.value.JSON(), first.JSON())
		}
		if !reflect.DeepEqual(made.value.Any(), last) || !reflect.DeepEqual(first.Any(), start) {
			t.Fatalf("to undo it changed a document that others have")
		}
	})
}

// Rule: the difference of two lists leads from one to the other; where few entries are moved, it is few operations.
func TestDiff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entry := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		from, to := rapid.SliceOfN(entry, 0, 9).Draw(t, "from"), rapid.SliceOfN(entry, 0, 9).Draw(t, "to")
		a, b := valueOf(t, from), valueOf(t, to)
		was, _ := a.list()
		wanted, _ := b.list()
		steps, _, few := diff(was, wanted, MaxDiffEntries)
		if !few {
			t.Fatalf("gave up")
		}
		made := change{value: a}
		exact := any(a.Any())
		for _, o := range steps {
			if refused := made.step(o); refused != nil {
				t.Fatalf("%v", refused)
			}
			exact = plainApply(exact, o.wire())
		}
		if !made.value.Equal(b) || !reflect.DeepEqual(exact, b.Any()) {
			t.Fatalf("%v to %v: %v led to %s", from, to, steps, made.value.JSON())
		}
	})
	var shared struct {
		Diffs []struct {
			From, To string
			Steps    int
		}
	}
	readShared(t, "operations.json", &shared)
	for _, c := range shared.Diffs {
		from, _ := valueOf(t, strings.Split(c.From, "")).list()
		to, _ := valueOf(t, strings.Split(c.To, "")).list()
		if steps, _, _ := diff(from, to, MaxDiffEntries); len(steps) != c.Steps {
			t.Errorf("%s to %s: %d operations, want %d", c.From, c.To, len(steps), c.Steps)
		}
	}
}

// Rule: lists that differ in more than MaxDiffEntries are not compared further.
func TestDiffLimit(t *testing.T) {
	list := func(n int, x string) []Value {
		items := make([]Value, n)
		for i := range items {
			items[i] = Value{x}
		}
		return items
	}
	if steps, _, few := diff(list(MaxDiffEntries, "a"), list(MaxDiffEntries, "b"), MaxDiffEntries); !few || len(steps) != 2*MaxDiffEntries {
		t.Errorf("at the limit: %d steps, %v", len(steps), few)
	}
	if _, _, few := diff(list(MaxDiffEntries+1, "a"), nil, MaxDiffEntries); few {
		t.Error("beyond the limit it did not give up")
	}
	if _, _, few := diff(append(list(5000, "x"), Value{"a"}), append(list(5000, "x"), Value{"b"}), MaxDiffEntries); !few {
		t.Error("a common part counted")
	}
}

// Whatever is sent as a path is read or refused, and what is read is read again as it is stored.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{`a.b[1]["c.d"]`, `["\`, `[".\n"]`, "[", "a..b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, refused := ParsePath(s)
		if refused != nil {
			return
		}
		if again, refused := ParsePath(p.String()); refused != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%q is %q, and then %v, %v", s, p.String(), again, refused)
		}
	})
}

// Whatever is said to be a path or an operation, it is refused or does what its plain description does.
func FuzzOperation(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}]}`, `a[1].b`, `"x"`, `set`)
	f.Add(`["a","b"]`, ``, `"a"`, `remove`)
	f.Add(`{"a.b":{"":1}}`, `["a.b"][""]`, `1e5`, `erase`)
	f.Fuzz(func(t *testing.T, document, path, value, kind string) {
		before, refused := Parse([]byte(document))
		if refused != nil || !before.root() {
			return
		}
		if b := before.JSON(); before.Size() != len(b) {
			t.Fatalf("size %d of %s", before.Size(), b)
		}
		p, refused := ParsePath(path)
		if refused == nil {
			if again, refused := ParsePath(p.String()); refused != nil || !reflect.DeepEqual(p, again) {
				t.Fatalf("%q is written %q and read as %v, %v", path, p, again, refused)
			}
		}
		o, refused := readOperation(wire.Operation{Op: wire.OperationKind(kind), Path: path, Value: []byte(value)})
		if refused == nil {
			refused = o.check()
		}
		if refused != nil {
			return
		}
		made := change{value: before, old: noVersion}
		if made.apply(o) != nil {
			return
		}
		exact := plain(before.JSON())
		for _, o := range made.done {
			exact = plainApply(exact, o.wire())
		}
		if !reflect.DeepEqual(plain(made.value.JSON()), exact) || made.value.Size() != len(made.value.JSON()) {
			t.Fatalf("got %s, plainly %v", made.value.JSON(), exact)
		}
		undone := change{value: made.value}
		for _, o := range slices.Backward(made.undo) {
			if refused := undone.revert(o); refused != nil {
				t.Fatalf("undo: %v", refused)
			}
		}
		if !undone.value.Equal(before) {
			t.Fatalf("undone it is %s", undone.value.JSON())
		}
	})
}
