package client

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Record is a JSON document that is shared. It shows what the server has, with one's own writes on top of it at once. A write that is
// refused is undone here. It is safe for concurrent use.
type Record struct{ view }

// view is what records and lists have in common.
type view struct {
	// static after construction
	core *core
	mu   sync.Locker // the Room's

	// guarded by mu
	ending []*func()
	over   bool
}

func newRecord(c *core) *Record { return &Record{view{core: c, mu: &c.records.state.room.mu}} }

// Name of the record.
func (v *view) Name() string { return v.core.name }

// Version is 1 when it was created, and one more with each write; 0: it does not exist. One's own writes count when the server has them.
func (v *view) Version() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.core.replica.shown()
}

// Pending tells whether some writes are not confirmed yet.
func (v *view) Pending() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.core.pending()
}

// Provided tells whether a client that listens to a pattern provides it.
func (v *view) Provided() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.core.provided
}

// Done is closed when it is not followed any more: it was closed, it is not allowed any more, or the room is over. Err then says why.
func (v *view) Done() <-chan struct{} { return v.core.over }

// Err is why it is not followed any more; nil: it is.
func (v *view) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.core.ended
}

// SubscribeProvided calls fn when Provided has changed, until stop is called.
func (v *view) SubscribeProvided(fn func(provided bool)) (stop func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c, u := v.core, &user[func(bool)]{given: fn}
	c.providing = append(slices.Clone(c.providing), u)
	return v.until(func() { c.providing = without(c.providing, u) })
}

// watch calls fn, one call after the other, when what is at a path is another value; with now, also with what is there now.
func (v *view) watch(path state.Path, now bool, fn func(change)) (stop func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c, u := v.core, &user[func(change)]{given: fn}
	value := c.replica.view.Get(path)
	w := &watcher{path: path, last: value, heard: value, user: u}
	c.watchers = append(slices.Clone(c.watchers), w)
	if now {
		x := change{now: value, version: c.replica.shown()}
		u.last(c.records.state.room.calls, func(fn func(change)) { fn(x) })
	}
	return v.until(func() {
		u.stopped.Store(true)
		c.watchers = slices.DeleteFunc(slices.Clone(c.watchers), func(x *watcher) bool { return x == w })
	})
}

// until is how to end something that Close ends too. The caller holds mu, and so does whoever calls end.
func (v *view) until(end func()) (stop func()) {
	if v.over {
		end()
		return func() {}
	}
	v.ending = append(v.ending, &end)
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		end()
		v.ending = slices.DeleteFunc(v.ending, func(x *func()) bool { return x == &end })
	}
}

// Close follows it no more. Writes that are not confirmed end with ErrClosed.
func (v *view) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return
	}
	v.over = true
	for _, end := range v.ending {
		(*end)()
	}
	v.ending = nil
	v.core.records.close(v.core)
}

// Exists tells whether there is such a record.
func (r *Record) Exists() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.replica.view.Exists()
}

// JSON is what is at a path, "" the document; nil: nothing, or no path.
func (r *Record) JSON(path string) json.RawMessage {
	p, _, err := at(path)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	value := r.core.replica.view.Get(p)
	r.mu.Unlock()
	return value.JSON()
}

// Get decodes what is at a path, "" the document, as encoding/json does, and reports whether there is something.
func (r *Record) Get(path string, into any) (bool, error) {
	if _, _, err := at(path); err != nil {
		return false, err
	}
	b := r.JSON(path)
	if b == nil {
		return false, nil
	}
	return true, json.Unmarshal(b, into)
}

// Set sets what is at a path, "a.b[1].c"; "" the document: the one that was seen here, if the record has a Merge, else whatever is there. Missing parents are made. It returns when the server has carried it out; when ctx
// ends before, the write goes on.
func (r *Record) Set(ctx context.Context, path string, value any) error {
	o, err := SetAt(path, value)
	if err != nil {
		return err
	}
	return r.Write(ctx, []wire.Operation{o}, WriteOptions{})
}

// Erase takes away what is at a path.
func (r *Record) Erase(ctx context.Context, path string) error {
	return r.Write(ctx, []wire.Operation{{Op: wire.OperationErase, Path: path}}, WriteOptions{})
}

// SetAt is the operation that sets what is at a path.
func SetAt(path string, value any) (wire.Operation, error) {
	b, err := encode(value)
	return wire.Operation{Op: wire.OperationSet, Path: path, Value: b}, err
}

// Write carries out several operations in their order, all of them or none, as one version.
func (r *Record) Write(ctx context.Context, operations []wire.Operation, o WriteOptions) error {
	return wait(ctx, r.Send(operations, o))
}

// Send begins what Write does, and returns where the result comes. Writes are carried out in the order in which they were begun, also those that
// wait for a connection.
func (r *Record) Send(operations []wire.Operation, o WriteOptions) (result <-chan error) {
	operations = slices.Clone(operations)
	for i := range operations {
		_, path, err := at(operations[i].Path)
		if err != nil {
			failed := make(chan error, 1)
			failed <- err
			return failed
		}
		operations[i].Path = path
	}
	w := &write{operations: operations, options: o, size: sizeOf(operations)}
	w.sees = r.core.options.Merge.given && o.Version == nil && len(operations) == 1 && operations[0].Op == wire.OperationSet && operations[0].Path == ""
	return r.begin(w)
}

// Delete deletes the record. Whoever follows it goes on to do so.
func (r *Record) Delete(ctx context.Context) error { return wait(ctx, r.begin(&write{deletes: true})) }

// DeleteVersion deletes the record if it has this version. Else it is a conflict: see RecordOptions.Merge.
func (r *Record) DeleteVersion(ctx context.Context, version uint64) error {
	return wait(ctx, r.begin(&write{deletes: true, options: WriteOptions{Version: &version}}))
}

// begin begins a write and returns where its end is told.
func (v *view) begin(w *write) <-chan error {
	ended := make(chan error, 1)
	w.done = func(err error) { ended <- err }
	v.mu.Lock()
	defer v.mu.Unlock()
	v.core.write(w)
	return ended
}

func wait(ctx context.Context, ended <-chan error) error {
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Update replaces the document by what change makes of it, and does so anew where others were faster: nothing that others write is lost. now
// is nil where there is no record; change may run several times, and an error of it ends the Update. The result is not seen here before the
// server has it.
func (r *Record) Update(ctx context.Context, change func(now json.RawMessage) (any, error)) error {
	s := r.core.records.state
	there, err := s.read(ctx, wire.RecordWanted{Name: r.core.name})
	for range maxMerges {
		switch {
		case codeOf(err) == wire.CodeNotFound:
			there = &wire.RecordState{}
		case err != nil:
			return err
		}
		var wanted any
		if wanted, err = change(there.Value); err != nil {
			return err
		}
		var b json.RawMessage
		if b, err = encode(wanted); err != nil {
			return err
		}
		if err = r.replace(ctx, b, there); codeOf(err) != wire.CodeConflict {
			return err
		}
		if there = currentOf(err); there == nil {
			return err
		}
		err = nil
	}
	return conflict(there)
}

// replace writes the document if the record is still what it was.
func (r *Record) replace(ctx context.Context, document json.RawMessage, was *wire.RecordState) error {
	c := r.core
	ask := wire.RecordWrite{
		Scope: c.records.state.scope, Name: c.name, Operations: whole(document), Version: &was.Version, Incarnation: was.Incarnation,
	}
	if was.Version == 0 {
		ask.Incarnation, ask.TTLSeconds, ask.History, ask.Durable = 0, c.options.TTLSeconds, c.options.History, c.options.Durable
	}
	m, err := c.records.state.request(ctx, wire.TypeRecordWrite, ask)
	if err != nil {
		return err
	}
	written, err := decode[wire.Written](m)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c.change(func() { // it is seen from now on, also where the event has not come yet
		w := &write{operations: ask.Operations, written: &have{written.Incarnation, written.Version}}
		if c.replica.live && c.replica.add(w) == nil {
			c.replica.acknowledge([]*write{w}, *w.written)
		}
	})
	return nil
}

// Change is what is at a path now.
type Change struct {
	Value json.RawMessage // nil: there is nothing
	// By is the identity of who wrote; empty: nobody, nobody alone, or it is not known, as it was read anew or what was seen here is undone.
	By      string
	Version uint64 // of the record: see Record.Version
}

// Subscribe calls fn when what is at a path, "" the document, has another value, deeply compared, until stop is called.
func (r *Record) Subscribe(path string, fn func(Change)) (stop func(), err error) {
	return r.subscribe(path, false, fn)
}

// SubscribeNow does what Subscribe does, and before that calls fn with what is there now.
func (r *Record) SubscribeNow(path string, fn func(Change)) (stop func(), err error) {
	return r.subscribe(path, true, fn)
}

func (r *Record) subscribe(path string, now bool, fn func(Change)) (stop func(), err error) {
	p, _, err := at(path)
	if err != nil {
		return nil, err
	}
	return r.watch(p, now, func(x change) { fn(Change{x.now.JSON(), x.by, x.version}) }), nil
}

// Version of a record that the server has kept.
type Version struct {
	Version uint64
	Value   json.RawMessage
}

// History returns earlier versions that the server has kept, the newest first, at most so many.
func (r *Record) History(ctx context.Context, most int) ([]Version, error) {
	var wanted []wire.RecordWanted
	for v := r.Version(); v > 1 && len(wanted) < min(most, wire.MaxHistory); v-- {
		wanted = append(wanted, wire.RecordWanted{Name: r.core.name, Version: v - 1})
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	results, err := r.core.records.state.readAll(ctx, wanted...)
	if err != nil {
		return nil, err
	}
	var versions []Version
	for _, x := range results {
		st, err := recordOf(x)
		if codeOf(err) == wire.CodeNotFound { // it is not kept any more
			continue
		}
		if err != nil {
			return nil, err
		}
		versions = append(versions, Version{st.Version, st.Value})
	}
	return versions, nil
}
