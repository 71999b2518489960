package state

import (
	"fmt"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// Get returns what is at the path, or none.
func (v Value) Get(p Path) Value {
	for _, step := range p {
		switch c := v.v.(type) {
		case *object:
			i, found := c.find(step.Key)
			if step.InArray || !found {
				return Value{}
			}
			v = c.members[i].value
		case *array:
			if !step.InArray || step.Place >= len(c.items) {
				return Value{}
			}
			v = c.items[step.Place]
		default:
			return Value{}
		}
	}
	return v
}

// Kinds of operations that undo others, and are none of clients.
const (
	// putBack undoes an erase in an array: what follows moves down again.
	putBack wire.OperationKind = "put-back"
	// cut undoes the growth of an array: it has at items again.
	cut wire.OperationKind = "cut"
)

// object returns what may be changed in place of o: a copy, unless it is one already.
func (c *change) object(o *object) *object {
	if c.own[o] {
		return o
	}
	made := *o
	made.members = slices.Clone(o.members)
	c.mine(&made)
	return &made
}

func (c *change) array(a *array) *array {
	if c.own[a] {
		return a
	}
	made := *a
	made.items = slices.Clone(a.items)
	c.mine(&made)
	return &made
}

func (c *change) mine(x any) {
	if c.own == nil {
		c.own = map[any]bool{}
	}
	c.own[x] = true
}

// set puts x at the path, and returns the operation that undoes it. Missing parents, and null in their place, are made.
func (c *change) set(p Path, x Value) (undo operation, refused *wire.Error) {
	if len(p)+x.depth() > wire.MaxRecordDepth {
		return undo, tooDeep()
	}
	if len(p) == 0 && !x.root() {
		return undo, badRequest("the root of a document is an object or an array", "")
	}
	value, undo, refused := c.setAt(c.value, p, 0, x)
	if refused == nil {
		c.value = value
	}
	return undo, refused
}

func (c *change) setAt(v Value, p Path, at int, x Value) (result Value, undo operation, refused *wire.Error) {
	undo = operation{kind: wire.OperationSet, path: p[:at], value: v, at: -1, to: -1}
	if !v.Exists() {
		undo.kind = wire.OperationErase
	}
	if at == len(p) {
		return x, undo, nil
	}
	switch o := v.v.(type) {
	case nil, null:
		empty := Value{newObject(nil)}
		if p[at].InArray {
			empty = Value{newArray(nil)}
		}
		result, _, refused = c.setAt(empty, p, at, x)
		return result, undo, refused
	case *object:
		if !p[at].InArray {
			return c.setMember(o, p, at, x)
		}
	case *array:
		if p[at].InArray {
			return c.setItem(o, p, at, x)
		}
	}
	return v, undo, badRequest(fmt.Sprintf("%q leads through something else than it says", p.String()),
		"[n] is for arrays, .key for objects; set what is in the way first")
}

func (c *change) setMember(o *object, p Path, at int, x Value) (result Value, undo operation, refused *wire.Error) {
	old := Value{}
	i, found := o.find(p[at].Key)
	if found {
		old = o.members[i].value
	} else if len(o.members) == wire.MaxElements {
		return Value{o}, undo, tooMany()
	}
	was := old.measured()
	child, undo, refused := c.setAt(old, p, at+1, x)
	if refused != nil {
		return Value{o}, undo, refused
	}
	o = c.object(o)
	if found {
		o.replace(i, child, was)
	} else {
		o.insert(i, p[at].Key, child)
	}
	return Value{o}, undo, nil
}

func (c *change) setItem(a *array, p Path, at int, x Value) (result Value, undo operation, refused *wire.Error) {
	place, end := p[at].Place, len(a.items)
	if place > end+wire.MaxArrayGap {
		return Value{a}, undo, wire.NewError(wire.CodeTooLarge,
			fmt.Sprintf("place %d is more than %d behind the end of the array", place, wire.MaxArrayGap), "fill it in order")
	}
	old := Value{}
	if place < end {
		old = a.items[place]
	}
	was := old.measured()
	child, undo, refused := c.setAt(old, p, at+1, x)
	if refused != nil {
		return Value{a}, undo, refused
	}
	a = c.array(a)
	if place < end {
		a.replace(place, child, was)
		return Value{a}, undo, nil
	}
	a.insert(end, append(slices.Repeat([]Value{{null{}}}, place-end), child)...)
	return Value{a}, operation{kind: cut, path: p[:at], at: end, to: -1}, nil
}

// erase takes away what is at the path, and returns the operation that undoes it; none where there is nothing.
func (c *change) erase(p Path) (undo operation, refused *wire.Error) {
	if len(p) == 0 {
		return undo, badRequest("the root of a document cannot be erased", "delete the record")
	}
	old := c.value.Get(p)
	if !old.Exists() {
		return undo, nil
	}
	undo = operation{kind: wire.OperationSet, path: p, value: old, at: -1, to: -1}
	last := p[len(p)-1]
	if last.InArray {
		undo.kind = putBack
	}
	c.value = c.edit(c.value, p[:len(p)-1], func(parent Value) {
		if a, ok := parent.v.(*array); ok {
			a.remove(last.Place, last.Place+1)
			return
		}
		o := parent.v.(*object)
		i, _ := o.find(last.Key)
		o.remove(i)
	})
	return undo, nil
}

// edit changes the object or array at the path, which is there, and returns what v is then.
func (c *change) edit(v Value, p Path, edit func(Value)) Value {
	switch x := v.v.(type) {
	case *array:
		x = c.array(x)
		if len(p) == 0 {
			edit(Value{x})
			return Value{x}
		}
		child := x.items[p[0].Place]
		was := child.measured()
		x.replace(p[0].Place, c.edit(child, p[1:], edit), was)
		return Value{x}
	case *object:
		x = c.object(x)
		if len(p) == 0 {
			edit(Value{x})
			return Value{x}
		}
		i, _ := x.find(p[0].Key)
		child := x.members[i].value
		was := child.measured()
		x.replace(i, c.edit(child, p[1:], edit), was)
		return Value{x}
	}
	return v
}

// operation is a wire.Operation that has been read.
type operation struct {
	kind   wire.OperationKind
	path   Path
	value  Value
	at, to int // -1: absent
	base   uint64
}

// readOperation checks all that does not depend on the document.
func readOperation(o wire.Operation) (operation, *wire.Error) {
	path, refused := ParsePath(o.Path)
	if refused != nil {
		return operation{}, refused
	}
	read := operation{kind: o.Op, path: path, at: -1, to: -1, base: o.Base}
	if o.At != nil {
		read.at = *o.At
	}
	if o.To != nil {
		read.to = *o.To
	}
	if read.at < -1 || read.to < -1 || o.At != nil && read.at < 0 || o.To != nil && read.to < 0 {
		return read, badRequest("a place is below 0", "")
	}
	if o.Op != wire.OperationErase && o.Op != cut {
		read.value, refused = Parse(o.Value)
	}
	return read, refused
}

// check refuses operations that clients do not have, and those on lists that cannot be meant.
func (o operation) check() *wire.Error {
	switch o.kind {
	case wire.OperationSet, wire.OperationErase:
		return nil
	case wire.OperationEntries:
		if _, ok := o.value.list(); !ok {
			return badRequest("the entries of a list are an array of strings", "")
		}
	case wire.OperationInsert, wire.OperationRemove, wire.OperationMove:
		if _, ok := o.value.v.(string); !ok {
			return badRequest("an entry of a list is a string", "")
		}
		if o.kind == wire.OperationMove && o.to < 0 {
			return badRequest("a move does not say where to", `give "to"`)
		}
	default:
		return badRequest("there is no operation "+string(o.kind), "see docs/protocol.md, section 18")
	}
	if len(o.path) > 0 {
		return badRequest(string(o.kind)+" is for lists, which are whole records", "leave the path out")
	}
	return nil
}

// wire is the operation as clients get it.
func (o operation) wire() wire.Operation {
	w := wire.Operation{Op: o.kind, Path: o.path.String(), Value: o.value.JSON()}
	if o.at >= 0 {
		w.At = &o.at
	}
	if o.to >= 0 {
		w.To = &o.to
	}
	return w
}

// weight is not less than what the operation takes encoded, and about what it takes in memory.
func (o operation) weight() int {
	return 96 + 2*quotedSize(o.path.String()) + valueBytes*len(o.path) + o.value.measured().held()
}

func weigh(operations []operation) (n int) {
	for _, o := range operations {
		n += o.weight()
	}
	return n
}

// change is what a write makes of a document. It copies an object or array before it first changes it, and no other time.
type change struct {
	value Value
	own   map[any]bool // *object and *array in value that nobody else has
	done  []operation  // as they were resolved, in order
	undo  []operation  // which lead back, the last one first
	// old returns the document at an earlier version; none where it is not kept.
	old      func(version uint64) (Value, *wire.Error)
	exact    bool // what is done was done before: it is not to be resolved again
	compared int  // entries of lists so far
	looked   int  // at entries of a list so far, see MaxLooked
}

// apply carries out one operation.
func (c *change) apply(o operation) *wire.Error {
	var undo operation
	var refused *wire.Error
	switch o.kind {
	case wire.OperationSet:
		if len(o.path) == 0 && !c.exact {
			if done := c.relist(o.value); done {
				return nil
			}
		}
		undo, refused = c.set(o.path, o.value)
	case wire.OperationErase:
		if undo, refused = c.erase(o.path); refused == nil && undo.kind == "" {
			return nil
		}
	default:
		return c.applyToList(o)
	}
	if refused != nil {
		return refused
	}
	o.at, o.to = -1, -1
	c.note(o, undo)
	return nil
}

func (c *change) note(done, undo operation) {
	c.done, c.undo = append(c.done, done), append(c.undo, undo)
}

// settle brings what was done since a document into its last form: one set of the whole, where that is shorter.
func (c *change) settle(before Value) {
	whole := func(v Value) []operation {
		if !v.Exists() {
			return nil
		}
		return []operation{{kind: wire.OperationSet, value: v, at: -1, to: -1}}
	}
	slices.Reverse(c.undo)
	if n := weigh(c.done); n > MaxToldBytes && n > c.value.Size() && !c.exact {
		c.done, c.undo = whole(c.value), whole(before)
	}
	if len(c.undo) > MaxHistoryOperations || weigh(c.undo) > before.measured().held() {
		c.undo = whole(before)
	}
}

// revert carries out an operation that undoes another one.
func (c *change) revert(o operation) (refused *wire.Error) {
	switch o.kind {
	case wire.OperationSet:
		_, refused = c.set(o.path, o.value)
	case wire.OperationErase:
		_, refused = c.erase(o.path)
	case putBack:
		parent := o.path[:len(o.path)-1]
		place := o.path[len(parent)].Place
		if a, ok := c.value.Get(parent).v.(*array); !ok || place > len(a.items) {
			return badRequest("there is no array to put something back into", "")
		}
		c.value = c.edit(c.value, parent, func(v Value) { v.v.(*array).insert(place, o.value) })
	case cut:
		if a, ok := c.value.Get(o.path).v.(*array); !ok || o.at < 0 || o.at > len(a.items) {
			return badRequest("there is no array to cut", "")
		}
		c.value = c.edit(c.value, o.path, func(v Value) {
			a := v.v.(*array)
			a.remove(o.at, len(a.items))
		})
	default:
		return c.step(o)
	}
	return refused
}
