package state

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/wire"
)

// Rule: whatever a crowd does in whatever order, every replica follows the scope write by write, versions are contiguous, parts are
// told of deep changes and no others, each name has one provider, each call one result, an identity joins once and leaves once, nothing
// is left of who has gone, nobody gets what the rules forbid, and what was stored leads to the same durable records, also from whole copies
// on. Commits are stored late, and after a crash in which the last ones are lost, nothing that anybody has seen is undone, what a client
// knows of a former life of the scope is the same or known to be another, and no write applies to what it was not made for. The scene
// checks it.
func TestAnyInterleaving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		durable := rapid.Bool().Draw(t, "durable")
		c := &crowd{scene: newScene(t, Config{Durable: durable, MaxRecords: 3, MaxBytes: 6000}), t: t}
		c.store.byHand = true
		c.come(t)
		t.Repeat(map[string]func(*rapid.T){
			"come": c.come, "go": c.goAway, "subscribe": c.subscribes, "write": c.writes, "list": c.lists, "delete": c.deletes, "wait": c.waits,
			"events": c.eventful, "provide": c.provides, "call": c.calls, "answer": c.answers, "listen": c.listens, "presence": c.presences, "copy": c.copies,
			"sync": c.syncs, "crash": c.crashes, "rules": c.rules, "read": c.reads,
		})
		c.checkStored(c.stored)
		c.sync(len(c.stored) - c.store.synced)
		for _, id := range c.ids() {
			c.leave(id)
		}
		if len(c.s.watches)+len(c.s.events)+len(c.s.providers)+len(c.s.calls)+len(c.s.listeners)+len(c.s.present)+len(c.s.somebody) > 0 {
			t.Fatalf("something is left of those who have gone")
		}
	})
}

// Rule: the same of records alone, with more crashes and more of what clients remember.
func TestAnyCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &crowd{scene: newScene(t, Config{Durable: rapid.Bool().Draw(t, "durable")}), t: t}
		c.store.byHand = true
		c.come(t)
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": c.subscribes, "write": c.writes, "list": c.lists, "delete": c.deletes, "wait": c.waits, "sync": c.syncs, "crash": c.crashes,
			"read": c.reads, "rules": c.rules, "copy": c.copies,
		})
		c.checkStored(c.stored)
	})
}

// crowd is a scene whose clients do anything.
type crowd struct {
	*scene
	t      *rapid.T
	came   int
	asked  uint64
	denied map[denial]bool
}

var names = rapid.SampledFrom([]string{"a", "b", "*", "a/b"})

func (c *crowd) ids() []string {
	var ids []string
	for id := range c.clients {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (c *crowd) some(t *rapid.T) string {
	if len(c.clients) == 0 {
		t.Skip("nobody is there")
	}
	return rapid.SampledFrom(c.ids()).Draw(t, "who")
}

func (c *crowd) come(t *rapid.T) {
	if len(c.clients) == 5 {
		t.Skip("enough")
	}
	c.came++
	c.attachAs(Caller{
		Session: fmt.Sprint("s", c.came), Identity: rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "identity"),
		Grants: wire.Grants{Hidden: rapid.IntRange(0, 4).Draw(t, "hidden") == 0},
	}, rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node"))
}

func (c *crowd) leave(id string) {
	c.t.Helper()
	// Others may be told because of it, but nobody who is gone.
	c.clients[id].clear()
	c.apply(Detach{id})
	delete(c.clients, id)
	c.checkProviders()
}

func (c *crowd) goAway(t *rapid.T) {
	id := c.some(t)
	if rapid.Bool().Draw(t, "reset") {
		c.clients[id].clear()
		c.apply(Reset{id})
		if n := len(c.s.sessions[id].links); n > 0 {
			t.Fatalf("%d links are left after a reset", n)
		}
		c.checkProviders()
		return
	}
	c.leave(id)
}

func (c *crowd) subscribes(t *rapid.T) {
	id, name := c.some(t), names.Draw(t, "name")
	path := rapid.SampledFrom([]string{"", "", "a", "a.b", "[0]", "[1].a"}).Draw(t, "path")
	have := wire.RecordHave{Name: name, Path: path}
	if known, ok := c.clients[id].memory[name]; ok && path == "" && rapid.Bool().Draw(t, "have") {
		have.Incarnation, have.Version = known.incarnation, known.version
	}
	if rapid.IntRange(0, 3).Draw(t, "end") > 0 {
		refused := c.subscribeHaving(id, have)
		if denied := c.denies(c.clients[id].caller.Identity, Read, name); denied != (refused != nil) {
			t.Fatalf("%s subscribes to %s: %v", id, name, refused)
		}
	} else {
		c.unwatch(id, name, path)
	}
	c.checkProviders()
}

func (c *crowd) unwatch(id, name, path string) {
	must[wire.OK](c.scene, RecordUnsubscribe{c.by(id), wire.RecordUnsubscribe{Records: []wire.RecordName{{Name: name, Path: path}}}})
	if path == "" {
		delete(c.clients[id].replicas, name)
	} else {
		delete(c.clients[id].parts, wire.RecordName{Name: name, Path: path})
	}
}

// send writes, with or without a version and an incarnation, and checks what comes of it.
func (c *crowd) send(t *rapid.T, name string, operations []wire.Operation) {
	id := c.some(t)
	w := c.writing(id, name, operations...)
	before := c.s.records[name]
	var was record
	if before != nil {
		was = *before
		was.past = slices.Clone(was.past) // the record takes from its own
	}
	known, remembers := c.clients[id].memory[name]
	if remembers = remembers && rapid.Bool().Draw(t, "remember"); remembers {
		w.Version, w.Incarnation = version(known.version), known.incarnation
	} else if rapid.Bool().Draw(t, "versioned") {
		w.Version = version(max(0, was.version-uint64(rapid.IntRange(0, int(min(1, was.version))).Draw(t, "older"))))
	}
	if rapid.IntRange(0, 3).Draw(t, "incarnate") == 0 && !remembers {
		w.Incarnation = max(1, was.incarnation) - uint64(rapid.IntRange(0, 1).Draw(t, "former"))
	}
	if rapid.IntRange(0, 5).Draw(t, "mortal") == 0 {
		ttl := rapid.IntRange(0, 3).Draw(t, "ttl")
		w.TTLSeconds = &ttl
	}
	if rapid.IntRange(0, 5).Draw(t, "remembered") == 0 {
		history := rapid.IntRange(0, 3).Draw(t, "history")
		w.History = &history
	}
	if rapid.Bool().Draw(t, "says") {
		durable := rapid.Bool().Draw(t, "durable")
		w.Durable = &durable
	}
	body, refused := c.do(w)
	if refused == nil && remembers && known.version > 0 && !reflect.DeepEqual(known.value, plain(was.value.JSON())) {
		t.Fatalf("what was made for %v was written to %s", known.value, was.value.JSON())
	}
	c.checkSent(w, before, was, body, refused)
}

func (c *crowd) checkSent(w RecordWrite, before *record, was record, body any, refused *wire.Error) {
	c.t.Helper()
	current := w.Version == nil || *w.Version == was.version
	current = current && (w.Incarnation == 0 || w.Incarnation == was.incarnation)
	action := Create
	if before != nil {
		action = Write
	}
	mayRead, may := !c.denies(w.By.Identity, Read, w.Name), !c.denies(w.By.Identity, action, w.Name)
	if before != nil && (w.TTLSeconds != nil && *w.TTLSeconds > 0 && (was.ttl == 0 || time.Duration(*w.TTLSeconds)*time.Second < was.ttl) ||
		w.History != nil && *w.History < was.history) { // it takes something away
		may = may && !c.denies(w.By.Identity, Delete, w.Name)
	}
	if now := c.s.records[w.Name]; refused != nil && (now != before || now != nil && (now.version != was.version || !now.value.Equal(was.value))) {
		c.t.Fatalf("a refused write changed the record")
	}
	switch {
	case refused != nil && refused.Code == wire.CodeConflict:
		if current || !mayRead && !may || mayRead != (refused.Current != nil) || mayRead && refused.Current.Version != was.version {
			c.t.Fatalf("%+v of %d/%d is refused with %+v", w.RecordWrite, was.incarnation, was.version, refused)
		}
	case refused != nil && refused.Code == wire.CodeForbidden:
		if may || !current && mayRead {
			c.t.Fatalf("%+v of %d/%d is refused with %+v", w.RecordWrite, was.incarnation, was.version, refused)
		}
	case refused != nil:
		if !current && mayRead {
			c.t.Fatalf("%+v of %d/%d is refused with %+v", w.RecordWrite, was.incarnation, was.version, refused)
		}
	default:
		if b := body.(wire.Written); !may || !current || b.Version != was.version+1 {
			c.t.Fatalf("%+v of %d/%d was written as %+v", w.RecordWrite, was.incarnation, was.version, b)
		}
		c.checkSettings(w, was)
		if len(w.Operations) == 1 {
			c.checkList(w.Name, w.Operations[0], was)
		}
		if now := c.s.records[w.Name]; was.version > 0 && len(now.past) > 0 && !now.at(was.version).Equal(was.value) {
			c.t.Fatalf("version %d is remembered as %s, it was %s", was.version, now.at(was.version).JSON(), was.value.JSON())
		}
	}
}

// checkSettings: a record lives for its TTL from its last write, and keeps as many earlier versions as it was told.
func (c *crowd) checkSettings(w RecordWrite, was record) {
	c.t.Helper()
	now, ttl, history, ends := c.s.records[w.Name], was.ttl, was.history, time.Time{}
	if was.version == 0 {
		ttl, history = 0, DefaultHistory
	}
	if w.TTLSeconds != nil {
		ttl = time.Duration(*w.TTLSeconds) * time.Second
	}
	if w.History != nil {
		history = *w.History
	}
	if ttl > 0 {
		ends = c.now.Add(ttl)
	}
	versions := min(len(was.past)+1, was.history, history)
	if was.version == 0 {
		versions = 0
	}
	if !now.expires.Equal(ends) || now.history != history || len(now.past) != versions {
		c.t.Fatalf("%s goes at %v and keeps %d of %d versions, want %v, %d of %d", w.Name, now.expires, len(now.past), now.history, ends, versions, history)
	}
}

// checkList: an operation of a list does what the protocol says to the list that is there, whatever it was made for; what others have added since
// the version from which entries were made stays.
func (c *crowd) checkList(name string, o wire.Operation, was record) {
	c.t.Helper()
	then, list := plainList(was.value)
	got, _ := plainList(c.s.records[name].value)
	value, _ := plain(o.Value).(string)
	want := slices.Clone(then)
	at := func(place *int, most int) int {
		if place == nil {
			return most
		}
		return min(*place, most)
	}
	nearest := -1
	for i, x := range then {
		if d := at(o.At, len(then)) - i; x == value && (nearest < 0 || max(d, -d) < max(at(o.At, len(then))-nearest, nearest-at(o.At, len(then)))) {
			nearest = i
		}
	}
	switch {
	case o.Op == wire.OperationEntries && list:
		c.checkEntries(o, was, then, got)
		return
	case o.Op == wire.OperationInsert:
		want = slices.Insert(want, at(o.At, len(then)), value)
	case o.Op != wire.OperationRemove && o.Op != wire.OperationMove:
		return
	case nearest >= 0:
		want = slices.Delete(want, nearest, nearest+1)
		if o.Op == wire.OperationMove {
			want = slices.Insert(want, at(o.To, len(want)), value)
		}
	}
	if !slices.Equal(got, want) {
		c.t.Fatalf("%s of %s at %v to %v makes %v of %v, want %v", o.Op, value, o.At, o.To, got, then, want)
	}
}

// checkEntries: of each entry there are as many more, or fewer, as the writer has made it since the version that it knew.
func (c *crowd) checkEntries(o wire.Operation, was record, then, got []string) {
	c.t.Helper()
	var wanted []string
	_ = json.Unmarshal(o.Value, &wanted)
	base := then
	if _, kept := was.back(o.Base); o.Base > 0 && kept {
		var list bool
		if base, list = plainList(was.at(o.Base)); !list {
			base = then // there was no list: it is replaced
		}
	}
	count := func(all []string, x string) (n int) {
		for _, y := range all {
			if x == y {
				n++
			}
		}
		return n
	}
	for _, x := range []string{"x", "y", "z"} {
		if n := max(0, count(then, x)+count(wanted, x)-count(base, x)); count(got, x) != n {
			c.t.Fatalf("entries %v from %v make %v of %v: %s stands there %d times, want %d", wanted, base, got, then, x, count(got, x), n)
		}
	}
}

// plainList reads a list.
func plainList(v Value) (entries []string, list bool) {
	list = v.Exists() && json.Unmarshal(v.JSON(), &entries) == nil
	return entries, list
}

func (c *crowd) writes(t *rapid.T) {
	var operations []wire.Operation
	for range rapid.IntRange(1, 3).Draw(t, "operations") {
		o := wire.Operation{Op: wire.OperationErase, Path: anyPath(t).String()}
		if rapid.IntRange(0, 2).Draw(t, "set") > 0 {
			b, _ := json.Marshal(anyJSON(t, 2))
			o.Op, o.Value = wire.OperationSet, b
		}
		if o.Op == wire.OperationSet && rapid.IntRange(0, 3).Draw(t, "root") == 0 {
			o.Path = ""
		}
		operations = append(operations, o)
	}
	c.send(t, names.Draw(t, "name"), operations)
}

func (c *crowd) lists(t *rapid.T) {
	letter := rapid.SampledFrom([]string{"x", "y", "z"})
	place := rapid.IntRange(0, 4)
	kind := rapid.SampledFrom([]wire.OperationKind{wire.OperationInsert, wire.OperationRemove, wire.OperationMove, wire.OperationEntries}).Draw(t, "kind")
	o := entry(kind, letter.Draw(t, "entry"), place.Draw(t, "at"), place.Draw(t, "to"))
	if kind == wire.OperationEntries {
		o = entries(uint64(rapid.IntRange(0, 5).Draw(t, "base")), rapid.SliceOfN(letter, 0, 5).Draw(t, "entries")...)
		if string(o.Value) == "null" {
			o.Value = json.RawMessage("[]")
		}
	}
	c.send(t, names.Draw(t, "name"), []wire.Operation{o})
}

// checkTold: nobody is told of a record that it may not read.
func (c *scene) checkTold(e Tell) {
	if c.config.May == nil || !c.store.byHand {
		return
	}
	name := ""
	switch b := e.Body.(type) {
	case wire.RecordChanged:
		name = b.Name
	case wire.RecordPart:
		name = b.Name
	case wire.RecordDeleted:
		name = b.Name
	default:
		return
	}
	for _, id := range e.Sessions {
		if x := c.clients[id]; x != nil && c.config.May(Access{By: x.caller, Kind: Records, Action: Read, Name: name}) != nil {
			c.t.Fatalf("%s is told of %s, which is denied", id, name)
		}
	}
}

func (c *crowd) deletes(t *rapid.T) {
	id, name := c.some(t), names.Draw(t, "name")
	before := c.s.records[name]
	_, refused := c.do(RecordDelete{c.by(id), wire.RecordDelete{Name: name}})
	denied := c.denies(c.clients[id].caller.Identity, Delete, name)
	if denied != (refused != nil && refused.Code == wire.CodeForbidden) || denied && c.s.records[name] != before {
		t.Fatalf("%s deletes %s: %v", id, name, refused)
	}
}

func (c *crowd) waits(t *rapid.T) {
	c.wait(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
	if next := c.s.Next(); !next.IsZero() && !next.After(c.now) {
		t.Fatalf("something is due after everything was done")
	}
}

func (c *crowd) eventful(t *rapid.T) {
	id, name := c.some(t), names.Draw(t, "name")
	switch rapid.IntRange(0, 2).Draw(t, "what") {
	case 0:
		events(c.scene, id, name)
	case 1:
		must[wire.OK](c.scene, EventUnsubscribe{c.by(id), wire.EventNames{Names: []string{name}}})
	case 2:
		subscribed := map[string]int{}
		for other, p := range c.s.sessions {
			if p.links[link{kind: wire.SubscribedEvent, name: name}] && other != id {
				subscribed[other] = len(c.clients[other].inbox)
			}
		}
		before := len(c.clients[id].inbox)
		must[wire.OK](c.scene, publish(c.scene, id, name, `1`))
		for other, n := range subscribed {
			if len(c.clients[other].inbox) != n+1 {
				t.Fatalf("%s was not told", other)
			}
		}
		if len(c.clients[id].inbox) != before {
			t.Fatalf("the publisher was told")
		}
	}
	c.checkProviders()
}

func (c *crowd) provides(t *rapid.T) {
	id, name := c.some(t), names.Draw(t, "name")
	if rapid.IntRange(0, 3).Draw(t, "end") > 0 {
		provide(c.scene, name, id)
	} else {
		must[wire.OK](c.scene, RPCUnprovide{c.by(id), wire.RPCNames{Names: []string{name}}})
	}
}

func (c *crowd) calls(t *rapid.T) {
	c.asked++
	request(c.scene, c.some(t), names.Draw(t, "name"), c.asked)
}

func (c *crowd) answers(t *rapid.T) {
	id, call := c.some(t), c.s.lastCall-uint64(rapid.IntRange(0, 3).Draw(t, "call"))
	if open := c.s.calls[call]; open != nil && rapid.IntRange(0, 3).Draw(t, "stranger") > 0 {
		id = open.provider.id
	}
	_, _ = c.do(rapid.SampledFrom([]Command{
		accept(c.scene, id, call), accept(c.scene, id, call), answer(c.scene, id, call, `1`), RPCReject{c.by(id), wire.RPCReject{Call: call}},
	}).Draw(t, "command"))
	for _, open := range c.s.calls {
		if open.provider == nil {
			t.Fatalf("a call waits for nobody")
		}
	}
}

func (c *crowd) listens(t *rapid.T) {
	id := c.some(t)
	kind := rapid.SampledFrom([]wire.ListenKind{wire.ListenRecords, wire.ListenEvents}).Draw(t, "kind")
	pattern := rapid.SampledFrom([]string{"*", "a*", `\*`}).Draw(t, "pattern")
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		must[wire.OK](c.scene, Unlisten{c.by(id), wire.Unlisten{Kind: kind, Pattern: pattern}})
		for key := range c.clients[id].provided { // it knows by itself what it provides no longer
			name := key[len(kind)+1:]
			if key[:len(kind)] == string(kind) && !c.isProvider(id, kind, name) {
				delete(c.clients[id].provided, key)
			}
		}
	case 1:
		name := names.Draw(t, "name")
		if _, refused := c.do(ListenReject{c.by(id), wire.ListenReject{Kind: kind, Name: name}}); refused == nil {
			delete(c.clients[id].provided, string(kind)+" "+name)
		}
	default:
		listen(c.scene, kind, pattern, id)
	}
	c.checkProviders()
}

func (c *crowd) provision(kind wire.ListenKind, name string) *provision {
	if w := c.s.watches[name]; w != nil && kind == wire.ListenRecords {
		return &w.provision
	}
	if e := c.s.events[name]; e != nil && kind == wire.ListenEvents {
		return &e.provision
	}
	return nil
}

func (c *crowd) isProvider(id string, kind wire.ListenKind, name string) bool {
	v := c.provision(kind, name)
	return v != nil && v.by != nil && v.by.session.id == id
}

// checkProviders: every name that is subscribed to and matches a pattern of somebody who has not rejected it has one provider, and that
// one knows.
func (c *crowd) checkProviders() {
	c.t.Helper()
	for _, kind := range []wire.ListenKind{wire.ListenRecords, wire.ListenEvents} {
		for _, name := range []string{"a", "b", "*", "a/b"} {
			v := c.provision(kind, name)
			told := providers(c.scene, kind, name)
			if v == nil || v.by == nil {
				if len(told) > 0 {
					c.t.Fatalf("%v provide %s %q, and nobody shall", told, kind, name)
				}
				if v != nil && slices.ContainsFunc(c.s.listeners, func(l *listener) bool {
					return l.kind == kind && l.pattern.matches(name) && !slices.Contains(v.rejected, l.session)
				}) {
					c.t.Fatalf("nobody provides %s %q", kind, name)
				}
				continue
			}
			if len(told) != 1 || told[0] != v.by.session.id {
				c.t.Fatalf("%v provide %s %q, and %s shall", told, kind, name, v.by.session.id)
			}
		}
	}
}

func (c *crowd) presences(t *rapid.T) {
	id := c.some(t)
	identities := rapid.SampledFrom([][]string{nil, {"ann"}, {"ann", "bob"}}).Draw(t, "identities")
	if rapid.IntRange(0, 3).Draw(t, "end") == 0 {
		must[wire.OK](c.scene, PresenceUnsubscribe{c.by(id), wire.PresenceUnsubscribe{Identities: identities}})
		return
	}
	body := must[wire.Present](c.scene, PresenceSubscribe{c.by(id), wire.PresenceSubscribe{Identities: identities}})
	for _, name := range []string{"ann", "bob"} {
		if len(identities) == 0 || slices.Contains(identities, name) {
			delete(c.clients[id].present, name)
		}
	}
	for _, name := range body.Identities {
		c.clients[id].present[name] = true
	}
}

// copies takes a whole copy along, as a commit does, and forgets what came before if everything has one.
func (c *crowd) copies(t *rapid.T) {
	c.sync(len(c.stored) - c.store.synced)
	var entries []Entry
	whole := 0
	for _, name := range []string{"a", "b", "*", "a/b"} {
		if e, ok := c.s.Whole(name); ok {
			if whole++; rapid.Bool().Draw(t, "copy") {
				entries = append(entries, e)
			}
		}
	}
	if len(entries) == whole {
		c.stored, c.store.upTo = nil, nil
	}
	c.stored, c.store.upTo = append(c.stored, reencode(t, c.s.Commit(entries))), append(c.store.upTo, 0)
	c.store.synced = len(c.stored)
	c.checkStored(c.stored)
}
