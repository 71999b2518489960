package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// decision is what a rule decides, and what comes of it.
type decision struct {
	what    string
	kind    Kind
	action  Action
	prepare func(c *scene)
	command func(c *scene) Command
	tells   string // types, where it is allowed
	ends    string // and where it is not
}

var decisions = []decision{
	{
		what: "publish", kind: Events, action: Publish, prepare: func(c *scene) { events(c, "bob1", "x") },
		command: func(c *scene) Command { return publish(c, "ann1", "x", `1`) }, tells: wire.TypeEventPublished,
	},
	{
		what: "subscribe to an event", kind: Events, action: Subscribe,
		command: func(c *scene) Command {
			return EventSubscribe{c.by("ann1"), wire.EventNames{Names: []string{"x", "y"}}}
		},
	},
	{
		what: "be told of an event", kind: Events, action: Subscribe, prepare: func(c *scene) { events(c, "bob1", "x") },
		command: func(c *scene) Command { return publish(c, "ann1", "x", `1`) }, tells: wire.TypeEventPublished, ends: wire.TypeStateUnsubscribe,
	},
	{
		what: "provide", kind: RPCs, action: Provide,
		command: func(c *scene) Command { return RPCProvide{c.by("ann1"), wire.RPCNames{Names: []string{"x"}}} },
	},
	{
		what: "be asked", kind: RPCs, action: Provide, prepare: func(c *scene) { provide(c, "x", "bob1") },
		command: func(c *scene) Command {
			return RPCRequest{By: c.by("ann1"), RPCRequest: wire.RPCRequest{Name: "x", Call: 1}}
		},
		tells: wire.TypeRPCCall, ends: wire.TypeStateUnsubscribe + " " + wire.TypeRPCResult,
	},
	{
		what: "request", kind: RPCs, action: Request, prepare: func(c *scene) { provide(c, "x", "bob1") },
		command: func(c *scene) Command {
			return RPCRequest{By: c.by("ann1"), RPCRequest: wire.RPCRequest{Name: "x", Call: 1}}
		},
		tells: wire.TypeRPCCall,
	},
	{
		what: "request what nobody provides", kind: RPCs, action: Request,
		command: func(c *scene) Command {
			return RPCRequest{By: c.by("ann1"), RPCRequest: wire.RPCRequest{Name: "x", Call: 1}}
		},
		tells: wire.TypeRPCResult,
	},
	{
		what: "request without a session", kind: RPCs, action: Request,
		command: func(c *scene) Command {
			return RPCRequest{By: c.by("http"), RPCRequest: wire.RPCRequest{Name: "x"}, Ticket: 1}
		},
	},
	{
		what: "get an answer", kind: RPCs, action: Request,
		prepare: func(c *scene) {
			provide(c, "x", "bob1")
			request(c, "ann1", "x", 1)
			must[wire.OK](c, accept(c, "bob1", c.s.lastCall))
		},
		command: func(c *scene) Command { return answer(c, "bob1", c.s.lastCall, `1`) }, tells: wire.TypeRPCResult, ends: wire.TypeRPCResult,
	},
	{
		what: "listen", kind: Events, action: Listening, prepare: func(c *scene) { events(c, "bob1", "x") },
		command: func(c *scene) Command {
			return Listen{c.by("ann1"), wire.Listen{Kind: wire.ListenEvents, Pattern: "x"}}
		}, tells: wire.TypeListenStart,
	},
	{
		what: "provide a record", kind: Records, action: Listening,
		prepare: func(c *scene) {
			listen(c, wire.ListenRecords, "*", "ann1")
			c.subscribe("bob1", "x", "")
			c.unsubscribe("bob1", "x", "")
		},
		command: func(c *scene) Command {
			return RecordSubscribe{c.by("bob1"), wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "x"}}}}
		},
		tells: wire.TypeListenStart,
	},
	{
		what: "reject", kind: Records, action: Listening,
		prepare: func(c *scene) {
			listen(c, wire.ListenRecords, "*", "ann1", "bob1")
			c.subscribe("http1", "x", "")
		},
		command: func(c *scene) Command {
			return ListenReject{c.by(providers(c, wire.ListenRecords, "x")[0]), wire.ListenReject{Kind: wire.ListenRecords, Name: "x"}}
		},
		tells: wire.TypeListenStart, ends: wire.TypeRecordProvided,
	},
	{
		what: "know of all", kind: Presence, action: Subscribe,
		command: func(c *scene) Command { return PresenceSubscribe{By: c.by("ann1")} },
	},
	{
		what: "know of one", kind: Presence, action: Subscribe,
		command: func(c *scene) Command {
			return PresenceSubscribe{c.by("ann1"), wire.PresenceSubscribe{Identities: []string{"bob"}}}
		},
	},
	{
		what: "ask who is there", kind: Presence, action: Read, command: func(c *scene) Command { return PresenceRead{By: c.by("http")} },
	},
	{
		what: "be told who came", kind: Presence, action: Subscribe,
		prepare: func(c *scene) { must[wire.Present](c, PresenceSubscribe{By: c.by("bob1")}) },
		command: func(*scene) Command { return Attach{By: Caller{Session: "cid1", Identity: "cid"}} },
		tells:   wire.TypePresenceJoined, ends: wire.TypeStateUnsubscribe,
	},
	{
		what: "write", kind: Records, action: Create, prepare: func(c *scene) { c.subscribe("bob1", "x", "") },
		command: func(c *scene) Command { return c.writing("ann1", "x", set("a", `1`)) }, tells: wire.TypeRecordChanged,
	},
	{
		what: "delete", kind: Records, action: Delete,
		prepare: func(c *scene) {
			c.subscribe("bob1", "x", "")
			c.write("ann1", "x", set("a", `1`))
		},
		command: func(c *scene) Command { return RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "x"}} }, tells: wire.TypeRecordDeleted,
	},
}

// durably has a durable record written, which is not stored yet.
func durably(c *scene, name string) {
	w, yes := c.writing("ann1", name, set("a", `1`)), true
	w.Durable = &yes
	must[wire.Written](c, w)
}

// staged is a scene in which the decision depends on whether there is a gate, which is not stored yet. It is allowed where there is none, or it is open.
func (d decision) staged(t *testing.T, open bool) *scene {
	t.Helper()
	c := room(t, "ann1", "bob1", "http1")
	c.s.config.May = forbid(func(a Access) bool {
		return a.Kind == d.kind && a.Action == d.action && a.Name != "board" && a.Lookup("gate").Exists() && !open
	})
	if d.prepare != nil {
		d.prepare(c)
	}
	durably(c, "gate")
	return c
}

// Rule: whatever comes of a decision waits where a rule has looked at what is not stored, of whatever kind it is, and whether it is allowed or not; nothing
// does where all that rules have looked at is stored, whatever else is not.
func TestDecisionsWait(t *testing.T) {
	for _, d := range decisions {
		for _, open := range []bool{true, false} {
			for _, stored := range []bool{false, true} {
				c := d.staged(t, open)
				if stored {
					c.apply(Settle{UpTo: c.s.appended})
					durably(c, "board")
				}
				c.heard = nil
				replies := c.apply(d.command(c))
				for _, r := range c.results {
					replies = append(replies, r)
				}
				var told []string
				for _, e := range c.heard {
					told = append(told, e.Type)
					if e.Waits == stored {
						t.Errorf("%s, allowed %v, stored %v: %s waits: %v", d.what, open, stored, e.Type, e.Waits)
					}
				}
				for _, r := range replies {
					if r.Waits == stored {
						t.Errorf("%s, allowed %v, stored %v: the reply waits: %v", d.what, open, stored, r.Waits)
					}
				}
				want := d.ends
				if open {
					want = d.tells
				}
				if got := strings.Join(told, " "); got != want {
					t.Errorf("%s, allowed %v: told %q, want %q", d.what, open, got, want)
				}
			}
		}
	}
}

// gated lets ann do by a gate what others may in any case.
func gated(a Access) bool {
	return a.By.Identity == "ann" && a.Kind != Presence && (a.Kind != Records || a.Name == "e") && !a.Lookup("gate").Exists()
}

// Rule: what follows a decision that waits, about the same thing, waits behind it, though nobody has looked at anything for its sake; what is about another one does not.
func TestNothingOvertakesADecision(t *testing.T) {
	for _, step := range []struct {
		what        string
		first, then func(c *scene, name string) Command
		others      bool // it is about all names
	}{
		{
			what: "an event", first: func(c *scene, name string) Command { return publish(c, "ann1", name, `1`) },
			then: func(c *scene, name string) Command { return publish(c, "bob1", name, `2`) },
		},
		{
			what: "a subscription",
			first: func(c *scene, name string) Command {
				return EventSubscribe{c.by("ann1"), wire.EventNames{Names: []string{name}}}
			},
			then: func(c *scene, name string) Command { return publish(c, "bob1", name, `2`) },
		},
		{
			what: "its end",
			first: func(c *scene, name string) Command {
				return EventSubscribe{c.by("ann1"), wire.EventNames{Names: []string{name}}}
			},
			then: func(c *scene, name string) Command {
				return EventUnsubscribe{c.by("ann1"), wire.EventNames{Names: []string{name}}}
			},
		},
		{
			what: "a call",
			first: func(c *scene, name string) Command {
				return RPCProvide{c.by("ann1"), wire.RPCNames{Names: []string{name}}}
			},
			then: func(c *scene, name string) Command {
				return RPCRequest{By: c.by("bob1"), RPCRequest: wire.RPCRequest{Name: name, Call: c.s.settled}}
			},
		},
		{
			what: "a call that has ended",
			first: func(c *scene, name string) Command {
				return RPCProvide{c.by("ann1"), wire.RPCNames{Names: []string{name}}}
			},
			then: func(c *scene, _ string) Command { return accept(c, "bob1", 1) }, others: true,
		},
		{
			what: "what a session listens to",
			first: func(c *scene, name string) Command {
				return Listen{c.by("ann1"), wire.Listen{Kind: wire.ListenEvents, Pattern: "of " + name}}
			},
			then: func(c *scene, name string) Command {
				return Unlisten{c.by("ann1"), wire.Unlisten{Kind: wire.ListenEvents, Pattern: "of " + name}}
			},
			others: true,
		},
		{
			what: "a record", first: func(c *scene, _ string) Command { return c.writing("ann1", "e", set("a", `1`)) },
			then: func(c *scene, _ string) Command { return c.writing("bob1", "e", set("b", `1`)) }, others: true,
		},
	} {
		for _, name := range []string{"x", "y"} {
			c := newScene(t, Config{May: forbid(gated)})
			c.attach("ann1", "bob1", "cid1")
			events(c, "cid1", "x", "y")
			w, yes := c.writing("bob1", "gate", set("a", `1`)), true
			w.Durable = &yes
			must[wire.Written](c, w)
			waits := func(command Command) bool {
				c.heard = nil
				reply := c.apply(command)[0]
				for _, e := range c.heard {
					if e.Waits != reply.Waits {
						t.Errorf("%s: %s waits: %v, the reply %v", step.what, e.Type, e.Waits, reply.Waits)
					}
				}
				return reply.Waits
			}
			if !waits(step.first(c, "x")) {
				t.Errorf("%s: it does not wait", step.what)
			}
			if got, want := waits(step.then(c, name)), step.others || name == "x"; got != want {
				t.Errorf("%s, of %s: what follows waits: %v", step.what, name, got)
			}
			c.apply(Settle{UpTo: c.s.appended})
			if waits(step.then(c, name)) {
				t.Errorf("%s: it waits when all is stored", step.what)
			}
		}
	}
}

// Rule: what is told of presence keeps its order too, with what replies say of it.
func TestNothingOvertakesPresence(t *testing.T) {
	c := newScene(t, Config{May: forbid(func(a Access) bool {
		return a.Kind == Presence && a.Name == "cid" && a.By.Identity == "ann" && !a.Lookup("gate").Exists()
	})})
	c.attach("ann1", "bob1")
	must[wire.Present](c, PresenceSubscribe{By: c.by("bob1")})
	durably(c, "gate")
	c.heard = nil
	must[wire.Present](c, PresenceSubscribe{c.by("ann1"), wire.PresenceSubscribe{Identities: []string{"cid"}}})
	c.attach("dan1")
	if reply := c.apply(PresenceRead{By: c.by("bob1")})[0]; !reply.Waits || len(c.heard) != 1 || !c.heard[0].Waits {
		t.Errorf("the reply waits: %v, told %v", reply.Waits, c.heard)
	}
	c.apply(Settle{UpTo: c.s.appended})
	c.apply(Detach{"dan1"})
	if reply := c.apply(PresenceRead{By: c.by("bob1")})[0]; reply.Waits || len(c.heard) != 2 || c.heard[1].Waits {
		t.Errorf("when all is stored the reply waits: %v, told %v", reply.Waits, c.heard)
	}
}

// Rule: where what was appended is not stored, records that are not durable are as everybody has seen them: without what was written or deleted by a permission that
// never was, and what was done behind that.
func TestWhatNeverWasIsUndone(t *testing.T) {
	c := newScene(t, Config{May: forbid(gated)})
	c.attach("ann1", "bob1")
	c.write("bob1", "e", set("a", `1`))
	c.write("bob1", "free", set("a", `1`))
	c.refused(wire.CodeForbidden, c.writing("ann1", "e", set("a", `2`)))
	gate := func() {
		w, yes := c.writing("bob1", "gate", set("n", fmt.Sprint(c.s.appended))), true
		w.Durable = &yes
		must[wire.Written](c, w)
	}
	after := func() string {
		kept := New(Config{})
		kept.Keep(c.s)
		bytes := 0
		for _, r := range kept.records {
			bytes += r.held()
		}
		if bytes != kept.bytes || kept.imageBytes != 0 {
			t.Errorf("%d bytes, the books say %d, and %d", bytes, kept.bytes, kept.imageBytes)
		}
		r := kept.records["e"]
		if r == nil {
			return "none"
		}
		return fmt.Sprint(r.version, " ", string(r.value.JSON()), " ", len(r.past))
	}
	del := RecordDelete{c.by("bob1"), wire.RecordDelete{Name: "e"}}
	for i, step := range []struct {
		do    func()
		lost  string // after what is not stored is lost
		upTo  uint64 // what is stored then
		after string // after what is not stored by then is lost
	}{
		{gate, "1 {\"a\":1} 0", 0, "1 {\"a\":1} 0"},
		{func() { c.write("ann1", "e", set("a", `2`)) }, "1 {\"a\":1} 0", 0, "1 {\"a\":1} 0"},
		{func() { c.write("bob1", "e", set("b", `3`)) }, "1 {\"a\":1} 0", 0, "1 {\"a\":1} 0"},
		{gate, "1 {\"a\":1} 0", 1, "3 {\"a\":2,\"b\":3} 2"},
		{func() { c.write("bob1", "e", set("c", `4`)) }, "4 {\"a\":2,\"b\":3,\"c\":4} 3", 0, "4 {\"a\":2,\"b\":3,\"c\":4} 3"},
		{func() { c.write("ann1", "e", set("c", `5`)) }, "4 {\"a\":2,\"b\":3,\"c\":4} 3", 0, "4 {\"a\":2,\"b\":3,\"c\":4} 3"},
		{gate, "4 {\"a\":2,\"b\":3,\"c\":4} 3", 0, "4 {\"a\":2,\"b\":3,\"c\":4} 3"},
		{func() { must[wire.OK](c, del) }, "4 {\"a\":2,\"b\":3,\"c\":4} 3", 2, "5 {\"a\":2,\"b\":3,\"c\":5} 4"},
		{func() { c.write("ann1", "e", set("d", `6`)) }, "5 {\"a\":2,\"b\":3,\"c\":5} 4", 3, "1 {\"d\":6} 0"},
		{gate, "1 {\"d\":6} 0", 3, "1 {\"d\":6} 0"},
		{func() { c.write("ann1", "e", set("d", `7`)) }, "1 {\"d\":6} 0", 4, "2 {\"d\":7} 1"},
	} {
		step.do()
		if got := after(); got != step.lost {
			t.Errorf("step %d: %s, want %s", i, got, step.lost)
		}
		if c.apply(Settle{UpTo: step.upTo}); after() != step.after {
			t.Errorf("step %d, stored: %s, want %s", i, after(), step.after)
		}
	}
	if len(c.s.images)+c.s.imageBytes > 0 {
		t.Errorf("%d images are left, of %d bytes", len(c.s.images), c.s.imageBytes)
	}
}

// Rule: what records were is counted among what the scope may hold.
func TestImagesAreCounted(t *testing.T) {
	c := newScene(t, Config{May: forbid(gated)})
	c.attach("ann1", "bob1")
	w := c.writing("bob1", "gate", set("a", `1`))
	w.Durable = new(true)
	must[wire.Written](c, w)
	c.write("ann1", "e", set("a", `1`))
	if _, bytes, _ := c.s.Sizes(); bytes != c.s.bytes+c.s.imageBytes || c.s.imageBytes == 0 {
		t.Errorf("%d bytes, with %d of images", bytes, c.s.imageBytes)
	}
	c.s.config.MaxBytes = c.s.bytes + 3*recordBytes - len("e")
	c.refused(wire.CodeLimit, c.writing("ann1", "e", set("b", `"`+strings.Repeat("x", recordBytes)+`"`)))
	c.apply(Settle{UpTo: c.s.appended})
	c.write("ann1", "e", set("b", `"`+strings.Repeat("x", recordBytes)+`"`))
}

// Rule: a provider that was passed over for what is not stored is not missed sooner by the next call, for which nobody is asked any more.
func TestNothingOvertakesTheEndOfAProvider(t *testing.T) {
	c := newScene(t, Config{May: forbid(gated)})
	c.attach("ann1", "bob1")
	w := c.writing("bob1", "gate", set("a", `1`))
	w.Durable = new(true)
	must[wire.Written](c, w)
	provide(c, "x", "ann1")
	c.apply(Settle{UpTo: c.s.appended})
	must[wire.OK](c, RecordDelete{c.by("bob1"), wire.RecordDelete{Name: "gate"}})
	for call := range uint64(2) {
		c.heard = nil
		request(c, "bob1", "x", call)
		for _, e := range c.heard {
			if !e.Waits {
				t.Errorf("call %d: %s does not wait", call, e.Type)
			}
		}
	}
	if len(c.heard) != 1 || c.heard[0].Type != wire.TypeRPCResult {
		t.Errorf("told %+v", c.heard)
	}
}
