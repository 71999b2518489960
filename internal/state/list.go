package state

import (
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// list returns the entries of a value that is a list.
func (v Value) list() ([]Value, bool) {
	a, ok := v.v.(*array)
	if !ok || slices.ContainsFunc(a.items, func(x Value) bool { _, ok := x.v.(string); return !ok }) {
		return nil, false
	}
	return a.items, true
}

// applyToList carries out one of the operations that are for lists.
func (c *change) applyToList(o operation, old func(version uint64) Value) *wire.Error {
	if !c.value.Exists() {
		c.value = Value{&array{size: 2}}
		c.done = append(c.done, operation{kind: wire.OperationSet, value: c.value, at: -1, to: -1})
	}
	items, ok := c.value.list()
	if !ok {
		return badRequest("the record is not a list", "set the root to an array of strings")
	}
	if o.kind == wire.OperationEntries {
		return c.merge(items, o, old)
	}
	return c.step(o)
}

// step inserts, removes or moves one entry of what is a list.
func (c *change) step(o operation) *wire.Error {
	a := c.value.v.(*array)
	if o.kind == wire.OperationInsert {
		if len(a.items) == wire.MaxElements {
			return tooMany()
		}
		if o.at < 0 || o.at > len(a.items) {
			o.at = len(a.items)
		}
		o.to = -1
		c.value = Value{a.insert(o.at, o.value)}
		c.note(o, operation{kind: wire.OperationRemove, value: o.value, at: o.at, to: -1})
		return nil
	}
	at := nearest(a.items, o.value, max(0, o.at))
	if at < 0 {
		return nil
	}
	o.at = at
	rest := a.remove(at)
	if o.kind == wire.OperationRemove {
		o.to = -1
		c.value = Value{rest}
		c.note(o, operation{kind: wire.OperationInsert, value: o.value, at: at, to: -1})
		return nil
	}
	o.to = min(o.to, len(rest.items))
	c.value = Value{rest.insert(o.to, o.value)}
	c.note(o, operation{kind: wire.OperationMove, value: o.value, at: o.to, to: at})
	return nil
}

func (c *change) note(done, undo operation) {
	c.done = append(c.done, done)
	c.undo = slices.Insert(c.undo, 0, undo)
}

// nearest returns the place of an entry with this value that is nearest to at, the first of two; -1: there is none.
func nearest(items []Value, value Value, at int) int {
	best := -1
	for i, x := range items {
		if x == value && (best < 0 || abs(i-at) < abs(best-at)) {
			best = i
		}
		if best >= 0 && i-at > abs(best-at) {
			break
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// merge applies what was changed since the version from which the entries were made.
func (c *change) merge(items []Value, o operation, old func(version uint64) Value) *wire.Error {
	base, ok := items, true
	if o.base > 0 {
		if v := old(o.base); v.Exists() {
			base, ok = v.list()
		}
	}
	wanted, _ := o.value.list()
	steps, few := diff(base, wanted)
	if !ok || !few {
		return c.apply(operation{kind: wire.OperationSet, value: o.value}, old)
	}
	return c.steps(steps)
}

// relist makes a list another one by single operations, where these are shorter than the list. It reports whether it did.
func (c *change) relist(to Value) (done bool, refused *wire.Error) {
	items, ok := c.value.list()
	wanted, list := to.list()
	if !ok || !list {
		return false, nil
	}
	steps, few := diff(items, wanted)
	size := 0
	for _, o := range steps {
		size += o.size()
	}
	if !few || size > to.Size() {
		return false, nil
	}
	return true, c.steps(steps)
}

func (c *change) steps(steps []operation) *wire.Error {
	for _, o := range steps {
		if refused := c.step(o); refused != nil {
			return refused
		}
	}
	return nil
}

// diff returns operations that make one list of the other: removals from the back to the front, then from the front on what is
// inserted or moved. It gives up, and reports false, where the parts that differ are longer than MaxDiffEntries.
//
// Equal entries are the same in their order. Of those that stay, the longest run that keeps its order is not moved; whatever else there
// is gets to its place right behind what precedes it.
func diff(from, to []Value) (steps []operation, few bool) {
	head := 0
	for head < len(from) && head < len(to) && from[head] == to[head] {
		head++
	}
	tail := 0
	for tail < len(from)-head && tail < len(to)-head && from[len(from)-1-tail] == to[len(to)-1-tail] {
		tail++
	}
	from, to = from[head:len(from)-tail], to[head:len(to)-tail]
	if len(from) > MaxDiffEntries || len(to) > MaxDiffEntries {
		return nil, false
	}
	source := pair(from, to)
	var now []int // what the list holds meanwhile, as places in from; -1: inserted
	for i, x := range slices.Backward(from) {
		if slices.Contains(source, i) {
			now = append(now, i)
		} else {
			steps = append(steps, operation{kind: wire.OperationRemove, value: x, at: head + i, to: -1})
		}
	}
	slices.Reverse(now)
	stays := increasing(source)
	cursor := 0 // behind what is in its place
	for k, x := range to {
		i := source[k]
		if i < 0 {
			steps = append(steps, operation{kind: wire.OperationInsert, value: x, at: head + cursor, to: -1})
			now = slices.Insert(now, cursor, -1)
			cursor++
			continue
		}
		at := slices.Index(now, i)
		if stays[i] {
			cursor = at + 1
			continue
		}
		if now = slices.Delete(now, at, at+1); at < cursor {
			cursor--
		}
		now = slices.Insert(now, cursor, i)
		if at != cursor {
			steps = append(steps, operation{kind: wire.OperationMove, value: x, at: head + at, to: head + cursor})
		}
		cursor++
	}
	return steps, true
}

// pair returns for each entry of to its place in from; -1: it has none.
func pair(from, to []Value) []int {
	places := map[Value][]int{}
	for i, x := range from {
		places[x] = append(places[x], i)
	}
	source := make([]int, len(to))
	for k, x := range to {
		source[k] = -1
		if p := places[x]; len(p) > 0 {
			source[k], places[x] = p[0], p[1:]
		}
	}
	return source
}

// increasing returns which of the places belong to the longest run that grows.
func increasing(places []int) map[int]bool {
	before := map[int]int{}
	var ends []int // ends[n] is the smallest place that ends a run of n+1
	for _, p := range places {
		if p < 0 {
			continue
		}
		n, _ := slices.BinarySearch(ends, p)
		before[p] = -1
		if n > 0 {
			before[p] = ends[n-1]
		}
		ends = append(ends[:n], append([]int{p}, ends[min(n+1, len(ends)):]...)...)
	}
	stays := map[int]bool{}
	if len(ends) > 0 {
		for p := ends[len(ends)-1]; p >= 0; p = before[p] {
			stays[p] = true
		}
	}
	return stays
}
