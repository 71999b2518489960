package client

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// List is strings in an order, the same one several times perhaps: a record whose document is an array of strings. Who add, remove and move at
// once do not undo one another. It is safe for concurrent use.
type List struct{ view }

func newList(c *core) *List { return &List{view{core: c, mu: &c.records.state.room.mu}} }

// Entries in their order; none where there is no list.
func (l *List) Entries() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries, _ := l.core.replica.view.Entries()
	return entries
}

// Add adds an entry at the end.
func (l *List) Add(ctx context.Context, entry string) error {
	return l.change(ctx, wire.OperationInsert, entry, nil, nil)
}

// Insert inserts an entry at a place; one beyond the end is the end.
func (l *List) Insert(ctx context.Context, entry string, at int) error {
	return l.change(ctx, wire.OperationInsert, entry, &at, nil)
}

// Remove removes an entry: of several equal ones the one nearest to a place. What is not there is not removed.
func (l *List) Remove(ctx context.Context, entry string, at int) error {
	return l.change(ctx, wire.OperationRemove, entry, &at, nil)
}

// Move moves an entry to the place that it shall have; of several equal ones the one nearest to the place from.
func (l *List) Move(ctx context.Context, entry string, from, to int) error {
	return l.change(ctx, wire.OperationMove, entry, &from, &to)
}

func (l *List) change(ctx context.Context, kind wire.OperationKind, entry string, at, to *int) error {
	value, err := encode(entry)
	if err != nil {
		return err
	}
	return l.writeAll(ctx, []wire.Operation{{Op: kind, Value: value, At: at, To: to}})
}

func (l *List) writeAll(ctx context.Context, operations []wire.Operation) error {
	return wait(ctx, l.begin(&write{operations: operations, size: sizeOf(operations)}))
}

// Set makes the list this one. What others change meanwhile stays: only what differs is written, unless that is most of a long list. Where that is
// more than one write may have it is written in parts: when one of them is refused, the error is that one's, those before it stay, those behind it
// are not written, and Entries are what the server has.
func (l *List) Set(ctx context.Context, entries []string) error {
	l.mu.Lock()
	now, exists := l.core.replica.view.Entries()
	version, known := l.core.replica.has().version, len(l.core.replica.writes) == 0
	l.mu.Unlock()
	steps, few := state.Steps(now, entries)
	if exists && few && len(steps) == 0 {
		return nil
	}
	value, err := encode(append([]string{}, entries...))
	switch {
	case err != nil:
		return err
	case few && len(steps) > 0 && len(steps) <= wire.MaxWriteOperations:
		return l.writeAll(ctx, steps)
	case version > 0 && known: // too many to name in one write: the server finds them, as it knows what the entries were made from
		return l.writeAll(ctx, []wire.Operation{{Op: wire.OperationEntries, Value: value, Base: version}})
	case few && len(steps) > 0:
		return l.writeParts(ctx, steps)
	}
	return l.writeAll(ctx, whole(value))
}

// writeParts writes as many steps at once as there may be, and nothing more once a part was refused.
func (l *List) writeParts(ctx context.Context, steps []wire.Operation) error {
	var first *write
	ended := make(chan error, 1)
	for _, part := range slices.Backward(slices.Collect(slices.Chunk(steps, wire.MaxWriteOperations))) {
		w := &write{operations: part, size: sizeOf(part), next: first, done: func(error) {}}
		if first == nil {
			w.done = func(err error) { ended <- err } // it is refused with whichever is
		}
		first = w
	}
	l.mu.Lock()
	l.core.write(first)
	l.mu.Unlock()
	return wait(ctx, ended)
}

// Subscribe calls fn when the entries are other ones, with those of now, until stop is called.
func (l *List) Subscribe(fn func(entries []string)) (stop func()) {
	return l.watch(nil, false, func(x change) {
		entries, _ := x.now.Entries()
		fn(entries)
	})
}

// EntryChange is an entry that was added, removed or moved.
type EntryChange struct {
	Op    wire.OperationKind // insert, remove or move
	Entry string
	At    int // its place before, or, where it was inserted, after
	To    int // its place after a move
}

// SubscribeEntries calls fn when the entries are other ones, with the changes that lead in their order from the entries that it was called
// with before to those of now, until stop is called. No changes: too much differs.
func (l *List) SubscribeEntries(fn func(changes []EntryChange, entries []string)) (stop func()) {
	return l.watch(nil, false, func(x change) {
		from, _ := x.before.Entries()
		entries, _ := x.now.Entries()
		fn(changesOf(from, entries), entries)
	})
}

func changesOf(from, to []string) []EntryChange {
	steps, _ := state.Steps(from, to)
	changes := make([]EntryChange, len(steps))
	for i, o := range steps {
		changes[i].Op = o.Op
		_ = json.Unmarshal(o.Value, &changes[i].Entry) // it is a string
		if o.At != nil {
			changes[i].At = *o.At
		}
		if o.To != nil {
			changes[i].To = *o.To
		}
	}
	return changes
}
