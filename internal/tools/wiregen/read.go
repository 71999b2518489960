package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// protocol is what wire's source says.
type protocol struct {
	structs  []structType
	enums    []enum
	requests []request
	events   []event
	limits   []named // numbers
	strings  []named // string constants that belong to no enum
}

type structType struct {
	name, doc string
	fields    []field
}

type field struct {
	name, doc string
	typ       fieldType
	optional  bool
}

// fieldType is a field's type; named types keep their Go name.
type fieldType struct {
	name string // "string", "number", "boolean", "time", "json" or the name of a struct or enum
	list bool
}

// enum is a string type with its constants.
type enum struct {
	name, doc string
	values    []named
}

// named is a constant.
type named struct {
	name, value, doc string
}

type request struct {
	typ, body, reply, replyBody string
}

type event struct{ typ, body string }

// groups of constants, by the first word of their comment.
const (
	groupRequests = "Requests,"
	groupReplies  = "Replies,"
	groupEvents   = "Events,"
	groupLimits   = "Limits"
)

// readPackage parses the Go files of dir.
func readPackage(dir string) (*protocol, error) {
	fset := token.NewFileSet()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".go" || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no Go files", dir)
	}
	// Only constants are asked of the type checker, and they need no import.
	conf := types.Config{Importer: noImports{}, Error: func(error) {}}
	checked, _ := conf.Check("wire", fset, files, nil)
	r := &reader{scope: checked.Scope(), out: &protocol{}}
	for _, f := range files {
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				r.declaration(g)
			}
		}
	}
	r.finish()
	return r.out, errors.Join(r.errs...)
}

type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("%s is not needed", path)
}

type reader struct {
	scope *types.Scope
	out   *protocol
	errs  []error
}

func (r *reader) failf(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf(format, args...))
}

func (r *reader) declaration(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() {
				r.typeSpec(s, text(s.Doc, g.Doc))
			}
		case *ast.ValueSpec:
			if g.Tok == token.CONST && s.Names[0].IsExported() {
				r.constant(g, s)
			}
		}
	}
}

func (r *reader) typeSpec(s *ast.TypeSpec, doc string) {
	switch t := s.Type.(type) {
	case *ast.Ident:
		if t.Name != "string" {
			r.failf("type %s: %s types are not part of the protocol", s.Name.Name, t.Name)
			return
		}
		r.out.enums = append(r.out.enums, enum{name: s.Name.Name, doc: doc})
	case *ast.StructType:
		st := structType{name: s.Name.Name, doc: doc}
		for _, f := range t.Fields.List {
			if fl, ok := r.field(st.name, f); ok {
				st.fields = append(st.fields, fl)
			}
		}
		r.out.structs = append(r.out.structs, st)
	default:
		r.failf("type %s: neither a struct nor a string", s.Name.Name)
	}
}

// field reads one struct field. Each line of comments counts, above the field or behind it.
func (r *reader) field(owner string, f *ast.Field) (field, bool) {
	if len(f.Names) != 1 || f.Tag == nil {
		r.failf("%s: a field without a single name and a json tag", owner)
		return field{}, false
	}
	tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
	name, options, _ := strings.Cut(tag, ",")
	typ, pointer, err := fieldTypeOf(f.Type)
	if err != nil || name == "" {
		r.failf("%s.%s: %v", owner, f.Names[0].Name, err)
		return field{}, false
	}
	doc := strings.TrimSpace(text(f.Doc) + " " + text(f.Comment))
	// Comments name Go fields; readers of the protocol see JSON names.
	if rest, ok := strings.CutPrefix(doc, f.Names[0].Name+" "); ok {
		doc = name + " " + rest
	} else if rest, ok := strings.CutPrefix(doc, f.Names[0].Name+":"); ok {
		doc = name + ":" + rest
	}
	return field{name: name, doc: doc, typ: typ, optional: pointer || strings.Contains(options, "omitempty")}, true
}

func fieldTypeOf(e ast.Expr) (typ fieldType, pointer bool, err error) {
	switch t := e.(type) {
	case *ast.Ident:
		switch t.Name {
		case "string":
			return fieldType{name: "string"}, false, nil
		case "bool":
			return fieldType{name: "boolean"}, false, nil
		case "int", "int64", "uint8", "uint16", "uint32", "uint64", "float64":
			return fieldType{name: "number"}, false, nil
		}
		return fieldType{name: t.Name}, false, nil
	case *ast.StarExpr:
		typ, _, err = fieldTypeOf(t.X)
		return typ, true, err
	case *ast.ArrayType:
		typ, _, err = fieldTypeOf(t.Elt)
		typ.list = true
		return typ, false, err
	case *ast.SelectorExpr:
		switch fmt.Sprintf("%s.%s", t.X, t.Sel) {
		case "time.Time":
			return fieldType{name: "time"}, false, nil
		case "json.RawMessage":
			return fieldType{name: "json"}, false, nil
		}
	}
	return fieldType{}, false, fmt.Errorf("unknown type %T", e)
}

func (r *reader) constant(g *ast.GenDecl, s *ast.ValueSpec) {
	name := s.Names[0].Name
	c, ok := r.scope.Lookup(name).(*types.Const)
	if !ok {
		r.failf("constant %s has no value", name)
		return
	}
	n := named{name: name, doc: strings.TrimSpace(text(s.Doc) + " " + text(s.Comment))}
	if c.Val().Kind() == constant.String {
		n.value = constant.StringVal(c.Val())
	} else {
		n.value = c.Val().ExactString()
	}
	group, _, _ := strings.Cut(text(g.Doc), " ")
	switch {
	case s.Type != nil:
		typ := fmt.Sprint(s.Type)
		if i := slices.IndexFunc(r.out.enums, func(e enum) bool { return e.name == typ }); i >= 0 {
			r.out.enums[i].values = append(r.out.enums[i].values, n)
			return
		}
		r.failf("constant %s: its type %s is not declared above it", name, typ)
	case group == groupRequests:
		r.request(n)
	case group == groupReplies: // the requests name them
	case group == groupEvents:
		r.out.events = append(r.out.events, event{typ: n.value, body: n.doc})
	case group == groupLimits, c.Val().Kind() == constant.Int:
		if n.doc == "" && !g.Lparen.IsValid() {
			n.doc = text(g.Doc)
		}
		r.out.limits = append(r.out.limits, n)
	default:
		r.out.strings = append(r.out.strings, n)
	}
}

// request reads a comment of the form "Join → joined: Joined".
func (r *reader) request(n named) {
	body, rest, ok1 := strings.Cut(n.doc, " → ")
	reply, replyBody, ok2 := strings.Cut(rest, ": ")
	if !ok1 || !ok2 {
		r.failf("constant %s: its comment must be `Body → reply: ReplyBody`", n.name)
		return
	}
	r.out.requests = append(r.out.requests, request{n.value, body, reply, replyBody})
}

// finish checks that every body exists.
func (r *reader) finish() {
	need := func(typ, body string) {
		if r.out.structOf(body) == nil {
			r.failf("message %q: no struct %q for its body", typ, body)
		}
	}
	for _, q := range r.out.requests {
		need(q.typ, q.body)
		need(q.reply, q.replyBody)
	}
	for _, e := range r.out.events {
		need(e.typ, e.body)
	}
	for _, s := range r.out.structs {
		for _, f := range s.fields {
			if f.typ.name[0] >= 'A' && f.typ.name[0] <= 'Z' && r.out.structOf(f.typ.name) == nil && r.out.enumOf(f.typ.name) == nil {
				r.failf("%s.%s: no type %s", s.name, f.name, f.typ.name)
			}
		}
	}
}

func (p *protocol) structOf(name string) *structType {
	for i := range p.structs {
		if p.structs[i].name == name {
			return &p.structs[i]
		}
	}
	return nil
}

func (p *protocol) enumOf(name string) *enum {
	for i := range p.enums {
		if p.enums[i].name == name {
			return &p.enums[i]
		}
	}
	return nil
}

// replies lists each reply once, with its body, error last.
func (p *protocol) replies() []event {
	var out []event
	for _, q := range p.requests {
		e := event{q.reply, q.replyBody}
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return append(out, event{"error", "Error"})
}

// text is the first comment group that says something, on one line, without the brackets of Go's doc links.
func text(groups ...*ast.CommentGroup) string {
	for _, g := range groups {
		if g == nil {
			continue
		}
		t := strings.Join(strings.Fields(g.Text()), " ")
		return docLink.ReplaceAllString(t, "$1")
	}
	return ""
}
