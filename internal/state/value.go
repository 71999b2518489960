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
	measure
}

type member struct {
	key   string
	value Value
}

type array struct {
	items  []Value
	others int // items that are no strings
	measure
}

// measure is what a value takes.
type measure struct {
	size   int // bytes, encoded
	values int // itself and all below it
}

// valueBytes is about what a value takes in memory beside its text: its place in an object or array, and its head.
const valueBytes = 48

// held is about what the value takes in memory.
func (m measure) held() int { return m.size + valueBytes*m.values }

func (m *measure) grow(by, less measure) {
	m.size += by.size - less.size
	m.values += by.values - less.values
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
func (v Value) Size() int { return v.measured().size }

// measured takes no time for objects and arrays.
func (v Value) measured() measure {
	switch v := v.v.(type) {
	case *object:
		return v.measure
	case *array:
		return v.measure
	case nil:
		return measure{}
	case string:
		return measure{quotedSize(v), 1}
	}
	var scratch [64]byte
	return measure{len(v.Append(scratch[:0])), 1}
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
		return ok && (a == b || a.measure == b.measure && slices.EqualFunc(a.members, b.members, func(x, y member) bool {
			return x.key == y.key && x.value.Equal(y.value)
		}))
	case *array:
		b, ok := w.v.(*array)
		return ok && (a == b || a.measure == b.measure && slices.EqualFunc(a.items, b.items, Value.Equal))
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
	o := &object{members: members, measure: measure{2 + max(0, len(members)-1), 1}}
	for _, m := range members {
		o.grow(m.value.measured(), measure{})
		o.size += quotedSize(m.key) + 1
	}
	return o
}

func newArray(items []Value) *array {
	a := &array{items: items, measure: measure{2 + max(0, len(items)-1), 1}}
	for _, x := range items {
		a.grow(x.measured(), measure{})
		a.others += other(x)
	}
	return a
}

// other counts what is no string.
func other(x Value) int {
	if _, ok := x.v.(string); ok {
		return 0
	}
	return 1
}

// find returns where key is, or where it would be.
func (o *object) find(key string) (int, bool) {
	return sort.Find(len(o.members), func(i int) int { return cmp.Compare(key, o.members[i].key) })
}

// What follows changes objects and arrays that nobody else has.

// replace puts value in place of the member at i, which had that measure.
func (o *object) replace(i int, value Value, was measure) {
	o.members[i].value = value
	o.grow(value.measured(), was)
}

func (o *object) insert(i int, key string, value Value) {
	o.size += quotedSize(key) + 1 + comma(len(o.members))
	o.grow(value.measured(), measure{})
	o.members = slices.Insert(o.members, i, member{key, value})
}

func (o *object) remove(i int) {
	m := o.members[i]
	o.size -= quotedSize(m.key) + 1 + comma(len(o.members)-1)
	o.grow(measure{}, m.value.measured())
	o.members = slices.Delete(o.members, i, i+1)
}

// replace puts value in place of the item at i, which had that measure.
func (a *array) replace(i int, value Value, was measure) {
	a.others += other(value) - other(a.items[i])
	a.items[i] = value
	a.grow(value.measured(), was)
}

// insert puts values before the item at i.
func (a *array) insert(i int, values ...Value) {
	for k, x := range values {
		a.size += comma(len(a.items) + k)
		a.grow(x.measured(), measure{})
		a.others += other(x)
	}
	a.items = slices.Insert(a.items, i, values...)
}

// remove takes the items from i to k away.
func (a *array) remove(i, k int) {
	for n, x := range a.items[i:k] {
		a.size -= comma(len(a.items) - n - 1)
		a.grow(measure{}, x.measured())
		a.others -= other(x)
	}
	a.items = slices.Delete(a.items, i, k)
}

// comma is what the comma takes that stands between an element and so many others.
func comma(others int) int { return min(1, others) }
