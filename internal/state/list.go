package state

import (
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// list returns the entries of a value that is a list. They change with it.
func (v Value) list() ([]Value, bool) {
	a, ok := v.v.(*array)
	if !ok || a.others > 0 {
		return nil, false
	}
	return a.items, true
}

// applyToList carries out one of the operations that are for lists.
func (c *change) applyToList(o operation) *wire.Error {
	if !c.value.Exists() {
		c.value = Value{newArray(nil)}
		c.done = append(c.done, operation{kind: wire.OperationSet, value: c.value, at: -1, to: -1})
	}
	items, ok := c.value.list()
	switch {
	case !ok:
		return badRequest("the record is not a list", "set the root to an array of strings")
	case o.kind == wire.OperationEntries:
		return c.merge(items, o)
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
	} else {
		at, looked := nearest(a.items, o.value, max(0, o.at))
		if refused := c.look(looked); refused != nil || at < 0 {
			return refused
		}
		o.at = at
		o.to = min(o.to, len(a.items)-1)
		if o.kind == wire.OperationRemove {
			o.to = -1
		}
	}
	// What lies behind moves too: in comparison with looking at it, that is quick.
	if refused := c.look((len(a.items) - o.at) / 8); refused != nil {
		return refused
	}
	a = c.array(a)
	c.value = Value{a}
	if o.kind != wire.OperationInsert {
		a.remove(o.at, o.at+1)
	}
	switch o.kind {
	case wire.OperationInsert:
		a.insert(o.at, o.value)
	case wire.OperationMove:
		a.insert(o.to, o.value)
	}
	c.note(o, o.inverse())
	return nil
}

// look counts entries that were looked at.
func (c *change) look(n int) *wire.Error {
	if c.looked += n; c.looked > MaxLooked && !c.exact {
		return wire.NewError(wire.CodeLimit, "the operations of one write have to look at too much of the list", "send fewer at once, with the places")
	}
	return nil
}

// inverse undoes an insert, a remove or a move that was resolved.
func (o operation) inverse() operation {
	switch o.kind {
	case wire.OperationInsert:
		o.kind = wire.OperationRemove
	case wire.OperationRemove:
		o.kind = wire.OperationInsert
	default:
		o.at, o.to = o.to, o.at
	}
	return o
}

// nearest returns the place of an entry with this value that is nearest to at, the first of two; -1: there is none. It tells at how many
// it looked.
func nearest(items []Value, value Value, at int) (place, looked int) {
	text := value.v.(string)
	is := func(i int) bool {
		looked++
		s, ok := items[i].v.(string)
		return ok && s == text
	}
	at = min(at, len(items))
	for d := 0; d <= at || at+d < len(items); d++ {
		if i := at - d; i >= 0 && i < len(items) && is(i) {
			return i, looked
		}
		if i := at + d; d > 0 && i < len(items) && is(i) {
			return i, looked
		}
	}
	return -1, looked
}

// merge applies what was changed since the version from which the entries were made.
func (c *change) merge(items []Value, o operation) *wire.Error {
	base, ok := items, true
	if o.base > 0 {
		v, refused := c.old(o.base)
		if refused != nil {
			return refused
		}
		if v.Exists() {
			base, ok = v.list()
		}
	}
	if ok && len(base) == len(items) && (len(base) == 0 || &base[0] == &items[0]) { // from the present version
		return c.apply(operation{kind: wire.OperationSet, value: o.value})
	}
	wanted, _ := o.value.list()
	steps, few := c.diff(base, wanted)
	if !ok || !few {
		return c.apply(operation{kind: wire.OperationSet, value: o.value})
	}
	for _, step := range steps {
		if refused := c.step(step); refused != nil {
			return refused
		}
	}
	return nil
}

// relist makes a list another one and tells it by single operations, where these are shorter than the list. It reports whether it did.
func (c *change) relist(to Value) bool {
	items, ok := c.value.list()
	wanted, list := to.list()
	if !ok || !list {
		return false
	}
	steps, few := c.diff(items, wanted)
	if !few || weigh(steps) > to.Size() {
		return false
	}
	for _, o := range steps {
		c.note(o, o.inverse())
	}
	c.value = to
	return true
}

// diff compares two lists, as far as the lists of one write may be compared.
func (c *change) diff(from, to []Value) (steps []operation, few bool) {
	steps, compared, few := diff(from, to, min(MaxDiffEntries, MaxCompared-c.compared))
	c.compared += compared
	return steps, few
}

// diff returns operations that make one list of the other: removals from the back to the front, then from the front on what is
// inserted or moved. It gives up, and reports false, where the parts that differ are longer than most. compared is how long the longer
// one of them was.
//
// Equal entries are the same in their order. Of those that stay, the longest run that keeps its order is not moved; whatever else there
// is gets to its place right behind what precedes it.
func diff(from, to []Value, most int) (steps []operation, compared int, few bool) {
	head := 0
	for head < len(from) && head < len(to) && from[head] == to[head] {
		head++
	}
	tail := 0
	for tail < len(from)-head && tail < len(to)-head && from[len(from)-1-tail] == to[len(to)-1-tail] {
		tail++
	}
	from, to = from[head:len(from)-tail], to[head:len(to)-tail]
	if compared = max(len(from), len(to)); compared > most {
		return nil, 0, false
	}
	source := pair(from, to)
	stays := increasing(source)
	p := newPlacing(len(from), source)
	for i, x := range slices.Backward(from) {
		if !p.kept[i] {
			steps = append(steps, operation{kind: wire.OperationRemove, value: x, at: head + i, to: -1})
		}
	}
	for k, x := range to {
		i := source[k]
		switch {
		case i < 0:
			steps = append(steps, operation{kind: wire.OperationInsert, value: x, at: head + p.cursor(), to: -1})
			p.placed++
		case stays[i]:
			p.anchor(i)
		default:
			at := p.place(i)
			p.take(i)
			if to := p.cursor(); at != to {
				steps = append(steps, operation{kind: wire.OperationMove, value: x, at: head + at, to: head + to})
			}
			p.placed++
		}
	}
	return steps, compared, true
}

// placing knows where the entries of a list are that becomes another one from the front on. Those that stay are anchors; what was placed
// since the last one lies right behind it, what is to be moved still lies where it was between them.
type placing struct {
	kept    []bool // of the entries that there were: it is in the new list
	waiting []int  // a Fenwick tree of those that are not placed yet
	anchors []int  // that have been reached
	before  []int  // how many entries had been placed before each of them was
	placed  int
}

func newPlacing(n int, source []int) *placing {
	p := &placing{kept: make([]bool, n), waiting: make([]int, n+1)}
	for _, i := range source {
		if i >= 0 {
			p.kept[i] = true
			p.count(i, 1)
		}
	}
	return p
}

func (p *placing) count(i, by int) {
	for i++; i < len(p.waiting); i += i & -i {
		p.waiting[i] += by
	}
}

// waits is how many before i are not placed yet.
func (p *placing) waits(i int) (n int) {
	for ; i > 0; i -= i & -i {
		n += p.waiting[i]
	}
	return n
}

func (p *placing) take(i int) { p.count(i, -1) }

// cursor is the place behind all that was placed.
func (p *placing) cursor() int {
	if len(p.anchors) == 0 {
		return p.placed
	}
	return p.placed + p.waits(p.anchors[len(p.anchors)-1])
}

// place is where an entry is that waits.
func (p *placing) place(i int) int {
	n, _ := slices.BinarySearch(p.anchors, i)
	if n == len(p.anchors) {
		return p.waits(i) + p.placed
	}
	return p.waits(i) + p.before[n]
}

// anchor passes over an entry that stays.
func (p *placing) anchor(i int) {
	p.take(i)
	p.anchors, p.before = append(p.anchors, i), append(p.before, p.placed)
	p.placed++
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
		if n == len(ends) {
			ends = append(ends, p)
		} else {
			ends[n] = p
		}
	}
	stays := map[int]bool{}
	if len(ends) > 0 {
		for p := ends[len(ends)-1]; p >= 0; p = before[p] {
			stays[p] = true
		}
	}
	return stays
}
