package state

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
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
		c := newCrowd(t, Config{Durable: rapid.Bool().Draw(t, "durable"), MaxRecords: 3, MaxBytes: 6000}, "a", "a", "b", "*", "a/b")
		t.Repeat(map[string]func(*rapid.T){
			"come": c.come, "again": c.comesAgain, "go": c.goAway, "subscribe": c.subscribes, "write": c.writes, "list": c.lists, "delete": c.deletes, "wait": c.waits,
			"events": c.eventful, "provide": c.provides, "call": c.calls, "answer": c.answers, "listen": c.listens, "presence": c.presences, "copy": c.copies,
			"sync": c.syncs, "crash": c.crashes, "fail": c.fails, "rules": c.rules, "read": c.reads, "spare": c.spares, "": c.checkCrowd,
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
		c := newCrowd(t, Config{Durable: rapid.Bool().Draw(t, "durable")}, "a", "a", "b")
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": c.subscribes, "write": c.writes, "list": c.lists, "delete": c.deletes, "wait": c.waits, "sync": c.syncs, "crash": c.crashes,
			"read": c.reads, "rules": c.rules, "copy": c.copies, "fail": c.fails, "": c.checkCrowd,
		})
		c.checkStored(c.stored)
	})
}

// Rule: the same of what rules decide by records, most of which are not stored yet. What they have decided is not known before those are, and leaves nothing behind where
// they never are.
func TestAnyDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t, Config{Durable: rapid.Bool().Draw(t, "durable")}, "a", "a", "b")
		c.come(t)
		t.Repeat(map[string]func(*rapid.T){
			"rules": c.rules, "write": c.writes, "write more": c.writes, "delete": c.deletes, "read": c.reads, "subscribe": c.subscribes, "wait": c.waits, "again": c.comesAgain,
			"events": c.eventful, "events more": c.eventful, "provide": c.provides, "call": c.calls, "answer": c.answers, "listen": c.listens, "presence": c.presences,
			"sync": c.syncs, "fail": c.fails, "": c.checkCrowd,
		})
		c.sync(len(c.stored) - c.store.synced)
		c.checkCrowd(t)
	})
}

// Rule: the same of what is written, read, deleted and subscribed to, by few and under few names, so that much meets.
func TestAnyWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t, Config{Durable: rapid.Bool().Draw(t, "durable"), MaxRecords: 2, MaxBytes: 5000}, "a", "a", "a", "b", "c")
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": c.subscribes, "write": c.writes, "write more": c.writes, "list": c.lists, "list more": c.lists, "delete": c.deletes, "wait": c.waits,
			"sync": c.syncs, "read": c.reads, "spare": c.spares, "": c.checkCrowd,
		})
		c.checkStored(c.stored)
	})
}

// Rule: the same of one list.
func TestAnyLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t, Config{}, "a")
		t.Repeat(map[string]func(*rapid.T){"list": c.lists, "more": c.lists, "subscribe": c.subscribes, "read": c.reads, "": c.checkCrowd})
	})
}

// Rule: the same of who provides what.
func TestAnyProviders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t, Config{}, "a", "a", "*")
		t.Repeat(map[string]func(*rapid.T){
			"come": c.come, "again": c.comesAgain, "go": c.goAway, "subscribe": c.subscribes, "events": c.eventful, "listen": c.listens, "listen more": c.listens,
			"": c.checkCrowd,
		})
	})
}

// Rule: the same of calls.
func TestAnyCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t, Config{}, "a", "a", "b")
		t.Repeat(map[string]func(*rapid.T){
			"come": c.come, "go": c.goAway, "provide": c.provides, "call": c.calls, "answer": c.answers, "answer more": c.answers, "wait": c.waits, "": c.checkCrowd,
		})
	})
}

// Rule: the same of who is there.
func TestAnyPresence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t, Config{}, "a")
		t.Repeat(map[string]func(*rapid.T){
			"come": c.come, "again": c.comesAgain, "go": c.goAway, "presence": c.presences, "": c.checkCrowd,
		})
	})
}

// crowd is a scene whose clients do anything.
type crowd struct {
	*scene
	t      *rapid.T
	names  *rapid.Generator[string]
	came   int
	asked  uint64
	denied map[denial]bool
	gated  map[gate]string
	sent   int             // events
	spare  int             // as the scope was told
	born   uint64          // the last incarnation
	was    map[edition]any // the documents that there were
}

// edition is a version of a record.
type edition struct {
	name                 string
	incarnation, version uint64
}

// newCrowd is one of one, who uses these names, those most that are there several times.
func newCrowd(t *rapid.T, config Config, names ...string) *crowd {
	c := &crowd{scene: newScene(t, config), t: t, names: rapid.SampledFrom(names), spare: math.MaxInt, was: map[edition]any{}}
	c.store.byHand = true
	c.come(t)
	return c
}

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
	by, node := c.somebody(t, fmt.Sprint("s", c.came))
	c.attachAs(by, node)
	c.clients[by.Session].numbers = true
}

func (c *crowd) somebody(t *rapid.T, session string) (by Caller, node string) {
	by = Caller{
		Session: session, Identity: rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "identity"),
		Grants: wire.Grants{Hidden: rapid.IntRange(0, 4).Draw(t, "hidden") == 0},
	}
	return by, rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node")
}

// comesAgain attaches a session that is there, perhaps as somebody else.
func (c *crowd) comesAgain(t *rapid.T) {
	x := c.clients[c.some(t)]
	x.caller, x.node = c.somebody(t, x.caller.Session)
	c.apply(Attach{By: x.caller, Node: x.node})
}

func (c *crowd) leave(id string) {
	c.t.Helper()
	delete(c.clients, id) // others may be told because of it, but nobody who is gone
	c.apply(Detach{id})
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
	id, name := c.some(t), c.names.Draw(t, "name")
	path := rapid.SampledFrom([]string{"", "", "a", "a.b", "[0]", "[1].a"}).Draw(t, "path")
	if rapid.IntRange(0, 3).Draw(t, "end") == 0 {
		c.unwatch(id, wire.RecordName{Name: c.names.Draw(t, "other")}, wire.RecordName{Name: name, Path: path})
		return
	}
	have := wire.RecordHave{Name: name, Path: path}
	if known, ok := c.clients[id].memory[name]; ok && path == "" && rapid.Bool().Draw(t, "have") {
		have.Incarnation, have.Version = known.incarnation, known.version
	} else if r := c.s.records[name]; r != nil && rapid.IntRange(0, 3).Draw(t, "predecessor") == 0 {
		have.Incarnation, have.Version = r.incarnation-1, r.version // which is not the same
	}
	refused := c.subscribeHaving(id, have)
	if denied := c.denies(c.clients[id].caller.Identity, Read, name); denied != (refused != nil) {
		t.Fatalf("%s subscribes to %s: %v", id, name, refused)
	}
}

func (c *crowd) unwatch(id string, all ...wire.RecordName) {
	must[wire.OK](c.scene, RecordUnsubscribe{c.by(id), wire.RecordUnsubscribe{Records: all}})
	for _, one := range all {
		c.clients[id].ended[one]++
		if one.Path == "" {
			delete(c.clients[id].replicas, one.Name)
		} else {
			delete(c.clients[id].parts, one)
		}
	}
}

// send writes, for what is there, what was, or anything, and checks what comes of it.
func (c *crowd) send(t *rapid.T, name string, operations []wire.Operation) {
	id := c.some(t)
	w := c.writing(id, name, operations...)
	before := c.s.records[name]
	var was record
	if before != nil {
		was = *before
		was.past = slices.Clone(was.past) // the record takes from its own
	}
	known, knows := c.clients[id].memory[name]
	w.Version, w.Incarnation = c.aim(t, was, known, knows)
	w.TTLSeconds, w.History = settings(t)
	if rapid.IntRange(0, 3).Draw(t, "initially") == 0 {
		w.Initial = &wire.RecordSettings{}
		w.Initial.TTLSeconds, w.Initial.History = settings(t)
	}
	if rapid.Bool().Draw(t, "says") {
		durable := rapid.Bool().Draw(t, "durable")
		w.Durable = &durable
	}
	body, refused := c.do(w)
	if refused == nil && knows && known.version > 0 && w.Version != nil && *w.Version == known.version && w.Incarnation == known.incarnation &&
		!reflect.DeepEqual(known.value, plain(was.value.JSON())) {
		t.Fatalf("what was made for %v was written to %s", known.value, was.value.JSON())
	}
	c.checkSent(w, before, was, body, refused)
}

// aim chooses for which version and incarnation of a record something is meant, which somebody perhaps knows.
func (c *crowd) aim(t *rapid.T, was record, known replica, knows bool) (of *uint64, incarnation uint64) {
	switch aim := rapid.SampledFrom([]string{"any", "any", "remembered", "remembered", "present", "former", "none"}).Draw(t, "aim"); {
	case aim == "remembered" && knows:
		return version(known.version), known.incarnation
	case aim == "present":
		of = version(was.version)
	case aim == "former":
		of = version(was.version - min(1, was.version))
	case aim == "none":
		of = version(0)
	}
	if rapid.IntRange(0, 3).Draw(t, "incarnate") == 0 {
		incarnation = max(1, was.incarnation) - uint64(rapid.IntRange(0, 1).Draw(t, "predecessor"))
	}
	return of, incarnation
}

// settings are what a write may say beside its operations.
func settings(t *rapid.T) (ttlSeconds, history *int) {
	if rapid.IntRange(0, 4).Draw(t, "mortal") == 0 {
		n := rapid.IntRange(0, 3).Draw(t, "ttl")
		ttlSeconds = &n
	}
	if rapid.IntRange(0, 4).Draw(t, "remembered") == 0 {
		n := rapid.IntRange(0, 3).Draw(t, "history")
		history = &n
	}
	return ttlSeconds, history
}

// checkSent: a write does what the protocol says, or is refused for the reason that it gives, and changes nothing then.
func (c *crowd) checkSent(w RecordWrite, before *record, was record, body any, refused *wire.Error) {
	c.t.Helper()
	now := c.s.records[w.Name]
	if refused != nil {
		if now != before || now != nil && !same(*now, was) {
			c.t.Fatalf("a refused write changed the record")
		}
		c.checkRefused(w, was, refused)
		return
	}
	want, code := plainWrite(was.value, w.Operations)
	if by := c.reason(w, was, code); by != "" {
		c.t.Fatalf("%+v of %d/%d was written, and is to be refused with %s", w.RecordWrite, was.incarnation, was.version, by)
	}
	b, got := body.(wire.Written), plain(now.value.JSON())
	if b.Version != was.version+1 || b.Version != now.version || b.Incarnation != now.incarnation || before != nil && b.Incarnation != was.incarnation {
		c.t.Fatalf("%+v of %d/%d was written as %+v", w.RecordWrite, was.incarnation, was.version, b)
	}
	if before == nil && b.Incarnation <= c.born {
		c.t.Fatalf("incarnation %d comes after %d", b.Incarnation, c.born)
	}
	if want != (unknown{}) && !reflect.DeepEqual(got, want) {
		c.t.Fatalf("%+v makes %s of %s, want %v", w.Operations, now.value.JSON(), was.value.JSON(), want)
	}
	c.born = max(c.born, b.Incarnation)
	c.was[edition{w.Name, b.Incarnation, b.Version}] = got
	c.checkSettings(w, was)
	if then, list := readList(was.value); list && len(w.Operations) == 1 && w.Operations[0].Op == wire.OperationEntries {
		got, _ := readList(now.value)
		c.checkEntries(w.Operations[0], was, then, got)
	}
	for i := range now.past {
		former := edition{w.Name, now.incarnation, now.version - uint64(i) - 1}
		if is := plain(now.at(former.version).JSON()); !reflect.DeepEqual(is, c.was[former]) {
			c.t.Fatalf("%+v is remembered as %v, it was %v", former, is, c.was[former])
		}
	}
}

func same(a, b record) bool {
	return a.incarnation == b.incarnation && a.version == b.version && a.value.Equal(b.value) && a.ttl == b.ttl && a.expires.Equal(b.expires) &&
		a.history == b.history && len(a.past) == len(b.past)
}

// reason is why a write is to be refused that its operations alone have refused with a code, beside want of room; "": it is not.
func (c *crowd) reason(w RecordWrite, was record, code wire.Code) wire.Code {
	current := w.Version == nil || *w.Version == was.version
	current = current && (w.Incarnation == 0 || w.Incarnation == was.incarnation)
	mayRead := !c.denies(w.By.Identity, Read, w.Name)
	switch {
	case !current && mayRead:
		return wire.CodeConflict
	case code != "" && mayRead:
		return code
	case !c.mayWrite(w, was):
		return wire.CodeForbidden
	case !current:
		return wire.CodeConflict
	}
	return code
}

func (c *crowd) mayWrite(w RecordWrite, was record) bool {
	if was.version == 0 {
		return !c.denies(w.By.Identity, Create, w.Name)
	}
	takes := w.TTLSeconds != nil && *w.TTLSeconds > 0 && (was.ttl == 0 || time.Duration(*w.TTLSeconds)*time.Second < was.ttl) ||
		w.History != nil && *w.History < was.history
	return !c.denies(w.By.Identity, Write, w.Name) && !(takes && c.denies(w.By.Identity, Delete, w.Name))
}

func (c *crowd) checkRefused(w RecordWrite, was record, refused *wire.Error) {
	c.t.Helper()
	made, code := plainWrite(was.value, w.Operations)
	want := c.reason(w, was, code)
	if want == "" && c.cramped(w, was, made) {
		want = wire.CodeLimit
	}
	if refused.Code != want {
		c.t.Fatalf("%+v of %d/%d is refused with %+v, want %q", w.RecordWrite, was.incarnation, was.version, refused, want)
	}
	if want == wire.CodeConflict {
		c.checkConflict(w.By, w.Name, was, refused)
	}
}

// checkConflict: a conflict tells what is there, to whom may read it.
func (c *crowd) checkConflict(by Caller, name string, was record, refused *wire.Error) {
	c.t.Helper()
	is := refused.Current
	if mayRead := !c.denies(by.Identity, Read, name); mayRead != (is != nil) {
		c.t.Fatalf("%s, who may read: %v, is told %+v", by.Identity, mayRead, refused)
	}
	if is != nil && (is.Version != was.version || is.Incarnation != was.incarnation || string(is.Value) != string(was.value.JSON())) {
		c.t.Fatalf("in conflict with %d/%d %s is told %+v", was.incarnation, was.version, was.value.JSON(), is)
	}
}

// cramped tells whether there may be no room for a write by which a document becomes that one.
func (c *crowd) cramped(w RecordWrite, was record, made any) bool {
	if was.version == 0 && len(c.s.records) == c.s.config.MaxRecords || made == (unknown{}) {
		return true
	}
	history, held, holds := was.history, was.value.measured().held(), valueOf(c.t, made).measured().held()
	if w.History != nil {
		history = *w.History
	}
	if was.version > 0 && history == 0 && holds <= held {
		return false
	}
	most := holds + held + newPast(nil).size + recordBytes + len(w.Name)
	return c.s.bytes+c.s.imageBytes+most > c.s.config.MaxBytes || most > c.spare
}

// checkSettings: a record lives for its TTL from its last write, and keeps as many earlier versions as it was told.
func (c *crowd) checkSettings(w RecordWrite, was record) {
	c.t.Helper()
	now, ttl, history, ends := c.s.records[w.Name], was.ttl, was.history, time.Time{}
	if was.version == 0 {
		ttl, history = 0, DefaultHistory
		if w.Initial != nil {
			w.TTLSeconds, w.History = cmp.Or(w.TTLSeconds, w.Initial.TTLSeconds), cmp.Or(w.History, w.Initial.History)
		}
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

// checkEntries: what others have done since the version from which entries were made stays, so of each entry there are as many more, or fewer, as the writer has made it
// since that; where there is nothing of others, the list is what the writer wants.
func (c *crowd) checkEntries(o wire.Operation, was record, then, got []string) {
	c.t.Helper()
	var wanted []string
	_ = json.Unmarshal(o.Value, &wanted)
	base := then
	if _, kept := was.back(o.Base); o.Base > 0 && kept {
		var list bool
		if base, list = readList(was.at(o.Base)); !list {
			base = then // there was no list: it is replaced
		}
	}
	if slices.Equal(base, then) && !slices.Equal(got, wanted) {
		c.t.Fatalf("entries %v from %v make %v", wanted, base, got)
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

// readList reads a list.
func readList(v Value) (entries []string, list bool) {
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
	c.send(t, c.names.Draw(t, "name"), operations)
}

func (c *crowd) lists(t *rapid.T) {
	letter, name := rapid.SampledFrom([]string{"x", "y", "z"}), c.names.Draw(t, "name")
	place := rapid.IntRange(0, 4)
	kind := rapid.SampledFrom([]wire.OperationKind{wire.OperationInsert, wire.OperationRemove, wire.OperationMove, wire.OperationEntries})
	var operations []wire.Operation
	for range rapid.IntRange(1, 2).Draw(t, "operations") {
		o := entry(kind.Draw(t, "kind"), letter.Draw(t, "entry"), place.Draw(t, "at"), place.Draw(t, "to"))
		if o.Op == wire.OperationEntries {
			base := uint64(0)
			if r := c.s.records[name]; r != nil {
				base = r.version - min(r.version, uint64(rapid.IntRange(0, 3).Draw(t, "back")))
			}
			o = entries(base, rapid.SliceOfN(letter, 0, 5).Draw(t, "entries")...)
			if string(o.Value) == "null" {
				o.Value = json.RawMessage("[]")
			}
		}
		operations = append(operations, o)
	}
	c.send(t, name, operations)
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
	id, name := c.some(t), c.names.Draw(t, "name")
	before, d := c.s.records[name], wire.RecordDelete{Name: name}
	var was record
	if before != nil {
		was = *before
	}
	known, knows := c.clients[id].memory[name]
	if of, incarnation := c.aim(t, was, known, knows); of != nil && rapid.Bool().Draw(t, "versioned") {
		d.Version, d.Incarnation = *of, incarnation
	}
	_, refused := c.do(RecordDelete{c.by(id), d})
	by := c.clients[id].caller
	conflicts := before != nil && (d.Version != 0 && d.Version != was.version || d.Incarnation != 0 && d.Incarnation != was.incarnation)
	want := wire.Code("")
	switch {
	case conflicts && !c.denies(by.Identity, Read, name):
		want = wire.CodeConflict
	case c.denies(by.Identity, Delete, name):
		want = wire.CodeForbidden
	case before == nil:
		want = wire.CodeNotFound
	case conflicts:
		want = wire.CodeConflict
	}
	switch now := c.s.records[name]; {
	case want == "":
		if refused != nil || now != nil {
			t.Fatalf("%s deletes %s: %v", id, name, refused)
		}
	case refused == nil || refused.Code != want || now != before || now != nil && !same(*now, was):
		t.Fatalf("%s deletes %s, which is %d/%d, as %+v: %v, want %s", id, name, was.incarnation, was.version, d, refused, want)
	case want == wire.CodeConflict:
		c.checkConflict(by, name, was, refused)
	}
}

func (c *crowd) waits(t *rapid.T) {
	c.wait(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
	if next := c.s.Next(); !next.IsZero() && !next.After(c.now) {
		t.Fatalf("something is due after everything was done")
	}
}

func (c *crowd) eventful(t *rapid.T) {
	id, name := c.some(t), c.names.Draw(t, "name")
	x := c.clients[id]
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		events(c.scene, id, name)
		x.topics[name] = true
		c.heeds(x, func() {
			if _, hears := x.hears[name]; !hears {
				x.hears[name] = 0
			}
		})
	case 1:
		both := []string{c.names.Draw(t, "other"), name}
		must[wire.OK](c.scene, EventUnsubscribe{c.by(id), wire.EventNames{Names: both}})
		delete(x.topics, both[0])
		delete(x.topics, name)
		c.heeds(x, func() {
			delete(x.hears, both[0])
			delete(x.hears, name)
		})
	default:
		shut := c.shut(Events, Publish, name)
		c.sent++
		_, refused := c.do(publish(c.scene, id, name, fmt.Sprint(c.sent)))
		if shut != (refused != nil) || shut && refused.Code != wire.CodeForbidden {
			t.Fatalf("%s publishes %s, which is forbidden: %v, and is told %v", id, name, shut, refused)
		}
		for other, y := range c.clients {
			if told := c.told(wire.TypeEventPublished, other); told != (y.topics[name] && other != id && !shut) {
				t.Fatalf("%s publishes %s, and %s is told: %v", id, name, other, told)
			}
		}
	}
}

// told tells whether somebody is told something because of the last Apply, now or later.
func (c *crowd) told(typ, id string) bool {
	return slices.ContainsFunc(c.last, func(e Effect) bool {
		t, ok := e.(Tell)
		return ok && t.Type == typ && id != t.Except && slices.Contains(t.Sessions, id)
	})
}

func (c *crowd) provides(t *rapid.T) {
	id, name := c.some(t), c.names.Draw(t, "name")
	x := c.clients[id]
	if rapid.IntRange(0, 3).Draw(t, "end") > 0 {
		provide(c.scene, name, id)
		x.rpcs[name] = true
		return
	}
	both := []string{c.names.Draw(t, "other"), name}
	must[wire.OK](c.scene, RPCUnprovide{c.by(id), wire.RPCNames{Names: both}})
	delete(x.rpcs, both[0])
	delete(x.rpcs, name)
}

func (c *crowd) calls(t *rapid.T) {
	c.asked++
	id, name := c.some(t), c.names.Draw(t, "name")
	shut := c.shut(RPCs, Request, name)
	_, refused := c.do(RPCRequest{By: c.by(id), RPCRequest: wire.RPCRequest{Name: name, Call: c.asked}})
	if shut != (refused != nil) || shut && refused.Code != wire.CodeForbidden {
		t.Fatalf("%s requests %s, which is forbidden: %v, and is told %v", id, name, shut, refused)
	}
}

// answers does something about a call, mostly one that is open and as who is asked. What somebody else does is refused, or an answer before the call is accepted.
func (c *crowd) answers(t *rapid.T) {
	id, call := c.some(t), c.s.lastCall-uint64(rapid.IntRange(0, 3).Draw(t, "call"))
	open := c.s.calls[call]
	if open != nil {
		switch rapid.IntRange(0, 3).Draw(t, "stranger") {
		case 0, 1:
			id = open.provider.id
		case 2: // who was asked before
			if former := open.tried[0].id; c.clients[former] != nil {
				id = former
			}
		}
	}
	mine := open != nil && open.provider.id == id
	command := rapid.SampledFrom([]Command{
		accept(c.scene, id, call), accept(c.scene, id, call), answer(c.scene, id, call, `1`), RPCReject{c.by(id), wire.RPCReject{Call: call}},
	}).Draw(t, "command")
	want := wire.Code("")
	if _, answers := command.(RPCAnswer); !mine {
		want = wire.CodeNotFound
	} else if answers && !open.accepted {
		want = wire.CodeBadRequest
	} else if answers && c.shut(RPCs, Request, open.name) {
		want = wire.CodeNotFound // it has ended with that
	}
	if _, refused := c.do(command); (want != "") != (refused != nil) || refused != nil && refused.Code != want {
		t.Fatalf("%T of a call of which %s is the provider: %v, is refused with %v, want %q", command, id, mine, refused, want)
	}
	for _, open := range c.s.calls {
		if open.provider == nil {
			t.Fatalf("a call waits for nobody")
		}
	}
}

// spares says how much the records may grow for the sake of other scopes.
func (c *crowd) spares(t *rapid.T) {
	c.spare = rapid.SampledFrom([]int{math.MaxInt, math.MaxInt, 0, 300}).Draw(t, "spare")
	c.s.Spare(c.spare)
}

// checkCrowd is what holds between any two things that are done.
func (c *crowd) checkCrowd(t *rapid.T) {
	c.checkProviders()
	there := map[string]bool{}
	for _, x := range c.clients {
		if !x.caller.Grants.Hidden {
			there[x.caller.Identity] = true
		}
	}
	for id, x := range c.clients {
		for _, name := range []string{"ann", "bob"} {
			if asks := x.everybody || x.follows[name]; x.present[name] != (asks && there[name]) && !c.s.lags(ofPresence) {
				t.Fatalf("%s, who asks about %s: %v, has been told that it is there: %v, and it is: %v", id, name, asks, x.present[name], there[name])
			}
		}
		c.checkSubscriptions(id, x)
	}
}

// checkSubscriptions: the scope has those that the client has, and each says whether somebody provides the record.
func (c *crowd) checkSubscriptions(id string, x *client) {
	c.t.Helper()
	want := map[link]bool{}
	for name := range x.topics {
		want[link{kind: wire.SubscribedEvent, name: name}] = true
	}
	for name := range x.rpcs {
		want[link{kind: wire.ProvidedRPC, name: name}] = true
	}
	got := maps.Clone(c.s.sessions[id].links)
	maps.DeleteFunc(got, func(l link, _ bool) bool {
		return l.kind != wire.SubscribedEvent && l.kind != wire.ProvidedRPC && (l.kind != wire.SubscribedRecord || len(c.store.held) > 0)
	})
	if len(c.store.held) == 0 {
		for name := range x.replicas {
			want[link{kind: wire.SubscribedRecord, name: name}] = true
		}
		for part := range x.parts {
			want[link{wire.SubscribedRecord, part.Name, part.Path}] = true
		}
	}
	if !maps.Equal(got, want) {
		c.t.Fatalf("%s has %v, the scope says %v", id, want, got)
	}
	for l := range want {
		if l.kind == wire.SubscribedRecord && x.served[l.name] != (c.s.watches[l.name].by != nil) {
			c.t.Fatalf("%s has been told that somebody provides %s: %v, which is wrong", id, l.name, x.served[l.name])
		}
	}
}

// copies takes a whole copy along, as a commit does, and forgets what came before if everything has one.
func (c *crowd) copies(t *rapid.T) {
	c.sync(len(c.stored) - c.store.synced)
	clear(c.store.needs)
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
