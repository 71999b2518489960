package client

import (
	"context"

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

// Set makes the list this one. What others change meanwhile stays: only what differs is written.
func (l *List) Set(ctx context.Context, entries []string) error {
	l.mu.Lock()
	now, exists := l.core.replica.view.Entries()
	version, pending := l.core.replica.shown(), l.core.pending()
	l.mu.Unlock()
	steps, few := state.Steps(now, entries)
	if exists && few && len(steps) == 0 {
		return nil
	}
	if few && len(steps) > 0 && len(steps) <= wire.MaxWriteOperations {
		return l.writeAll(ctx, steps)
	}
	value, err := encode(append([]string{}, entries...))
	if err != nil {
		return err
	}
	// Too many to name: the server finds them, where it knows what the entries were made from.
	if version > 0 && !pending {
		return l.writeAll(ctx, []wire.Operation{{Op: wire.OperationEntries, Value: value, Base: version}})
	}
	return l.writeAll(ctx, whole(value))
}

// Subscribe calls fn when the entries are other ones, with those of now, until stop is called.
func (l *List) Subscribe(fn func(entries []string)) (stop func()) {
	return l.watch(nil, func(v state.Value) {
		entries, _ := v.Entries()
		fn(entries)
	})
}
