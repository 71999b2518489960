package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Rule: the number of a scope's records and what they hold are bounded; what shrinks or goes makes room.
func TestScopeLimits(t *testing.T) {
	c := newScene(t, Config{MaxRecords: 2, MaxBytes: 800})
	c.attach("ann1")
	write := func(name string, bytes int) RecordWrite {
		w, none := c.writing("ann1", name, set("", `{"a":"`+strings.Repeat("x", bytes)+`"}`)), 0
		w.History = &none
		return w
	}
	must[wire.Written](c, write("a", 10)) // 257 and 8 and 10, and 48 for each of two values
	must[wire.Written](c, write("b", 10))
	c.refused(wire.CodeLimit, write("c", 0))
	must[wire.Written](c, write("a", 68)) // 800 in all
	c.refused(wire.CodeLimit, write("a", 69))
	must[wire.Written](c, write("a", 68)) // as large as before
	must[wire.OK](c, RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "b"}})
	must[wire.Written](c, write("c", 0))
	must[wire.Written](c, write("a", 69))
}

// Rule: what leads back counts too, and so does that a small value takes more than its text.
func TestHeld(t *testing.T) {
	c := newScene(t, Config{MaxBytes: 1000})
	c.attach("ann1")
	for range 3 {
		c.write("ann1", "a", set("a", `"0123456789"`))
	}
	c.refused(wire.CodeLimit, c.writing("ann1", "a", set("a", `"0123456789"`)))
	w, none := c.writing("ann1", "a", set("a", `"0123456789"`)), 0
	w.History = &none
	must[wire.Written](c, w) // without the history there is room
	c.refused(wire.CodeLimit, c.writing("ann1", "b", set("", `[[],[],[],[],[],[],[],[],[],[]]`)))
	c.write("ann1", "b", set("", `["[],[],[],[],[],[],[],[],[],[]"]`))
	w = c.writing("ann1", "b", set("", `["","","",""]`)) // 124 more
	w.History = &none
	c.s.Spare(123)
	c.refused(wire.CodeLimit, w)
	c.s.Spare(124)
	must[wire.Written](c, w)
}

// Rule: one write and one document have so many values, and no more.
func TestValueLimits(t *testing.T) {
	c := room(t, "ann1")
	empty := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("[],", n), ",") + "]" }
	half := wire.MaxRecordValues/8 - 1
	four := func(last int) []wire.Operation {
		return []wire.Operation{set("[0]", empty(half)), set("[1]", empty(half)), set("[2]", empty(half)), set("[3]", empty(last))}
	}
	c.write("ann1", "a", four(half)...)
	c.write("ann1", "a", set("[4]", empty(half)), set("[5]", empty(half)), set("[6]", empty(half)), set("[7]", empty(half-1)))
	if n := c.s.records["a"].value.measured().values; n != wire.MaxRecordValues {
		t.Fatalf("%d values", n)
	}
	c.refused(wire.CodeTooLarge, c.writing("ann1", "a", set("[8]", `1`)))
	c.write("ann1", "a", set("[7][0]", `1`))
	write := []wire.Operation{set("", "[]")}
	for range 8 {
		write = append(write, set("[0]", empty(half)))
	}
	c.refused(wire.CodeTooLarge, c.writing("ann1", "b", write...))
	c.write("ann1", "b", write[1:]...)
}

// Rule: one record has subscriptions to so many paths.
func TestPathLimit(t *testing.T) {
	c := newScene(t, Config{})
	c.attach("ann1", "bob1")
	for i := range MaxPaths {
		if refused := c.s.Apply(c.now, RecordSubscribe{c.by("ann1"), wire.RecordSubscribe{
			Records: []wire.RecordHave{{Name: "a", Path: fmt.Sprintf("[%d]", i)}},
		}})[0].(Reply).Body.(wire.Records).Results[0].Error; refused != nil {
			t.Fatal(refused)
		}
	}
	if refused := c.subscribe("bob1", "a", "x"); refused == nil || refused.Code != wire.CodeLimit {
		t.Errorf("one more path: %v", refused)
	}
	for _, path := range []string{"", "[7]"} { // one that is there, and the whole
		if refused := c.subscribe("bob1", "a", path); refused != nil {
			t.Errorf("%q: %v", path, refused)
		}
	}
}

// Rule: what is due at the same time is done in several steps.
func TestDueLimit(t *testing.T) {
	c := newScene(t, Config{})
	c.attach("ann1")
	ttl := 1
	for i := range MaxDue + 1 {
		w := c.writing("ann1", fmt.Sprint(i), set("", "[]"))
		w.TTLSeconds = &ttl
		c.s.Apply(c.now, w)
	}
	c.wait(time.Second)
	if n := len(c.s.records); n != 1 || c.s.Next().After(c.now) {
		t.Errorf("%d records are left, and the next look is %v later", n, c.s.Next().Sub(c.now))
	}
	c.wait(0)
	if n := len(c.s.records); n != 0 || !c.s.Next().IsZero() {
		t.Errorf("%d records are left, next %v", n, c.s.Next())
	}
}

// Rule: the operations of one write look at so many entries of a list; those that name exact places do not look around.
func TestLookLimit(t *testing.T) {
	c := room(t, "ann1")
	c.write("ann1", "list", set("", "["+strings.TrimSuffix(strings.Repeat(`"x",`, wire.MaxElements), ",")+"]"))
	vain := make([]wire.Operation, MaxLooked/wire.MaxElements+1)
	for i := range vain {
		vain[i] = entry(wire.OperationRemove, "none")
	}
	c.refused(wire.CodeLimit, c.writing("ann1", "list", vain...))
	c.write("ann1", "list", vain[1:]...)
	exact := make([]wire.Operation, wire.MaxWriteOperations)
	for i := range exact {
		exact[i] = entry(wire.OperationMove, "x", 0, wire.MaxElements-1)
	}
	c.write("ann1", "list", exact...)
}

// Rule: what the protocol says of one write and one document holds at the limit, and not beyond.
func TestWriteLimits(t *testing.T) {
	c := room(t, "ann1")
	many := make([]wire.Operation, wire.MaxWriteOperations+1)
	for i := range many {
		many[i] = set("a", `1`)
	}
	c.write("ann1", "x", many[1:]...)
	c.refused(wire.CodeLimit, c.writing("ann1", "x", many...))
	c.refused(wire.CodeBadRequest, c.writing("ann1", "x"))
	half := strings.Repeat("x", wire.MaxRecordBytes/2)
	c.write("ann1", "x", set("", `{}`), set("a", `"`+half+`"`))
	rest := wire.MaxRecordBytes - c.s.records["x"].value.Size() - len(`,"b":""`)
	c.refused(wire.CodeTooLarge, c.writing("ann1", "x", set("b", `"`+half[:rest]+`x"`)))
	c.write("ann1", "x", set("b", `"`+half[:rest]+`"`))
	c.refused(wire.CodeTooLarge, c.writing("ann1", "x", set("c", `"too much"`)))
	b := "[" + strings.TrimSuffix(strings.Repeat(`"",`, wire.MaxElements), ",") + "]"
	c.write("ann1", "list", set("", b))
	c.refused(wire.CodeTooLarge, c.writing("ann1", "list", entry(wire.OperationInsert, "one more")))
	c.refused(wire.CodeTooLarge, c.writing("ann1", "list", set(fmt.Sprintf("[%d]", wire.MaxElements), `""`)))
	c.write("ann1", "list", entry(wire.OperationRemove, ""), entry(wire.OperationInsert, "one more"))
	members := make([]string, wire.MaxElements)
	for i := range members {
		members[i] = fmt.Sprintf(`"%d":1`, i)
	}
	c.write("ann1", "object", set("", "{"+strings.Join(members, ",")+"}"))
	c.refused(wire.CodeTooLarge, c.writing("ann1", "object", set("one more", `1`)))
	c.write("ann1", "object", set("1", `2`))
}

// Rule: a bulk request is bounded by its items, and its reply by the size of the values.
func TestBulkLimits(t *testing.T) {
	c := room(t, "ann1")
	names := make([]string, wire.MaxBulkNames+1)
	for i := range names {
		names[i] = fmt.Sprint("n", i)
	}
	events(c, "ann1", names[1:]...)
	c.refused(wire.CodeLimit, EventSubscribe{c.by("ann1"), wire.EventNames{Names: names}})
	c.refused(wire.CodeBadRequest, EventSubscribe{By: c.by("ann1")})
	c.refused(wire.CodeLimit, RecordRead{c.by("ann1"), wire.RecordRead{Records: make([]wire.RecordWanted, wire.MaxBulkNames+1)}})
	c.refused(wire.CodeLimit, RecordSubscribe{c.by("ann1"), wire.RecordSubscribe{Records: make([]wire.RecordHave, wire.MaxBulkNames+1)}})
	c.refused(wire.CodeLimit, PresenceRead{c.by("ann1"), wire.PresenceRead{Identities: names}})
	c.refused(wire.CodeLimit, PresenceUnsubscribe{c.by("ann1"), wire.PresenceUnsubscribe{Identities: names}})
	c.refused(wire.CodeLimit, EventUnsubscribe{c.by("ann1"), wire.EventNames{Names: names}})
	c.refused(wire.CodeLimit, RPCUnprovide{c.by("ann1"), wire.RPCNames{Names: names}})
	c.refused(wire.CodeLimit, RecordUnsubscribe{c.by("ann1"), wire.RecordUnsubscribe{Records: make([]wire.RecordName, wire.MaxBulkNames+1)}})
	for _, name := range []string{"a", "b"} {
		c.write("ann1", name, set("a", `"`+strings.Repeat("x", wire.MaxBulkBytes/2)+`"`))
	}
	r := must[wire.Records](c, RecordSubscribe{c.by("ann1"), wire.RecordSubscribe{
		Records: []wire.RecordHave{{Name: "a"}, {Name: "b"}, {Name: "c"}},
	}}).Results
	if r[0].Record == nil || r[1].Error == nil || r[1].Error.Code != wire.CodeLimit || r[2].Record == nil {
		t.Errorf("got %v, %v, %v", r[0].Error, r[1].Error, r[2].Error)
	}
	if c.s.watches["b"] != nil {
		t.Error("subscribed to what was refused")
	}
	if c.s.watches["a"] == nil {
		t.Error("not subscribed to what was given")
	}
	if refused := c.subscribe("ann1", "b", "none"); refused != nil {
		t.Errorf("a small part: %v", refused)
	}
}

// Rule: the subscriptions of one session are bounded all together.
func TestSubscriptionLimit(t *testing.T) {
	c := newScene(t, Config{})
	c.attach("ann1")
	for i := range wire.MaxStateSubscriptions - 2 {
		if r := c.s.Apply(c.now, EventSubscribe{c.by("ann1"), wire.EventNames{Names: []string{fmt.Sprint("e", i)}}}); r[0].(Reply).Error != nil {
			t.Fatal(r)
		}
	}
	if refused := c.subscribe("ann1", "r", ""); refused != nil {
		t.Fatal(refused)
	}
	if b := must[wire.Present](c, PresenceSubscribe{c.by("ann1"), wire.PresenceSubscribe{Identities: []string{"x", "y"}}}); len(b.Refused) != 1 ||
		b.Refused[0].Name != "y" || b.Refused[0].Error.Code != wire.CodeLimit {
		t.Errorf("one identity too many: %+v", b)
	}
	c.refused(wire.CodeLimit, PresenceSubscribe{By: c.by("ann1")})
	if refused := c.subscribe("ann1", "r", "a"); refused == nil || refused.Code != wire.CodeLimit {
		t.Errorf("one more path: %v", refused)
	}
	if r := events(c, "ann1", "one more", "e0"); r[0].Error == nil || r[1].Error != nil {
		t.Errorf("one more event: %+v", r)
	}
	provide(c, "rpc", "ann1") // has a limit of its own
	if refused := c.subscribe("ann1", "r", ""); refused != nil {
		t.Errorf("again: %v", refused)
	}
}

// Rule: beyond MaxSessions nobody is let in.
func TestSessionLimit(t *testing.T) {
	s := New(Config{})
	for i := range MaxSessions + 1 {
		s.Apply(newScene(t, Config{}).now, Attach{By: Caller{Session: fmt.Sprint(i)}})
	}
	if _, _, n := s.Sizes(); n != MaxSessions {
		t.Errorf("%d sessions", n)
	}
}
