package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// Rule: the number and the size of a scope's records are bounded; what shrinks or goes makes room.
func TestScopeLimits(t *testing.T) {
	c := newScene(t, Config{MaxRecords: 2, MaxBytes: 40})
	c.attach("ann1")
	c.write("ann1", "a", set("", `{"a":"0123456789"}`)) // 18
	c.write("ann1", "b", set("", `{"a":"0123456789"}`))
	c.refused(wire.CodeLimit, c.writing("ann1", "c", set("", `{}`)))
	c.write("ann1", "a", set("a", `"01234567890123"`)) // 40 in all
	c.refused(wire.CodeLimit, c.writing("ann1", "a", set("a", `"012345678901234"`)))
	c.write("ann1", "a", set("a", `"01234567890124"`)) // as large as before
	must[wire.OK](c, RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "b"}})
	c.write("ann1", "c", set("", `{}`))
	c.write("ann1", "a", set("a", `"012345678901234"`))
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
