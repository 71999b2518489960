package state

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parley-rtc/parley/wire"
)

// bodies are those of requests that come often, as clients write them, and what is nearly that.
var bodies = []struct {
	text           string
	write, publish bool // skimmed as such
}{
	{`{"name":"a","operations":[{"op":"set","path":"n","value":1}]}`, true, false},
	{`{"scope":"server","name":"Tée","operations":[{"op":"erase","path":"a.b[1]"},{"op":"move","value":"x","at":0,"to":12},{"op":"entries","value":[],"base":7}],` +
		`"version":0,"incarnation":1764327600000000,"ttlSeconds":60,"durable":true,"history":0}`, true, false},
	{`{"name":"a","operations":[{"op":"set","path":"n","value":1}],"initial":{"ttlSeconds":60,"history":0}}`, true, false},
	{`{"initial":{}}`, true, false},
	{`{"initial":{"history":1,"history":2}}`, false, false},
	{`{"initial":{"durable":true}}`, false, false},
	{`{"initial":null}`, false, false},
	{` { "name" : "a" , "operations" : [ { "op" : "set" , "value" : { "x" : [ 1 , 2 ] } } ] , "durable" : false } ` + "\n", true, false},
	{`{"name":"a","operations":[{"op":"set","value":"\ud800\"\u00e9 \\"}]}`, true, false},
	{`{"name":"a","operations":[{"op":"set","value":null}]}`, true, false},
	{"{\"name\":\"a\",\"operations\":[{\"op\":\"set\",\"value\":\"\xff\"}]}", true, false},
	{`{"name":"tick","value":{"n":-1.5e+3,"t":true,"f":false,"o":{},"a":[[]]}}`, false, true},
	{`{"scope":"room","name":"tick","value": "x" }`, false, true},
	{`{}`, true, true},
	{`{"name":"a"}`, true, true},
	{`{"operations":[]}`, true, false},
	{`{"name":"a","operations":[],}`, false, false},
	{`{"name":"a" "operations":[]}`, false, false},
	{`{"name":"a","name":"b"}`, false, false},
	{`{"operations":[{"at":1}],"operations":[{}]}`, false, false},
	{`{"operations":[{"at":1,"at":2}]}`, false, false},
	{`{"Name":"a"}`, false, false},
	{`{"name":"a","more":1}`, false, false},
	{`{"n\u0061me":"a"}`, false, false},
	{`{"name":"a\n"}`, false, false},
	{"{\"name\":\"a\n\"}", false, false},
	{"{\"name\":\"\xff\"}", false, false},
	{`{"name":null}`, false, false},
	{`{"name":1}`, false, false},
	{`{"operations":null}`, false, false},
	{`{"operations":{}}`, false, false},
	{`{"operations":[null]}`, false, false},
	{`{"operations":[{"at":-1}]}`, false, false},
	{`{"operations":[{"at":1.0}]}`, false, false},
	{`{"operations":[{"at":1e1}]}`, false, false},
	{`{"operations":[{"at":01}]}`, false, false},
	{`{"operations":[{"at":}]}`, false, false},
	{`{"operations":[{"at":9223372036854775808}]}`, false, false},
	{`{"operations":[{"value":01}]}`, false, false},
	{`{"operations":[{"value":1.}]}`, false, false},
	{`{"operations":[{"value":-}]}`, false, false},
	{`{"operations":[{"value":nul}]}`, false, false},
	{`{"operations":[{"value":"\x"}]}`, false, false},
	{`{"operations":[{"value":"\u00g0"}]}`, false, false},
	{`{"operations":[{"value":"\u00`, false, false},
	{`{"operations":[{"value":"\`, false, false},
	{`{"operations":[{"value":{"a":1,}}]}`, false, false},
	{`{"operations":[{"value":[1}]}`, false, false},
	{`{"version":true}`, false, false},
	{`{"durable":1}`, false, false},
	{`{"name":"a"} x`, false, false},
	{`[]`, false, false},
	{`null`, false, false},
	{``, false, false},
}

// What is skimmed is what package json reads, and what clients write is skimmed.
func TestSkim(t *testing.T) {
	for _, c := range bodies {
		if write, publish := skimmed(t, []byte(c.text)); write != c.write || publish != c.publish {
			t.Errorf("%s: skimmed as a write is %v, as an event %v", c.text, write, publish)
		}
	}
}

// Rule: Valid is package json's, for text in UTF-8 that is not nested deeper than it may be.
func TestValid(t *testing.T) {
	for levels := range 4 {
		if got := Valid([]byte(`[{"a":[]}]`), levels); got != (levels == 3) {
			t.Errorf("%d levels: %v", levels, got)
		}
	}
}

// Whatever comes, what is skimmed is what package json reads.
func FuzzSkim(f *testing.F) {
	for _, c := range bodies {
		f.Add([]byte(c.text))
	}
	f.Add([]byte(strings.Repeat("[", maxSkimmed+1) + strings.Repeat("]", maxSkimmed+1)))
	f.Fuzz(func(t *testing.T, b []byte) { skimmed(t, b) })
}

// skimmed compares all that is skimmed with what package json says of it.
func skimmed(t *testing.T, b []byte) (write, publish bool) {
	t.Helper()
	if want := json.Valid(b) && utf8.Valid(b) && Levels(b) <= maxSkimmed; Valid(b, maxSkimmed) != want {
		t.Errorf("%q: it is valid is not %v", b, want)
	}
	return sameAsJSON(t, b, skimWrite), sameAsJSON(t, b, skimPublish)
}

func sameAsJSON[B any](t *testing.T, b []byte, skim func([]byte) (B, bool)) bool {
	t.Helper()
	got, ok := skim(b)
	var want B
	if err := json.Unmarshal(b, &want); ok && (err != nil || !reflect.DeepEqual(got, want)) {
		t.Errorf("%q is %+v, and to package json %+v, %v", b, got, want, err)
	}
	return ok
}

func BenchmarkDecodeWrite(b *testing.B) {
	body := []byte(`{"name":"record 17","durable":false,"operations":[{"op":"set","path":"n","value":1700},{"op":"set","path":"by","value":{"x":17,"y":4,"colour":"red"}}]}`)
	for b.Loop() {
		if _, _, refused := Decode(Caller{}, wire.TypeRecordWrite, body); refused != nil {
			b.Fatal(refused)
		}
	}
}
