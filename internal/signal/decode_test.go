package signal

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// usualForms are requests as clients write them, and what is nearly that.
var usualForms = []struct {
	text  string
	usual bool
}{
	{`{"id":1,"type":"ping"}`, true},
	{`{"id":9007199254740991,"type":"record-write","body":{"name":"a","operations":[{"op":"set","value":"}"}]}}`, true},
	{`{"id":12,"type":"leave","body":{}}`, true},
	{`{"id":0,"type":"","body":{}}`, true}, // read, and then refused
	{`{"id":12,"type":"leave","body": {}}`, false},
	{`{"id":12,"type":"leave","body":null}`, false},
	{`{"id":12,"type":"leave","body":[]}`, false},
	{`{"id":12,"type":"leave","body":{}} `, false},
	{`{"id":12,"type":"leave","body":{},"body":{}}`, false},
	{`{"id":12,"type":"leave","body":{},"id":3}`, false},
	{`{"id":12,"type":"leave","type":"chat"}`, false},
	{`{"id":012,"type":"leave"}`, false},
	{`{"id":1e3,"type":"leave"}`, false},
	{`{"id":-1,"type":"leave"}`, false},
	{`{"id":18446744073709551617,"type":"leave"}`, false},
	{`{"id":,"type":"leave"}`, false},
	{`{"id":1,"type":"le\u0061ve"}`, false},
	{`{"type":"leave","id":1}`, false},
	{`{"id":1,"type":"leave","body":{"a":}}`, false},
	{`{"id":1,"type":"leave","body":{}`, false},
	{`{"id":1,"type":"leave`, false},
	{``, false},
	{`{"id":1,"type":"leave","body":{"a":` + strings.Repeat("[", MaxDepth-2) + strings.Repeat("]", MaxDepth-2) + `}}`, true},
	{`{"id":1,"type":"leave","body":{"a":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + `}}`, false},
	{"{\"id\":1,\"type\":\"leave\",\"body\":{\"a\":\"\xff\"}}", false},
}

// What is read quickly is what package json reads and CheckJSON lets pass, and what clients write is read quickly.
func TestDecodeUsual(t *testing.T) {
	for _, c := range usualForms {
		if got := sameAsJSON(t, []byte(c.text)); got != c.usual {
			t.Errorf("%s: read quickly is %v", c.text, got)
		}
	}
}

func sameAsJSON(t *testing.T, b []byte) bool {
	t.Helper()
	got, ok := decodeUsual(b)
	var want wire.Request
	if err := json.Unmarshal(b, &want); ok && (err != nil || !reflect.DeepEqual(got, want)) {
		t.Errorf("%s is %+v, and to package json %+v, %v", b, got, want, err)
	}
	if refused := CheckJSON(b); ok && refused != nil {
		t.Errorf("%s is read quickly, and would be refused: %v", b, refused)
	}
	return ok
}

// Whatever comes, what is read quickly is what package json reads and CheckJSON lets pass.
func FuzzDecodeUsual(f *testing.F) {
	for _, c := range usualForms {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, b []byte) { sameAsJSON(t, b) })
}
