package state

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-rtc/parley/wire"
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// scene is a scope, its clients, and what was stored of it. After every command it checks that replicas follow the scope, that
// versions are contiguous, that the books agree, and that the stored commits lead to the same records.
type scene struct {
	t       tester
	s       *Scope
	config  Config
	now     time.Time
	clients map[string]*client
	stored  []Commit
	heard   []Tell
	results map[uint64]Reply // by ticket
	last    []Effect         // of the last Apply
	store   store
	looks   []look // of rules at records in the present Apply
}

// store is how far the commits are on the disk, and what that means for who waits. Unless the test syncs, all is there at once.
type store struct {
	byHand bool
	synced int               // commits
	upTo   []uint64          // the last number in each of them
	held   []held            // until commits are synced
	seen   map[string]sight  // what anybody knows of each record
	ended  map[string]uint64 // the last incarnation of each record whose end is synced
	dead   map[string]uint64 // and that has ended at all
	needs  map[string]int    // how many commits have to be synced before anybody may know what a record is
	shown  map[string]record // the last write of each record that somebody knows of
}

// look is one of a rule at a record, before the effect with that number.
type look struct {
	name   string
	before int
}

// held leaves when so many commits are synced.
type held struct {
	after int
	leave func()
}

// sight is the newest that anybody has seen of a record.
type sight struct {
	incarnation, version uint64
	gone                 bool
	durable              bool
	value                any // of the whole; nil: nobody has seen it
}

// client is a session as a client written from the protocol would have it.
type client struct {
	caller   Caller
	node     string
	inbox    []told
	replicas map[string]*replica // of whole records
	parts    map[wire.RecordName]any
	provided map[string]bool // names of listen-start without listen-stop, with their kind
	served   map[string]bool // records to which it is subscribed and that somebody provides
	present  map[string]bool
	results  map[uint64]wire.RPCResult
	asked    map[uint64]bool         // calls
	ended    map[wire.RecordName]int // how often it has unsubscribed
	memory   map[string]replica      // the last that it knew of each record, whatever became of its subscription

	// What a crowd has it ask for.
	topics, rpcs, follows map[string]bool
	everybody             bool

	numbers bool           // its events are numbers, of which each is greater than the one before
	cleared int            // how often it has begun anew
	hears   map[string]int // the last of each event to which it is subscribed, as far as it knows
}

type told struct {
	Type string
	Body any
}

// replica is a record as a client knows it, in the terms of encoding/json.
type replica struct {
	incarnation, version uint64
	value                any
}

func newScene(t tester, c Config) *scene {
	if c.Scope == "" {
		c.Scope = wire.ScopeRoom
	}
	return &scene{
		t: t, s: New(c), config: c, now: time.Unix(1_800_000_000, 0), clients: map[string]*client{}, results: map[uint64]Reply{},
		store: store{seen: map[string]sight{}, ended: map[string]uint64{}, dead: map[string]uint64{}, needs: map[string]int{}, shown: map[string]record{}},
	}
}

// attach lets sessions in whose identities are their names without the number at the end.
func (c *scene) attach(ids ...string) {
	for _, id := range ids {
		c.attachAs(Caller{Session: id, Identity: id[:3]}, "")
	}
}

func (c *scene) attachAs(by Caller, node string) {
	c.clients[by.Session] = &client{caller: by, node: node, memory: map[string]replica{}, asked: map[uint64]bool{}, ended: map[wire.RecordName]int{}}
	c.clients[by.Session].clear()
	c.apply(Attach{By: by, Node: node})
}

func (c *client) clear() {
	c.replicas, c.parts, c.provided = map[string]*replica{}, map[wire.RecordName]any{}, map[string]bool{}
	c.served, c.present, c.results = map[string]bool{}, map[string]bool{}, map[uint64]wire.RPCResult{}
	c.cleared, c.hears = c.cleared+1, map[string]int{}
	c.topics, c.rpcs, c.follows, c.everybody = map[string]bool{}, map[string]bool{}, map[string]bool{}, false
}

func (c *scene) by(id string) Caller {
	if x := c.clients[id]; x != nil {
		return x.caller
	}
	return Caller{Identity: id}
}

// do carries out a request and returns the body of its reply, or its refusal.
func (c *scene) do(command Command) (any, *wire.Error) {
	c.t.Helper()
	replies := c.apply(command)
	if len(replies) != 1 {
		c.t.Fatalf("%T: %d replies", command, len(replies))
	}
	return replies[0].Body, replies[0].Error
}

// must carries out a request that succeeds.
func must[B any](c *scene, command Command) B {
	c.t.Helper()
	body, refused := c.do(command)
	if refused != nil {
		c.t.Fatalf("%T: %v", command, refused)
	}
	b, ok := body.(B)
	if !ok {
		c.t.Fatalf("%T: reply has a %T", command, body)
	}
	return b
}

// refused carries out a request that is refused with this code.
func (c *scene) refused(code wire.Code, command Command) *wire.Error {
	c.t.Helper()
	body, refused := c.do(command)
	if refused == nil || refused.Code != code {
		c.t.Fatalf("%T: got %v, %v; want %s", command, body, refused, code)
	}
	return refused
}

func (c *scene) apply(command Command) (replies []Reply) {
	c.t.Helper()
	var entries []Entry
	number := uint64(0)
	before := map[string]uint64{}
	for name, r := range c.s.records {
		before[name] = r.incarnation
	}
	c.looks = nil
	effects := c.s.Apply(c.now, command)
	c.last = effects
	for name, incarnation := range before {
		if r := c.s.records[name]; r == nil || r.incarnation != incarnation {
			c.store.dead[name] = incarnation
		}
	}
	for i, e := range effects {
		after := len(c.stored) + min(1, len(entries))
		c.checkLooks(command, i, e)
		switch e := e.(type) {
		case Reply:
			if e.Ticket == 0 {
				replies = append(replies, e)
				c.let(e.Waits, after, c.shown(command, e))
			} else if _, twice := c.results[e.Ticket]; twice {
				c.t.Fatalf("the request with ticket %d has two replies", e.Ticket)
			} else {
				c.results[e.Ticket] = e
			}
		case Append:
			entries, number = append(entries, e.Entry), e.Number
			c.store.needs[e.Entry.Name] = len(c.stored) + 1
		case Tell:
			c.heard = append(c.heard, e)
			c.checkTold(e)
			late, began := c.lags(e.Waits, after), c.lives(e.Sessions)
			c.let(e.Waits, after, func() {
				for _, id := range e.Sessions {
					if x := c.clients[id]; id != e.Except && (x != nil || !late) && !c.outlived(x, began[id], e.Body) {
						x.take(c.t, told{e.Type, e.Body}, late)
					}
				}
			})
			c.let(e.Waits, after, c.shown(nil, e))
		}
	}
	if len(entries) > 0 {
		c.stored = append(c.stored, reencode(c.t, c.s.Commit(entries)))
		c.store.upTo = append(c.store.upTo, number)
	}
	c.check()
	return replies
}

func (c *scene) lags(waits bool, after int) bool {
	return c.store.byHand && waits && after > c.store.synced
}

// let lets something out, at once or when so many commits are synced.
func (c *scene) let(waits bool, after int, leave func()) {
	if c.lags(waits, after) {
		c.store.held = append(c.store.held, held{after, leave})
	} else {
		leave()
	}
}

func (c *scene) wait(d time.Duration) {
	c.t.Helper()
	c.now = c.now.Add(d)
	c.apply(Tick{})
}

// reencode is what comes back from the disk.
func reencode(t tester, commit Commit) (back Commit) {
	b, err := json.Marshal(commit)
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil {
		t.Fatalf("store: %v", err)
	}
	return back
}

// take is what a client does with an event.
//
// Where it is late, the client may have unsubscribed since.
func (c *client) take(t tester, e told, late bool) {
	c.inbox = append(c.inbox, e)
	switch b := e.Body.(type) {
	case wire.RecordChanged:
		r := c.replicas[b.Name]
		switch {
		case r == nil && late:
		case r == nil:
			t.Errorf("%s was told of %s, which it is not subscribed to", c.caller.Session, b.Name)
		case b.Version != 1 && (b.Incarnation != r.incarnation || b.Version != r.version+1):
			t.Errorf("%s has %d/%d of %s and was told %d/%d", c.caller.Session, r.incarnation, r.version, b.Name, b.Incarnation, b.Version)
		case b.Version == 1 && r.version != 0:
			t.Errorf("%s has %s, which is created", c.caller.Session, b.Name)
		default:
			r.incarnation, r.version = b.Incarnation, b.Version
			for _, o := range b.Operations {
				r.value = plainApply(r.value, o)
			}
			c.memory[b.Name] = *r
		}
	case wire.RecordPart:
		key := wire.RecordName{Name: b.Name, Path: b.Path}
		now := plain(b.Value)
		before, ok := c.parts[key]
		if !ok && late {
			return
		}
		if !ok || reflect.DeepEqual(before, now) {
			t.Errorf("%s was told of %v, whose value is %v as before, or to which it is not subscribed", c.caller.Session, key, now)
		}
		c.parts[key] = now
	case wire.RecordDeleted:
		if r := c.replicas[b.Name]; r != nil {
			if r.incarnation != b.Incarnation || r.version != b.Version {
				t.Errorf("%s has %d/%d of %s and was told that %d/%d is deleted", c.caller.Session, r.incarnation, r.version, b.Name, b.Incarnation, b.Version)
			}
			*r = replica{value: nothing{}}
		}
		for key := range c.parts {
			if key.Name == b.Name {
				c.parts[key] = nothing{}
			}
		}
	case wire.StateUnsubscribed:
		if b.Kind == wire.SubscribedRecord {
			delete(c.parts, wire.RecordName{Name: b.Name, Path: b.Path})
			if b.Path == "" {
				delete(c.replicas, b.Name)
			}
		}
	case wire.RecordProvided:
		if c.served[b.Name] == b.Provided && !late {
			t.Errorf("%s was told again that somebody provides %s: %v", c.caller.Session, b.Name, b.Provided)
		}
		c.served[b.Name] = b.Provided
	case wire.RPCCall:
		if c.asked[b.Call] {
			t.Errorf("%s was asked for call %d twice", c.caller.Session, b.Call)
		}
		c.asked[b.Call] = true
	case wire.ListenStart:
		for _, name := range b.Names {
			c.provided[string(b.Kind)+" "+name] = true
		}
	case wire.ListenStop:
		for _, name := range b.Names {
			delete(c.provided, string(b.Kind)+" "+name)
		}
	case wire.PresenceJoined:
		if c.present[b.Identity] {
			t.Errorf("%s joined twice", b.Identity)
		}
		c.present[b.Identity] = true
	case wire.PresenceLeft:
		if !c.present[b.Identity] {
			t.Errorf("%s left and was not there", b.Identity)
		}
		delete(c.present, b.Identity)
	case wire.EventPublished:
		last, hears := c.hears[b.Name]
		n, err := strconv.Atoi(string(b.Value))
		if c.numbers && (!hears || err != nil || n <= last) {
			t.Errorf("%s, subscribed to %s: %v, was told %s after %d", c.caller.Session, b.Name, hears, b.Value, last)
		}
		c.hears[b.Name] = n
	case wire.RPCResult:
		if _, twice := c.results[b.Call]; twice {
			t.Errorf("call %d has two results", b.Call)
		}
		c.results[b.Call] = b
	}
}

// subscribe subscribes a client and takes what the reply says.
func (c *scene) subscribe(id, name, path string) *wire.Error {
	c.t.Helper()
	return c.subscribeHaving(id, wire.RecordHave{Name: name, Path: path})
}

func (c *scene) subscribeHaving(id string, have wire.RecordHave) *wire.Error {
	c.t.Helper()
	x, known := c.clients[id], c.clients[id].memory[have.Name]
	replies := c.apply(RecordSubscribe{c.by(id), wire.RecordSubscribe{Records: []wire.RecordHave{have}}})
	result := replies[0].Body.(wire.Records).Results[0]
	if result.Error != nil {
		return result.Error
	}
	r, ended := result.Record, x.ended[wire.RecordName{Name: result.Record.Name, Path: result.Record.Path}]
	c.let(replies[0].Waits, len(c.stored), func() {
		if p := c.s.sessions[id]; p == nil || c.clients[id] != x || x.ended[wire.RecordName{Name: r.Name, Path: r.Path}] > ended || !p.links[link{wire.SubscribedRecord, r.Name, r.Path}] {
			return // it has gone meanwhile, or unsubscribed
		}
		x.served[r.Name] = r.Provided
		switch {
		case r.Path != "":
			x.parts[wire.RecordName{Name: r.Name, Path: r.Path}] = plain(r.Value)
			return
		case r.Same:
			x.replicas[r.Name] = &known
		default:
			x.replicas[r.Name] = &replica{r.Incarnation, r.Version, plain(r.Value)}
		}
		x.memory[r.Name] = *x.replicas[r.Name]
	})
	c.check()
	return nil
}

func (c *scene) unsubscribe(id, name, path string) {
	c.t.Helper()
	must[wire.OK](c, RecordUnsubscribe{c.by(id), wire.RecordUnsubscribe{Records: []wire.RecordName{{Name: name, Path: path}}}})
	delete(c.clients[id].replicas, name)
	delete(c.clients[id].parts, wire.RecordName{Name: name, Path: path})
}

// write writes and returns the version.
func (c *scene) write(id, name string, operations ...wire.Operation) uint64 {
	c.t.Helper()
	return must[wire.Written](c, c.writing(id, name, operations...)).Version
}

func (c *scene) writing(id, name string, operations ...wire.Operation) RecordWrite {
	return RecordWrite{c.by(id), wire.RecordWrite{Name: name, Operations: operations}}
}

// read returns the document at a version (0: the present one) as JSON text.
func (c *scene) read(name string, version uint64) string {
	c.t.Helper()
	body := must[wire.Records](c, RecordRead{c.by("http"), wire.RecordRead{Records: []wire.RecordWanted{{Name: name, Version: version}}}})
	if r := body.Results[0]; r.Error != nil {
		return string(r.Error.Code)
	}
	return string(body.Results[0].Record.Value)
}

// events returns what a client was told since it was asked last.
func (c *scene) events(id string) []told {
	all := c.clients[id].inbox
	c.clients[id].inbox = nil
	return all
}

// check is what always holds.
func (c *scene) check() {
	c.t.Helper()
	bytes, timers := 0, 0
	if len(c.s.records) > c.s.config.MaxRecords {
		c.t.Fatalf("%d records are more than %d", len(c.s.records), c.s.config.MaxRecords)
	}
	for name, r := range c.s.records {
		if !r.value.root() || r.value.Size() > wire.MaxRecordBytes || r.value.depth() > wire.MaxRecordDepth {
			c.t.Fatalf("%s is no document", name)
		}
		if n := len(r.value.JSON()); n != r.value.Size() {
			c.t.Fatalf("%s: size %d, encoded %d: %s", name, r.value.Size(), n, r.value.JSON())
		}
		if len(r.past) > r.history || r.pastSize > MaxHistoryBytes || r.pastSteps > MaxHistoryOperations {
			c.t.Fatalf("%s: history of %d, %d bytes, %d operations", name, len(r.past), r.pastSize, r.pastSteps)
		}
		if c.store.byHand {
			c.checkMeasure(name, r)
		}
		if !r.expires.IsZero() {
			timers++
		}
		bytes += r.held()
	}
	if bytes != c.s.bytes || bytes > c.s.config.MaxBytes {
		c.t.Fatalf("scope has %d bytes, its books say %d, the limit is %d", bytes, c.s.bytes, c.s.config.MaxBytes)
	}
	values := 0
	for _, x := range c.s.calls {
		values += len(x.value)
	}
	if values != c.s.callBytes {
		c.t.Fatalf("calls have %d bytes, the books say %d", values, c.s.callBytes)
	}
	for name, w := range c.s.watches {
		all := slices.Clone(w.whole.sessions)
		for _, p := range w.parts {
			all = append(all, p.sessions...)
		}
		slices.Sort(all)
		if all = slices.Compact(all); !slices.Equal(w.sessions(), all) {
			c.t.Fatalf("%s: the books say that %v are subscribed, it is %v", name, w.sessions(), all)
		}
	}
	if n := timers + len(c.s.calls); n != len(c.s.timers) {
		c.t.Fatalf("%d timers for %d records and calls", len(c.s.timers), n)
	}
	if n := len(c.s.unsettling); len(c.s.unsettled) > n {
		c.t.Fatalf("%d records wait, and %d are to be settled", len(c.s.unsettled), n)
	}
	for id, x := range c.clients {
		for name, have := range x.replicas {
			if len(c.store.held) > 0 && c.s.unstored(name) {
				continue // it is told later
			}
			r := c.s.records[name]
			if r == nil {
				r = &record{}
			}
			if have.version != r.version || have.incarnation != r.incarnation || !reflect.DeepEqual(have.value, plain(r.value.JSON())) {
				c.t.Fatalf("%s has %s as %+v, it is %d/%d %s", id, name, *have, r.incarnation, r.version, r.value.JSON())
			}
		}
		for key, have := range x.parts {
			if len(c.store.held) > 0 && c.s.unstored(key.Name) {
				continue
			}
			var now Value
			if r := c.s.records[key.Name]; r != nil {
				path, _ := ParsePath(key.Path)
				now = r.value.Get(path)
			}
			if !reflect.DeepEqual(have, plain(now.JSON())) {
				c.t.Fatalf("%s has %v as %v, it is %s", id, key, have, now.JSON())
			}
		}
	}
	c.checkLinks()
}

// checkLinks: the tables of the scope and of its sessions say the same.
func (c *scene) checkLinks() {
	c.t.Helper()
	links, calls := 0, 0
	for id, p := range c.s.sessions {
		links += len(p.links)
		for _, x := range p.open {
			if c.s.calls[x.id] != x || x.caller != p {
				c.t.Fatalf("%s waits for a call that there is not", id)
			}
		}
		calls += len(p.open)
	}
	count := len(c.s.everybody.sessions) + len(c.s.listeners)
	for _, w := range c.s.watches {
		count += len(w.whole.sessions)
		for _, p := range w.parts {
			count += len(p.sessions)
		}
	}
	for _, e := range c.s.events {
		count += len(e.sessions)
	}
	for _, p := range c.s.providers {
		count += len(p)
	}
	for _, a := range c.s.somebody {
		count += len(a.sessions)
	}
	if links != count || calls+c.s.strangers != len(c.s.calls) {
		c.t.Fatalf("%d links and %d calls of sessions, %d of others, the scope's tables have %d and %d", links, calls, c.s.strangers, count, len(c.s.calls))
	}
}

// checkStored: what was stored leads to the durable records, with their histories.
func (c *scene) checkStored(commits []Commit) {
	c.t.Helper()
	back := New(c.config)
	for _, commit := range commits {
		if err := back.Replay(commit); err != nil {
			c.t.Fatalf("replay: %v", err)
		}
	}
	if err := back.Replayed(); err != nil {
		c.t.Fatalf("replay: %v", err)
	}
	want := map[string]Entry{}
	for name, r := range c.s.records {
		if r.durable {
			want[name] = r.whole()
		}
	}
	got := map[string]Entry{}
	for name, r := range back.records {
		got[name] = r.whole()
		if there := c.s.records[name]; there != nil && (len(r.past) != len(there.past) || !r.expires.Equal(there.expires)) {
			c.t.Fatalf("%s keeps %d versions until %v, and what was stored %d until %v", name, len(there.past), there.expires, len(r.past), r.expires)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		c.t.Fatalf("what was stored leads elsewhere (-there +stored):\n%s", d)
	}
	for _, commit := range commits {
		for _, e := range commit.Entries {
			if e.Incarnation > back.incarnations { // also of what is deleted
				c.t.Fatalf("%s had incarnation %d, and after what was stored the next one is %d", e.Name, e.Incarnation, back.incarnations+1)
			}
		}
	}
}

// checkMeasure: what is said of a record's size is so, and its whole copy is not larger than that.
func (c *scene) checkMeasure(name string, r *record) {
	c.t.Helper()
	b, err := json.Marshal(r.whole())
	if most := 512 + 6*len(name) + r.value.Size() + r.pastSize; err != nil || len(b) > most {
		c.t.Fatalf("%s: a whole copy has %d bytes, not %d at most (%v)", name, len(b), most, err)
	}
	if again := valueOf(c.t, r.value.Any()); again.measured() != r.value.measured() {
		c.t.Fatalf("%s: measures %+v, read again %+v", name, r.value.measured(), again.measured())
	}
}

// nothing is where there is no value, which is not null.
type nothing struct{}

// plain decodes JSON as encoding/json does.
func plain(b json.RawMessage) any {
	if b == nil {
		return nothing{}
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		panic(err)
	}
	return v
}

// plainApply is what the protocol says of operations, written a second time and without regard to speed.
func plainApply(v any, o wire.Operation) any {
	value := plain(o.Value)
	list := func() []any {
		if l, ok := v.([]any); ok {
			return slices.Clone(l)
		}
		return []any{}
	}
	path, refused := ParsePath(o.Path)
	if refused != nil {
		panic(refused)
	}
	switch o.Op {
	case wire.OperationSet:
		return plainSet(v, path, value)
	case wire.OperationErase:
		return plainErase(v, path)
	case wire.OperationInsert:
		return slices.Insert(list(), *o.At, value)
	case wire.OperationRemove, wire.OperationMove:
		l := list()
		if l[*o.At] != value {
			panic(fmt.Sprintf("%v is not at %d of %v", value, *o.At, l))
		}
		l = slices.Delete(l, *o.At, *o.At+1)
		if o.Op == wire.OperationMove {
			l = slices.Insert(l, *o.To, value)
		}
		return l
	}
	panic("a client was told " + string(o.Op))
}

// unknown is a document of which the plain description says nothing.
type unknown struct{}

// plainWrite is what the protocol says that the operations of a write make of a document, and with which code they are refused.
func plainWrite(was Value, operations []wire.Operation) (v any, code wire.Code) {
	v = plain(was.JSON())
	for _, o := range operations {
		path, _ := ParsePath(o.Path)
		switch o.Op {
		case wire.OperationSet:
			value := plain(o.Value)
			if len(path) == 0 && !isRoot(value) || !plainLeads(v, path) {
				return nil, wire.CodeBadRequest
			}
			v = plainSet(v, path, value)
		case wire.OperationErase:
			if len(path) == 0 {
				return nil, wire.CodeBadRequest
			}
			if plainHas(v, path) {
				v = plainErase(v, path)
			}
		default:
			if v == (nothing{}) {
				v = []any{}
			}
			l, ok := v.([]any)
			if !ok || slices.ContainsFunc(l, func(x any) bool { _, text := x.(string); return !text }) {
				return nil, wire.CodeBadRequest
			}
			v = plainEntry(slices.Clone(l), o)
		}
		if v == (unknown{}) {
			return v, ""
		}
	}
	if v == (nothing{}) {
		return nil, wire.CodeNotFound
	}
	return v, ""
}

func isRoot(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// plainLeads tells whether nothing on the way along a path is of another kind.
func plainLeads(v any, path Path) bool {
	for _, step := range path {
		switch c := v.(type) {
		case nil, nothing:
			return true
		case map[string]any:
			if step.InArray {
				return false
			}
			v = c[step.Key]
		case []any:
			if !step.InArray {
				return false
			}
			if v = nil; step.Place < len(c) {
				v = c[step.Place]
			}
		default:
			return false
		}
	}
	return true
}

// plainHas tells whether something is at a path.
func plainHas(v any, path Path) bool {
	for _, step := range path {
		switch c := v.(type) {
		case map[string]any:
			x, ok := c[step.Key]
			if !ok || step.InArray {
				return false
			}
			v = x
		case []any:
			if !step.InArray || step.Place >= len(c) {
				return false
			}
			v = c[step.Place]
		default:
			return false
		}
	}
	return true
}

// plainEntry is what an operation of lists makes of one.
func plainEntry(l []any, o wire.Operation) any {
	value := plain(o.Value)
	place := func(at *int, most int) int {
		if at == nil {
			return most
		}
		return min(*at, most)
	}
	at := place(o.At, len(l))
	if o.Op == wire.OperationInsert {
		return slices.Insert(l, at, value)
	}
	if o.Op == wire.OperationEntries {
		return unknown{}
	}
	if o.At == nil {
		at = 0
	}
	nearest := -1
	for i, x := range l {
		if x == value && (nearest < 0 || max(at-i, i-at) < max(at-nearest, nearest-at)) {
			nearest = i
		}
	}
	if nearest < 0 {
		return l
	}
	if l = slices.Delete(l, nearest, nearest+1); o.Op == wire.OperationMove {
		l = slices.Insert(l, place(o.To, len(l)), value)
	}
	return l
}

func plainSet(v any, path Path, value any) any {
	if len(path) == 0 {
		return value
	}
	if path[0].InArray {
		l, _ := v.([]any)
		l = slices.Clone(l)
		for len(l) < path[0].Place {
			l = append(l, nil)
		}
		if path[0].Place == len(l) {
			l = append(l, nothing{})
		}
		l[path[0].Place] = plainSet(l[path[0].Place], path[1:], value)
		return l
	}
	m := map[string]any{}
	if old, ok := v.(map[string]any); ok {
		for k, x := range old {
			m[k] = x
		}
	}
	m[path[0].Key] = plainSet(m[path[0].Key], path[1:], value)
	return m
}

func plainErase(v any, path Path) any {
	switch c := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for k, x := range c {
			if k != path[0].Key {
				m[k] = x
			} else if len(path) > 1 {
				m[k] = plainErase(x, path[1:])
			}
		}
		return m
	case []any:
		l := slices.Clone(c)
		if len(path) == 1 {
			return slices.Delete(l, path[0].Place, path[0].Place+1)
		}
		l[path[0].Place] = plainErase(l[path[0].Place], path[1:])
		return l
	}
	return v
}

func set(path, value string) wire.Operation {
	return wire.Operation{Op: wire.OperationSet, Path: path, Value: json.RawMessage(value)}
}

func erase(path string) wire.Operation { return wire.Operation{Op: wire.OperationErase, Path: path} }

func entry(kind wire.OperationKind, value string, places ...int) wire.Operation {
	b, _ := json.Marshal(value)
	o := wire.Operation{Op: kind, Value: b}
	if len(places) > 0 {
		o.At = &places[0]
	}
	if len(places) > 1 {
		o.To = &places[1]
	}
	return o
}

func entries(base uint64, values ...string) wire.Operation {
	b, _ := json.Marshal(values)
	return wire.Operation{Op: wire.OperationEntries, Value: b, Base: base}
}

// room returns a scene with these sessions.
func room(t *testing.T, ids ...string) *scene {
	t.Helper()
	c := newScene(t, Config{})
	c.attach(ids...)
	return c
}
