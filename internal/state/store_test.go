package state

import (
	"math"
	"reflect"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/wire"
)

// sync stores so many more commits, and lets out what has waited for them.
func (c *scene) sync(commits int) {
	c.t.Helper()
	if commits == 0 {
		return
	}
	c.reach(c.store.synced + commits)
	n := 0
	for n < len(c.store.held) && c.store.held[n].after <= c.store.synced {
		c.store.held[n].leave()
		n++
	}
	c.store.held = slices.Delete(c.store.held, 0, n)
	c.apply(Settle{UpTo: c.store.upTo[c.store.synced-1]})
}

func (c *scene) reach(synced int) {
	for _, commit := range c.stored[c.store.synced:synced] {
		for _, e := range commit.Entries {
			if e.Deleted {
				c.store.ended[e.Name] = e.Incarnation
			}
		}
	}
	c.store.synced = synced
}

// crash ends the scope. What was synced is there, and as many more commits as are said, of which nobody was told. Sessions come back with
// what they know.
func (c *scene) crash(more int) {
	c.t.Helper()
	c.reach(c.store.synced + more)
	c.stored, c.store.upTo, c.store.held = c.stored[:c.store.synced], c.store.upTo[:c.store.synced], nil
	c.now = c.now.Add(time.Millisecond)
	c.s = New(c.config)
	for _, commit := range c.stored {
		if err := c.s.Replay(commit); err != nil {
			c.t.Fatalf("replay: %v", err)
		}
	}
	if err := c.s.Replayed(); err != nil {
		c.t.Fatalf("replay: %v", err)
	}
	for i := range c.store.upTo {
		c.store.upTo[i] = 0 // of a scope that counted before
	}
	for name, seen := range c.store.seen {
		c.checkSeen(name, seen)
	}
	var ids []string
	for id, x := range c.clients {
		x.clear()
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		c.apply(Attach{By: c.clients[id].caller, Node: c.clients[id].node})
	}
}

// checkSeen: what somebody has seen is not undone, and what is there again is what was seen.
func (c *scene) checkSeen(name string, seen sight) {
	c.t.Helper()
	r := c.s.records[name]
	switch {
	case r == nil:
		if seen.durable && !seen.gone && c.store.ended[name] < seen.incarnation {
			c.t.Fatalf("%s was seen as %d/%d, and is lost", name, seen.incarnation, seen.version)
		}
	case r.incarnation < seen.incarnation, r.incarnation == seen.incarnation && (seen.gone || r.version < seen.version):
		c.t.Fatalf("%s was seen as %+v, and is %d/%d again", name, seen, r.incarnation, r.version)
	case r.incarnation == seen.incarnation && r.version == seen.version && seen.value != nil && !reflect.DeepEqual(seen.value, plain(r.value.JSON())):
		c.t.Fatalf("%s was seen as %+v, and is %s", name, seen, r.value.JSON())
	}
}

func (c *scene) see(name string, s sight) {
	old := c.store.seen[name]
	if s.incarnation > old.incarnation || s.incarnation == old.incarnation && !old.gone && (s.gone || s.version > old.version) {
		c.store.seen[name] = s
	}
}

// shown returns what becomes known when an effect leaves.
func (c *scene) shown(command Command, e Effect) func() {
	var all []func()
	gone := func(name string) {
		if dead := c.store.dead[name]; dead > 0 {
			all = append(all, func() { c.see(name, sight{incarnation: dead, gone: true}) })
		}
	}
	there := func(name string, incarnation, version uint64, value any) {
		r := c.s.records[name]
		s := sight{incarnation: incarnation, version: version, durable: r != nil && r.durable && r.incarnation == incarnation, value: value}
		all = append(all, func() { c.see(name, s) })
	}
	state := func(st *wire.RecordState) {
		switch {
		case st.Version == 0:
			gone(st.Name)
		case st.Path == "" && st.Value != nil:
			there(st.Name, st.Incarnation, st.Version, plain(st.Value))
		default:
			there(st.Name, st.Incarnation, st.Version, nil)
		}
	}
	switch e := e.(type) {
	case Tell:
		switch b := e.Body.(type) {
		case wire.RecordChanged:
			there(b.Name, b.Incarnation, b.Version, nil)
		case wire.RecordPart:
			there(b.Name, b.Incarnation, b.Version, nil)
		case wire.RecordDeleted:
			gone(b.Name)
		}
	case Reply:
		c.shownReply(command, e, state, there, gone)
	}
	return func() {
		for _, one := range all {
			one()
		}
	}
}

func (c *scene) shownReply(command Command, e Reply, state func(*wire.RecordState), there func(string, uint64, uint64, any), gone func(string)) {
	if e.Error != nil && e.Error.Current != nil {
		state(e.Error.Current)
	}
	switch command := command.(type) {
	case RecordDelete:
		if e.Error == nil || e.Error.Code == wire.CodeNotFound {
			gone(command.Name)
		}
	case RecordWrite:
		if e.Error == nil {
			b := e.Body.(wire.Written)
			there(command.Name, b.Incarnation, b.Version, nil)
		} else if e.Error.Code == wire.CodeNotFound {
			gone(command.Name)
		}
	case RecordRead:
		if e.Error == nil {
			for i, r := range e.Body.(wire.Records).Results {
				if r.Record != nil {
					state(r.Record)
				} else if r.Error.Code == wire.CodeNotFound && command.Records[i].Version == 0 {
					gone(command.Records[i].Name)
				}
			}
		}
	case RecordSubscribe:
		if e.Error == nil {
			for _, r := range e.Body.(wire.Records).Results {
				if r.Record != nil {
					state(r.Record)
				}
			}
		}
	}
}

// denial is something that the rules forbid.
type denial struct {
	identity string
	action   Action
	name     string
}

func (c *crowd) denies(identity string, action Action, name string) bool {
	return c.denied[denial{identity, action, name}]
}

// rules replaces the rules: some of what one may do with records is forbidden.
func (c *crowd) rules(t *rapid.T) {
	denied := map[denial]bool{}
	for range rapid.IntRange(0, 4).Draw(t, "denied") {
		denied[denial{
			rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "identity"),
			rapid.SampledFrom([]Action{Create, Read, Read, Write, Delete}).Draw(t, "action"), c.names.Draw(t, "name"),
		}] = true
	}
	c.denied = denied
	c.config.May = forbid(func(a Access) bool { return a.Kind == Records && denied[denial{a.By.Identity, a.Action, a.Name}] })
	c.apply(Recheck{c.config.May})
	for id, p := range c.s.sessions {
		for l := range p.links {
			if l.kind == wire.SubscribedRecord && c.denies(p.caller.Identity, Read, l.name) {
				t.Fatalf("%s is still subscribed to %s", id, l.name)
			}
		}
	}
}

func (c *crowd) syncs(t *rapid.T) {
	c.sync(rapid.IntRange(0, len(c.stored)-c.store.synced).Draw(t, "commits"))
}

func (c *crowd) crashes(t *rapid.T) {
	c.crash(rapid.IntRange(0, len(c.stored)-c.store.synced).Draw(t, "more"))
	c.spare = math.MaxInt
}

// reads reads a record, or a former version of it.
func (c *crowd) reads(t *rapid.T) {
	id, name := c.some(t), c.names.Draw(t, "name")
	r, item := c.s.records[name], wire.RecordWanted{Name: name, Head: rapid.IntRange(0, 3).Draw(t, "head") == 0}
	var is edition
	if r != nil {
		is = edition{name, r.incarnation, r.version}
	}
	if rapid.Bool().Draw(t, "former") {
		item.Version = max(1, is.version) - uint64(rapid.IntRange(-1, min(3, int(max(1, is.version)))).Draw(t, "back"))
	}
	result := must[wire.Records](c.scene, RecordRead{c.by(id), wire.RecordRead{Records: []wire.RecordWanted{item}}}).Results[0]
	want := wire.Code("")
	switch {
	case c.denies(c.clients[id].caller.Identity, Read, name):
		want = wire.CodeForbidden
	case r == nil || item.Version > 0 && (item.Version > r.version || r.version-item.Version > uint64(len(r.past))):
		want = wire.CodeNotFound
	}
	switch {
	case (want != "") != (result.Error != nil) || want != "" && result.Error.Code != want:
		t.Fatalf("%s reads %+v of %+v: %+v, want %q", id, item, is, result.Error, want)
	case want != "":
	case item.Head != (result.Record.Value == nil):
		t.Fatalf("head %v, and the value is %s", item.Head, result.Record.Value)
	case !item.Head:
		if item.Version > 0 {
			is.version = item.Version
		}
		if got := plain(result.Record.Value); !reflect.DeepEqual(got, c.was[is]) || result.Record.Version != is.version || result.Record.Incarnation != is.incarnation {
			t.Fatalf("%+v is read as %+v, it was %v", is, result.Record, c.was[is])
		}
	}
}
