package client

import (
	"math"
	"slices"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// core is one record that is subscribed to: its replica, its writes on their way to the server, and who is told what has changed. Records and
// lists are two views of it.
type core struct {
	// static after construction
	name    string
	records *records
	options RecordOptions
	ready   chan struct{} // closed when it is here, or has ended
	over    chan struct{} // closed when it has ended

	// guarded by the Room's mu
	replica   replica
	watchers  []*watcher
	providing []*user[func(bool)] // are told whether it is provided
	isReady   bool
	sending   bool
	inDoubt   bool // it is being found out whether writes without a reply were carried out: nothing is sent
	provided  bool
	apart     *before // as it was when the connection was lost, if it is or what waits has not met it since
	ended     error
	users     int
	asks      int // how often it was subscribed to: only the newest result counts
}

// watcher is told what is at a path.
type watcher struct {
	path  state.Path  // static after construction
	last  state.Value // that it is, or will be, told; guarded by the Room's mu
	heard state.Value // that it was called with; of the goroutine that calls
	*user[func(change)]
}

// change is what has become of what is at a path.
type change struct {
	now, before state.Value
	by          string // empty: not known, or several
	version     uint64 // of the record
}

// hear calls fn with a change, unless those that it was not told in between have come back to what it knows.
func (w *watcher) hear(x change, missed int, fn func(change)) {
	x.before = w.heard
	if x.now.Equal(x.before) {
		return
	}
	if missed > 0 { // perhaps of others
		x.by = ""
	}
	w.heard = x.now
	fn(x)
}

// pending tells whether there are writes that the server has not confirmed.
func (c *core) pending() bool {
	return slices.ContainsFunc(c.replica.writes, func(w *write) bool { return w.written == nil })
}

// write begins a write, and those that follow it or are not made at all. They are seen here at once. done of each is called when the server has
// carried it out, or has not.
func (c *core) write(first *write) {
	c.changeBy(c.records.state.room.identity, func() {
		for w := first; w != nil; w = w.next {
			if err := c.begin(w); err != nil {
				c.giveUp(err, first) // nothing of it was sent yet
				for ; w != nil; w = w.next {
					w.done(err)
				}
				return
			}
		}
	})
	c.records.makeReady(c)
}

// begin adds a write to those that are on their way, or says why it cannot be.
func (c *core) begin(w *write) error {
	switch {
	case c.ended != nil:
		return c.ended
	case !w.deletes && len(w.operations) == 0:
		return wire.NewError(wire.CodeBadRequest, "the write has no operation", "")
	case len(w.operations) > wire.MaxWriteOperations:
		return wire.NewError(wire.CodeLimit, "too many operations in one write", "write in parts")
	}
	if err := c.records.admit(w.size); err != nil {
		return err
	}
	if refused := c.replica.add(w); refused != nil {
		c.records.settled(w.size)
		return refused
	}
	return nil
}

// What the server tells.

// asked: it is subscribed to.
func (c *core) asked() int {
	c.asks++
	return c.asks
}

// taken takes the result of subscribing.
func (c *core) taken(result wire.RecordResult) {
	st := result.Record
	if st == nil {
		if result.Error != nil {
			c.end(result.Error)
		} else {
			c.end(wire.NewError(wire.CodeInternal, "the server did not say what the record is", ""))
		}
		return
	}
	value, refused := parse(st)
	if refused != nil {
		c.end(refused)
		return
	}
	live := c.replica.live
	var b before
	if !live {
		b = c.takeBefore()
	}
	c.change(func() {
		c.replica.take(st, value)
		if !live {
			c.meetAgain(b)
		}
	})
	c.provide(st.Provided)
	c.settleReady()
	c.records.makeReady(c)
}

// parse reads the document of a record; none where it is left out.
func parse(st *wire.RecordState) (state.Value, *wire.Error) {
	if len(st.Value) == 0 {
		return state.Value{}, nil
	}
	return state.Parse(st.Value)
}

func (c *core) settleReady() {
	if !c.isReady {
		c.isReady = true
		close(c.ready)
	}
}

func (c *core) changed(e wire.RecordChanged) {
	c.changeBy(e.By, func() {
		if c.replica.changed(e) == lost {
			c.replica.live = false
			c.records.resubscribe(c)
		}
	})
}

func (c *core) deleted(e wire.RecordDeleted) {
	c.changeBy(e.By, func() { c.replica.deleted(have{e.Incarnation, e.Version}) })
}

// end: it is over, as it is not allowed any more, was closed, or the room has ended.
func (c *core) end(err error) {
	if c.ended != nil {
		return
	}
	c.ended = err
	c.replica.live = false
	c.change(func() { c.giveUp(err, slices.Clone(c.replica.writes)...) })
	c.settleReady()
	close(c.over)
}

// send sends what is next, and reports whether there was something that can be sent now.
func (c *core) send() bool {
	if c.sending || c.inDoubt || c.ended != nil || !c.replica.live {
		return false
	}
	batch := nextBatch(c.replica.writes)
	if len(batch) == 0 {
		return false
	}
	c.sending = true
	for _, w := range batch {
		w.underway, w.gone, w.since = true, false, c.replica.newest(w.target)
	}
	typ, body := c.request(batch)
	c.records.state.ask(typ, body, func(m wire.Message, err error) {
		if c.ended == nil { // else all its writes have ended
			c.change(func() { c.answered(batch, m, err) })
		}
		if crowded(err) {
			c.records.state.room.later(pauseOf(err, 0), c.sent)
			return
		}
		c.sent()
	})
	return true
}

func (c *core) sent() {
	c.sending = false
	c.records.sent(c)
}

// request is what asks for a batch.
func (c *core) request(batch []*write) (string, any) {
	first, target, scope := batch[0], batch[0].target, c.records.state.scope
	if first.deletes {
		ask := wire.RecordDelete{Scope: scope, Name: c.name, Incarnation: target}
		if v := first.options.Version; v != nil {
			ask.Version = *v
		}
		return wire.TypeRecordDelete, ask
	}
	ask := wire.RecordWrite{Scope: scope, Name: c.name, Version: first.options.Version, Incarnation: target}
	if seen := first.seen; first.sees {
		ask.Version = &seen
	}
	if ask.Version != nil && *ask.Version == 0 {
		ask.Incarnation = 0
	}
	ask.TTLSeconds, ask.History = first.options.TTLSeconds, first.options.History
	if target == 0 { // this write creates it, perhaps
		ask.Durable = c.options.Durable
		if ttl, history := c.options.TTLSeconds, c.options.History; ttl != nil || history != nil {
			ask.Initial = &wire.RecordSettings{TTLSeconds: ttl, History: history}
		}
	}
	for _, w := range batch {
		ask.Operations = append(ask.Operations, w.operations...)
	}
	return wire.TypeRecordWrite, ask
}

// answered takes the reply to a batch.
func (c *core) answered(batch []*write, m wire.Message, err error) {
	if err == nil && batch[0].deletes {
		c.erased(batch)
		return
	}
	var written wire.Written
	if err == nil {
		written, err = decode[wire.Written](m)
	}
	if err != nil {
		c.refused(batch, err)
		return
	}
	c.replica.acknowledge(batch, have{written.Incarnation, written.Version})
	c.conclude(batch, nil)
}

// conclude tells those who made writes how they have ended.
func (c *core) conclude(writes []*write, err error) {
	for _, w := range writes {
		c.records.settled(w.size)
		w.done(err)
	}
}

// erased: the server has deleted the record.
func (c *core) erased(batch []*write) {
	c.replica.drop(batch...)
	c.gone(batch[0].target)
	c.conclude(batch, nil)
}

// gone: there is no such incarnation any more. Of which version it was last is not known.
func (c *core) gone(incarnation uint64) { c.replica.deleted(have{incarnation, math.MaxUint64}) }

func (c *core) refused(batch []*write, err error) {
	for _, w := range batch {
		w.underway = false
		w.uncertain = w.uncertain || isLost(err)
		w.hidden = w.hidden && isLost(err) // else it is not in the record, whatever was read
	}
	c.replica.settle()
	switch code := codeOf(err); {
	case isLost(err), crowded(err):
	case code == wire.CodeConflict:
		c.conflict(batch, err)
	case code == wire.CodeNotFound && batch[0].uncertain && batch[0].deletes:
		c.erased(batch)
	case code == wire.CodeInternal, code == wire.CodeTimeout: // perhaps it was carried out
		c.replica.live = false
		c.records.resubscribe(c)
		c.giveUp(err, batch...)
	case len(slices.DeleteFunc(slices.Clone(batch), (*write).empty)) == 1:
		c.giveUp(err, batch...)
	default:
		for _, w := range batch {
			w.alone = true
		}
	}
}

func (c *core) conflict(batch []*write, err error) {
	remote := currentOf(err)
	if remote == nil {
		c.giveUp(conflict(nil), batch...)
		return
	}
	value, refused := parse(remote)
	if refused != nil {
		c.giveUp(refused, batch...)
		return
	}
	if !c.replica.live {
		return // it meets the record when that is read anew
	}
	target := batch[0].target
	if remote.Version == 0 {
		c.gone(target)
	} else {
		c.replica.take(remote, value)
	}
	now := c.now() // perhaps newer than what was told
	c.merge(batch, now, now.Version > 0 && now.Incarnation == target)
	c.replica.settle()
}

// before is a record as it was known before it is known again.
type before struct {
	document state.Value
	has      have
	writes   []*write
}

func (c *core) before() before {
	return before{c.replica.document, c.replica.has(), slices.Clone(c.replica.writes)}
}

// part: the connection is lost. What is not sent is old when it is back.
func (c *core) part() {
	if c.apart == nil {
		b := c.before()
		c.apart = &b
	}
}

// together: the session goes on, and the replica has all that was told meanwhile. What waited meets that.
func (c *core) together() {
	if c.apart == nil || !c.replica.live || c.inDoubt {
		return // it meets the record when that is read anew, or nothing is in doubt
	}
	b := c.takeBefore()
	if b.has.version > 0 && b.has.incarnation != c.replica.has().incarnation {
		return // what waits is for one that is gone, which the server says
	}
	c.change(func() { c.meet(b) })
}

// takeBefore is the record as it was when the connection was lost, else as it is, with all writes that were on their way then or were made since.
func (c *core) takeBefore() before {
	b := c.before()
	if was := c.apart; was != nil {
		made := slices.DeleteFunc(b.writes, func(w *write) bool { return slices.Contains(was.writes, w) })
		b = before{was.document, was.has, append(was.writes, made...)}
	}
	c.apart = nil
	return b
}

// meetAgain: writes that waited meet the record, once it is known of those without a reply whether they were carried out.
func (c *core) meetAgain(b before) {
	c.inDoubt = false
	r := &c.replica
	now := r.has()
	doubtful := slices.DeleteFunc(slices.Clone(b.writes), func(w *write) bool {
		return !w.uncertain || w.underway || w.written != nil || w.deletes || w.target != 0 && w.target != now.incarnation
	})
	if len(doubtful) == 0 {
		c.meet(b)
		return
	}
	documents := map[uint64]*state.Value{0: {}}
	document := r.document
	documents[now.version] = &document
	if b.has.incarnation == now.incarnation {
		documents[b.has.version] = &b.document
	}
	versions := versionsSince(doubtful[0].since, now.version)
	var wanted []uint64
	for _, v := range versions {
		if documents[v] == nil && v != math.MaxUint64 {
			wanted = append(wanted, v)
		}
	}
	if len(wanted) == 0 || len(wanted) > wire.MaxHistory {
		c.judge(doubtful, now.incarnation, versions, documents)
		c.meet(b)
		return
	}
	c.inDoubt = true
	for _, w := range doubtful {
		w.hidden = w.hidden || !w.repeatable() // perhaps it is in there, and would be seen twice
	}
	r.settle()
	c.look(wanted, now.incarnation, documents, func() {
		c.judge(doubtful, now.incarnation, versions, documents)
		c.meet(b)
	})
}

// versionsSince are those from one to another, or what stands for more than anybody remembers.
func versionsSince(since, now uint64) []uint64 {
	if now-since > wire.MaxHistory+1 {
		return []uint64{math.MaxUint64, now}
	}
	var versions []uint64
	for v := since; v <= now; v++ {
		versions = append(versions, v)
	}
	return versions
}

// look reads earlier versions, and then calls done, unless the record is read anew by then or will be, or has ended.
func (c *core) look(versions []uint64, incarnation uint64, documents map[uint64]*state.Value, done func()) {
	asks := c.asks
	c.records.past(c.name, versions, func(results []wire.RecordResult, err error) {
		if c.ended != nil || !c.replica.live || asks != c.asks || isLost(err) {
			return
		}
		for _, x := range results {
			if x.Record == nil || x.Record.Incarnation != incarnation {
				continue
			}
			if value, refused := parse(x.Record); refused == nil {
				documents[x.Record.Version] = &value
			}
		}
		c.inDoubt = false
		c.change(done)
		if c.records.state.room.session.isCaughtUp() {
			c.together()
		}
		c.records.makeReady(c)
	})
}

// judge: writes that were sent as one and have no reply end, or wait like others.
func (c *core) judge(doubtful []*write, incarnation uint64, versions []uint64, documents map[uint64]*state.Value) {
	known := make([]*state.Value, len(versions))
	for i, v := range versions {
		known[i] = documents[v]
	}
	switch f, made := fateOf(doubtful, known); f {
	case carried:
		c.replica.acknowledge(doubtful, have{incarnation, versions[made]})
		c.conclude(doubtful, nil)
	case unknown:
		c.giveUp(errUncertain(), doubtful...)
	default:
		for _, w := range doubtful {
			w.uncertain, w.hidden = false, false
		}
	}
}

// meet: writes that waited meet the record as it is now. Those that are underway have a reply to come.
func (c *core) meet(b before) {
	r := &c.replica
	sameRecord := r.document.Exists() && b.has.incarnation == r.incarnation
	if b.has == (have{}) {
		sameRecord = !b.document.Exists() && !r.document.Exists()
	}
	sameVersion := sameRecord && b.has.version == r.has().version
	created := b.has == (have{}) && r.document.Exists() // meanwhile, where nothing was
	known := []state.Value{b.document}
	for _, w := range b.writes {
		known = append(known, w.after)
	}
	for _, w := range b.writes {
		if w.written != nil || w.underway || !slices.Contains(r.writes, w) { // or it was given up with one before it
			continue
		}
		w.hidden = false
		w.uncertain = w.uncertain && w.deletes // where the record is gone, it was deleted
		if w.conflicts(known, r.document, sameRecord || created, sameVersion) {
			c.merge([]*write{w}, c.now(), sameRecord || created)
		}
	}
	r.retarget(b.writes)
	r.settle()
}

// now is the record as the server has it, as far as is known here.
func (c *core) now() *wire.RecordState {
	has := c.replica.has()
	return &wire.RecordState{Name: c.name, Incarnation: has.incarnation, Version: has.version, Value: c.replica.document.JSON()}
}

func (c *core) merge(writes []*write, remote *wire.RecordState, sameRecord bool) {
	if err := c.options.Merge.merge(writes, remote, sameRecord); err != nil {
		c.giveUp(err, writes...)
	}
}

// giveUp ends writes that are still on their way, and with each those that follow it.
func (c *core) giveUp(err error, writes ...*write) {
	var gone, open []*write
	ends := slices.Clone(writes)
	for _, w := range c.replica.writes {
		if !slices.Contains(ends, w) {
			continue
		}
		if gone = append(gone, w); w.written == nil {
			open, ends = append(open, w), append(ends, w.next)
		}
	}
	c.replica.drop(gone...)
	c.conclude(open, err)
}

func (c *core) provide(provided bool) {
	if provided == c.provided {
		return
	}
	c.provided = provided
	for _, u := range c.providing {
		u.tell(c.records.state.room.calls, func(fn func(bool), missed int) {
			if missed%2 == 0 { // else it is again what it was
				fn(provided)
			}
		})
	}
}

// change changes the replica, nobody knows by whom, and tells what has come of it.
func (c *core) change(act func()) { c.changeBy("", act) }

func (c *core) changeBy(by string, act func()) {
	before := c.replica.view
	act()
	after := c.replica.view
	if before.Equal(after) {
		return
	}
	for _, w := range c.watchers {
		if value := after.Get(w.path); !value.Equal(w.last) {
			w.last = value
			x := change{now: value, by: by, version: c.replica.shown()}
			w.tell(c.records.state.room.calls, func(fn func(change), missed int) { w.hear(x, missed, fn) })
		}
	}
}
