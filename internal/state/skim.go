package state

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/parley-rtc/parley/wire"
)

// What follows reads the requests that come often, of the form in which clients write them, in a tenth of the time that package json takes. Of
// anything else it says nothing: keys that are not as in package wire, members that come twice, null, escapes in names, numbers that are no plain
// integers. What it reads is what package json reads; values are parts of the text.

// maxSkimmed is how deep values may be nested that are read here.
const maxSkimmed = 32

// Valid reports whether b is JSON in UTF-8 that is nested no deeper than so many levels.
func Valid(b []byte, levels int) bool {
	p := parser{b: b}
	return utf8.Valid(b) && p.skip(levels) && p.end()
}

func skimWrite(b []byte) (w wire.RecordWrite, ok bool) {
	p := parser{b: b}
	ok = p.members(func(key []byte) (uint, bool) {
		switch string(key) {
		case "scope":
			return 0, p.text((*string)(&w.Scope))
		case "name":
			return 1, p.text(&w.Name)
		case "operations":
			return 2, p.operations(&w.Operations)
		case "version":
			w.Version = new(uint64)
			return 3, p.whole(w.Version)
		case "incarnation":
			return 4, p.whole(&w.Incarnation)
		case "ttlSeconds":
			w.TTLSeconds = new(int)
			return 5, p.place(w.TTLSeconds)
		case "durable":
			w.Durable = new(bool)
			return 6, p.truth(w.Durable)
		case "history":
			w.History = new(int)
			return 7, p.place(w.History)
		case "initial":
			w.Initial = new(wire.RecordSettings)
			return 8, p.settings(w.Initial)
		}
		return 0, false
	})
	return w, ok && p.end()
}

func (p *parser) settings(r *wire.RecordSettings) bool {
	return p.members(func(key []byte) (uint, bool) {
		switch string(key) {
		case "ttlSeconds":
			r.TTLSeconds = new(int)
			return 0, p.place(r.TTLSeconds)
		case "history":
			r.History = new(int)
			return 1, p.place(r.History)
		}
		return 0, false
	})
}

func skimPublish(b []byte) (e wire.EventPublish, ok bool) {
	p := parser{b: b}
	ok = p.members(func(key []byte) (uint, bool) {
		switch string(key) {
		case "scope":
			return 0, p.text((*string)(&e.Scope))
		case "name":
			return 1, p.text(&e.Name)
		case "value":
			return 2, p.raw(&e.Value)
		}
		return 0, false
	})
	return e, ok && p.end()
}

// operations reads an array of operations.
func (p *parser) operations(to *[]wire.Operation) bool {
	all := make([]wire.Operation, 0, 2)
	ok := p.elements('[', ']', func() bool {
		all = append(all, wire.Operation{})
		return p.operation(&all[len(all)-1])
	})
	*to = all
	return ok
}

func (p *parser) operation(o *wire.Operation) bool {
	return p.members(func(key []byte) (uint, bool) {
		switch string(key) {
		case "op":
			return 0, p.kind(&o.Op)
		case "path":
			return 1, p.text(&o.Path)
		case "value":
			return 2, p.raw(&o.Value)
		case "at":
			o.At = new(int)
			return 3, p.place(o.At)
		case "to":
			o.To = new(int)
			return 4, p.place(o.To)
		case "base":
			return 5, p.whole(&o.Base)
		}
		return 0, false
	})
}

// kind reads what an operation does. Of most it is this, which is not to be allocated for each.
func (p *parser) kind(to *wire.OperationKind) bool {
	s, ok := p.plain()
	if string(s) == string(wire.OperationSet) {
		*to = wire.OperationSet
		return true
	}
	*to = wire.OperationKind(s)
	return ok && utf8.Valid(s)
}

// members reads an object. read is called for each member, reads its value, and says which of those it knows it was: each comes once.
func (p *parser) members(read func(key []byte) (which uint, ok bool)) bool {
	seen := uint(0)
	return p.elements('{', '}', func() bool {
		key, ok := p.plain()
		if !ok || p.next() != ':' {
			return false
		}
		p.i++
		which, ok := read(key)
		if !ok || seen&(1<<which) != 0 {
			return false
		}
		seen |= 1 << which
		return true
	})
}

// elements calls read for all that stands between brackets.
func (p *parser) elements(opening, closing byte, read func() bool) bool {
	if p.next() != opening {
		return false
	}
	if p.i++; p.next() == closing {
		p.i++
		return true
	}
	for read() {
		c := p.next()
		if p.i++; c != ',' {
			return c == closing
		}
	}
	return false
}

// end reports whether nothing but white space follows.
func (p *parser) end() bool {
	p.space()
	return p.i == len(p.b)
}

// plain reads a string in which nothing is escaped. It is a part of the text.
func (p *parser) plain() ([]byte, bool) {
	if p.next() != '"' {
		return nil, false
	}
	p.i++
	for start := p.i; p.i < len(p.b); p.i++ {
		switch c := p.b[p.i]; {
		case c == '"':
			p.i++
			return p.b[start : p.i-1], true
		case c == '\\' || c < 0x20:
			return nil, false
		}
	}
	return nil, false
}

func (p *parser) text(to *string) bool {
	s, ok := p.plain()
	*to = string(s)
	return ok && utf8.Valid(s)
}

// whole reads a whole number that is written with digits alone.
func (p *parser) whole(to *uint64) bool {
	p.space()
	n, start := uint64(0), p.i
	for ; p.i < len(p.b) && p.b[p.i] >= '0' && p.b[p.i] <= '9'; p.i++ {
		n = 10*n + uint64(p.b[p.i]-'0')
	}
	*to = n
	digits := p.i - start
	return digits == 1 || digits > 1 && digits < 19 && p.b[start] != '0'
}

func (p *parser) place(to *int) bool {
	var n uint64
	ok := p.whole(&n)
	*to = int(n)
	return ok && *to >= 0 && uint64(*to) == n
}

func (p *parser) truth(to *bool) bool {
	*to = p.next() == 't'
	return *to && p.literal("true") || p.literal("false")
}

// raw reads any value as it is written.
func (p *parser) raw(to *json.RawMessage) bool {
	p.space()
	start := p.i
	ok := p.skip(maxSkimmed)
	*to = p.b[start:p.i:p.i]
	return ok
}

// skip passes over a value of so many levels at most, and reports whether it is JSON.
func (p *parser) skip(levels int) bool {
	switch c := p.next(); {
	case c == '{' && levels > 0:
		return p.elements('{', '}', func() bool {
			if p.next() != '"' || !p.skipString() || p.next() != ':' {
				return false
			}
			p.i++
			return p.skip(levels - 1)
		})
	case c == '[' && levels > 0:
		return p.elements('[', ']', func() bool { return p.skip(levels - 1) })
	case c == '"':
		return p.skipString()
	case c == '-' || c >= '0' && c <= '9':
		return p.numeral()
	case c == 'n':
		return p.literal("null")
	case c == 't':
		return p.literal("true")
	case c == 'f':
		return p.literal("false")
	}
	return false
}

// skipString passes over a string, of which the quotation mark is next.
func (p *parser) skipString() bool {
	for p.i++; p.i < len(p.b); p.i++ {
		switch c := p.b[p.i]; {
		case c == '"':
			p.i++
			return true
		case c == '\\' && !p.escape():
			return false
		case c < 0x20:
			return false
		}
	}
	return false
}

// escape passes over a backslash and all but the last byte of what it escapes, and reports whether that may be escaped.
func (p *parser) escape() bool {
	p.i++
	if p.i == len(p.b) {
		return false
	}
	switch p.b[p.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for n := 0; n < 4; n++ {
			p.i++
			if p.i == len(p.b) || !hexadecimal(p.b[p.i]) {
				return false
			}
		}
		return true
	}
	return false
}

func hexadecimal(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
