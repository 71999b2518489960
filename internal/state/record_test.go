package state

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Rule: versions count from 1, every accepted write is one, also one that changes nothing; all operations of a write apply or none.
func TestRecordVersions(t *testing.T) {
	c := room(t, "ann1", "bob1")
	c.subscribe("bob1", "board", "")
	for i, o := range [][]wire.Operation{{set("", `{"a":1}`)}, {set("a", `2`), set("b.c", `[]`)}, {set("a", `2`)}, {erase("nowhere")}} {
		if v := c.write("ann1", "board", o...); v != uint64(i+1) {
			t.Errorf("write %d has version %d", i+1, v)
		}
	}
	c.refused(wire.CodeBadRequest, c.writing("ann1", "board", set("a", `3`), set("a.b", `3`)))
	if got := c.read("board", 0); got != `{"a":2,"b":{"c":[]}}` {
		t.Errorf("got %s", got)
	}
	if events := c.events("bob1"); len(events) != 4 {
		t.Errorf("bob was told %v", events)
	}
	c.refused(wire.CodeNotFound, c.writing("ann1", "none", erase("a")))
	c.refused(wire.CodeBadRequest, c.writing("ann1", "none", set("", `1`)))
	if got := c.read("none", 0); got != "not-found" {
		t.Errorf("a refused write made %s", got)
	}
}

func version(n uint64) *uint64 { return &n }

// Rule: a write for another version or incarnation is refused and told what is there; 0 is for what does not exist.
func TestRecordConflict(t *testing.T) {
	c := room(t, "ann1", "bob1")
	write := func(v *uint64, incarnation uint64) Command {
		w := c.writing("ann1", "board", set("a", `1`))
		w.Version, w.Incarnation = v, incarnation
		return w
	}
	c.refused(wire.CodeConflict, write(version(1), 0))
	c.refused(wire.CodeConflict, write(nil, 7))
	first := must[wire.Written](c, write(version(0), 0))
	if refused := c.refused(wire.CodeConflict, write(version(0), 0)); string(refused.Current.Value) != `{"a":1}` || refused.Current.Version != 1 {
		t.Errorf("told %+v", refused.Current)
	}
	must[wire.Written](c, write(version(1), first.Incarnation))
	if refused := c.refused(wire.CodeConflict, write(version(1), 0)); refused.Current.Version != 2 {
		t.Errorf("told %+v", refused.Current)
	}
	c.refused(wire.CodeConflict, RecordDelete{c.by("bob1"), wire.RecordDelete{Name: "board", Version: 1}})
	c.refused(wire.CodeConflict, RecordDelete{c.by("bob1"), wire.RecordDelete{Name: "board", Incarnation: 9}})
	must[wire.OK](c, RecordDelete{c.by("bob1"), wire.RecordDelete{Name: "board", Version: 2}})
	c.refused(wire.CodeNotFound, RecordDelete{c.by("bob1"), wire.RecordDelete{Name: "board"}})
	second := must[wire.Written](c, write(nil, 0))
	if second.Version != 1 || second.Incarnation <= first.Incarnation {
		t.Errorf("recreated as %+v after %+v", second, first)
	}
	// What was meant for the first one never applies to the second, though the version fits.
	c.refused(wire.CodeConflict, write(version(1), first.Incarnation))
	c.refused(wire.CodeConflict, write(nil, first.Incarnation))
}

// Rule: a subscription is to the name: it is there before the record is, and after it is gone. A part's subscribers are told when its
// value is another one, and only then.
func TestRecordSubscriptions(t *testing.T) {
	c := room(t, "ann1", "bob1")
	c.subscribe("ann1", "board", "")
	c.subscribe("bob1", "board", "a")
	c.subscribe("bob1", "board", "a[0].x")
	tell := func(what string, command Command, want ...string) {
		t.Helper()
		c.events("bob1")
		if _, refused := c.do(command); refused != nil {
			t.Fatalf("%s: %v", what, refused)
		}
		var got []string
		for _, e := range c.events("bob1") {
			switch b := e.Body.(type) {
			case wire.RecordPart:
				got = append(got, fmt.Sprintf("%s=%s", b.Path, b.Value))
			default:
				got = append(got, e.Type)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: bob was told %v, want %v", what, got, want)
		}
	}
	tell("created", c.writing("ann1", "board", set("", `{"a":[{"x":1,"y":1}],"b":1}`)), `a=[{"x":1,"y":1}]`, `a[0].x=1`)
	tell("another part", c.writing("ann1", "board", set("b", `2`)))
	tell("the same", c.writing("ann1", "board", set("", `{"a":[{"y":1,"x":1}],"b":2}`)))
	tell("there and back", c.writing("ann1", "board", set("a[0].x", `2`), set("a[0].x", `1`)))
	tell("beside it", c.writing("ann1", "board", set("a[0].y", `2`)), `a=[{"x":1,"y":2}]`)
	tell("above it", c.writing("ann1", "board", set("a", `[]`)), `a=[]`, `a[0].x=`)
	tell("null is a value", c.writing("ann1", "board", set("a[0].x", `null`)), `a=[{"x":null}]`, `a[0].x=null`)
	tell("erased", c.writing("ann1", "board", erase("a")), `a=`, `a[0].x=`)
	tell("deleted", RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "board"}}, "record-deleted")
	tell("created again", c.writing("ann1", "board", set("a", `1`)), `a=1`)
	c.unsubscribe("bob1", "board", "a")
	tell("unsubscribed", c.writing("ann1", "board", set("a", `2`)))
	c.unsubscribe("bob1", "board", "a")
	c.unsubscribe("bob1", "board", `["a"][0].x`)
	if len(c.s.watches["board"].parts) != 0 {
		t.Error("a part is left that nobody is subscribed to")
	}
}

// Rule: whoever names the version that it has gets nothing that it has.
func TestRecordSame(t *testing.T) {
	c := room(t, "ann1")
	written := must[wire.Written](c, c.writing("ann1", "board", set("a", `1`)))
	have := func(incarnation, version uint64) *wire.RecordState {
		return must[wire.Records](c, RecordSubscribe{c.by("ann1"), wire.RecordSubscribe{
			Records: []wire.RecordHave{{Name: "board", Incarnation: incarnation, Version: version}},
		}}).Results[0].Record
	}
	if r := have(written.Incarnation, 1); !r.Same || r.Value != nil {
		t.Errorf("got %+v", r)
	}
	for _, r := range []*wire.RecordState{have(written.Incarnation, 2), have(written.Incarnation+1, 1), have(0, 0)} {
		if r.Same || string(r.Value) != `{"a":1}` {
			t.Errorf("got %+v", r)
		}
	}
}

// Rule: head, parts, and the last versions can be read; a record's history is its own, and bounded by number and size.
func TestRecordRead(t *testing.T) {
	c := room(t, "ann1")
	c.write("ann1", "board", set("a", `[1]`))
	c.write("ann1", "board", set("a[3]", `2`), set("b.c", `1`))
	c.write("ann1", "board", erase("a[1]"))
	c.write("ann1", "board", set("", `["x","y","z"]`))
	c.write("ann1", "board", entry(wire.OperationMove, "x", 0, 2), entry(wire.OperationRemove, "y"))
	for v, want := range map[uint64]string{
		1: `{"a":[1]}`, 2: `{"a":[1,null,null,2],"b":{"c":1}}`, 3: `{"a":[1,null,2],"b":{"c":1}}`, 4: `["x","y","z"]`, 5: `["z","x"]`, 6: "not-found",
	} {
		if got := c.read("board", v); got != want {
			t.Errorf("version %d: got %s, want %s", v, got, want)
		}
	}
	body := must[wire.Records](c, RecordRead{c.by("http"), wire.RecordRead{Records: []wire.RecordWanted{
		{Name: "board", Head: true}, {Name: "board", Path: "[0]"}, {Name: "board", Path: "a", Version: 1}, {Name: "none"}, {Name: "board", Path: "["},
	}}})
	r := body.Results
	if len(r) != 5 || r[0].Record.Value != nil || r[0].Record.Version != 5 || string(r[1].Record.Value) != `"z"` ||
		string(r[2].Record.Value) != `[1]` || r[3].Error.Code != wire.CodeNotFound || r[4].Error.Code != wire.CodeBadRequest {
		b, _ := json.Marshal(body)
		t.Errorf("got %s", b)
	}
	must[wire.OK](c, RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "board"}})
	c.write("ann1", "board", set("", `[]`))
	if got := c.read("board", 5) + c.read("board", 2); got != "not-foundnot-found" {
		t.Errorf("the successor has a history: %s", got)
	}
}

func TestHistoryLimits(t *testing.T) {
	c := room(t, "ann1")
	for i := range 20 {
		c.write("ann1", "board", set("a", fmt.Sprint(i)))
	}
	if a, b := c.read("board", 12), c.read("board", 11); a != `{"a":11}` || b != "not-found" {
		t.Errorf("by default: version 12 %s, 11 %s", a, b)
	}
	keep := func(n int) Command {
		w := c.writing("ann1", "board", set("a", `1`))
		w.History = &n
		return w
	}
	must[wire.Written](c, keep(wire.MaxHistory))
	for range 50 {
		c.write("ann1", "board", set("a", `1`))
	}
	if n := len(c.s.records["board"].past); n != wire.MaxHistory {
		t.Errorf("%d versions are kept", n)
	}
	c.refused(wire.CodeLimit, keep(wire.MaxHistory+1))
	c.refused(wire.CodeLimit, keep(-1))
	large := `"` + strings.Repeat("x", 100<<10) + `"`
	for range 5 {
		c.write("ann1", "board", set("a", large))
	}
	if n := len(c.s.records["board"].past); n != 2 { // 3 times 100 KiB are beyond 256 KiB
		t.Errorf("%d versions of 100 KiB are kept", n)
	}
	must[wire.Written](c, keep(0))
	if n := len(c.s.records["board"].past); n != 0 {
		t.Errorf("%d versions are kept", n)
	}
}

// Rule: what a write says for the record that it creates is nothing to one that is there, and less than what it says for both.
func TestInitialSettings(t *testing.T) {
	c := room(t, "ann1")
	write := func(name string, ttl *int, initial wire.RecordSettings) Command {
		w := c.writing("ann1", name, set("a", `1`))
		w.TTLSeconds, w.Initial = ttl, &initial
		return w
	}
	initial := wire.RecordSettings{TTLSeconds: new(10), History: new(1)}
	c.write("ann1", "there", set("a", `0`))
	must[wire.Written](c, write("there", nil, initial))
	must[wire.Written](c, write("made", nil, initial))
	must[wire.Written](c, write("both", new(20), initial))
	for name, want := range map[string]struct {
		ttl     time.Duration
		history int
	}{"there": {0, DefaultHistory}, "made": {10 * time.Second, 1}, "both": {20 * time.Second, 1}} {
		if r := c.s.records[name]; r.ttl != want.ttl || r.history != want.history {
			t.Errorf("%s goes after %v and keeps %d versions", name, r.ttl, r.history)
		}
	}
	must[wire.Written](c, write("there", new(5), initial)) // it is meant
	if ttl := c.s.records["there"].ttl; ttl != 5*time.Second {
		t.Errorf("it goes after %v", ttl)
	}
	c.refused(wire.CodeLimit, write("made", nil, wire.RecordSettings{TTLSeconds: new(-1)}))
	c.refused(wire.CodeLimit, write("made", nil, wire.RecordSettings{History: new(wire.MaxHistory + 1)}))
}

// Rule: a record goes when it was not written for its TTL; each write begins it anew; a TTL of 0 takes it away.
func TestRecordTTL(t *testing.T) {
	c := room(t, "ann1", "bob1")
	c.subscribe("bob1", "board", "")
	write := func(ttl int) Command {
		w := c.writing("ann1", "board", set("a", `1`))
		w.TTLSeconds = &ttl
		return w
	}
	must[wire.Written](c, write(10))
	if next := c.s.Next(); !next.Equal(c.now.Add(10 * time.Second)) {
		t.Errorf("next is %v", next)
	}
	c.wait(6 * time.Second)
	c.write("ann1", "board", set("a", `2`))
	c.wait(9 * time.Second)
	if got := c.read("board", 0); got != `{"a":2}` {
		t.Errorf("after 9 s: %s", got)
	}
	c.events("bob1")
	c.wait(time.Second)
	events := c.events("bob1")
	if got := c.read("board", 0); got != "not-found" || len(events) != 1 || !events[0].Body.(wire.RecordDeleted).Expired {
		t.Errorf("after 10 s: %s, told %v", got, events)
	}
	must[wire.Written](c, write(10))
	must[wire.Written](c, write(2)) // sooner
	c.wait(2 * time.Second)
	if got := c.read("board", 0); got != "not-found" {
		t.Errorf("with a shorter TTL: %s", got)
	}
	must[wire.Written](c, write(10))
	must[wire.Written](c, write(0))
	c.wait(time.Hour)
	if got := c.read("board", 0); got != `{"a":1}` || !c.s.Next().IsZero() {
		t.Errorf("without TTL: %s, next %v", got, c.s.Next())
	}
	c.refused(wire.CodeLimit, write(-1))
	c.refused(wire.CodeLimit, write(wire.MaxTTLSeconds+1))
	must[wire.Written](c, write(wire.MaxTTLSeconds))
	// However often it is written, one timer looks after it, and none when it has gone.
	for range 100 {
		c.wait(time.Second)
		must[wire.Written](c, write(10))
		if n := len(c.s.timers); n != 1 {
			t.Fatalf("%d timers for one record", n)
		}
	}
	must[wire.OK](c, RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "board"}})
	if n := len(c.s.timers); n != 0 {
		t.Errorf("%d timers for no record", n)
	}
}

// Rule: an incarnation comes once, also where the scope begins anew with nothing, or creates faster than the clock ticks.
func TestIncarnations(t *testing.T) {
	seen := map[uint64]bool{}
	now := time.Unix(1_800_000_000, 0)
	for life := range 5 {
		s := New(Config{})
		for i := range 100 {
			effects := s.Apply(now.Add(time.Duration(i/50)*time.Microsecond), RecordWrite{RecordWrite: wire.RecordWrite{
				Name: fmt.Sprint(i), Operations: []wire.Operation{set("", "[]")},
			}})
			n := effects[0].(Reply).Body.(wire.Written).Incarnation
			if seen[n] || n > 1<<53 {
				t.Fatalf("life %d, record %d: incarnation %d", life, i, n)
			}
			seen[n] = true
		}
		now = now.Add(time.Millisecond)
	}
}

// Rule: what a write did is told and stored as one set, where that is shorter; so no entry is longer than a document, whatever a write does.
func TestToldWhole(t *testing.T) {
	c := newScene(t, Config{Durable: true})
	c.attach("ann1", "bob1")
	c.write("ann1", "list", set("", "[]"))
	c.subscribe("bob1", "list", "")
	long := make([]string, MaxDiffEntries)
	var back []wire.Operation
	for range 28 {
		back = append(back, entries(0, long...), entries(0, long[:0]...))
	}
	for range 3 {
		c.write("ann1", "list", append(back, entries(0, "x"))...)
	}
	for _, e := range c.events("bob1") {
		if b := e.Body.(wire.RecordChanged); len(b.Operations) != 1 || b.Operations[0].Op != wire.OperationSet || string(b.Operations[0].Value) != `["x"]` {
			t.Fatalf("bob was told %d operations", len(b.Operations))
		}
	}
	if a, b := c.read("list", 1), c.read("list", 2); a != `[]` || b != `["x"]` {
		t.Errorf("version 1 is %s, 2 is %s", a, b)
	}
	// What leads back does not grow beyond its limit either, however it is written down.
	var keys []wire.Operation
	for i := range wire.MaxWriteOperations {
		keys = append(keys, set(fmt.Sprintf("%04d", i)+strings.Repeat("\x01", wire.MaxPathBytes-4), "1"))
	}
	for range 4 {
		c.write("ann1", "keys", keys[:40]...) // a document of 250 KiB as it is encoded
	}
	c.checkStored(c.stored)
	for _, commit := range c.stored {
		if b, _ := json.Marshal(commit); len(b) > 3*wire.MaxRecordBytes {
			t.Errorf("a commit of one write has %d bytes", len(b))
		}
	}
}

// Rule: a request goes back over so many operations of the history; a version that is kept can always be read by itself.
func TestOldVersionsLimit(t *testing.T) {
	c := room(t, "ann1")
	large := set("large", `"`+strings.Repeat("x", 100<<10)+`"`) // with it, single operations are less than the whole
	for _, name := range []string{"a", "b", "c"} {
		c.write("ann1", name, large)
		for i := range 4 {
			operations := make([]wire.Operation, 100)
			for k := range operations {
				operations[k] = set(fmt.Sprint("k", k), fmt.Sprint(i))
			}
			c.write("ann1", name, operations...)
		}
	}
	wanted := []wire.RecordWanted{
		{Name: "a", Version: 1, Path: "k1"}, {Name: "a", Version: 1, Path: "k2"}, {Name: "b", Version: 4, Path: "k1"}, {Name: "c", Version: 4, Path: "k1"}, {Name: "b", Version: 5, Path: "k1"},
	}
	r := must[wire.Records](c, RecordRead{c.by("ann1"), wire.RecordRead{Records: wanted}}).Results
	for i, beyond := range []bool{false, false, false, true, false} {
		if (r[i].Error != nil && r[i].Error.Code == wire.CodeLimit) != beyond {
			t.Errorf("%+v: %+v", wanted[i], r[i].Error)
		}
	}
	if got := string(r[2].Record.Value); got != "2" {
		t.Errorf("version 4 has %s", got)
	}
	if r := must[wire.Records](c, RecordRead{c.by("ann1"), wire.RecordRead{Records: wanted[3:4]}}).Results[0]; r.Error != nil {
		t.Errorf("by itself: %v", r.Error)
	}
	operations := make([]wire.Operation, 256)
	for k := range operations {
		operations[k] = set(fmt.Sprint("k", k), `"again"`)
	}
	for range 3 {
		c.write("ann1", "a", operations...)
	}
	if n, kept := c.s.records["a"].back(6); n != MaxHistoryOperations || !kept {
		t.Errorf("%d operations lead back to version 6, %v", n, kept)
	}
	if got := c.read("a", 5); got != "not-found" {
		t.Errorf("version 5 is %.30s", got)
	}
}

// Rule: two clients that add to a list at once keep both entries, whether they insert or write the whole from what they had.
func TestListsKeepBoth(t *testing.T) {
	c := room(t, "ann1", "bob1", "cid1")
	c.subscribe("cid1", "queue", "")
	c.write("ann1", "queue", entry(wire.OperationInsert, "x"))
	c.write("ann1", "queue", entry(wire.OperationInsert, "ann", 1))
	c.write("bob1", "queue", entry(wire.OperationInsert, "bob", 1))
	if got := c.read("queue", 0); got != `["x","bob","ann"]` {
		t.Errorf("inserted: %s", got)
	}
	c.write("ann1", "queue", entries(3, "x", "bob", "ann", "a2"))
	c.write("bob1", "queue", entries(3, "b2", "x", "ann"))
	if got := c.read("queue", 0); got != `["b2","x","ann","a2"]` {
		t.Errorf("written whole: %s", got)
	}
	c.write("ann1", "queue", entries(99, "x"))
	if got := c.read("queue", 0); got != `["x"]` {
		t.Errorf("from a version that is not kept: %s", got)
	}
	c.write("ann1", "queue", set("", `["x","y"]`))
	events := c.events("cid1")
	last := events[len(events)-1].Body.(wire.RecordChanged).Operations
	if len(last) != 1 || last[0].Op != wire.OperationSet {
		t.Errorf("a short list is told as %+v", last)
	}
	var long []string
	for i := range 100 {
		long = append(long, fmt.Sprintf("entry %d", i))
	}
	c.write("ann1", "queue", entries(0, long...))
	b, _ := json.Marshal(append(long[1:], "one more"))
	c.events("cid1")
	c.write("ann1", "queue", set("", string(b)))
	if o := c.events("cid1")[0].Body.(wire.RecordChanged).Operations; len(o) != 2 || o[0].Op != wire.OperationRemove || *o[0].At != 0 || o[1].Op != wire.OperationInsert || *o[1].At != 99 {
		t.Errorf("a long list that was written whole is told as %+v", o)
	}
	// On what is not there they begin with an empty list, also if nothing comes of it.
	c.subscribe("cid1", "other", "")
	c.write("ann1", "other", entry(wire.OperationRemove, "x"))
	if got := c.read("other", 0); got != `[]` {
		t.Errorf("made %s", got)
	}
}

// Rule: durable records are told of and answered for after they are stored; what follows their deletion waits with it.
func TestWaits(t *testing.T) {
	c := newScene(t, Config{Scope: wire.ScopeServer, Durable: true})
	c.attach("ann1", "bob1")
	c.subscribe("bob1", "a", "")
	c.subscribe("bob1", "b", "")
	ephemeral := false
	create := c.writing("ann1", "b", set("x", `1`))
	create.Durable = &ephemeral
	read := func(name string) Command {
		return RecordRead{c.by("ann1"), wire.RecordRead{Records: []wire.RecordWanted{{Name: name}}}}
	}
	for _, step := range []struct {
		what    string
		command Command
		waits   bool
		stored  int
	}{
		{"durable", c.writing("ann1", "a", set("x", `1`)), true, 1},
		{"ephemeral", create, false, 1},
		{"read durable", read("a"), true, 1},
		{"read ephemeral", read("b"), false, 1},
		{"read nothing", read("c"), false, 1},
		{"ephemeral stays so", c.writing("ann1", "b", set("x", `2`)), false, 1},
		{"delete ephemeral", RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "b"}}, false, 1},
		{"delete durable", RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "a"}}, true, 2},
	} {
		c.heard = nil
		reply := c.apply(step.command)[0]
		if reply.Error != nil || reply.Waits != step.waits || len(c.stored) != step.stored {
			t.Errorf("%s: reply %+v, %d stored", step.what, reply, len(c.stored))
		}
		for _, told := range c.heard {
			if told.Waits != step.waits {
				t.Errorf("%s: %s waits: %v", step.what, told.Type, told.Waits)
			}
		}
	}
	create.Name = "a"
	if reply := c.apply(create)[0]; !reply.Waits {
		t.Error("a successor was shown before the deletion was stored")
	}
	last := c.store.upTo[len(c.stored)-1]
	c.apply(Settle{UpTo: last - 1})
	if reply := c.apply(read("a"))[0]; !reply.Waits {
		t.Error("the successor was shown before the deletion was stored, and what was before it was")
	}
	c.apply(Settle{UpTo: last})
	if reply := c.apply(read("a"))[0]; reply.Waits {
		t.Error("the successor waits though the deletion is stored")
	}
	c.checkStored(c.stored)
}

// Rule: a reply waits for what was appended where it shows a durable record, that there is none any more, or what rules make of it.
func TestRepliesWait(t *testing.T) {
	c := newScene(t, Config{Durable: true, May: forbid(func(a Access) bool {
		return a.Action == Read && a.Name == "guarded" && a.Lookup("guard").Exists()
	})})
	c.attach("ann1")
	waits := func(command Command) bool {
		replies := c.apply(command)
		return len(replies) == 1 && replies[0].Waits
	}
	read := func(names ...string) Command {
		var wanted []wire.RecordWanted
		for _, name := range names {
			wanted = append(wanted, wire.RecordWanted{Name: name})
		}
		return RecordRead{c.by("ann1"), wire.RecordRead{Records: wanted}}
	}
	no, one := false, version(1)
	ephemeral := c.writing("ann1", "e", set("a", `1`))
	ephemeral.Durable = &no
	stale := c.writing("ann1", "d", set("a", `1`))
	stale.Version = one
	remove := RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "d"}}
	for _, step := range []struct {
		what    string
		command Command
		want    bool
	}{
		{"an ephemeral write", ephemeral, false},
		{"what was never there", read("x"), false},
		{"a durable write", c.writing("ann1", "d", set("a", `1`)), true},
		{"another record", read("e", "x"), false},
		{"one of several", read("e", "d"), true},
		{"a deletion", remove, true},
		{"that there is none", read("x", "d"), true},
		{"that it cannot be deleted", remove, true},
		{"a conflict", stale, true},
		{"what rules may make of another one", read("guarded"), false},
		{"the other one", c.writing("ann1", "guard", set("a", `1`)), true},
		{"what rules make of that", read("guarded"), true},
	} {
		if got := waits(step.command); got != step.want {
			t.Errorf("%s: waits %v", step.what, got)
		}
	}
	c.apply(Settle{UpTo: c.s.appended})
	if waits(read("d")) || waits(remove) {
		t.Error("when all is stored what is not there waits still")
	}
}

// Rule: what is told of a record that is not stored, and had to wait once, is not overtaken by what is told of it next, however much is appended meanwhile.
func TestNothingOfANameOvertakes(t *testing.T) {
	c := room(t, "ann1", "bob1")
	durable := func(name string) {
		w, yes := c.writing("bob1", name, set("a", `1`)), true
		w.Durable = &yes
		must[wire.Written](c, w)
	}
	waits := func(value string) bool {
		c.write("bob1", "cursor", set("a", value))
		return c.heard[len(c.heard)-1].Waits
	}
	durable("board")
	both := wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "board"}, {Name: "cursor"}}}
	must[wire.Records](c, RecordSubscribe{c.by("ann1"), both}) // its reply waits for the first entry
	c.clients["ann1"].replicas["cursor"] = &replica{value: nothing{}}
	durable("other")
	first := waits(`1`) // for the second
	c.apply(Settle{UpTo: 1})
	if second := waits(`2`); !first || !second {
		t.Errorf("the first change waits: %v, the second: %v", first, second)
	}
	c.apply(Settle{UpTo: 2})
	if waits(`3`) {
		t.Error("when all is stored, a change waits")
	}
}
