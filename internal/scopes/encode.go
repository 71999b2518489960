package scopes

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// encode is for bodies of wire, which always can be. Documents in them are encoded already, and go in as they are: to have package json read
// them again takes longer than all else about a large one.
func encode(body any) []byte {
	switch b := body.(type) {
	case wire.Written: // one for each write
		return append(strconv.AppendUint(append(strconv.AppendUint([]byte(`{"incarnation":`), b.Incarnation, 10), `,"version":`...), b.Version, 10), '}')
	case state.Entry:
		return encodeEntry(b)
	case wire.RecordChanged:
		operations := b.Operations
		b.Operations = nil
		before, after, _ := bytes.Cut(marshal(b), []byte(`"operations":null`)) // in text the quotes would be escaped
		return slices.Concat(before, []byte(`"operations":`), encodeOperations(operations), after)
	case wire.RecordPart:
		if len(b.Value) > 0 {
			value := b.Value
			b.Value = nil
			return with(marshal(b), "value", value)
		}
	case Event:
		return with(marshal(struct {
			Type string `json:"type"`
		}{b.Type}), "body", b.Body)
	}
	return marshal(body)
}

// sizeOf counts the bytes of the values in a body, which is most of what it takes while it waits. What an event and a reply have in common is
// counted with each.
func sizeOf(body any) (n int) {
	switch b := body.(type) {
	case wire.RecordChanged:
		for _, o := range b.Operations {
			n += len(o.Value)
		}
	case wire.RecordPart:
		n = len(b.Value)
	case wire.Records:
		for _, r := range b.Results {
			if r.Record != nil {
				n += len(r.Record.Value)
			}
		}
	case wire.EventPublished:
		n = len(b.Value)
	case wire.RPCCall:
		n = len(b.Value)
	case wire.RPCResult:
		n = len(b.Value)
	case *wire.Error:
		if b != nil && b.Current != nil {
			n = len(b.Current.Value)
		}
	}
	return n
}

// noted is what a room's log has of a change: of a large one that it was, so that the log holds more than a few.
func noted(body any) any {
	if b, ok := body.(wire.RecordChanged); ok && sizeOf(b) > MaxNotedBytes {
		return wire.RecordNoted{Scope: b.Scope, Name: b.Name, Incarnation: b.Incarnation, Version: b.Version}
	}
	return body
}

func encodeEntry(e state.Entry) []byte {
	operations, whole := e.Operations, e.Whole
	e.Operations, e.Whole = nil, nil
	b := marshal(e)
	if len(operations) > 0 {
		b = with(b, "o", encodeOperations(operations))
	}
	if whole == nil {
		return b
	}
	w := slices.Concat([]byte(`{"d":`), whole.Document, []byte{'}'})
	if len(whole.Past) > 0 {
		past := []byte{'['}
		for i, undo := range whole.Past {
			if i > 0 {
				past = append(past, ',')
			}
			past = append(past, encodeOperations(undo)...)
		}
		w = with(w, "p", append(past, ']'))
	}
	return with(b, "w", w)
}

func encodeOperations(all []wire.Operation) []byte {
	b := []byte{'['}
	for i, o := range all {
		if i > 0 {
			b = append(b, ',')
		}
		value := o.Value
		o.Value = nil
		one := marshal(o)
		if len(value) > 0 {
			one = with(one, "value", value)
		}
		b = append(b, one...)
	}
	return append(b, ']')
}

// with adds a last member to an object that has others.
func with(object []byte, member string, value []byte) []byte {
	b := make([]byte, 0, len(object)+len(member)+len(value)+4)
	b = append(append(b, object[:len(object)-1]...), ',', '"')
	b = append(append(b, member...), '"', ':')
	return append(append(b, value...), '}')
}

// marshal escapes nothing for HTML: documents would become longer than their limit, by up to six times.
func marshal(body any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		panic("scopes: encode a body: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
