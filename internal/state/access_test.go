package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

func forbid(denied func(Access) bool) func(Access) *wire.Error {
	return func(a Access) *wire.Error {
		if denied(a) {
			return wire.NewError(wire.CodeForbidden, "the rules do not allow it", "")
		}
		return nil
	}
}

// Rule: every verb is asked about with its kind, action and name, and does nothing if it is denied.
func TestEveryPathIsAsked(t *testing.T) {
	for _, v := range []struct {
		kind   Kind
		action Action
		name   string
		make   func(c *scene) Command
	}{
		{Records, Create, "new", func(c *scene) Command { return c.writing("ann1", "new", set("a", `1`)) }},
		{Records, Write, "old", func(c *scene) Command { return c.writing("ann1", "old", set("a", `2`)) }},
		{Records, Delete, "old", func(c *scene) Command { return RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "old"}} }},
		{Records, Delete, "new", func(c *scene) Command { return RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "new"}} }},
		{Records, Read, "old", func(c *scene) Command {
			return RecordRead{c.by("ann1"), wire.RecordRead{Records: []wire.RecordWanted{{Name: "old"}}}}
		}},
		{Records, Read, "old", func(c *scene) Command {
			return RecordSubscribe{c.by("ann1"), wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "old", Path: "a"}}}}
		}},
		{Records, Listening, "p*", func(c *scene) Command {
			return Listen{c.by("ann1"), wire.Listen{Kind: wire.ListenRecords, Pattern: "p*"}}
		}},
		{Events, Listening, "p*", func(c *scene) Command {
			return Listen{c.by("ann1"), wire.Listen{Kind: wire.ListenEvents, Pattern: "p*"}}
		}},
		{Events, Publish, "e", func(c *scene) Command { return publish(c, "ann1", "e", `1`) }},
		{Events, Subscribe, "e", func(c *scene) Command { return EventSubscribe{c.by("ann1"), wire.EventNames{Names: []string{"e"}}} }},
		{RPCs, Provide, "r", func(c *scene) Command { return RPCProvide{c.by("ann1"), wire.RPCNames{Names: []string{"r"}}} }},
		{RPCs, Request, "r", func(c *scene) Command { return RPCRequest{c.by("ann1"), wire.RPCRequest{Name: "r"}} }},
		{Presence, Subscribe, "*", func(c *scene) Command { return PresenceSubscribe{By: c.by("ann1")} }},
		{Presence, Subscribe, "bob", func(c *scene) Command {
			return PresenceSubscribe{c.by("ann1"), wire.PresenceSubscribe{Identities: []string{"cid", "bob"}}}
		}},
		{Presence, Read, "*", func(c *scene) Command { return PresenceRead{By: c.by("ann1")} }},
	} {
		c := room(t, "ann1")
		c.write("http", "old", set("a", `1`))
		var seen []string
		c.s.config.May = forbid(func(a Access) bool {
			seen = append(seen, fmt.Sprint(a.Kind, a.Action, a.Name))
			if a.By.Identity != "ann" {
				t.Errorf("asked about %q", a.By.Identity)
			}
			return a.Kind == v.kind && a.Action == v.action && a.Name == v.name
		})
		before := len(c.heard)
		body, refused := c.do(v.make(c))
		switch b := body.(type) {
		case wire.Records:
			refused = b.Results[0].Error
		case wire.Subscribed:
			refused = b.Results[0].Error
		}
		if refused == nil || refused.Code != wire.CodeForbidden {
			t.Errorf("%s %s: got %v, asked %v", v.kind, v.action, refused, seen)
		}
		if p := c.s.sessions["ann1"]; len(p.links) != 0 || len(p.open) != 0 || len(c.heard) != before ||
			c.s.records["old"] == nil || c.s.records["old"].version != 1 || c.s.records["new"] != nil {
			t.Errorf("%s %s: it was denied and done", v.kind, v.action)
		}
	}
}

// Rule: of a bulk request with something denied, only what is allowed is delivered.
func TestBulkDenied(t *testing.T) {
	c := newScene(t, Config{May: forbid(func(a Access) bool { return strings.HasPrefix(a.Name, "secret") && a.By.Identity == "ann" })})
	c.attach("ann1", "bob1")
	c.write("bob1", "secret/y", set("a", `1`))
	c.write("bob1", "ok/1", set("a", `1`))
	for _, names := range [][]string{{"secret/y", "ok/1"}, {"ok/1", "secret/y"}} {
		have := []wire.RecordHave{{Name: names[0]}, {Name: names[1]}}
		body := must[wire.Records](c, RecordSubscribe{c.by("ann1"), wire.RecordSubscribe{Records: have}})
		for i, name := range names {
			if r := body.Results[i]; (r.Error != nil) != (name == "secret/y") || r.Error == nil && r.Record.Name != name {
				t.Errorf("%s: %+v", name, r)
			}
		}
		results := events(c, "ann1", names...)
		if slices.ContainsFunc(results, func(r wire.NameResult) bool { return (r.Error != nil) != (r.Name == "secret/y") }) {
			t.Errorf("events: %+v", results)
		}
		c.clients["ann1"].replicas["ok/1"] = &replica{body.Results[slices.Index(names, "ok/1")].Record.Incarnation, c.s.records["ok/1"].version, plain(c.s.records["ok/1"].value.JSON())}
		for _, name := range names {
			c.write("bob1", name, set("a", `2`))
			must[wire.OK](c, publish(c, "bob1", name, `1`))
		}
		got := c.events("ann1")
		if len(got) != 2 {
			t.Errorf("told %v", got)
		}
	}
}

// Rule: rules see the caller, the old and the new document, and others; a conflict tells only what may be read.
func TestAccessSees(t *testing.T) {
	var last Access
	c := newScene(t, Config{May: forbid(func(a Access) bool {
		if a.Kind == Records && a.Action == Write {
			last = a
			owner := a.Lookup("owner").Get(Path{{Key: "is"}})
			return !owner.Exists() || owner.Any() != a.By.Identity
		}
		return a.Action == Read && a.By.Identity == "cid"
	})})
	c.attach("ann1", "bob1", "cid1")
	c.write("bob1", "owner", set("is", `"ann"`))
	c.write("bob1", "board", set("a", `1`))
	c.refused(wire.CodeForbidden, c.writing("bob1", "board", set("a", `2`)))
	c.write("ann1", "board", set("b[0]", `2`), erase("a"))
	if string(last.Old.JSON()) != `{"a":1}` || string(last.New.JSON()) != `{"b":[2]}` || last.By.Session != "ann1" {
		t.Errorf("saw %s, %s", last.Old.JSON(), last.New.JSON())
	}
	if last.Lookup("none").Exists() {
		t.Error("found what does not exist")
	}
	// Who may not write is not told whether the version fits.
	w := c.writing("bob1", "board", set("a", `2`))
	w.Version = version(1)
	c.refused(wire.CodeForbidden, w)
	w.By = c.by("ann1")
	if refused := c.refused(wire.CodeConflict, w); refused.Current == nil {
		t.Error("who may read was not told")
	}
	d := RecordDelete{c.by("cid1"), wire.RecordDelete{Name: "board", Version: 1}}
	if refused := c.refused(wire.CodeConflict, d); refused.Current != nil {
		t.Error("who may not read was told")
	}
}

// Rule: new rules end what they forbid, and tell; a listener is told of no name that it may not listen to.
func TestRecheck(t *testing.T) {
	c := room(t, "ann1", "bob1")
	c.subscribe("ann1", "secret", "")
	c.subscribe("ann1", "secret", "a")
	c.subscribe("ann1", "ok", "")
	events(c, "ann1", "secret", "ok")
	provide(c, "secret", "ann1")
	must[wire.Present](c, PresenceSubscribe{By: c.by("ann1")})
	listen(c, wire.ListenRecords, "*", "ann1")
	c.subscribe("bob1", "secret", "")
	if !c.clients["ann1"].provided["record secret"] {
		t.Error("not provided while that was allowed")
	}
	c.clients["ann1"].replicas, c.clients["ann1"].parts = map[string]*replica{}, nil
	c.apply(Recheck{forbid(func(a Access) bool { return a.By.Identity == "ann" && (a.Name == "secret" || a.Name == "*") })})
	ended := map[string]int{}
	for _, e := range c.events("ann1") {
		if b, ok := e.Body.(wire.StateUnsubscribed); ok && b.Error.Code == wire.CodeForbidden {
			ended[string(b.Kind)+" "+b.Name]++
		}
	}
	if got := fmt.Sprint(ended); got != "map[event secret:1 listen-record *:1 presence :1 record secret:2 rpc secret:1]" {
		t.Errorf("ended: %s", got)
	}
	if n := len(c.s.sessions["ann1"].links); n != 2 {
		t.Errorf("%d links are left", n)
	}
	c.write("bob1", "secret", set("a", `1`))
	must[wire.OK](c, publish(c, "bob1", "secret", `1`))
	if got := c.events("ann1"); len(got) != 0 {
		t.Errorf("told %v", got)
	}
	c.apply(Recheck{forbid(func(a Access) bool { return a.By.Identity == "ann" && a.Name == "secret" })})
	listen(c, wire.ListenRecords, "*", "ann1")
	if by := c.s.watches["secret"].by; by != nil {
		t.Error("a pattern told of a name that is forbidden")
	}
	if by := c.s.watches["ok"].by; by == nil {
		t.Error("a pattern did not tell of a name that is allowed")
	}
}
