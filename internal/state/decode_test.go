package state

import (
	"fmt"
	"reflect"
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
