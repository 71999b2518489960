package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// verb is a way to do something about a name.
type verb struct {
	name   string
	kind   Kind
	action Action // that it needs, and no other
	also   Action // but this, if any
	lone   bool   // callers without a session have it too
	fresh  bool   // the record is not there yet
	make   func(by Caller, name string) Command
	// hear makes whoever did it hear of the name; nil: nothing does.
	hear func(c *scene, name string)
	end  func(by Caller, name string) Command
}

// literal is the pattern of one name.
func literal(name string) string { return strings.NewReplacer(`\`, `\\`, "*", `\*`).Replace(name) }

func readOf(items ...wire.RecordWanted) func(Caller, string) Command {
	return func(by Caller, name string) Command {
		items := slices.Clone(items)
		items[0].Name = name
		return RecordRead{by, wire.RecordRead{Records: items}}
	}
}

func subscribeTo(items ...wire.RecordHave) func(Caller, string) Command {
	return func(by Caller, name string) Command {
		items := slices.Clone(items)
		items[0].Name = name
		return RecordSubscribe{by, wire.RecordSubscribe{Records: items}}
	}
}

func writeOf(operations ...wire.Operation) func(Caller, string) Command {
	return func(by Caller, name string) Command {
		return RecordWrite{by, wire.RecordWrite{Name: name, Operations: operations}}
	}
}

func settingOf(ttlSeconds, history *int) func(Caller, string) Command {
	return func(by Caller, name string) Command {
		return RecordWrite{by, wire.RecordWrite{Name: name, TTLSeconds: ttlSeconds, History: history, Operations: []wire.Operation{set("a", `9`)}}}
	}
}

func initially(ttlSeconds, history int) func(Caller, string) Command {
	return func(by Caller, name string) Command {
		w := wire.RecordWrite{Name: name, Operations: []wire.Operation{set("a", `9`)}}
		w.Initial = &wire.RecordSettings{TTLSeconds: &ttlSeconds, History: &history}
		return RecordWrite{by, w}
	}
}

func listenTo(kind wire.ListenKind) func(Caller, string) Command {
	return func(by Caller, name string) Command {
		return Listen{by, wire.Listen{Kind: kind, Pattern: literal(name)}}
	}
}

func unlistenTo(kind wire.ListenKind) func(Caller, string) Command {
	return func(by Caller, name string) Command {
		return Unlisten{by, wire.Unlisten{Kind: kind, Pattern: literal(name)}}
	}
}

func unsubscribeFrom(path string) func(Caller, string) Command {
	return func(by Caller, name string) Command {
		return RecordUnsubscribe{by, wire.RecordUnsubscribe{Records: []wire.RecordName{{Name: name, Path: path}}}}
	}
}

func writes(c *scene, name string) {
	n := uint64(1)
	if r := c.s.records[name]; r != nil {
		n = 10 + r.version
	}
	c.write("bob1", name, set("a", fmt.Sprint(n)))
}

func publishes(c *scene, name string) { must[wire.OK](c, publish(c, "bob1", name, `1`)) }

func called(c *scene, name string) { request(c, "bob1", name, c.s.lastCall+100) }

func comes(c *scene, name string) {
	id := fmt.Sprint("come", len(c.clients))
	c.attachAs(Caller{Session: id, Identity: name}, "")
	c.apply(Detach{id})
	delete(c.clients, id)
}

func events2(by Caller, name string) wire.EventNames {
	return wire.EventNames{Names: []string{name, "open"}}
}

// verbs are all there are, and each bulk one also with something beside that is always allowed.
var verbs = []verb{
	{name: "create", kind: Records, action: Create, lone: true, fresh: true, make: writeOf(set("a", `1`))},
	{name: "create a list", kind: Records, action: Create, lone: true, fresh: true, make: writeOf(entry(wire.OperationInsert, "x"))},
	{name: "write", kind: Records, action: Write, lone: true, make: writeOf(set("a", `9`), erase("b"))},
	{name: "write with a time to live", kind: Records, action: Write, also: Delete, lone: true, make: settingOf(new(60), nil)},
	{name: "write with less history", kind: Records, action: Write, also: Delete, lone: true, make: settingOf(nil, new(0))},
	{name: "write with what is so already", kind: Records, action: Write, lone: true, make: settingOf(new(0), new(DefaultHistory))},
	{name: "write with what would be where it creates", kind: Records, action: Write, lone: true, make: initially(60, 0)},
	{name: "create with a time to live", kind: Records, action: Create, lone: true, fresh: true, make: settingOf(new(60), new(0))},
	{name: "delete", kind: Records, action: Delete, lone: true, make: func(by Caller, name string) Command {
		return RecordDelete{by, wire.RecordDelete{Name: name}}
	}},
	{name: "read", kind: Records, action: Read, lone: true, make: readOf(wire.RecordWanted{})},
	{name: "read a part", kind: Records, action: Read, lone: true, make: readOf(wire.RecordWanted{Path: "a"})},
	{name: "read the head", kind: Records, action: Read, lone: true, make: readOf(wire.RecordWanted{Head: true})},
	{name: "read the history", kind: Records, action: Read, lone: true, make: readOf(wire.RecordWanted{Version: 1})},
	{name: "read two", kind: Records, action: Read, lone: true, make: readOf(wire.RecordWanted{}, wire.RecordWanted{Name: "open"})},
	{name: "subscribe", kind: Records, action: Read, make: subscribeTo(wire.RecordHave{}), hear: writes, end: unsubscribeFrom("")},
	{name: "subscribe to a part", kind: Records, action: Read, make: subscribeTo(wire.RecordHave{Path: "a"}), hear: writes, end: unsubscribeFrom("a")},
	{name: "subscribe to what is not there", kind: Records, action: Read, fresh: true, make: subscribeTo(wire.RecordHave{}), hear: writes, end: unsubscribeFrom("")},
	{
		name: "subscribe to two", kind: Records, action: Read, make: subscribeTo(wire.RecordHave{}, wire.RecordHave{Name: "open"}),
		hear: writes, end: unsubscribeFrom(""),
	},
	{
		name: "listen to records", kind: Records, action: Listening, make: listenTo(wire.ListenRecords),
		hear: func(c *scene, name string) { c.subscribe("bob1", name, "") }, end: unlistenTo(wire.ListenRecords),
	},
	{
		name: "listen to events", kind: Events, action: Listening, make: listenTo(wire.ListenEvents),
		hear: func(c *scene, name string) { events(c, "bob1", name) }, end: unlistenTo(wire.ListenEvents),
	},
	{name: "publish", kind: Events, action: Publish, lone: true, make: func(by Caller, name string) Command {
		return EventPublish{by, wire.EventPublish{Name: name, Value: []byte(`1`)}}
	}},
	{
		name: "subscribe to events", kind: Events, action: Subscribe, hear: publishes,
		make: func(by Caller, name string) Command { return EventSubscribe{by, events2(by, name)} },
		end:  func(by Caller, name string) Command { return EventUnsubscribe{by, events2(by, name)} },
	},
	{
		name: "provide", kind: RPCs, action: Provide, hear: called,
		make: func(by Caller, name string) Command {
			return RPCProvide{by, wire.RPCNames{Names: []string{name, "open"}}}
		},
		end: func(by Caller, name string) Command {
			return RPCUnprovide{by, wire.RPCNames{Names: []string{name, "open"}}}
		},
	},
	{name: "request", kind: RPCs, action: Request, lone: true, make: func(by Caller, name string) Command {
		c := RPCRequest{By: by, RPCRequest: wire.RPCRequest{Name: name, Call: 1}}
		if by.Session == "" {
			c.Ticket = 1
		}
		return c
	}},
	{name: "ask who is there", kind: Presence, action: Read, lone: true, make: func(by Caller, name string) Command {
		return PresenceRead{by, wire.PresenceRead{Identities: []string{name, "open"}}}
	}},
	{
		name: "subscribe to presence", kind: Presence, action: Subscribe, hear: comes,
		make: func(by Caller, name string) Command {
			return PresenceSubscribe{by, wire.PresenceSubscribe{Identities: []string{name, "open"}}}
		},
		end: func(by Caller, name string) Command {
			return PresenceUnsubscribe{by, wire.PresenceUnsubscribe{Identities: []string{name, "open"}}}
		},
	},
}

// ofAll are the verbs that name nobody.
var ofAll = []verb{
	{name: "ask who all are there", kind: Presence, action: Read, lone: true, make: func(by Caller, _ string) Command { return PresenceRead{By: by} }},
	{
		name: "subscribe to the presence of all", kind: Presence, action: Subscribe, hear: comes,
		make: func(by Caller, _ string) Command { return PresenceSubscribe{By: by} },
		end:  func(by Caller, _ string) Command { return PresenceUnsubscribe{By: by} },
	},
}

// staged is a scene in which the verb can be used on the name.
func staged(t *testing.T, v verb, name string) *scene {
	t.Helper()
	c := room(t, "ann1", "bob1")
	c.write("bob1", "open", set("a", `1`))
	if !v.fresh && checkName(name) == nil {
		c.write("bob1", name, set("a", `1`), set("b", `1`))
		c.write("bob1", name, set("a", `2`))
	}
	if v.action == Request && checkName(name) == nil {
		provide(c, name, "bob1")
	}
	return c
}

// use carries the verb out and returns why the name was refused. What stands beside it must not be.
func (v verb) use(c *scene, by Caller, name string) *wire.Error {
	c.t.Helper()
	command := v.make(by, name)
	if r, ok := command.(RPCRequest); ok && r.Ticket != 0 {
		c.apply(command)
		return c.results[r.Ticket].Error
	}
	body, refused := c.do(command)
	beside := func(refused *wire.Error) {
		if refused != nil {
			c.t.Errorf("%s: what stood beside %q was refused: %v", v.name, name, refused)
		}
	}
	switch b := body.(type) {
	case wire.Records:
		for i, r := range b.Results {
			if i > 0 {
				beside(r.Error)
			}
			if x := c.clients[by.Session]; x != nil && r.Record != nil && v.hear != nil {
				x.mirror(r.Record)
			}
		}
		return b.Results[0].Error
	case wire.Subscribed:
		beside(b.Results[1].Error)
		return b.Results[0].Error
	case wire.Present:
		for _, r := range b.Refused {
			if r.Name == name {
				return r.Error
			}
			beside(r.Error)
		}
	}
	return refused
}

// mirror takes what a subscription's reply says.
func (x *client) mirror(r *wire.RecordState) {
	if r.Path == "" {
		x.replicas[r.Name] = &replica{r.Incarnation, r.Version, plain(r.Value)}
	} else {
		x.parts[wire.RecordName{Name: r.Name, Path: r.Path}] = plain(r.Value)
	}
}

// hears tells whether ann hears of the name now.
func (v verb) hears(c *scene, name string) bool {
	c.t.Helper()
	if v.hear == nil {
		return false
	}
	c.events("ann1")
	v.hear(c, name)
	return slices.ContainsFunc(c.events("ann1"), func(e told) bool { return e.Type != wire.TypeStateUnsubscribe })
}

// Rule: each verb needs one right, some two, on every path, with and without a session, and no other one. Without the right nothing comes of it, and
// what stands beside it in a bulk request does. When the right is taken away, by rules or by other grants, nothing comes of it any more.
func TestRights(t *testing.T) {
	rights := map[Kind][]Action{
		Records: {Create, Read, Write, Delete, Listening}, Events: {Publish, Subscribe, Listening}, RPCs: {Provide, Request}, Presence: {Read, Subscribe},
	}
	for _, v := range slices.Concat(verbs, ofAll) {
		for kind, actions := range rights {
			for _, action := range actions {
				needed := kind == v.kind && (action == v.action || action == v.also)
				denies := func(a Access) bool {
					return a.By.Identity == "ann" && !a.By.Grants.Admin && a.Kind == kind && a.Action == action && a.Name != "open"
				}
				what := fmt.Sprintf("%s without %s %s", v.name, action, kind)
				for _, session := range []string{"ann1", ""} {
					if session == "" && !v.lone {
						continue
					}
					c := staged(t, v, "x")
					c.s.config.May = forbid(denies)
					before, heard := c.s.records["x"], len(c.heard)
					refused := v.use(c, Caller{Session: session, Identity: "ann"}, "x")
					if (refused != nil) != needed || needed && refused.Code != wire.CodeForbidden {
						t.Fatalf("%s, session %q: %v", what, session, refused)
					}
					if needed && (c.s.records["x"] != before || before != nil && before.version != 2 || len(c.heard) > heard || len(c.s.calls) > 0) {
						t.Errorf("%s, session %q: it was refused and done", what, session)
					}
					if got := v.hears(c, "x"); session != "" && got != (v.hear != nil && !needed) {
						t.Errorf("%s: ann hears of it: %v", what, got)
					}
				}
				if v.hear != nil {
					v.taken(t, what, needed, denies)
				}
			}
		}
	}
}

// taken takes a right away, in two ways, from whoever has used the verb.
func (v verb) taken(t *testing.T, what string, needed bool, denies func(Access) bool) {
	t.Helper()
	for way, take := range map[string]func(c *scene){
		"rules": func(c *scene) {
			c.apply(Recheck{forbid(func(a Access) bool {
				a.By.Grants.Admin = false
				return denies(a)
			})})
		},
		"grants": func(c *scene) {
			c.s.config.May = forbid(denies)
			c.apply(Attach{By: Caller{Session: "ann1", Identity: "ann"}})
		},
	} {
		c := staged(t, v, "x")
		c.apply(Attach{By: Caller{Session: "ann1", Identity: "ann", Grants: wire.Grants{Admin: true}}})
		if refused := v.use(c, Caller{Session: "ann1"}, "x"); refused != nil {
			t.Fatalf("%s, before: %v", what, refused)
		}
		c.events("ann1")
		if needed {
			delete(c.clients["ann1"].replicas, "x")
			delete(c.clients["ann1"].parts, wire.RecordName{Name: "x", Path: "a"})
		}
		take(c)
		told := 0
		for _, e := range c.events("ann1") {
			if b, ok := e.Body.(wire.StateUnsubscribed); ok && b.Error.Code == wire.CodeForbidden {
				told++
			}
		}
		if told > 0 != needed {
			t.Errorf("%s, taken by %s: told of %d ends", what, way, told)
		}
		if got := v.hears(c, "x"); got == needed {
			t.Errorf("%s, taken by %s: ann hears of it: %v", what, way, got)
		}
	}
}

// Rule: names with any characters but control characters work with every verb, and mean nothing but themselves.
func TestNames(t *testing.T) {
	for _, name := range []string{
		"a.b", "*", ">", "a.>", "a.*", "a b", " ", "ä/ö", "日本", "\u202e", "e\u0301", "room.>", "$var", "$JS.API.>", `\`, `\*`, "..", "../x", "[0]", `"`, "<b>",
		strings.Repeat("n", wire.MaxStateNameBytes), strings.Repeat("é", wire.MaxStateNameBytes/2),
	} {
		for _, v := range verbs {
			c := staged(t, v, name)
			by := c.by("ann1")
			if len(literal(name)) > wire.MaxStateNameBytes && v.action == Listening {
				continue
			}
			if refused := v.use(c, by, name); refused != nil {
				t.Errorf("%s %q: %v", v.name, name, refused)
			}
			if v.hear == nil {
				continue
			}
			for _, other := range []string{"plain", "a", "a.b.c", "room.tea", "a.x"} {
				if v.hears(c, other) {
					t.Errorf("%s %q: ann hears of %q", v.name, name, other)
				}
			}
			if !v.hears(c, name) {
				t.Errorf("%s %q: ann hears nothing", v.name, name)
			}
			must[wire.OK](c, v.end(by, name))
			c.clients["ann1"].clear()
			if v.action == Listening { // the subscription is there: it begins anew
				c.apply(Reset{"bob1"})
				c.clients["bob1"].clear()
			}
			if v.hears(c, name) {
				t.Errorf("%s %q: ann hears of it after the end", v.name, name)
			}
		}
	}
}

// Rule: what is no name is refused by every verb, in bulk requests by itself, and does nothing.
func TestNoNames(t *testing.T) {
	for _, name := range []string{
		"", "\x00", "a\x00b", "a\nb", "\t", "\x7f", "a\xff", "\xed\xa0\x80", strings.Repeat("n", wire.MaxStateNameBytes+1), strings.Repeat("é", wire.MaxStateNameBytes/2) + "n",
	} {
		for _, v := range verbs {
			for _, session := range []string{"ann1", ""} {
				if session == "" && !v.lone {
					continue
				}
				c := staged(t, v, name)
				before := len(c.heard)
				refused := v.use(c, Caller{Session: session, Identity: "ann"}, name)
				if refused == nil || refused.Code != wire.CodeBadRequest && refused.Code != wire.CodeTooLarge {
					t.Errorf("%s %q: %v", v.name, name, refused)
				}
				if len(c.heard) > before || len(c.s.records) != len(staged(t, v, name).s.records) || len(c.s.calls) > 0 {
					t.Errorf("%s %q: it was refused and done", v.name, name)
				}
				if v.end != nil {
					must[wire.OK](c, v.end(c.by("ann1"), name)) // it is none
				}
			}
		}
	}
}
