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

// set returns v with x at the path, and the operation that undoes it. Missing parents, and null in their place, are made.
func (v Value) set(p Path, x Value) (result Value, undo operation, refused *wire.Error) {
	if len(p)+x.depth() > wire.MaxRecordDepth {
		return v, undo, tooDeep()
	}
	if len(p) == 0 && !x.root() {
		return v, undo, badRequest("the root of a document is an object or an array", "")
	}
	return v.setAt(p, 0, x)
}

func (v Value) setAt(p Path, at int, x Value) (result Value, undo operation, refused *wire.Error) {
	undo = operation{kind: wire.OperationSet, path: p[:at], value: v}
	if !v.Exists() {
		undo.kind = wire.OperationErase
	}
	if at == len(p) {
		return x, undo, nil
	}
	step := p[at]
	switch c := v.v.(type) {
	case nil, null:
		if !step.InArray {
			child, _, refused := Value{}.setAt(p, at+1, x)
			return Value{(&object{size: 2}).with(step.Key, child)}, undo, refused
		}
		result, _, refused := Value{&array{size: 2}}.setAt(p, at, x)
		return result, undo, refused
	case *object:
		if step.InArray {
			break
		}
		old := Value{}
		if i, found := c.find(step.Key); found {
			old = c.members[i].value
		} else if len(c.members) == wire.MaxElements {
			return v, undo, tooMany()
		}
		child, undo, refused := old.setAt(p, at+1, x)
		return Value{c.with(step.Key, child)}, undo, refused
	case *array:
		if !step.InArray {
			break
		}
		if step.Place < len(c.items) {
			child, undo, refused := c.items[step.Place].setAt(p, at+1, x)
			return Value{c.replace(step.Place, child)}, undo, refused
		}
		if step.Place > len(c.items)+wire.MaxArrayGap {
			return v, undo, wire.NewError(wire.CodeTooLarge,
				fmt.Sprintf("place %d is more than %d behind the end of the array", step.Place, wire.MaxArrayGap), "fill it in order")
		}
		child, grown, refused := Value{}.setAt(p, at+1, x)
		added := slices.Repeat([]Value{{null{}}}, step.Place-len(c.items))
		if len(added) == 0 {
			undo = grown // one item more: it is enough to erase that
			undo.path = p[:at+1]
		}
		return Value{c.insert(len(c.items), append(added, child)...)}, undo, refused
	}
	return v, undo, badRequest(fmt.Sprintf("%q leads through something else than it says", p.String()),
		"[n] is for arrays, .key for objects; set what is in the way first")
}

// erase returns v without what is at the path, and the operation that undoes it. Where there is nothing, it returns v.
func (v Value) erase(p Path) (result Value, undo operation, refused *wire.Error) {
	if len(p) == 0 {
		return v, undo, badRequest("the root of a document cannot be erased", "delete the record")
	}
	old := v.Get(p)
	if !old.Exists() {
		return v, undo, nil
	}
	undo = operation{kind: wire.OperationSet, path: p, value: old}
	if p[len(p)-1].InArray {
		undo.kind = putBack
	}
	return v.update(p[:len(p)-1], func(parent Value) Value {
		last := p[len(p)-1]
		if a, ok := parent.v.(*array); ok {
			return Value{a.remove(last.Place)}
		}
		return Value{parent.v.(*object).with(last.Key, Value{})}
	}), undo, nil
}

// putBack undoes an erase in an array: what follows moves down again. It is no operation of clients.
const putBack wire.OperationKind = "put-back"

// update returns v with what is at the path replaced; it is there.
func (v Value) update(p Path, change func(Value) Value) Value {
	if len(p) == 0 {
		return change(v)
	}
	if a, ok := v.v.(*array); ok {
		return Value{a.replace(p[0].Place, a.items[p[0].Place].update(p[1:], change))}
	}
	o := v.v.(*object)
	i, _ := o.find(p[0].Key)
	return Value{o.with(p[0].Key, o.members[i].value.update(p[1:], change))}
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
	if o.Op != wire.OperationErase {
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

// size is about what the operation takes.
func (o operation) size() int { return 32 + 16*len(o.path) + o.value.Size() }

// change is what a write makes of a document.
type change struct {
	value Value
	done  []operation // as they were resolved, in order
	undo  []operation // which lead back, in order
}

// apply carries out one operation. old returns the document at an earlier version.
func (c *change) apply(o operation, old func(version uint64) Value) *wire.Error {
	var undo operation
	var refused *wire.Error
	was := c.value
	switch o.kind {
	case wire.OperationSet:
		if len(o.path) == 0 {
			if done, refused := c.relist(o.value); done {
				return refused
			}
		}
		c.value, undo, refused = c.value.set(o.path, o.value)
	case wire.OperationErase:
		if c.value, undo, refused = c.value.erase(o.path); refused == nil && undo.kind == "" {
			return nil
		}
	default:
		return c.applyToList(o, old)
	}
	if refused != nil {
		c.value = was
		return refused
	}
	o.at, o.to = -1, -1
	c.done = append(c.done, o)
	if undo.kind != "" {
		undo.at, undo.to = -1, -1
		c.undo = slices.Insert(c.undo, 0, undo)
	}
	return nil
}

// revert carries out an operation that undoes another one.
func (c *change) revert(o operation) (refused *wire.Error) {
	switch o.kind {
	case wire.OperationSet:
		c.value, _, refused = c.value.set(o.path, o.value)
	case wire.OperationErase:
		c.value, _, refused = c.value.erase(o.path)
	case putBack:
		parent := o.path[:len(o.path)-1]
		place := o.path[len(parent)].Place
		if a, ok := c.value.Get(parent).v.(*array); !ok || place > len(a.items) {
			return badRequest("there is no array to put something back into", "")
		}
		c.value = c.value.update(parent, func(v Value) Value { return Value{v.v.(*array).insert(place, o.value)} })
	default:
		return c.step(o)
	}
	return refused
}
