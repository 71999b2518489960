package state

import (
	"cmp"
	"slices"
	"sort"
)

// Value is a JSON value, or none: the zero Value. It never changes. Numbers are float64, members of objects are in the order of
// their keys, so equal Values have equal encodings.
type Value struct {
	v any // nil (none), null, bool, float64, string, *object, *array
}

type null struct{}

type object struct {
	members []member // by key
	size    int      // bytes, encoded
}

type member struct {
	key   string
	value Value
}

type array struct {
	items []Value
	size  int // bytes, encoded
}

// Exists tells whether there is a value: JSON null is one.
func (v Value) Exists() bool { return v.v != nil }

// root tells whether v may be a record's document.
func (v Value) root() bool {
	switch v.v.(type) {
	case *object, *array:
		return true
	}
	return false
}

// Size is the length of the encoded value in bytes.
func (v Value) Size() int {
	switch v := v.v.(type) {
	case *object:
		return v.size
	case *array:
		return v.size
	case nil:
		return 0
	}
	var scratch [64]byte
	return len(v.Append(scratch[:0]))
}

// depth is the number of levels: 0 for what has none below it.
func (v Value) depth() int {
	deepest := 0
	switch v := v.v.(type) {
	case *object:
		for _, m := range v.members {
			deepest = max(deepest, m.value.depth())
		}
	case *array:
		for _, x := range v.items {
			deepest = max(deepest, x.depth())
		}
	default:
		return 0
	}
	return deepest + 1
}

// Equal compares deeply. What two versions of a document share costs nothing.
func (v Value) Equal(w Value) bool {
	switch a := v.v.(type) {
	case *object:
		b, ok := w.v.(*object)
		return ok && (a == b || a.size == b.size && slices.EqualFunc(a.members, b.members, func(x, y member) bool {
			return x.key == y.key && x.value.Equal(y.value)
		}))
	case *array:
		b, ok := w.v.(*array)
		return ok && (a == b || a.size == b.size && slices.EqualFunc(a.items, b.items, Value.Equal))
	}
	switch w.v.(type) {
	case *object, *array:
		return false
	}
	return v.v == w.v
}

// Any returns the value as encoding/json would decode it. It is a copy.
func (v Value) Any() any {
	switch v := v.v.(type) {
	case null:
		return nil
	case *object:
		m := make(map[string]any, len(v.members))
		for _, x := range v.members {
			m[x.key] = x.value.Any()
		}
		return m
	case *array:
		s := make([]any, len(v.items))
		for i, x := range v.items {
			s[i] = x.Any()
		}
		return s
	}
	return v.v
}

// newObject takes members that are sorted by key, without duplicates.
func newObject(members []member) *object {
	o := &object{members: members, size: 2 + max(0, len(members)-1)}
	for _, m := range members {
		o.size += quotedSize(m.key) + 1 + m.value.Size()
	}
	return o
}

func newArray(items []Value) *array {
	a := &array{items: items, size: 2 + max(0, len(items)-1)}
	for _, x := range items {
		a.size += x.Size()
	}
	return a
}

// find returns where key is, or where it would be.
func (o *object) find(key string) (int, bool) {
	return sort.Find(len(o.members), func(i int) int { return cmp.Compare(key, o.members[i].key) })
}

// with returns an object with that member; a value that does not exist takes it away.
func (o *object) with(key string, value Value) *object {
	i, found := o.find(key)
	var members []member
	switch {
	case found && value.Exists():
		members = slices.Clone(o.members)
		members[i].value = value
	case found:
		members = append(slices.Clone(o.members[:i]), o.members[i+1:]...)
	case value.Exists():
		members = slices.Insert(slices.Clone(o.members), i, member{key, value})
	default:
		return o
	}
	size := o.size
	if found {
		size += value.Size() - o.members[i].value.Size()
	}
	switch {
	case found && !value.Exists():
		size -= quotedSize(key) + 1 + comma(len(o.members)-1)
	case !found:
		size += quotedSize(key) + 1 + value.Size() + comma(len(o.members))
	}
	return &object{members: members, size: size}
}

// replace puts value in place of the item at i.
func (a *array) replace(i int, value Value) *array {
	items := slices.Clone(a.items)
	items[i] = value
	return &array{items: items, size: a.size + value.Size() - a.items[i].Size()}
}

// insert puts values before the item at i.
func (a *array) insert(i int, values ...Value) *array {
	size := a.size
	for k, x := range values {
		size += x.Size() + comma(len(a.items)+k)
	}
	items := make([]Value, 0, len(a.items)+len(values))
	items = append(append(append(items, a.items[:i]...), values...), a.items[i:]...)
	return &array{items: items, size: size}
}

// remove takes the item at i away.
func (a *array) remove(i int) *array {
	size := a.size - a.items[i].Size() - comma(len(a.items)-1)
	return &array{items: append(slices.Clone(a.items[:i]), a.items[i+1:]...), size: size}
}

// comma is what the comma takes that stands between an element and so many others.
func comma(others int) int { return min(1, others) }
