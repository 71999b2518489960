package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parley-rtc/parley/wire"
)

// Parse reads a JSON value within the limits of documents. Nothing of b is kept.
func Parse(b []byte) (Value, *wire.Error) { return parse(b, wire.MaxRecordBytes) }

func parse(b []byte, maxBytes int) (Value, *wire.Error) {
	p := parser{b: b, left: wire.MaxRecordValues}
	if len(b) > 2*maxBytes { // room for the white space of those who like it
		return Value{}, tooLarge("value", maxBytes)
	}
	v, refused := p.value(0)
	if refused != nil {
		return Value{}, refused
	}
	if p.space(); p.i < len(b) {
		return Value{}, badRequest("there is something behind the JSON value", "")
	}
	if v.Size() > maxBytes {
		return Value{}, tooLarge("value", maxBytes)
	}
	return v, nil
}

// parseLoose reads JSON that is valid UTF-8 and that encoding/json takes, however it compares to the limits of documents: it is looked at, not kept.
func parseLoose(b []byte) Value {
	p := parser{b: b, left: len(b), loose: true}
	v, _ := p.value(0)
	return v
}

// The smallest documents have the most values in the same text. As values never change, one of each is enough.
var (
	emptyObject = Value{newObject(nil)}
	emptyArray  = Value{newArray(nil)}
)

// parser reads b from i on.
type parser struct {
	b     []byte
	i     int
	left  int  // values that there may be still
	loose bool // without the limits of documents
}

func (p *parser) space() {
	for ; p.i < len(p.b); p.i++ {
		if c := p.b[p.i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return
		}
	}
}

// next returns the next byte that is no white space, or 0.
func (p *parser) next() byte {
	if p.space(); p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

func (p *parser) fault() *wire.Error {
	return badRequest(fmt.Sprintf("the value is not JSON at byte %d", p.i), "send JSON (RFC 8259) in UTF-8")
}

// value reads a value that has so many levels above it.
func (p *parser) value(level int) (Value, *wire.Error) {
	if p.left--; p.left < 0 {
		return Value{}, tooManyValues()
	}
	switch c := p.next(); {
	case c == '{' || c == '[':
		if level == wire.MaxRecordDepth && !p.loose {
			return Value{}, tooDeep()
		}
		p.i++
		if c == '{' {
			return p.object(level + 1)
		}
		return p.array(level + 1)
	case c == '"':
		s, refused := p.string()
		return Value{s}, refused
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 'n':
		return p.word("null", null{})
	case c == 't':
		return p.word("true", true)
	case c == 'f':
		return p.word("false", false)
	}
	return Value{}, p.fault()
}

func (p *parser) word(text string, v any) (Value, *wire.Error) {
	if !p.literal(text) {
		return Value{}, p.fault()
	}
	return Value{v}, nil
}

// literal passes over a word, if that is next.
func (p *parser) literal(text string) bool {
	found := bytes.HasPrefix(p.b[p.i:], []byte(text))
	if found {
		p.i += len(text)
	}
	return found
}

func (p *parser) object(level int) (Value, *wire.Error) {
	var members []member
	for first := true; ; first = false {
		end, refused := p.separator(first, '}')
		if refused != nil {
			return Value{}, refused
		}
		if end {
			break
		}
		if p.next() != '"' {
			return Value{}, p.fault()
		}
		key, refused := p.string()
		if refused == nil && !p.loose {
			refused = checkKey(key)
		}
		if refused != nil {
			return Value{}, refused
		}
		if p.next() != ':' {
			return Value{}, p.fault()
		}
		p.i++
		v, refused := p.value(level)
		if refused != nil {
			return Value{}, refused
		}
		members = append(members, member{key, v})
	}
	if len(members) == 0 {
		return emptyObject, nil
	}
	// Of members with the same key the last one counts, as in ECMAScript.
	slices.SortStableFunc(members, func(a, b member) int { return strings.Compare(a.key, b.key) })
	kept := members[:0]
	for i, m := range members {
		if i+1 == len(members) || members[i+1].key != m.key {
			kept = append(kept, m)
		}
	}
	if len(kept) > wire.MaxElements && !p.loose {
		return Value{}, tooMany()
	}
	return Value{newObject(slices.Clip(kept))}, nil
}

func (p *parser) array(level int) (Value, *wire.Error) {
	var items []Value
	for first := true; ; first = false {
		end, refused := p.separator(first, ']')
		if refused != nil {
			return Value{}, refused
		}
		switch {
		case end && len(items) == 0:
			return emptyArray, nil
		case end:
			return Value{newArray(slices.Clip(items))}, nil
		}
		if len(items) == wire.MaxElements && !p.loose {
			return Value{}, tooMany()
		}
		v, refused := p.value(level)
		if refused != nil {
			return Value{}, refused
		}
		items = append(items, v)
	}
}

// separator reads the closing bracket, or what stands before the next element.
func (p *parser) separator(first bool, closing byte) (end bool, refused *wire.Error) {
	switch c := p.next(); {
	case c == closing:
		p.i++
		return true, nil
	case first:
		return false, nil
	case c == ',':
		p.i++
		if p.next() != closing {
			return false, nil
		}
	}
	return false, p.fault()
}

func (p *parser) string() (string, *wire.Error) {
	start, plain := p.i, true
	for p.i++; p.i < len(p.b); p.i++ {
		switch c := p.b[p.i]; {
		case c == '"':
			p.i++
			quoted := p.b[start:p.i]
			if plain {
				quoted = quoted[1 : len(quoted)-1]
				if !utf8.Valid(quoted) {
					return "", p.fault()
				}
				return string(quoted), nil
			}
			var s string
			if !utf8.Valid(quoted) || json.Unmarshal(quoted, &s) != nil {
				return "", p.fault()
			}
			return s, nil
		case c == '\\':
			plain = false
			p.i++
		case c < 0x20:
			return "", p.fault()
		}
	}
	return "", p.fault()
}

// number reads a number.
func (p *parser) number() (Value, *wire.Error) {
	start := p.i
	if !p.numeral() {
		return Value{}, p.fault()
	}
	f, err := strconv.ParseFloat(string(p.b[start:p.i]), 64)
	if err != nil && !p.loose { // beyond it is an infinity
		return Value{}, badRequest("a number is beyond an IEEE 754 double", "send it as a string")
	}
	if f == 0 {
		f = 0 // no negative zero, which ECMAScript writes as 0
	}
	return Value{f}, nil
}

// numeral passes over a number as RFC 8259 section 6 has it, and reports whether it is one.
func (p *parser) numeral() bool {
	p.skipOne("-")
	if !p.skipOne("0") && !p.digits() {
		return false
	}
	if p.skipOne(".") && !p.digits() {
		return false
	}
	if p.skipOne("eE") {
		p.skipOne("+-")
		return p.digits()
	}
	return true
}

// digits passes over digits, and reports whether there are any.
func (p *parser) digits() bool {
	from := p.i
	for p.i < len(p.b) && p.b[p.i] >= '0' && p.b[p.i] <= '9' {
		p.i++
	}
	return p.i > from
}

// skipOne passes over one byte of a set, if that is next.
func (p *parser) skipOne(set string) bool {
	found := p.i < len(p.b) && strings.IndexByte(set, p.b[p.i]) >= 0
	if found {
		p.i++
	}
	return found
}

// Append appends the encoded value.
func (v Value) Append(b []byte) []byte { return v.append(b, nil) }

func (v Value) append(b []byte, known encodings) []byte {
	if len(known) > 0 && v.root() {
		if e, ok := known[v.v]; ok {
			return append(b, e...)
		}
	}
	switch v := v.v.(type) {
	case null:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case float64:
		return appendNumber(b, v)
	case string:
		return appendQuoted(b, v)
	case *object:
		b = append(b, '{')
		for i, m := range v.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendQuoted(b, m.key), ':')
			b = m.value.append(b, known)
		}
		return append(b, '}')
	case *array:
		b = append(b, '[')
		for i, x := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = x.append(b, known)
		}
		return append(b, ']')
	}
	return b
}

// JSON returns the encoded value; nil where there is none.
func (v Value) JSON() json.RawMessage {
	if !v.Exists() {
		return nil
	}
	return v.Append(make([]byte, 0, v.Size()))
}

// encodings are of objects and arrays that are parts of each other: each is encoded once.
type encodings map[any]json.RawMessage

func (e encodings) add(v Value) {
	if _, there := e[v.v]; !there && v.root() {
		e[v.v] = v.append(make([]byte, 0, v.Size()), e)
	}
}

// of returns the encoded value; nil where there is none.
func (e encodings) of(v Value) json.RawMessage {
	if b, ok := e[v.v]; ok {
		return b
	}
	return v.JSON()
}

// appendNumber writes a number as ECMAScript does (ECMA-262, Number::toString).
func appendNumber(b []byte, f float64) []byte {
	if i := int64(f); f > -1e15 && f < 1e15 && float64(i) == f {
		return strconv.AppendInt(b, i, 10)
	}
	if a := math.Abs(f); a == 0 || a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if n := len(b); b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' {
		b = append(b[:n-2], b[n-1]) // e-07 is e-7
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendQuoted writes a string that is UTF-8. It escapes what RFC 8259 section 7 demands.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		if c >= 0x20 {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}

func quotedSize(s string) int {
	n := len(s) + 2
	for i := range len(s) {
		if c := s[i]; c < 0x20 {
			n += 5
		} else if c == '"' || c == '\\' {
			n++
		}
	}
	return n
}
