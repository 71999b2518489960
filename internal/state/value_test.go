package state

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/wire"
)

// Rule: what is read is JSON (RFC 8259); it is written with sorted keys, numbers as ECMAScript writes them, and nothing else of its own.
func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		` {"b" : 1 , "a":[ ]} `:            `{"a":[],"b":1}`,
		`{"a":1,"b":2,"a":3}`:              `{"a":3,"b":2}`, // the last one counts
		`[1.0,1e2,-0,1e21,1e-7,0.000001]`:  `[1,100,0,1e+21,1e-7,0.000001]`,
		`"\u00e9\ud83d\ude00\n\u0000\/\""`: `"é😀\u000a\u0000/\""`,
		`["\ud800"]`:                       `["�"]`, // no character, as in ECMAScript's toWellFormed
		`null`:                             `null`,
		`[true,false,null]`:                `[true,false,null]`,
		`{"":{}}`:                          `{"":{}}`,
	} {
		v, refused := Parse([]byte(in))
		if refused != nil || string(v.JSON()) != want || v.Size() != len(want) {
			t.Errorf("%s: got %s (size %d), %v; want %s", in, v.JSON(), v.Size(), refused, want)
		}
	}
	for _, in := range []string{
		``, ` `, `{`, `[`, `[1`, `[1,`, `[1,]`, `[,1]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{1:1}`, `01`, `-`, `1.`, `.5`, `1e`, `1e400`, `+1`,
		`nul`, `tru`, `"`, `"\`, `"\x"`, "\"\n\"", "\"\xff\"", `[1] 2`, `NaN`, `{"__proto__":1}`, `{"a":{"constructor":1}}`, `[{"prototype":1}]`,
		`{"\u005f_proto__":1}`, "[\x00]",
	} {
		if v, refused := Parse([]byte(in)); refused == nil || refused.Code != wire.CodeBadRequest {
			t.Errorf("%q: got %s, %v; want bad-request", in, v.JSON(), refused)
		}
	}
}

// Rule: size, depth and the number of elements have limits, and up to them all is well.
func TestParseLimits(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	many := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("0,", n), ",") + "]" }
	members := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(`,"` + strings.Repeat("k", 1) + string(appendNumber(nil, float64(i))) + `":0`)
		}
		return "{" + b.String()[1:] + "}"
	}
	long := func(n int) string { return `["` + strings.Repeat("x", n-4) + `"]` }
	for _, c := range []struct {
		name string
		make func(int) string
		max  int
	}{
		{"depth", deep, wire.MaxRecordDepth},
		{"items", many, wire.MaxElements},
		{"members", members, wire.MaxElements},
		{"bytes", long, wire.MaxRecordBytes},
	} {
		if _, refused := Parse([]byte(c.make(c.max))); refused != nil {
			t.Errorf("%s at its limit: %v", c.name, refused)
		}
		if _, refused := Parse([]byte(c.make(c.max + 1))); refused == nil || refused.Code != wire.CodeTooLarge {
			t.Errorf("%s beyond its limit: got %v, want too-large", c.name, refused)
		}
	}
	if _, refused := Parse([]byte(strings.Repeat(" ", 2*wire.MaxRecordBytes) + "1")); refused == nil || refused.Code != wire.CodeTooLarge {
		t.Errorf("white space: got %v, want too-large", refused)
	}
}

// anyJSON draws what encoding/json makes of a JSON value.
func anyJSON(t *rapid.T, levels int) any {
	kinds := []string{"null", "bool", "number", "string"}
	if levels > 0 {
		kinds = append(kinds, "object", "array", "object", "array")
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "bool":
		return rapid.Bool().Draw(t, "bool")
	case "number":
		return float64(rapid.IntRange(-3, 3).Draw(t, "number"))
	case "string":
		return rapid.SampledFrom([]string{"", "a", "b", "\x00\"\\é"}).Draw(t, "string")
	case "object":
		m := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "members") {
			m[anyKey(t)] = anyJSON(t, levels-1)
		}
		return m
	case "array":
		l := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			l = append(l, anyJSON(t, levels-1))
		}
		return l
	}
	return nil
}

func anyKey(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "", "x.y", "[0]", "1", "é\n"}).Draw(t, "key")
}

func anyPath(t *rapid.T) (p Path) {
	for range rapid.IntRange(1, 3).Draw(t, "steps") {
		if rapid.Bool().Draw(t, "place") {
			p = append(p, Step{Place: rapid.IntRange(0, 4).Draw(t, "n"), InArray: true})
		} else {
			p = append(p, Step{Key: anyKey(t)})
		}
	}
	return p
}

// Rule: writing and reading a value changes nothing, sizes are those of the encoding, equality is that of ECMAScript's values.
func TestValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyJSON(t, 3), anyJSON(t, 3)
		v, w := valueOf(t, a), valueOf(t, b)
		if !reflect.DeepEqual(v.Any(), a) || !reflect.DeepEqual(plain(v.JSON()), a) {
			t.Fatalf("%v became %v", a, v.Any())
		}
		if v.Size() != len(v.JSON()) {
			t.Fatalf("size %d of %s", v.Size(), v.JSON())
		}
		if v.Equal(w) != reflect.DeepEqual(a, b) || !v.Equal(valueOf(t, a)) {
			t.Fatalf("%s and %s: equal %v", v.JSON(), w.JSON(), v.Equal(w))
		}
	})
}

func valueOf(t tester, x any) Value {
	b, err := json.Marshal(x)
	if err != nil {
		t.Fatalf("%v", err)
	}
	v, refused := Parse(b)
	if refused != nil {
		t.Fatalf("%s: %v", b, refused)
	}
	return v
}
