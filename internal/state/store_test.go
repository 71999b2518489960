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
	clear(c.store.shown)
	c.begin(New(c.config), nil)
}

// fail is that nothing more is stored, and the scope begins again with what is, and with what was never to be.
func (c *scene) fail() {
	c.t.Helper()
	before, s := c.s, New(c.config)
	if err := s.Replay(Commit{Incarnations: before.Incarnations()}); err != nil {
		c.t.Fatalf("replay: %v", err)
	}
	c.begin(s, before)
	c.apply(Tick{}) // of what was over meanwhile
	for name, shown := range c.store.shown {
		switch r := c.s.records[name]; {
		case r != nil && r.durable, shown.durable:
		case shown.version == 0 || !shown.expires.IsZero() && !shown.expires.After(c.now):
			if r != nil {
				c.t.Fatalf("%s is there, which nobody knows of", name)
			}
		case r == nil || !same(*r, shown):
			c.t.Fatalf("%s was seen as %+v last, and is %+v", name, shown, r)
		}
	}
}

// begin has sessions go on with another scope, into which what was synced is read, and what is to be kept of the one before, if there is one.
func (c *scene) begin(s, before *Scope) {
	c.t.Helper()
	c.stored, c.store.upTo, c.store.held = c.stored[:c.store.synced], c.store.upTo[:c.store.synced], nil
	c.now = c.now.Add(time.Millisecond)
	clear(c.store.needs)
	c.s = s
	for _, commit := range c.stored {
		if err := c.s.Replay(commit); err != nil {
			c.t.Fatalf("replay: %v", err)
		}
	}
	if err := c.s.Replayed(); err != nil {
		c.t.Fatalf("replay: %v", err)
	}
	if before != nil {
		c.s.Keep(before)
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
		c.shownReply(command, e, state, there, gone, func(name string, is record) {
			all = append(all, func() { c.store.shown[name] = is })
		})
	}
	return func() {
		for _, one := range all {
			one()
		}
	}
}

func (c *scene) shownReply(command Command, e Reply, state func(*wire.RecordState), there func(string, uint64, uint64, any), gone func(string), knows func(string, record)) {
	if e.Error != nil && e.Error.Current != nil {
		state(e.Error.Current)
	}
	switch command := command.(type) {
	case RecordDelete:
		if e.Error == nil || e.Error.Code == wire.CodeNotFound {
			gone(command.Name)
		}
		if e.Error == nil {
			knows(command.Name, record{})
		}
	case RecordWrite:
		if e.Error == nil {
			b := e.Body.(wire.Written)
			there(command.Name, b.Incarnation, b.Version, nil)
			is := *c.s.records[command.Name]
			is.past = slices.Clone(is.past)
			knows(command.Name, is)
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

// checkLooks: what rules have decided by a record is not known before what that record is.
func (c *scene) checkLooks(command Command, i int, e Effect) {
	c.t.Helper()
	waits, decided := false, ""
	switch e := e.(type) {
	case Reply:
		waits = e.Waits
		switch command := command.(type) {
		case RecordWrite:
			decided = command.Name
		case RecordDelete:
			decided = command.Name
		}
		if e.Error != nil {
			decided = ""
		}
	case Tell:
		waits = e.Waits
	case Append:
		return
	}
	for _, l := range c.looks {
		needs := c.store.needs[l.name]
		if l.before > i || needs <= c.store.synced {
			continue
		}
		if !waits {
			c.t.Fatalf("%+v shows what %s is, which is not stored", e, l.name)
		}
		if decided != "" {
			c.store.needs[decided] = max(c.store.needs[decided], needs)
		}
	}
}

// lives returns how often clients have begun anew.
func (c *scene) lives(ids []string) map[string]int {
	all := map[string]int{}
	for _, id := range ids {
		if x := c.clients[id]; x != nil {
			all[id] = x.cleared
		}
	}
	return all
}

// outlived tells whether a client has begun anew since something was about to be told to it, which it does not heed any more.
func (c *scene) outlived(x *client, began int, body any) bool {
	switch body.(type) {
	case wire.RecordChanged, wire.RecordPart, wire.RecordDeleted, wire.RecordProvided: // by their versions it knows itself
		return false
	}
	return x != nil && x.cleared != began
}

// leaves does something when the reply of the last Apply leaves.
func (c *scene) leaves(then func()) {
	for _, e := range c.last {
		if r, ok := e.(Reply); ok && r.Ticket == 0 {
			c.let(r.Waits, len(c.stored), then)
		}
	}
}

// gate is a record by which the rules decide about something.
type gate struct {
	kind   Kind
	action Action
	name   string
}

// gates returns rules that look at a record, of whatever there is one for, and which forbid what is done without one where there is none: to publish, and to request.
func (c *crowd) gates(t *rapid.T) map[gate]string {
	all := map[gate]string{}
	for range rapid.IntRange(0, 4).Draw(t, "gates") {
		g := rapid.SampledFrom([]gate{
			{Events, Publish, ""},
			{Events, Subscribe, ""},
			{Events, Listening, ""},
			{RPCs, Provide, ""},
			{RPCs, Request, ""},
			{Presence, Subscribe, "*"},
			{Presence, Subscribe, "ann"},
			{Records, Listening, ""},
			{Records, Read, ""},
			{Records, Create, ""},
			{Records, Write, ""},
			{Records, Delete, ""},
		}).Draw(t, "gate")
		if g.name == "" {
			g.name = c.names.Draw(t, "gated")
		}
		all[g] = c.names.Draw(t, "by")
	}
	return all
}

// shut tells whether something is forbidden for want of a record.
func (c *crowd) shut(kind Kind, action Action, name string) bool {
	by, gated := c.gated[gate{kind, action, name}]
	return gated && (action == Publish || action == Request) && c.s.records[by] == nil
}

// may are the rules of the crowd.
func (c *crowd) may(denied map[denial]bool, gated map[gate]string) func(Access) *wire.Error {
	return forbid(func(a Access) bool {
		by, ok := gated[gate{a.Kind, a.Action, a.Name}]
		if ok && a.Lookup != nil { // else it is the test that asks
			c.looks = append(c.looks, look{by, len(c.s.out)})
			if there := a.Lookup(by).Exists(); !there && (a.Action == Publish || a.Action == Request) {
				return true
			}
		}
		return a.Kind == Records && denied[denial{a.By.Identity, a.Action, a.Name}]
	})
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
	c.denied, c.gated = denied, c.gates(t)
	c.config.May = c.may(denied, c.gated)
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

func (c *crowd) fails(*rapid.T) {
	c.fail()
	c.spare = math.MaxInt
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
