package state

import (
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Rule: where nothing can be stored, durable records are not written, not deleted, and do not expire, so that nothing has to be stored; all else is as ever. What was due expires when something
// can be stored again.
func TestShut(t *testing.T) {
	c := room(t, "ann1", "bob1")
	c.subscribe("bob1", "kept", "")
	lasting, ttl := c.writing("ann1", "kept", set("a", `1`)), 5
	lasting.Durable, lasting.TTLSeconds = new(true), &ttl
	must[wire.Written](c, lasting)
	c.write("ann1", "cursor", set("a", `1`))
	c.events("bob1")
	c.s.Shut(true)
	made := c.writing("ann1", "made", set("a", `1`))
	made.Durable = new(true)
	for what, command := range map[string]Command{
		"a write": lasting, "a creation": made, "a deletion": RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "kept"}},
	} {
		if refused := c.refused(wire.CodeOverloaded, command); refused.Next == "" || refused.RetrySeconds == 0 {
			t.Errorf("%s: %+v", what, refused)
		}
	}
	c.write("ann1", "cursor", set("a", `2`))
	must[wire.OK](c, RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "cursor"}})
	c.wait(time.Minute)
	if got, told := c.read("kept", 0), c.events("bob1"); got != `{"a":1}` || len(told) != 0 {
		t.Errorf("what cannot be deleted: %s, told %v", got, told)
	}
	if next := c.s.Next(); !next.After(c.now) {
		t.Errorf("next is %v, at %v: it would be looked at without end", next, c.now)
	}
	c.s.Shut(false)
	c.wait(shutSeconds * time.Second)
	if got, told := c.read("kept", 0), c.events("bob1"); got != "not-found" || len(told) != 1 || !told[0].Body.(wire.RecordDeleted).Expired {
		t.Errorf("when it can: %s, told %v", got, told)
	}
	must[wire.Written](c, made)
}
