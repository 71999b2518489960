// Package parley_test holds the rules of this repository that a compiler does not know: which package may import which, what
// the cores keep out of, and that every package says what it is. docs/ARCHITECTURE.md explains why.
package parley_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/parley-rtc/parley/"

type kind int

const (
	core kind = iota + 1
	runtime
	testOnly
	adapter
	root
	command
)

// packages in import order: each imports only those above it.
var packages = []struct {
	path string
	kind kind
}{
	{"wire", core},
	{"internal/drop", core},
	{"internal/datagram", core},
	{"internal/rtp", core},
	{"internal/codec", core},
	{"internal/sdp", core},
	{"internal/stun", core},
	{"internal/auth", core},
	{"internal/auth/authtest", testOnly},
	{"internal/ice", core},
	{"internal/srtp", core},
	{"internal/nack", core},
	{"internal/bwe", core},
	{"internal/pacer", core},
	{"internal/voice", core},
	{"internal/turn", core},
	{"internal/natcheck", core},
	{"internal/state", core},
	{"internal/permit", core},
	{"internal/route", core},
	{"internal/share", core},
	{"internal/transport", core},
	{"internal/room", core},
	{"internal/obs", runtime},
	{"internal/mmsg", runtime},
	{"internal/udp", runtime},
	{"internal/sim", testOnly},
	{"internal/port", runtime},
	{"internal/dtls", runtime},
	{"internal/data", runtime},
	{"internal/bus", runtime},
	{"internal/bus/bustest", testOnly},
	{"internal/bus/local", runtime},
	{"internal/bus/nats", runtime},
	{"internal/scopes", runtime},
	{"internal/journal", runtime},
	{"internal/relay", runtime},
	{"internal/media", runtime},
	{"internal/rooms", runtime},
	{"internal/signal", runtime},
	{"internal/signal/ws", adapter},
	{"internal/signal/whip", adapter},
	{"internal/signal/sip", adapter},
	{"internal/signal/xmpp", adapter},
	{"internal/signal/paste", adapter},
	{"internal/scenario", testOnly},
	{"internal/mcu", adapter},
	{"internal/record", adapter},
	{"internal/cdn", adapter},
	{"internal/webui", adapter},
	{"internal/api", adapter},
	{"internal/load/source", core},
	{"internal/load/meter", core},
	{"internal/load", adapter},
	{"internal/doctor", adapter},
	{"internal/host", root},
	{"client", root},
	{"cmd/parley", command},
}

// commandFolder holds programs for development. They may import anything and nothing imports them.
const commandFolder = "internal/tools/"

// clientImports is all that the public Go SDK may import of this module: the messages, and the core that applies operations to documents, so that
// replicas do what their owner does.
var clientImports = []string{"wire", "internal/state"}

// place returns the position of a package in the order, and what it is.
func place(pkg string) (int, kind, bool) {
	for i, p := range packages {
		if p.path == pkg {
			return i, p.kind, true
		}
	}
	if strings.HasPrefix(pkg, commandFolder) {
		return len(packages), command, true
	}
	return 0, 0, false
}

// file is one parsed Go file of the package pkg; test files belong to the package whose folder they are in.
type file struct {
	pkg, name string
	test      bool
	ast       *ast.File
	fset      *token.FileSet
}

func (f file) imports() []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

// importFaults tells which imports of f break the order.
func importFaults(f file) []string {
	at, k, known := place(f.pkg)
	if !known {
		return []string{"package is not in the order of rules_test.go"}
	}
	var faults []string
	for _, p := range f.imports() {
		p, ours := strings.CutPrefix(p, module)
		if !ours {
			continue
		}
		to, toKind, known := place(p)
		switch {
		case !known:
			faults = append(faults, "imports "+p+", which is not in the order of rules_test.go")
		case f.test:
			// A test may use any package: the compiler refuses circles.
		case toKind == testOnly && k != testOnly:
			faults = append(faults, "imports "+p+", which only tests may")
		case k == adapter && toKind == adapter:
			faults = append(faults, "imports "+p+": adapters do not import one another")
		case f.pkg == "client" && !slices.Contains(clientImports, p):
			faults = append(faults, "imports "+p+": the SDK imports only "+strings.Join(clientImports, ", "))
		case to >= at:
			faults = append(faults, "imports "+p+", which comes after it")
		}
	}
	return faults
}

// impureImports must not appear in a core: they bring goroutines, locks, sockets, clocks or loggers. Packages below them are
// meant too, except pureImports.
var impureImports = []string{"context", "log", "net", "os", "sync", "syscall", "golang.org/x/sys"}

var pureImports = []string{"net/netip", "net/url", "net/textproto"}

// impureTime are the functions of package time that read the clock or start a timer.
var impureTime = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// purityFaults tells what in f, a file of a core, does not belong there.
func purityFaults(f file) []string {
	var faults []string
	for _, p := range f.imports() {
		for _, bad := range impureImports {
			if (p == bad || strings.HasPrefix(p, bad+"/")) && !slices.Contains(pureImports, p) {
				faults = append(faults, "a core imports "+p)
			}
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			faults = append(faults, fmt.Sprintf("a core starts a goroutine in line %d", f.fset.Position(n.Pos()).Line))
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && x.Obj == nil && slices.Contains(impureTime, n.Sel.Name) {
				faults = append(faults, fmt.Sprintf("a core uses time.%s in line %d", n.Sel.Name, f.fset.Position(n.Pos()).Line))
			}
		}
		return true
	})
	return faults
}

// Each package imports only those above it; adapters do not import one another; test packages are imported by tests only.
func TestImportOrder(t *testing.T) {
	for _, f := range repository(t) {
		if f.pkg == "." {
			continue
		}
		for _, fault := range importFaults(f) {
			t.Errorf("%s: %s", f.name, fault)
		}
	}
}

// A core has no goroutine, lock, socket, logger or clock.
func TestCoresArePure(t *testing.T) {
	for _, f := range repository(t) {
		if _, k, _ := place(f.pkg); k != core || f.test {
			continue
		}
		for _, fault := range purityFaults(f) {
			t.Errorf("%s: %s", f.name, fault)
		}
	}
}

// Every package has one package comment that says what it is.
func TestPackageComments(t *testing.T) {
	comments := map[string]int{}
	for _, f := range repository(t) {
		if !f.test || f.pkg == "." {
			comments[f.pkg] += 0
			if f.ast.Doc != nil && len(strings.Fields(f.ast.Doc.Text())) >= 4 {
				comments[f.pkg]++
			}
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(comments)) {
		if n := comments[pkg]; n != 1 {
			t.Errorf("%s has %d package comments", pkg, n)
		}
	}
}

// No file is longer than 900 lines: a file is one concern.
func TestFileLength(t *testing.T) {
	for _, f := range repository(t) {
		if n := f.fset.File(f.ast.Pos()).LineCount(); n > 900 && !ast.IsGenerated(f.ast) {
			t.Errorf("%s has %d lines", f.name, n)
		}
	}
}

// repository parses every Go file of the module.
func repository(t *testing.T) []file {
	t.Helper()
	var files []file
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() && name != "." && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(base, ".go") {
			return nil
		}
		f, err := parse(filepath.ToSlash(name), nil)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parse(name string, src any) (file, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, src, parser.ParseComments)
	return file{pkg: path.Dir(name), name: name, test: strings.HasSuffix(name, "_test.go"), ast: tree, fset: fset}, err
}

// The rules find what they are there to find.
func TestRulesFindFaults(t *testing.T) {
	for _, c := range []struct{ name, src, fault string }{
		{"internal/rtp/x.go", `import _ "github.com/parley-rtc/parley/internal/drop"`, ""},
		{"internal/drop/x.go", `import _ "github.com/parley-rtc/parley/internal/rtp"`, "comes after it"},
		{"internal/drop/x_test.go", `import _ "github.com/parley-rtc/parley/internal/rtp"`, ""},
		{"internal/novel/x.go", ``, "not in the order"},
		{"internal/media/x.go", `import _ "github.com/parley-rtc/parley/internal/sim"`, "only tests"},
		{"internal/signal/whip/x.go", `import _ "github.com/parley-rtc/parley/internal/signal/ws"`, "adapters"},
		{"client/x.go", `import _ "github.com/parley-rtc/parley/internal/rtp"`, "SDK"},
		{"internal/host/x.go", `import _ "github.com/parley-rtc/parley/internal/tools/passed"`, "comes after it"},
		{"internal/rtp/x.go", `import _ "net/netip"`, ""},
		{"internal/rtp/x.go", `import _ "net/http"`, "a core imports net/http"},
		{"internal/rtp/x.go", `import _ "sync/atomic"`, "a core imports sync/atomic"},
		{"internal/rtp/x.go", `func f() { go f() }`, "goroutine"},
		{"internal/rtp/x.go", "import \"time\"\nvar x = time.Now()", "time.Now"},
		{"internal/rtp/x.go", "import \"time\"\nvar x = time.Second", ""},
	} {
		f, err := parse(c.name, "package x\n"+c.src)
		if err != nil {
			t.Fatal(err)
		}
		faults := importFaults(f)
		if _, k, _ := place(f.pkg); k == core && !f.test {
			faults = append(faults, purityFaults(f)...)
		}
		if got := strings.Join(faults, "; "); (c.fault == "") != (got == "") || !strings.Contains(got, c.fault) {
			t.Errorf("%s with %q: faults %q, want %q", c.name, c.src, got, c.fault)
		}
	}
}
