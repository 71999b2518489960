package state

import "github.com/parley-rtc/parley/wire"

// Apply returns the document after operations, all of them or none, as the owner of the record makes it. Replicas do the same.
func (v Value) Apply(operations []wire.Operation) (Value, *wire.Error) {
	made := change{value: v, old: func(uint64) (Value, *wire.Error) { return Value{}, nil }}
	for _, o := range operations {
		read, refused := readOperation(o)
		if refused == nil {
			refused = read.check()
		}
		if refused == nil {
			refused = made.apply(read)
		}
		if refused != nil {
			return v, refused
		}
	}
	switch {
	case !made.value.Exists():
		return v, noRecord()
	case made.value.Size() > wire.MaxRecordBytes:
		return v, tooLarge("document", wire.MaxRecordBytes)
	}
	return made.value, nil
}

// Entries returns the entries of a value that is a list. They are a copy.
func (v Value) Entries() ([]string, bool) {
	items, ok := v.list()
	if !ok {
		return nil, false
	}
	entries := make([]string, len(items))
	for i, x := range items {
		entries[i] = x.v.(string)
	}
	return entries, true
}

// Steps returns operations that make one list of another, with exact places, or false where too much differs to look for them.
func Steps(from, to []string) ([]wire.Operation, bool) {
	steps, _, few := diff(valuesOf(from), valuesOf(to), MaxDiffEntries)
	if !few {
		return nil, false
	}
	operations := make([]wire.Operation, len(steps))
	for i, o := range steps {
		operations[i] = o.wire()
	}
	return operations, true
}

func valuesOf(entries []string) []Value {
	items := make([]Value, len(entries))
	for i, x := range entries {
		items[i] = Value{x}
	}
	return items
}
