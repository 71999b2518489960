package scopes

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Rule: what is encoded with documents put in as they are is what package json would have written.
func TestEncode(t *testing.T) {
	at, to, now := 0, 3, time.Unix(1_800_000_000, 0).UTC()
	name := `"operations":null,"v":<\ ` + "\u2028"
	operations := []wire.Operation{
		{Op: "set", Path: `a["<b>"]`, Value: json.RawMessage(`{"a":[1,"<&>\u2028"]}`)},
		{Op: "erase", Path: "a"},
		{Op: "move", Value: json.RawMessage(`"x"`), At: &at, To: &to},
		{Op: "cut", At: &at},
	}
	document := json.RawMessage(`{"null":null}`)
	for _, body := range []any{
		wire.RecordChanged{Scope: "room", Name: name, Incarnation: 1 << 52, Version: 2, Operations: operations, By: name},
		wire.RecordChanged{Scope: "room", Name: "a", Operations: []wire.Operation{}},
		wire.RecordPart{Scope: "room", Name: name, Path: "a", Incarnation: 1, Version: 2, Value: document, By: name},
		wire.RecordPart{Scope: "room", Name: "a", Path: "a"},
		state.Entry{Name: name, Incarnation: 1, Version: 2, Operations: operations, TTLSeconds: 3, History: 4, Expires: &now},
		state.Entry{Name: name, Incarnation: 1, Version: 2, Whole: &state.Whole{Document: document, Past: [][]wire.Operation{operations, operations[1:2]}}},
		state.Entry{Name: name, Incarnation: 1, Version: 1, Whole: &state.Whole{Document: document}},
		state.Entry{Name: name, Incarnation: 1, Version: 2, Deleted: true},
		Event{Type: "record-part", Body: document},
		wire.StateLost{Scope: "room"},
		wire.Written{Incarnation: 1<<53 - 1, Version: 7},
		wire.Written{},
	} {
		got, want := reflect.New(reflect.TypeOf(body)), reflect.New(reflect.TypeOf(body))
		if err := json.Unmarshal(encode(body), got.Interface()); err != nil {
			t.Errorf("%+v is encoded as %s: %v", body, encode(body), err)
		}
		if err := json.Unmarshal(marshal(body), want.Interface()); err != nil || !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Errorf("%s, and by package json %s, %v", encode(body), marshal(body), err)
		}
	}
}

// Rule: all values are counted that wait.
func TestSizes(t *testing.T) {
	value := json.RawMessage(`"four"`)
	for _, body := range []any{
		wire.RecordChanged{Operations: []wire.Operation{{Op: "set", Value: value}}},
		wire.RecordPart{Value: value},
		wire.Records{Results: []wire.RecordResult{{Record: &wire.RecordState{Value: value}}}},
		wire.EventPublished{Value: value},
		wire.RPCCall{Value: value},
		wire.RPCResult{Value: value},
		&wire.Error{Current: &wire.RecordState{Value: value}},
	} {
		if n := sizeOf(body); n != len(value) {
			t.Errorf("%T has %d bytes, want %d", body, n, len(value))
		}
	}
}

// Rule: what sessions are told is decoded as it was encoded, and its body is not copied.
func TestDecodeEvent(t *testing.T) {
	for _, want := range []Event{
		{Type: "event", Body: json.RawMessage(`{"value":{"type":"x","body":1}}`)},
		{Reply: 1, Type: "ok", Body: json.RawMessage(`{}`)},
		{Reply: 1<<53 - 1, Type: "state-unsubscribed", Body: json.RawMessage(`{"a":"},\"body\":{"}`)},
	} {
		b := encodeEvent(want.Reply, want.Type, want.Body)
		got, err := DecodeEvent(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, %v", b, got, err)
		}
		if &got.Body[0] != &b[len(b)-1-len(want.Body)] {
			t.Errorf("the body of %s is a copy", b)
		}
		var m Event
		if err := json.Unmarshal(b, &m); err != nil || !reflect.DeepEqual(m, want) {
			t.Errorf("%s is %+v to package json, %v", b, m, err)
		}
	}
	for _, b := range []string{"", "{}", `{"reply":x,"type":"a","body":{}}`, `{"type":"a"}`, `{"type":a,"body":{}}`, `{"body":{},"type":"a"}`, `{"type":"a","body":{}`[:20]} {
		if e, err := DecodeEvent([]byte(b)); err == nil {
			t.Errorf("%q is %+v", b, e)
		}
	}
}
