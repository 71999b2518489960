package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/wire"
)

// Rule: a pattern is text with wildcards; all else is literal.
func TestPattern(t *testing.T) {
	for _, c := range []struct{ pattern, yes, no string }{
		{"a", "a", "A,aa,"},
		{"*", "a,a/b,*,日本", ""},
		{"a*", "a,ab,a/b", "b,ba"},
		{"*a", "a,ba,aa", "ab"},
		{"a*b", "ab,axb,abb,a/b", "a,b,abx,xab"},
		{"a*b*c", "abc,axbxc,abbcc", "acb,ab,c"},
		{`\*`, "*", `a,\*,\`},
		{`a\*b`, "a*b", "axb"},
		{`\\*`, `\,\x`, "x,*"},
		{`a\b`, `a\b`, "ab"},
		{"a.b", "a.b", "axb"},
		{"[a]", "[a]", "a"},
		{"**", "a,b", ""},
		{"a**b", "ab,axb", "a"},
		{`\`, `\`, "x"},
		{"*aab", "aaab,aab", "aabx"},
	} {
		p := newPattern(c.pattern)
		for _, name := range strings.Split(c.yes, ",") {
			if !p.matches(name) {
				t.Errorf("%s does not match %s", c.pattern, name)
			}
		}
		for _, name := range strings.Split(c.no, ",") {
			if name != "" && p.matches(name) {
				t.Errorf("%s matches %s", c.pattern, name)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]string{"a", "b", "*"})
		text := strings.Join(rapid.SliceOfN(letters, 0, 7).Draw(t, "pattern"), "")
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 0, 7).Draw(t, "name"), "")
		if got, want := newPattern(text).matches(name), plainMatch(text, name); got != want {
			t.Fatalf("%q matches %q: %v", text, name, got)
		}
	})
}

func plainMatch(text, name string) bool {
	switch {
	case text == "":
		return name == ""
	case text[0] == '*':
		return plainMatch(text[1:], name) || name != "" && plainMatch(text, name[1:])
	}
	return name != "" && name[0] == text[0] && plainMatch(text[1:], name[1:])
}

func listen(c *scene, kind wire.ListenKind, pattern string, ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		must[wire.OK](c, Listen{c.by(id), wire.Listen{Kind: kind, Pattern: pattern}})
	}
}

// providers returns who provides a name, as the clients were told.
func providers(c *scene, kind wire.ListenKind, name string) (ids []string) {
	for id, x := range c.clients {
		if x.provided[string(kind)+" "+name] {
			ids = append(ids, id)
		}
	}
	return ids
}

// Rule: a pattern's provider is told of a name with its first subscriber and after its last; there is exactly one, also when providers
// end, come, and reject.
func TestListen(t *testing.T) {
	c := room(t, "ann1", "ann2", "pro1", "pro2")
	listen(c, wire.ListenEvents, "w*", "pro1")
	listen(c, wire.ListenEvents, "*", "pro2")
	events(c, "ann1", "wave")
	if got := fmt.Sprint(providers(c, wire.ListenEvents, "wave")); got != "[pro1]" {
		t.Fatalf("provided by %s", got) // the narrower pattern
	}
	c.events("pro1")
	events(c, "ann2", "wave")
	must[wire.OK](c, EventUnsubscribe{c.by("ann1"), wire.EventNames{Names: []string{"wave"}}})
	if got := c.events("pro1"); len(got) != 0 {
		t.Errorf("told %v of the second subscriber", got)
	}
	must[wire.OK](c, EventUnsubscribe{c.by("ann2"), wire.EventNames{Names: []string{"wave"}}})
	if got := c.events("pro1"); len(got) != 1 || got[0].Type != wire.TypeListenStop {
		t.Errorf("told %v after the last", got)
	}
	events(c, "ann1", "wave")
	reject := func(id, name string) Command {
		return ListenReject{c.by(id), wire.ListenReject{Kind: wire.ListenEvents, Name: name}}
	}
	c.refused(wire.CodeNotFound, reject("pro2", "wave"))
	c.refused(wire.CodeNotFound, reject("pro1", "other"))
	must[wire.OK](c, reject("pro1", "wave"))
	delete(c.clients["pro1"].provided, "event wave")
	if got := fmt.Sprint(providers(c, wire.ListenEvents, "wave")); got != "[pro2]" {
		t.Fatalf("after a rejection it is provided by %s", got)
	}
	c.apply(Detach{"pro2"})
	if by := c.s.events["wave"].by; by != nil {
		t.Errorf("asked %s again, which rejected", by.session.id)
	}
	c.apply(Detach{"ann1"})
	events(c, "ann2", "wave") // begins anew
	if got := fmt.Sprint(providers(c, wire.ListenEvents, "wave")); !strings.Contains(got, "pro1") {
		t.Errorf("begun anew it is provided by %s", got)
	}
	must[wire.OK](c, Unlisten{c.by("pro1"), wire.Unlisten{Kind: wire.ListenEvents, Pattern: "w*"}})
	must[wire.OK](c, Unlisten{c.by("pro1"), wire.Unlisten{Kind: wire.ListenEvents, Pattern: "w*"}})
	if by := c.s.events["wave"].by; by != nil {
		t.Errorf("provided by %s, which does not listen", by.session.id)
	}
}

// Rule: record subscribers see whether there is a provider: with the subscription, and whenever that changes.
func TestRecordProvided(t *testing.T) {
	c := room(t, "ann1", "pro1", "pro2")
	c.subscribe("ann1", "stock/x", "")
	c.subscribe("ann1", "stock/x", "price")
	flips := func() string {
		var got []string
		for _, e := range c.events("ann1") {
			got = append(got, fmt.Sprint(e.Body.(wire.RecordProvided).Provided))
		}
		return strings.Join(got, " ")
	}
	listen(c, wire.ListenRecords, "stock/*", "pro1", "pro2")
	if got := flips(); got != "true" {
		t.Errorf("with a provider: %q", got)
	}
	body := must[wire.Records](c, RecordSubscribe{c.by("pro1"), wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "stock/x"}, {Name: "other"}}}})
	if !body.Results[0].Record.Provided || body.Results[1].Record.Provided {
		t.Errorf("subscribed: %+v", body.Results)
	}
	c.clients["pro1"].replicas["stock/x"] = &replica{value: nothing{}}
	c.apply(Detach{providers(c, wire.ListenRecords, "stock/x")[0]})
	if got := flips(); got != "" {
		t.Errorf("replaced: %q", got)
	}
	c.apply(Detach{"pro1"})
	c.apply(Detach{"pro2"})
	if got := flips(); got != "false" {
		t.Errorf("without: %q", got)
	}
}

// Rule: patterns of one session are bounded.
func TestListenLimits(t *testing.T) {
	c := room(t, "pro1")
	for i := range wire.MaxListens {
		listen(c, wire.ListenEvents, fmt.Sprint("p", i), "pro1")
	}
	listen(c, wire.ListenEvents, "p0", "pro1")
	c.refused(wire.CodeLimit, Listen{c.by("pro1"), wire.Listen{Kind: wire.ListenEvents, Pattern: "p"}})
	c.refused(wire.CodeBadRequest, Listen{c.by("pro1"), wire.Listen{Kind: "rpc", Pattern: "p"}})
}

// Rule: one join with the first connection of an identity, one leave with the last; hidden ones do not show.
func TestPresence(t *testing.T) {
	c := room(t, "ann1", "bob1")
	c.attachAs(Caller{Session: "hid1", Identity: "hid", Grants: wire.Grants{Hidden: true}}, "")
	present := func(identities ...string) string {
		return strings.Join(must[wire.Present](c, PresenceRead{c.by("http"), wire.PresenceRead{Identities: identities}}).Identities, " ")
	}
	if got := present() + "|" + present("bob", "cid", "hid"); got != "ann bob|bob" {
		t.Errorf("present: %s", got)
	}
	subscribe := func(id string, identities ...string) {
		c.clients[id].present = map[string]bool{}
		for _, x := range must[wire.Present](c, PresenceSubscribe{c.by(id), wire.PresenceSubscribe{Identities: identities}}).Identities {
			c.clients[id].present[x] = true
		}
	}
	subscribe("ann1")
	subscribe("ann1", "cid") // told once all the same
	subscribe("ann1")
	subscribe("bob1", "cid", "cid", "ann")
	c.attach("cid1", "cid2", "dan1")
	c.apply(Detach{"cid1"})
	c.apply(Detach{"cid1"})
	if got := c.events("bob1"); len(got) != 1 {
		t.Errorf("bob was told %v", got)
	}
	c.apply(Detach{"cid2"})
	c.apply(Detach{"hid1"})
	if got := fmt.Sprint(slices.Sorted(maps.Keys(c.clients["ann1"].present)), slices.Sorted(maps.Keys(c.clients["bob1"].present))); got != "[ann bob dan] [ann]" {
		t.Errorf("they know of %s", got)
	}
	must[wire.OK](c, PresenceUnsubscribe{c.by("ann1"), wire.PresenceUnsubscribe{}})
	must[wire.OK](c, PresenceUnsubscribe{c.by("bob1"), wire.PresenceUnsubscribe{Identities: []string{"cid", "eve"}}})
	c.events("ann1")
	c.events("bob1")
	c.attach("cid3", "eve1")
	if got := c.events("ann1"); len(got) != 1 || len(c.events("bob1")) != 0 { // ann still wants cid by name
		t.Errorf("unsubscribed from all, ann was told %v", got)
	}
}

// Rule: who loses all it has is told nothing of that, also where it listens to what it is subscribed to and has another pattern for it.
func TestLeavingIsQuiet(t *testing.T) {
	for _, leave := range []Command{Reset{"ann1"}, Detach{"ann1"}} {
		c := room(t, "ann1", "bob1")
		for _, kind := range []wire.ListenKind{wire.ListenRecords, wire.ListenEvents} {
			listen(c, kind, "a*", "ann1")
			listen(c, kind, "*", "ann1", "bob1")
		}
		for _, id := range []string{"ann1", "bob1"} {
			c.subscribe(id, "a", "")
			events(c, id, "a")
		}
		c.subscribe("ann1", "own", "")
		c.events("ann1")
		c.clients["ann1"].clear()
		c.apply(leave)
		if got := c.events("ann1"); len(got) != 0 {
			t.Errorf("%T: told %+v", leave, got)
		}
		if got := fmt.Sprint(providers(c, wire.ListenRecords, "a"), providers(c, wire.ListenEvents, "a")); got != "[bob1] [bob1]" {
			t.Errorf("%T: provided by %s", leave, got)
		}
	}
}

// Rule: all who are there are told page by page, in the order of their names; of those named, who is refused is named.
func TestPresencePages(t *testing.T) {
	c := newScene(t, Config{May: forbid(func(a Access) bool { return a.Kind == Presence && a.Name == "secret" })})
	var want []string
	for i := range wire.MaxPresent + 5 {
		want = append(want, fmt.Sprintf("user%04d", i))
	}
	for _, i := range rapid.Permutation(want).Example() {
		c.s.Apply(c.now, Attach{By: Caller{Session: i, Identity: i}})
	}
	c.attach("ann1")
	first := must[wire.Present](c, PresenceSubscribe{By: c.by("ann1")})
	rest := must[wire.Present](c, PresenceRead{By: c.by("ann1"), PresenceRead: wire.PresenceRead{After: first.Identities[len(first.Identities)-1]}})
	if got := slices.Concat(first.Identities, rest.Identities); !first.More || rest.More || len(first.Identities) != wire.MaxPresent ||
		!slices.Equal(got, append([]string{"ann"}, want...)) {
		t.Errorf("%d and %d, more %v and %v", len(first.Identities), len(rest.Identities), first.More, rest.More)
	}
	for _, command := range []Command{
		PresenceRead{By: c.by("ann1"), PresenceRead: wire.PresenceRead{Identities: []string{"secret", "ann", "a\x00", "ann", "nobody"}}},
		PresenceSubscribe{c.by("ann1"), wire.PresenceSubscribe{Identities: []string{"secret", "ann", "a\x00", "ann", "nobody"}}},
	} {
		b := must[wire.Present](c, command)
		if len(b.Refused) != 2 || b.Refused[0].Name != "a\x00" || b.Refused[1].Error.Code != wire.CodeForbidden || strings.Join(b.Identities, " ") != "ann" {
			t.Errorf("%T: %+v", command, b)
		}
	}
	if n := len(c.s.sessions["ann1"].links); n != 3 { // all, ann and nobody
		t.Errorf("%d links", n)
	}
	must[wire.OK](c, PresenceUnsubscribe{c.by("ann1"), wire.PresenceUnsubscribe{Identities: []string{"", "ann", "secret"}}})
	if n := len(c.s.sessions["ann1"].links); n != 2 {
		t.Errorf("%d links after ann was unsubscribed from", n)
	}
}

// crowded lets sessions of their own subscribe to events "0", "1", ….
func crowded(c *scene, first, n int) {
	for i := first; i < first+n; i += wire.MaxBulkNames {
		id := fmt.Sprint("sub", i)
		c.attach(id)
		var names []string
		for k := i; k < min(i+wire.MaxBulkNames, first+n); k++ {
			names = append(names, fmt.Sprint(k))
		}
		events(c, id, names...)
	}
}

// started counts what a session is told: messages, and names in them.
func started(c *scene, id string) (messages, names int) {
	for _, e := range c.events(id) {
		if b, ok := e.Body.(wire.ListenStart); ok {
			messages, names = messages+1, names+len(b.Names)
		}
	}
	return messages, names
}

// Rule: who provides many names is told of them in few messages, and when it goes its names go to others, a part at a time; nobody is told
// that there is no provider meanwhile.
func TestManyNames(t *testing.T) {
	const n = 5000
	c := room(t, "pro1", "pro2", "ann1")
	crowded(c, 0, n)
	listen(c, wire.ListenEvents, "*", "pro1")
	if messages, names := started(c, "pro1"); names != n || messages != (n+wire.MaxBulkNames-1)/wire.MaxBulkNames {
		t.Errorf("told of %d names in %d messages", names, messages)
	}
	c.subscribe("ann1", "x", "")
	listen(c, wire.ListenRecords, "*", "pro1")
	c.events("ann1")
	listen(c, wire.ListenEvents, "*", "pro2")
	listen(c, wire.ListenRecords, "*", "pro2")
	c.apply(Detach{"pro1"})
	total := 0
	for steps := 1; ; steps++ {
		messages, names := started(c, "pro2")
		if total += names; names > MaxAdopted || messages > 2 {
			t.Fatalf("told of %d names in %d messages at once", names, messages)
		}
		if c.s.Next().IsZero() {
			break
		}
		if c.s.Next().After(c.now) || steps > n {
			t.Fatalf("%d names have no provider", n+1-total)
		}
		c.apply(Tick{})
	}
	if got := c.events("ann1"); total != n+1 || len(got) > 0 {
		t.Errorf("%d names have one; ann was told %v", total, got)
	}
}

// Rule: who provides as many names as it may is passed over, and gets what nobody could provide when it has room.
func TestStarvedListener(t *testing.T) {
	c := room(t, "pro1")
	listen(c, wire.ListenEvents, "*", "pro1")
	crowded(c, 0, wire.MaxListened+100)
	if _, names := started(c, "pro1"); names != wire.MaxListened {
		t.Errorf("told of %d names", names)
	}
	crowded(c, wire.MaxListened+100, 100)
	if _, names := started(c, "pro1"); names != 0 {
		t.Errorf("told of %d names more", names)
	}
	for n := range wire.MaxListened / 4 / wire.MaxBulkNames {
		if _, names := started(c, "pro1"); names != 0 {
			t.Fatalf("without %d names it is told of %d that waited", n*wire.MaxBulkNames, names)
		}
		c.apply(Detach{fmt.Sprint("sub", n*wire.MaxBulkNames)})
	}
	if _, names := started(c, "pro1"); names != 200 {
		t.Errorf("with room for a quarter it is told of %d that waited", names)
	}
	c.attach("pro2")
	listen(c, wire.ListenEvents, "8*", "pro2") // all have a provider
	if _, names := started(c, "pro2"); names != 0 {
		t.Errorf("told of %d names that another provides", names)
	}
}

// Rule: names that a listener may not provide take none of its room, so that it is not looked through again and again for want of it.
func TestForbiddenNamesTakeNoRoom(t *testing.T) {
	c := newScene(t, Config{May: func(a Access) *wire.Error {
		if a.Action == Listening && a.Name != "*" && a.Name != "7" {
			return wire.NewError(wire.CodeForbidden, "not this one", "")
		}
		return nil
	}})
	c.attach("pro1")
	crowded(c, 0, wire.MaxListened+wire.MaxBulkNames)
	listen(c, wire.ListenEvents, "*", "pro1")
	if _, names := started(c, "pro1"); names != 1 || len(c.s.starved) != 0 {
		t.Errorf("told of %d names; %d sessions wait for room", names, len(c.s.starved))
	}
}

// Rule: a scope has so many patterns and no more.
func TestMaxListeners(t *testing.T) {
	c := room(t)
	for i := range MaxListeners {
		id := fmt.Sprint("pro", i/wire.MaxListens)
		if i%wire.MaxListens == 0 {
			c.attach(id)
		}
		listen(c, wire.ListenEvents, fmt.Sprint(i), id)
	}
	c.attach("ann1")
	one := Listen{c.by("ann1"), wire.Listen{Kind: wire.ListenEvents, Pattern: "*"}}
	c.refused(wire.CodeLimit, one)
	c.apply(Detach{"pro3"})
	must[wire.OK](c, one)
}

// Rule: who may not read a record any more, because of what records say, is not told of its provider.
func TestProvidedIsAskedFor(t *testing.T) {
	c := newScene(t, Config{May: func(a Access) *wire.Error {
		if a.Kind == Records && a.Action == Read && a.Name == "stock" && a.By.Identity == "ann" {
			if open, _ := a.Lookup("gate").Get(nil).Any().(map[string]any); open["open"] != true {
				return wire.NewError(wire.CodeForbidden, "it is shut", "wait")
			}
		}
		return nil
	}})
	c.attach("ann1", "bob1")
	c.write("bob1", "gate", wire.Operation{Op: wire.OperationSet, Path: "open", Value: []byte("true")})
	c.subscribe("ann1", "stock", "")
	c.subscribe("bob1", "stock", "")
	c.write("bob1", "gate", wire.Operation{Op: wire.OperationSet, Path: "open", Value: []byte("false")})
	listen(c, wire.ListenRecords, "*", "bob1")
	for _, e := range c.events("ann1") {
		if _, told := e.Body.(wire.RecordProvided); told {
			t.Errorf("ann was told %v", e)
		}
	}
	if got := providers(c, wire.ListenRecords, "stock"); len(got) != 1 || c.s.watches["stock"] == nil {
		t.Errorf("provided by %v", got)
	}
}
