package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sample = `// Package wire is a sample.
package wire

import (
	"encoding/json"
	"time"
)

// Version of the sample.
const Protocol = 3

// Limits of the sample.
const (
	MaxCups = 2 << 3 // cups on the table
)

// Colour of tea.
type Colour string

// Colours.
const (
	ColourGreen Colour = "green" // not yet oxidised
	ColourBlack Colour = "black"
)

// Code names what went wrong.
type Code string

// Codes.
const CodeSpilt Code = "spilt" // tea | table

// Requests, by type.
const (
	TypePour    = "pour"     // Pour → poured: Poured
	TypePutDown = "put-down" // PutDown → poured: Poured
)

// Events, by type.
const TypeSpilt = "spilt" // Spilt

// Pour asks for tea, see [Poured.At].
type Pour struct {
	// Colour wanted.
	Colour Colour   ` + "`json:\"colour\"`" + `
	Cups   *int     ` + "`json:\"cups,omitempty\"`" + ` // how many
	Words  []string ` + "`json:\"words\"`" + `
}

// PutDown ends it.
type PutDown struct{}

// Poured tells when.
type Poured struct {
	At time.Time ` + "`json:\"at\"`" + `
}

// Spilt tells where.
type Spilt struct {
	Where []Place ` + "`json:\"where\"`" + `
}

// Place on the table.
type Place struct {
	X int ` + "`json:\"x\"`" + `
}

// Error of the sample.
type Error struct {
	Code Code ` + "`json:\"code\"`" + `
}

// Message is the envelope.
type Message struct {
	Seq   uint64          ` + "`json:\"seq\"`" + `
	Reply uint64          ` + "`json:\"reply,omitempty\"`" + `
	Type  string          ` + "`json:\"type\"`" + `
	Body  json.RawMessage ` + "`json:\"body\"`" + `
}
`

const samplePage = `# Sample
<!-- gen:requests --><!-- /gen -->
between
<!-- gen:replies -->
old
<!-- /gen -->
<!-- gen:events --><!-- /gen -->
<!-- gen:types --><!-- /gen -->
<!-- gen:codes --><!-- /gen -->
<!-- gen:limits --><!-- /gen -->
end
`

// repository writes a repository with the given wire source and protocol page.
func repository(t *testing.T, source, page string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{"wire/wire.go": source, protocolPath: page} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func readFile(t *testing.T, root, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Types, optional fields, enumerations, numbers and messages come out as TypeScript.
func TestTypeScript(t *testing.T) {
	root := repository(t, sample, samplePage)
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	got := readFile(t, root, typesPath)
	for _, want := range []string{
		"  protocol: 3,\n",
		"  /** cups on the table */\n  maxCups: 16,\n",
		"export type Colour =\n  | \"green\" // not yet oxidised\n  | \"black\";\n",
		"/** Pour asks for tea, see Poured.At. */\nexport interface Pour {\n",
		"  /** colour wanted. */\n", // the Go field's name becomes the JSON name
		"  /** how many */\n  cups?: number;\n",
		"  words: string[];\n",
		"export type PutDown = Record<string, never>;\n",
		"  at: string;\n",
		"  where: Place[];\n",
		`  "put-down": { body: PutDown; reply: "poured"; replyBody: Poured };`,
		"export interface Events {\n  spilt: Spilt;\n}",
		"export interface Replies {\n  poured: Poured;\n  error: Error;\n}",
		"export type EventMessage = {\n  [T in keyof Events]: {\n    seq: number;\n    reply?: undefined;\n    type: T;\n    body: Events[T];\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// Only what stands between the markers changes, and a second run changes nothing.
func TestMarkdown(t *testing.T) {
	root := repository(t, sample, samplePage)
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	got := readFile(t, root, protocolPath)
	for _, want := range []string{
		"# Sample\n<!-- gen:requests -->\n| type |",
		"<!-- /gen -->\nbetween\n<!-- gen:replies -->\n| type |",
		"<!-- /gen -->\nend\n",
		"| `pour` | `Pour` | `poured` | Pour asks for tea, see Poured.At. |",
		"| `cups` | number, optional | how many |",
		"| `at` | string, RFC 3339 |",
		"**`Place`: Place on the table.**",
		"**`Colour`**: Colour of tea. `green`, `black`.",
		`| ` + "`spilt`" + ` | tea \| table |`,
		"| `MaxCups` | 16 | cups on the table |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "old") {
		t.Error("the old table is still there")
	}
	if err := run(root, true); err != nil {
		t.Errorf("check right after writing: %v", err)
	}
}

// Check mode writes nothing and fails where something is out of date.
func TestCheckFindsDrift(t *testing.T) {
	root := repository(t, sample, samplePage)
	if err := run(root, true); err == nil {
		t.Error("types are missing and check says nothing")
	}
	if _, err := os.Stat(filepath.Join(root, typesPath)); err == nil {
		t.Error("check has written a file")
	}
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(root, protocolPath)
	text := strings.Replace(readFile(t, root, protocolPath), "how many", "how much", 1)
	if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(root, true); err == nil || !strings.Contains(err.Error(), "make gen") {
		t.Errorf("an edited table: %v, want a hint at make gen", err)
	}
}

// What the generator cannot carry over is an error that names it.
func TestRefuses(t *testing.T) {
	for _, c := range []struct{ name, source, page, want string }{
		{"a request without a reply", strings.Replace(sample, "// Pour → poured: Poured", "// Pour", 1), samplePage, "TypePour"},
		{"an unknown body", strings.Replace(sample, "// Spilt\n", "// Spelt\n", 1), samplePage, "Spelt"},
		{"an unknown field type", strings.Replace(sample, "[]Place", "[]Plaice", 1), samplePage, "Plaice"},
		{"a field of a type without JSON", strings.Replace(sample, "[]Place", "func()", 1), samplePage, "Where"},
		{"an unknown marker", sample, strings.Replace(samplePage, "gen:codes", "gen:cods", 1), "cods"},
		{"a missing marker", sample, strings.Replace(samplePage, "<!-- gen:codes --><!-- /gen -->", "", 1), "codes"},
		{"a marker twice", sample, samplePage + "<!-- gen:codes --><!-- /gen -->", "twice"},
		{"a marker that is not closed", sample, strings.Replace(samplePage, "<!-- gen:codes --><!-- /gen -->", "<!-- gen:codes -->", 1), "not closed"},
		{"no Go at all", "package wire\nfunc {", samplePage, "wire.go"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := run(repository(t, c.source, c.page), false)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error about %s", err, c.want)
			}
		})
	}
}

// The committed files are what the committed package says.
func TestRepositoryIsCurrent(t *testing.T) {
	if err := run("../../..", true); err != nil {
		t.Error(err)
	}
}
