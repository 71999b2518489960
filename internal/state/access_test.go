package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
	// Who may neither write nor read is not told whether the version fits; who may read is told before rules judge what nobody wants.
	w := c.writing("cid1", "board", set("a", `2`))
	w.Version = version(1)
	c.refused(wire.CodeForbidden, w)
	last = Access{}
	for _, who := range []string{"ann1", "bob1"} {
		w.By = c.by(who)
		if refused := c.refused(wire.CodeConflict, w); refused.Current == nil || last.New.Exists() {
			t.Errorf("%s may read and was told %+v; the rules were asked about %s", who, refused, last.New.JSON())
		}
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

// Rule: names that a pattern may not stand for any more go to another provider, and those that one may stand for now get one.
func TestRecheckProvides(t *testing.T) {
	c := room(t, "ann1", "bob1", "sub1")
	listen(c, wire.ListenRecords, "x*", "ann1")
	listen(c, wire.ListenRecords, "*", "bob1")
	listen(c, wire.ListenEvents, "*", "ann1")
	for _, name := range []string{"x1", "x2"} {
		c.subscribe("sub1", name, "")
		events(c, "sub1", name)
	}
	who := func() string {
		return fmt.Sprint(providers(c, wire.ListenRecords, "x1"), providers(c, wire.ListenRecords, "x2"),
			providers(c, wire.ListenEvents, "x1"), providers(c, wire.ListenEvents, "x2"))
	}
	denied := func(identities, name string) func(Access) *wire.Error {
		return forbid(func(a Access) bool {
			return a.Action == Listening && a.Name == name && strings.Contains(identities, a.By.Identity)
		})
	}
	for _, step := range []struct{ identities, name, want, provided string }{
		{"", "", "[ann1] [ann1] [ann1] [ann1]", ""},
		{"ann", "x1", "[bob1] [ann1] [] [ann1]", ""},
		{"ann bob", "x1", "[] [ann1] [] [ann1]", "x1 false"},
		{"", "", "[ann1] [ann1] [ann1] [ann1]", "x1 true"},
		{"ann bob", "x2", "[ann1] [] [ann1] []", "x2 false"},
	} {
		c.events("sub1")
		c.apply(Recheck{denied(step.identities, step.name)})
		var told []string
		for _, e := range c.events("sub1") {
			b := e.Body.(wire.RecordProvided)
			told = append(told, fmt.Sprint(b.Name, " ", b.Provided))
		}
		if got := who(); got != step.want || strings.Join(told, " ") != step.provided {
			t.Errorf("without %q for %q: provided by %s, told %q", step.identities, step.name, got, told)
		}
	}
}

// Rule: who is attached again as somebody else is that from now on: in its requests, its links and its presence.
func TestAttachedAnew(t *testing.T) {
	c := room(t, "ann1", "bob1")
	c.s.config.May = forbid(func(a Access) bool { return a.Action == Publish && !a.By.Grants.PublishData })
	for _, identity := range must[wire.Present](c, PresenceSubscribe{By: c.by("bob1")}).Identities {
		c.clients["bob1"].present[identity] = true
	}
	c.refused(wire.CodeForbidden, publish(c, "ann1", "e", `1`))
	anew := func(by Caller) string {
		c.apply(Attach{By: by})
		var told []string
		for _, e := range c.events("bob1") {
			told = append(told, strings.TrimPrefix(e.Type, "presence-"))
		}
		return strings.Join(told, " ")
	}
	grants := wire.Grants{PublishData: true}
	if got := anew(Caller{Session: "ann1", Identity: "ann", Grants: grants}); got != "" {
		t.Errorf("with grants: bob was told %q", got)
	}
	must[wire.OK](c, publish(c, "ann1", "e", `1`)) // whatever the request says of its session
	grants.Hidden = true
	if got := anew(Caller{Session: "ann1", Identity: "ann", Grants: grants}); got != "left" {
		t.Errorf("hidden: bob was told %q", got)
	}
	if got := anew(Caller{Session: "ann1", Identity: "cid"}); got != "joined" {
		t.Errorf("seen again: bob was told %q", got)
	}
	c.refused(wire.CodeForbidden, publish(c, "ann1", "e", `1`))
	c.apply(Detach{"ann1"})
	if got := c.events("bob1"); len(got) != 1 || got[0].Body.(wire.PresenceLeft).Identity != "cid" {
		t.Errorf("gone: bob was told %v", got)
	}
}

// Rule: a permission that depends on what records say is asked for again before anything is told because of it.
func TestPermissionFollowsDocuments(t *testing.T) {
	member := func(a Access) bool { return a.Lookup("members").Get(Path{{Key: a.By.Identity}}).Exists() }
	for name, may := range map[string]func(Access) bool{
		"its own": func(a Access) bool {
			a.Depends()
			owner := a.Old.Get(Path{{Key: "owner"}})
			return !owner.Exists() || owner.Any() == a.By.Identity
		},
		"another": member,
	} {
		c := newScene(t, Config{May: forbid(func(a Access) bool { return a.Action == Read && !may(a) })})
		c.attach("ann1", "bob1", "boss")
		c.write("boss", "members", set("ann", `1`), set("bob", `1`))
		for _, id := range []string{"ann1", "bob1"} {
			for _, path := range []string{"", "text"} {
				if refused := c.subscribe(id, "note", path); refused != nil {
					t.Fatalf("%s: there is nothing yet: %v", name, refused)
				}
			}
		}
		// From here on the note is ann's alone.
		c.clients["bob1"].replicas, c.clients["bob1"].parts = map[string]*replica{}, map[wire.RecordName]any{}
		if name == "another" {
			c.write("boss", "members", erase("bob"))
		}
		c.write("ann1", "note", set("owner", `"ann"`), set("text", `"secret"`))
		if got := len(c.events("ann1")); got != 2 {
			t.Errorf("%s: ann was told %d times", name, got)
		}
		ended := 0
		for _, e := range c.events("bob1") {
			if b, ok := e.Body.(wire.StateUnsubscribed); !ok || b.Name != "note" || b.Error.Code != wire.CodeForbidden {
				t.Errorf("%s: bob was told %+v", name, e)
			}
			ended++
		}
		if ended != 2 || len(c.s.sessions["bob1"].links) > 0 {
			t.Errorf("%s: %d of bob's subscriptions ended", name, ended)
		}
		must[wire.OK](c, RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "note"}})
		if got := c.events("bob1"); len(got) > 0 {
			t.Errorf("%s: of the end bob was told %v", name, got)
		}
	}
}

// Rule: so it is with events, presence and RPCs.
func TestPermissionFollowsDocumentsElsewhere(t *testing.T) {
	c := room(t, "ann1", "bob1")
	c.write("http", "members", set("ann", `1`), set("bob", `1`))
	c.s.config.May = forbid(func(a Access) bool {
		return a.Kind != Records && a.By.Session != "" && !a.Lookup("members").Get(Path{{Key: a.By.Identity}}).Exists()
	})
	for _, id := range []string{"ann1", "bob1"} {
		events(c, id, "e")
		must[wire.Present](c, PresenceSubscribe{By: c.by(id)})
		must[wire.Present](c, PresenceSubscribe{c.by(id), wire.PresenceSubscribe{Identities: []string{"cid"}}})
		provide(c, "add", id)
	}
	c.write("http", "members", erase("bob"))
	must[wire.OK](c, publish(c, "http", "e", `1`))
	c.attach("cid1")
	for n := range uint64(20) {
		c.apply(RPCRequest{By: Caller{Identity: "http"}, RPCRequest: wire.RPCRequest{Name: "add"}, Ticket: n + 1})
	}
	counts := map[string]map[string]int{"ann1": {}, "bob1": {}}
	for id, n := range counts {
		for _, e := range c.events(id) {
			n[e.Type]++
		}
	}
	if got := fmt.Sprint(counts["ann1"]); got != "map[event:1 presence-joined:1 rpc-call:20]" {
		t.Errorf("ann was told %s", got)
	}
	if got := fmt.Sprint(counts["bob1"]); got != "map[state-unsubscribed:4]" {
		t.Errorf("bob was told %s", got)
	}
}

// Rule: a version of the history is for whom may read it and the present one.
func TestHistoryIsAskedFor(t *testing.T) {
	private := func(a Access) bool { return a.Action == Read && a.Old.Get(Path{{Key: "private"}}).Exists() }
	c := newScene(t, Config{May: forbid(private)})
	c.write("http", "note", set("private", `1`))
	c.write("http", "note", erase("private"))
	c.write("http", "note", set("b", `1`))
	for version, want := range map[uint64]string{1: "forbidden", 2: `{}`, 3: `{"b":1}`} {
		if got := c.read("note", version); got != want {
			t.Errorf("version %d: %s, want %s", version, got, want)
		}
	}
	c.write("http", "note", set("private", `1`))
	if got := c.read("note", 3); got != "forbidden" {
		t.Errorf("of what may not be read now: %s", got)
	}
}

// Rule: values that are passed on are any JSON in UTF-8, with and without rules, which see them.
func TestPassedValues(t *testing.T) {
	for _, rules := range []bool{false, true} {
		c := room(t, "ann1", "bob1")
		var seen Value
		if rules {
			c.s.config.May = func(a Access) *wire.Error {
				if a.New.Exists() {
					seen = a.New
				}
				return nil
			}
		}
		events(c, "bob1", "e")
		provide(c, "r", "bob1")
		nested := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
		deep, wide := nested(wire.MaxRecordDepth), "["+strings.TrimSuffix(strings.Repeat("0,", wire.MaxElements+1), ",")+"]"
		for i, text := range []string{`{"__proto__":1,"a":1}`, deep, wide, `"\"` + nested(100) + `"`, `1e999`, `"\ud800"`, ` null `, `{"a":1,"a":2}`} {
			seen = Value{}
			must[wire.OK](c, publish(c, "ann1", "e", text))
			must[wire.OK](c, RPCRequest{By: c.by("ann1"), RPCRequest: wire.RPCRequest{Name: "r", Call: uint64(i), Value: []byte(text)}})
			if rules && !seen.Exists() {
				t.Errorf("the rules did not see %.20s", text)
			}
			if got := c.events("bob1"); len(got) != 2 || string(got[0].Body.(wire.EventPublished).Value) != text || string(got[1].Body.(wire.RPCCall).Value) != text {
				t.Errorf("rules %v, %.20s: told %v", rules, text, got)
			}
		}
		c.refused(wire.CodeTooLarge, publish(c, "ann1", "e", nested(wire.MaxRecordDepth+1)))
		c.refused(wire.CodeTooLarge, RPCRequest{By: c.by("ann1"), RPCRequest: wire.RPCRequest{Name: "r", Call: 99, Value: []byte(nested(wire.MaxRecordDepth + 1))}})
		for _, text := range []string{"\"\xff\"", "\"\xed\xa0\x80\"", `{`, `1 2`, `"` + "\n" + `"`, "\x00"} {
			c.refused(wire.CodeBadRequest, publish(c, "ann1", "e", text))
			c.refused(wire.CodeBadRequest, RPCRequest{By: c.by("ann1"), RPCRequest: wire.RPCRequest{Name: "r", Call: 99, Value: []byte(text)}})
		}
	}
}

// Rule: what rules look at is unfolded once for a command, and for one request only so much: what is beyond is refused by itself.
func TestUnfolded(t *testing.T) {
	c := newScene(t, Config{})
	const count = 2 * MaxUnfolded / wire.MaxRecordBytes
	wanted := make([]wire.RecordWanted, count, count+1)
	for i := range wanted {
		wanted[i] = wire.RecordWanted{Name: fmt.Sprint(i), Head: true}
		c.write("http", wanted[i].Name, set("", `["`+strings.Repeat("x", wire.MaxRecordBytes-4)+`"]`))
	}
	c.write("http", "small", set("a", `1`))
	c.s.config.May = func(a Access) *wire.Error {
		old, refused := a.Unfold(a.Old)
		if m, ok := old.(map[string]any); ok {
			m["mark"] = true
			if again, _ := a.Unfold(a.Old); again.(map[string]any)["mark"] == nil {
				t.Error("unfolded twice")
			}
		}
		return refused
	}
	ask := func(wanted []wire.RecordWanted) (refused int) {
		for i, r := range must[wire.Records](c, RecordRead{c.by("http"), wire.RecordRead{Records: wanted}}).Results {
			switch {
			case r.Error == nil && refused > 0 && wanted[i].Name != "small":
				t.Errorf("%s was read behind what was too much", wanted[i].Name)
			case r.Error != nil && r.Error.Code != wire.CodeLimit:
				t.Error(r.Error)
			case r.Error != nil:
				refused++
			}
		}
		return refused
	}
	wanted = append(wanted, wire.RecordWanted{Name: "small", Head: true})
	first := ask(wanted)
	if first < count/2 || first > count/2+2 {
		t.Errorf("%d of %d were refused", first, count)
	}
	if again := ask(wanted[count-first:]); again > 2 {
		t.Errorf("in another request %d were refused", again)
	}
	if n := len(c.s.unfolded) + c.s.kept + c.s.unfolding; n != 0 {
		t.Error("something is kept after the command")
	}
}

// Rule: what rules look at before others are told something is not the sender's, and each may have as much looked at for itself.
func TestUnfoldedForOthers(t *testing.T) {
	c := room(t, "ann1", "bob1", "cid1")
	many := func(a Access) bool {
		for i := range MaxUnfolded/wire.MaxRecordBytes - 2 {
			if _, refused := a.Unfold(a.Lookup(fmt.Sprint(a.By.Identity, i))); refused != nil {
				return true
			}
			if a.scope.kept > MaxUnfolded {
				t.Errorf("%d bytes are kept", a.scope.kept)
			}
		}
		return false
	}
	for _, who := range []string{"ann", "bob", "cid"} {
		for i := range MaxUnfolded / wire.MaxRecordBytes {
			c.write("http", fmt.Sprint(who, i), set("", `["`+strings.Repeat("x", wire.MaxRecordBytes-4)+`"]`))
		}
	}
	c.s.config.May = forbid(many)
	for _, id := range []string{"ann1", "bob1"} {
		c.subscribe(id, "note", "")
		events(c, id, "wave")
	}
	c.write("cid1", "note", set("a", `1`))
	must[wire.OK](c, publish(c, "cid1", "wave", `1`))
	for _, id := range []string{"ann1", "bob1"} {
		if got := c.events(id); len(got) != 2 || got[0].Type != wire.TypeRecordChanged || got[1].Type != wire.TypeEventPublished {
			t.Errorf("%s was told %v", id, got)
		}
	}
}

// secretly are rules in which what is under secret/ is for bosses alone, asked about one by one.
var secretly = forbid(func(a Access) bool { return strings.HasPrefix(a.Name, "secret/") && !a.By.Grants.Admin })

// arriveAs attaches a session of its own for each identity.
func arriveAs(c *scene, identities ...string) {
	for _, identity := range identities {
		c.attachAs(Caller{Session: "of " + identity, Identity: identity}, "")
	}
}

// watchAll subscribes to the presence of all.
func watchAll(c *scene, id string) []string {
	c.t.Helper()
	there := must[wire.Present](c, PresenceSubscribe{By: c.by(id)}).Identities
	for _, identity := range there {
		c.clients[id].present[identity] = true
	}
	return there
}

// heardOf returns who was told to have come and gone.
func heardOf(c *scene, id string) string {
	var all []string
	for _, e := range c.events(id) {
		switch b := e.Body.(type) {
		case wire.PresenceJoined:
			all = append(all, "+"+b.Identity)
		case wire.PresenceLeft:
			all = append(all, "-"+b.Identity)
		case wire.StateUnsubscribed:
			all = append(all, fmt.Sprint(b.Kind, " ", b.Name, " ", b.Error.Code))
		}
	}
	return strings.Join(all, " ")
}

// Rule: who asks for the presence of all is told of those only about whom it may know, in replies and when they come and go.
func TestPresenceOfAllHidesSome(t *testing.T) {
	c := newScene(t, Config{May: secretly})
	c.attach("ann1")
	c.attachAs(Caller{Session: "boss", Identity: "bob", Grants: wire.Grants{Admin: true}}, "")
	arriveAs(c, "secret/x", "zoe")
	for id, want := range map[string]string{"ann1": "[ann bob zoe]", "boss": "[ann bob secret/x zoe]"} {
		if got := fmt.Sprint(must[wire.Present](c, PresenceRead{By: c.by(id)}).Identities); got != want {
			t.Errorf("%s reads %s, want %s", id, got, want)
		}
		if got := fmt.Sprint(watchAll(c, id)); got != want {
			t.Errorf("%s subscribes and is told %s, want %s", id, got, want)
		}
	}
	if got := must[wire.Present](c, PresenceSubscribe{c.by("ann1"), wire.PresenceSubscribe{Identities: []string{"secret/y", "cid"}}}); len(got.Refused) != 1 {
		t.Errorf("by name: %+v", got)
	}
	arriveAs(c, "secret/y", "cid")
	for _, identity := range []string{"secret/x", "cid"} {
		c.apply(Detach{"of " + identity})
	}
	for id, want := range map[string]string{"ann1": "+cid -cid", "boss": "+secret/y +cid -secret/x -cid"} {
		if got := heardOf(c, id); got != want {
			t.Errorf("%s was told %s, want %s", id, got, want)
		}
	}
	must[wire.OK](c, PresenceUnsubscribe{By: c.by("ann1")})
	c.apply(Detach{"boss"})
	if n := len(c.s.picky); n != 0 {
		t.Errorf("%d are picked for, and nobody is subscribed to all", n)
	}
}

// Rule: a reply about all is filled with those who may be known; the next one begins behind its last.
func TestPagesOfSome(t *testing.T) {
	c := newScene(t, Config{May: secretly})
	c.attach("ann1")
	for i := range wire.MaxPresent + 2 {
		arriveAs(c, fmt.Sprintf("secret/%05d", i), fmt.Sprintf("team/%05d", i))
	}
	first := must[wire.Present](c, PresenceRead{By: c.by("ann1")})
	if len(first.Identities) != wire.MaxPresent || !first.More || strings.Contains(fmt.Sprint(first.Identities), "secret/") {
		t.Fatalf("%d in the first, more %v", len(first.Identities), first.More)
	}
	rest := must[wire.Present](c, PresenceRead{c.by("ann1"), wire.PresenceRead{After: first.Identities[wire.MaxPresent-1]}})
	if got := fmt.Sprint(rest.Identities, rest.More); got != "[team/01023 team/01024 team/01025] false" {
		t.Errorf("then %s", got)
	}
}

// Rule: rules that differ by identity are asked for each, and those that do not once: nothing is slower for them.
func TestPresenceAsksOnce(t *testing.T) {
	asked := 0
	c := newScene(t, Config{May: func(a Access) *wire.Error {
		if a.Kind == Presence {
			asked++
			a.Alike()
		}
		return nil
	}})
	c.attach("ann1", "bob1", "cid1")
	must[wire.Present](c, PresenceRead{By: c.by("ann1")})
	must[wire.Present](c, PresenceSubscribe{By: c.by("ann1")})
	arriveAs(c, "dan", "eve")
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// Rule: where the rules for single identities change, or what a session is, who is subscribed to the presence of all is told about whom it may
// know now, and about whom no more.
func TestPresenceOfAllFollowsRules(t *testing.T) {
	without := func(names ...string) Command {
		return Recheck{forbid(func(a Access) bool { return a.Kind == Presence && slices.Contains(names, a.Name) && !a.By.Grants.Admin })}
	}
	ann := Caller{Session: "ann1", Identity: "ann"}
	c := newScene(t, Config{})
	c.attachAs(ann, "")
	arriveAs(c, "x", "y", "z")
	watchAll(c, "ann1")
	for i, step := range []struct {
		command Command
		want    string
	}{
		{without("x"), "-x"},
		{without("x", "y"), "-y"},
		{Attach{By: Caller{Session: ann.Session, Identity: ann.Identity, Grants: wire.Grants{Admin: true}}}, "+x +y"},
		{Attach{By: ann}, "-x -y"},
		{without("y", "z"), "+x -z"},
		{Recheck{}, "+y +z"},
		{Recheck{}, ""},
		{without("*"), "presence  forbidden"},
		{without(), ""},
	} {
		c.apply(step.command)
		if got := heardOf(c, "ann1"); got != step.want {
			t.Errorf("step %d: told %q, want %q", i, got, step.want)
		}
	}
}

// Rule: what rules for single identities would have to look at for one list of all is bounded: it ends there and says so, or is refused where it
// would be empty. So is what new rules are asked: whoever is beyond subscribes again.
func TestPresenceOfAllIsBounded(t *testing.T) {
	c := newScene(t, Config{May: func(a Access) *wire.Error { return a.Step(MaxSteps / 3) }})
	c.attach("ann1")
	arriveAs(c, "a", "b", "c", "d")
	ask := func(after string) Command {
		return PresenceRead{c.by("ann1"), wire.PresenceRead{After: after}}
	}
	for after, want := range map[string]string{"": "[a ann] true", "ann": "[b c] true", "c": "[d] false"} {
		if got := must[wire.Present](c, ask(after)); fmt.Sprint(got.Identities, got.More) != want {
			t.Errorf("after %q: %v, want %s", after, got, want)
		}
	}
	costly := func(a Access) *wire.Error {
		if a.Name == "*" {
			return nil
		}
		return a.Step(MaxSteps + 1)
	}
	c.s.config.May = costly
	c.refused(wire.CodeLimit, ask(""))
	c.refused(wire.CodeLimit, PresenceSubscribe{By: c.by("ann1")})
	if len(c.s.sessions["ann1"].links) > 0 {
		t.Error("it was refused and subscribed")
	}
	c.s.config.May = secretly
	const watchers = 400
	for i := range watchers {
		id := fmt.Sprint("w", i)
		c.attachAs(Caller{Session: id, Identity: id}, "")
		watchAll(c, id)
	}
	c.apply(Recheck{May: secretly})
	ended := 0
	for i := range watchers {
		for _, e := range c.events(fmt.Sprint("w", i)) {
			if b, ok := e.Body.(wire.StateUnsubscribed); ok && b.Kind == wire.SubscribedPresence && b.Error.Code == wire.CodeLimit {
				ended++
			}
		}
	}
	if want := watchers - MaxKnownAnew/len(c.s.there); ended != want {
		t.Errorf("%d of %d subscriptions ended, want %d", ended, watchers, want)
	}
}

// Rule: who may write and not delete can let a record live longer and keep more versions, not shorter and fewer; without saying so a write changes neither.
func TestWhatIsLostNeedsDelete(t *testing.T) {
	c := newScene(t, Config{})
	write := func(name string, ttlSeconds, history *int) Command {
		w := c.writing("ann1", name, set("a", `1`))
		w.TTLSeconds, w.History = ttlSeconds, history
		return w
	}
	for i, given := range []struct {
		ttlSeconds, history *int
		needs               bool
	}{
		{nil, nil, false},
		{new(60), nil, false},
		{new(61), new(5), false},
		{new(0), new(wire.MaxHistory), false},
		{new(59), nil, true},
		{nil, new(4), true},
		{new(61), new(0), true},
		{new(1), new(9), true},
	} {
		c.s.config.May = nil
		c.do(RecordDelete{c.by("ann1"), wire.RecordDelete{Name: "board"}})
		must[wire.Written](c, write("board", new(60), new(5)))
		c.s.config.May = forbid(func(a Access) bool { return a.Action == Delete && (a.Name != "board" || a.Old.Exists()) })
		if _, refused := c.do(write("board", given.ttlSeconds, given.history)); (refused != nil) != given.needs || refused != nil && refused.Code != wire.CodeForbidden {
			t.Errorf("write %d, needs %v: %v", i, given.needs, refused)
		}
		r := c.s.records["board"]
		if given.needs && (r.version != 1 || r.ttl != time.Minute || r.history != 5) {
			t.Errorf("it was refused and done: %+v", r)
		}
	}
}

// Rule: rules that differ by identity are asked about so many in a row for one list, and for so many sessions when somebody comes or goes.
func TestPresenceOfAllPicksSoMany(t *testing.T) {
	c := newScene(t, Config{May: secretly})
	hidden := make([]string, MaxPicked+10)
	for i := range hidden {
		hidden[i] = fmt.Sprintf("secret/%05d", i)
		c.s.Apply(c.now, Attach{By: Caller{Session: hidden[i], Identity: hidden[i]}})
	}
	c.attach("ann1")
	c.s.Apply(c.now, Attach{By: Caller{Session: "zoe", Identity: "zoe"}})
	for after, want := range map[string]string{"": "[ann] true", hidden[9]: "limit", hidden[10]: "[zoe] false"} {
		body, refused := c.do(PresenceRead{c.by("ann1"), wire.PresenceRead{After: after}})
		got := ""
		if refused != nil {
			got = string(refused.Code)
		} else {
			got = fmt.Sprint(body.(wire.Present).Identities, " ", body.(wire.Present).More)
		}
		if got != want {
			t.Errorf("after %q: %s, want %s", after, got, want)
		}
	}
	subscribe := func(id string) *wire.Error {
		for _, e := range c.s.Apply(c.now, PresenceSubscribe{By: Caller{Session: id}}) {
			if r, ok := e.(Reply); ok {
				return r.Error
			}
		}
		return nil
	}
	c.s.config.May = forbid(func(Access) bool { return false })
	for i, id := range hidden {
		if refused := subscribe(id); (refused != nil) != (i >= MaxPicked) {
			t.Fatalf("%d: %v", i, refused)
		}
	}
	c.s.Apply(c.now, Recheck{}) // nobody is asked about any more
	for _, id := range hidden {
		if refused := subscribe(id); refused != nil || len(c.s.picky) > 0 {
			t.Fatalf("%s: %v, %d are picked for", id, refused, len(c.s.picky))
		}
	}
}
