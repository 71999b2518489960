package scopes

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Rule: a request arrives as it was sent, whatever names are in it, and what was cut off anywhere before its body is none.
func TestRequest(t *testing.T) {
	for _, want := range []Request{
		{},
		{Scope: wire.ScopeRoom, Room: "tea\x00", Node: "n", By: state.Caller{Session: "s", Identity: strings.Repeat("ä", 100), Source: netip.MustParseAddr("2001:db8::")}, Type: "attach"},
		{Room: "r", By: state.Caller{Grants: wire.Grants{Publish: true, PublishData: true, Hidden: true}}, Type: "record-read", Body: json.RawMessage(`{"a":1}`), Reply: 1<<53 - 1},
		{By: state.Caller{Grants: wire.Grants{Subscribe: true, Admin: true}, Source: netip.MustParseAddr("192.0.2.1")}, Type: "x", Reply: 128, Patient: true},
	} {
		b := want.Encode()
		if got, err := decodeRequest(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
		for n := range len(b) - len(want.Body) {
			if got, err := decodeRequest(b[:n]); err == nil {
				t.Errorf("%d of %d bytes are %+v", n, len(b), got)
			}
		}
	}
	if _, err := decodeRequest(append(make([]byte, 2), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)); err == nil {
		t.Error("a text longer than everything")
	}
	if n := reflect.TypeFor[wire.Grants]().NumField(); n != len(grantBits(&wire.Grants{})) {
		t.Errorf("of %d grants %d arrive", n, len(grantBits(&wire.Grants{})))
	}
}

// Rule: an answer says what it was made of.
func TestAnswer(t *testing.T) {
	for _, want := range []Answer{{}, {Type: "ok", Body: json.RawMessage(`{}`)}, {Error: wire.NewError(wire.CodeRate, "a", "b")}, busy()} {
		if got, err := DecodeAnswer(encode(want)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
	}
	if string(encode(Answer{})) != string(taken) {
		t.Errorf("%s and not %s says that it is taken", encode(Answer{}), taken)
	}
}
