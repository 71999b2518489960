package state

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// Rule: every request of shared state becomes the command of its name, for the scope that it says, with what it says.
func TestDecode(t *testing.T) {
	by := Caller{Session: "ann1"}
	for typ := range decoders {
		for body, want := range map[string]wire.Scope{"": "room", "{}": "room", `{"scope":"room"}`: "room", `{"scope":"server","more":1}`: "server"} {
			scope, c, refused := Decode(by, typ, []byte(body))
			if refused != nil || scope != want || reflect.ValueOf(c).FieldByName("By").Interface() != any(by) {
				t.Errorf("%s %s: got %s, %+v, %v", typ, body, scope, c, refused)
			}
		}
		for _, body := range []string{`{"scope":"hall"}`, `{"scope":1}`, `[]`, `{`, `1`} {
			if _, _, refused := Decode(by, typ, []byte(body)); refused == nil || refused.Code != wire.CodeBadRequest {
				t.Errorf("%s %s: got %v", typ, body, refused)
			}
		}
	}
	for typ, want := range map[string]string{
		wire.TypeRecordSubscribe: "state.RecordSubscribe", wire.TypeRecordUnsubscribe: "state.RecordUnsubscribe",
		wire.TypeEventSubscribe: "state.EventSubscribe", wire.TypeEventUnsubscribe: "state.EventUnsubscribe", wire.TypeRPCProvide: "state.RPCProvide",
		wire.TypeRPCUnprovide: "state.RPCUnprovide", wire.TypeListen: "state.Listen", wire.TypeUnlisten: "state.Unlisten",
		wire.TypePresenceSubscribe: "state.PresenceSubscribe", wire.TypePresenceUnsubscribe: "state.PresenceUnsubscribe",
	} {
		if _, c, _ := Decode(by, typ, nil); fmt.Sprintf("%T", c) != want {
			t.Errorf("%s became a %T", typ, c)
		}
	}
	_, c, _ := Decode(by, wire.TypeRecordWrite, []byte(`{"name":"a","version":0,"operations":[{"op":"set","path":"b","value":null}]}`))
	if w := c.(RecordWrite); w.Name != "a" || w.Version == nil || *w.Version != 0 || string(w.Operations[0].Value) != "null" {
		t.Errorf("got %+v", c)
	}
	for _, typ := range []string{"", wire.TypeChat, wire.TypeLogRead, "record"} {
		if _, _, refused := Decode(by, typ, nil); refused == nil || IsRequest(typ) {
			t.Errorf("%q is a request about state", typ)
		}
	}
}

// Rule: a bulk request costs one for each item, a write one for every 16 operations or 16 KiB begun, all else one.
func TestCost(t *testing.T) {
	for body, want := range map[string]int{
		`record-subscribe {"records":[{},{},{}]}`: 3, `record-unsubscribe {"records":[{},{}]}`: 2, `record-read {"records":[{},{}]}`: 2,
		`event-subscribe {"names":["a","b"]}`: 2, `event-unsubscribe {"names":["a","b"]}`: 2, `rpc-provide {"names":["a","b"]}`: 2,
		`rpc-unprovide {"names":["a","b"]}`: 2, `presence-read {"identities":["a","b"]}`: 2, `presence-subscribe {"identities":["a","b"]}`: 2,
		`presence-unsubscribe {"identities":["a","b"]}`: 2, `presence-read {}`: 1, `record-read {}`: 1, `event-publish {}`: 1, `listen {}`: 1,
		`record-write {"operations":[` + strings.Repeat("{},", 15) + `{}]}`: 1, `record-write {"operations":[` + strings.Repeat("{},", 16) + `{}]}`: 2,
		`record-write {"operations":[{"value":"` + strings.Repeat("x", 16<<10-2) + `"}]}`: 1, `record-write {"operations":[{"value":"` + strings.Repeat("x", 16<<10-1) + `"}]}`: 2,
		`event-publish {"value":"` + strings.Repeat("x", 64<<10-2) + `"}`: 4, `rpc-request {"value":"` + strings.Repeat("x", 16<<10-1) + `"}`: 2,
		`rpc-answer {"value":"` + strings.Repeat("x", 64<<10-2) + `"}`: 4, `rpc-answer {}`: 1,
	} {
		typ, text, _ := strings.Cut(body, " ")
		if _, c, refused := Decode(Caller{}, typ, []byte(text)); refused != nil || Cost(c) != want {
			t.Errorf("%.60s costs %d, want %d (%v)", body, Cost(c), want, refused)
		}
	}
}
