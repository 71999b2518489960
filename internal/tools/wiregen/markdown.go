package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

type section struct {
	name   string
	render func(*bytes.Buffer, *protocol)
}

// sections are the generated parts of the protocol page, by the name in their marker.
var sections = []section{
	{"requests", renderRequests},
	{"replies", renderReplies},
	{"events", renderEvents},
	{"types", renderTypes},
	{"codes", renderCodes},
	{"limits", renderLimits},
}

const (
	markerStart = "<!-- gen:"
	markerMid   = " -->"
	markerEnd   = "<!-- /gen -->"
)

// markdown replaces what stands between the page's markers. Every section has its marker exactly once.
func markdown(p *protocol, page []byte) ([]byte, error) {
	var out bytes.Buffer
	var seen []string
	for {
		before, after, found := bytes.Cut(page, []byte(markerStart))
		out.Write(before)
		if !found {
			break
		}
		name, rest, ok := bytes.Cut(after, []byte(markerMid))
		old, rest, closed := bytes.Cut(rest, []byte(markerEnd))
		if !ok || !closed || bytes.Contains(old, []byte(markerStart)) {
			return nil, fmt.Errorf("marker gen:%.20s is not closed by %s", after, markerEnd)
		}
		i := slices.IndexFunc(sections, func(s section) bool { return s.name == string(name) })
		if i < 0 {
			return nil, fmt.Errorf("marker gen:%s: there is no such section", name)
		}
		if slices.Contains(seen, string(name)) {
			return nil, fmt.Errorf("marker gen:%s stands twice", name)
		}
		seen = append(seen, string(name))
		fmt.Fprintf(&out, "%s%s%s\n", markerStart, name, markerMid)
		sections[i].render(&out, p)
		out.WriteString(markerEnd)
		page = rest
	}
	for _, s := range sections {
		if !slices.Contains(seen, s.name) {
			return nil, fmt.Errorf("no marker %s%s%s", markerStart, s.name, markerMid)
		}
	}
	return out.Bytes(), nil
}

func renderRequests(w *bytes.Buffer, p *protocol) {
	w.WriteString("| type | body | reply | |\n|---|---|---|---|\n")
	for _, q := range p.requests {
		fmt.Fprintf(w, "| `%s` | `%s` | `%s` | %s |\n", q.typ, q.body, q.reply, meaning(p, q.body))
	}
	for _, q := range p.requests {
		renderFields(w, p.structOf(q.body), "`"+q.typ+"`")
	}
}

func renderReplies(w *bytes.Buffer, p *protocol) {
	w.WriteString("| type | body | |\n|---|---|---|\n")
	for _, e := range p.replies() {
		fmt.Fprintf(w, "| `%s` | `%s` | %s |\n", e.typ, e.body, meaning(p, e.body))
	}
	for _, e := range p.replies() {
		renderFields(w, p.structOf(e.body), "`"+e.typ+"`")
	}
}

func renderEvents(w *bytes.Buffer, p *protocol) {
	w.WriteString("| type | body | |\n|---|---|---|\n")
	for _, e := range p.events {
		fmt.Fprintf(w, "| `%s` | `%s` | %s |\n", e.typ, e.body, meaning(p, e.body))
	}
	for _, e := range p.events {
		renderFields(w, p.structOf(e.body), "`"+e.typ+"`")
	}
}

// renderTypes lists the types that are no message's body, and the enumerations.
func renderTypes(w *bytes.Buffer, p *protocol) {
	var bodies []string
	for _, q := range p.requests {
		bodies = append(bodies, q.body, q.replyBody)
	}
	for _, e := range append(p.events, p.replies()...) {
		bodies = append(bodies, e.body)
	}
	for _, s := range p.structs {
		if slices.Contains(bodies, s.name) || s.name == "Request" || s.name == "Message" {
			continue
		}
		renderFields(w, &s, "`"+s.name+"`: "+cell(s.doc))
	}
	for _, e := range p.enums {
		if e.name == "Code" {
			continue // has a section of its own
		}
		var values []string
		for _, v := range e.values {
			values = append(values, "`"+v.value+"`")
		}
		fmt.Fprintf(w, "\n**`%s`**: %s %s.\n", e.name, cell(e.doc), strings.Join(values, ", "))
	}
}

func renderCodes(w *bytes.Buffer, p *protocol) {
	w.WriteString("| code | |\n|---|---|\n")
	if e := p.enumOf("Code"); e != nil {
		for _, v := range e.values {
			fmt.Fprintf(w, "| `%s` | %s |\n", v.value, cell(v.doc))
		}
	}
}

func renderLimits(w *bytes.Buffer, p *protocol) {
	w.WriteString("| limit | value | |\n|---|---|---|\n")
	for _, l := range p.limits {
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", l.name, l.value, cell(l.doc))
	}
}

// renderFields writes a table of a struct's fields; one without fields needs none.
func renderFields(w *bytes.Buffer, s *structType, title string) {
	if s == nil || len(s.fields) == 0 {
		return
	}
	fmt.Fprintf(w, "\n**%s**\n\n| field | type | |\n|---|---|---|\n", title)
	for _, f := range s.fields {
		typ := f.typ.name
		switch typ {
		case "time":
			typ = "string, RFC 3339"
		case "json":
			typ = "any JSON"
		}
		if f.typ.list {
			typ = "list of " + typ
		}
		if f.optional {
			typ += ", optional"
		}
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", f.name, typ, cell(f.doc))
	}
}

// meaning is a struct's comment for a table.
func meaning(p *protocol, body string) string {
	if s := p.structOf(body); s != nil {
		return cell(s.doc)
	}
	return ""
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
