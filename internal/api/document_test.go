package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/api"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

type object = map[string]any

// document is the OpenAPI document, as far as it says what values are.
type document struct{ schemas object }

func readDocument(t *testing.T) document {
	t.Helper()
	var d struct{ Components struct{ Schemas object } }
	if err := json.Unmarshal(api.Document(), &d); err != nil {
		t.Fatal(err)
	}
	return document{d.Components.Schemas}
}

// check tells why a value is not what a schema says; "": it is. It knows the words that the document uses, and no others.
func (d document) check(schema object, value any) string {
	for _, word := range slices.Sorted(maps.Keys(schema)) {
		if why := d.checkWord(word, schema[word], schema, value); why != "" {
			return why
		}
	}
	return ""
}

func (d document) checkWord(word string, says any, schema object, value any) string {
	members, _ := value.(object)
	switch word {
	case "title", "description", "format":
	case "$ref":
		return d.check(d.schemas[strings.TrimPrefix(says.(string), "#/components/schemas/")].(object), value)
	case "type":
		return checkType(says.(string), value)
	case "const":
		if value != says {
			return fmt.Sprintf("%v is not %v", value, says)
		}
	case "enum":
		if !slices.Contains(says.([]any), value) {
			return fmt.Sprintf("%v is none of %v", value, says)
		}
	case "minimum":
		if n, ok := value.(float64); ok && n < says.(float64) {
			return fmt.Sprintf("%v is below %v", value, says)
		}
	case "items":
		for _, x := range value.([]any) {
			if why := d.check(says.(object), x); why != "" {
				return why
			}
		}
	case "required":
		for _, name := range says.([]any) {
			if _, ok := members[name.(string)]; !ok {
				return fmt.Sprintf("there is no %v in %v", name, value)
			}
		}
	case "properties":
		for name, x := range members {
			of, ok := says.(object)[name].(object)
			if !ok {
				return fmt.Sprintf("there should be no %s in %v", name, value)
			}
			if why := d.check(of, x); why != "" {
				return name + ": " + why
			}
		}
	case "oneOf":
		var all []string
		for _, one := range says.([]any) {
			if why := d.check(one.(object), value); why != "" {
				all = append(all, why)
			}
		}
		if fits := len(says.([]any)) - len(all); fits != 1 {
			return fmt.Sprintf("%d of them fit: %s", fits, strings.Join(all, "; "))
		}
	default:
		return fmt.Sprintf("the test does not know %q of %v", word, schema)
	}
	return ""
}

func checkType(want string, value any) string {
	got := ""
	switch n := value.(type) {
	case object:
		got = "object"
	case []any:
		got = "array"
	case string:
		got = "string"
	case bool:
		got = "boolean"
	case float64:
		if got = "number"; n == float64(int64(n)) {
			got = "integer"
		}
	}
	if got != want {
		return fmt.Sprintf("%v is of type %s, not %s", value, got, want)
	}
	return ""
}

// next decodes the first JSON object of a text.
func next(t *testing.T, text string) (value object) {
	t.Helper()
	if err := json.NewDecoder(strings.NewReader(text[strings.Index(text, "{"):])).Decode(&value); err != nil {
		t.Fatalf("%.100s: %v", text, err)
	}
	return value
}

func (d document) fits(t *testing.T, name string, value any) {
	t.Helper()
	if why := d.check(d.schemas[name].(object), value); why != "" {
		t.Errorf("%v is no %s: %s", value, name, why)
	}
}

// types are those of messages that a schema lets be one of.
func (d document) types(name string) (types []string) {
	for _, one := range d.schemas[name].(object)["oneOf"].([]any) {
		types = append(types, one.(object)["title"].(string))
	}
	return types
}

// Rule: what docs/protocol.md shows of shared state is what the document says: the batch with its answer, and all messages that could be in one.
func TestExamplesFitDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## 18. ")
	d, checked := readDocument(t), 0
	for arrow, name := range map[string]string{"→ {": "Item", "← {": "Result"} {
		for _, example := range strings.Split(section, arrow)[1:] {
			m := next(t, "{"+example)
			if !slices.Contains(d.types(name), m["type"].(string)) {
				continue
			}
			maps.DeleteFunc(m, func(member string, _ any) bool { return member != "type" && member != "body" })
			d.fits(t, name, m)
			checked++
		}
	}
	if checked < 4 {
		t.Errorf("only %d messages were found", checked)
	}
	_, batch, _ := strings.Cut(section, "POST /v1/state HTTP/1.1")
	request, answer, _ := strings.Cut(batch, "HTTP/1.1 200 OK")
	d.fits(t, "Batch", next(t, request))
	d.fits(t, "Results", next(t, answer))
}

// Rule: a request with what the document requires, and no more, is understood; without any of that it is not.
func TestRequiredMembers(t *testing.T) {
	o, d := open(t, signal.Config{State: true}), readDocument(t)
	bodies := map[string]string{
		"record-read": `{"records":[{"name":"a"}]}`, "record-write": `{"name":"a","operations":[{"op":"set","value":{}}]}`, "record-delete": `{"name":"a"}`,
		"event-publish": `{"name":"a"}`, "rpc-request": `{"name":"a"}`, "presence-read": `{}`, "log-read": `{}`,
	}
	ask := func(typ string, body object) string {
		b, err := json.Marshal(object{"type": typ, "body": body})
		if err != nil {
			t.Fatal(err)
		}
		return o.batch(string(b))[0]
	}
	for _, typ := range d.types("Item") {
		body := next(t, bodies[typ])
		d.fits(t, "Item", object{"type": typ, "body": body})
		if got := ask(typ, body); got == string(wire.CodeBadRequest) {
			t.Errorf("%s %v: %s", typ, body, got)
		}
		for name := range body {
			less := maps.Clone(body)
			delete(less, name)
			if got := ask(typ, less); got != string(wire.CodeBadRequest) {
				t.Errorf("%s without %s: %s", typ, name, got)
			}
			if d.check(d.schemas["Item"].(object), object{"type": typ, "body": less}) == "" {
				t.Errorf("%s without %s is what the document says", typ, name)
			}
		}
	}
}
