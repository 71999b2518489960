package state

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parley-rtc/parley/wire"
)

// Path leads to a part of a document; the empty one to its root.
type Path []Step

// Step is a member of an object, or a place in an array.
type Step struct {
	Key     string
	Place   int
	InArray bool
}

// forbiddenKeys would reach an object's prototype in an ECMAScript program that sets members one by one.
var forbiddenKeys = []string{"__proto__", "constructor", "prototype"}

func checkKey(key string) *wire.Error {
	if slices.Contains(forbiddenKeys, key) {
		return badRequest(key+" is not allowed as a key", "choose another one")
	}
	return nil
}

// ParsePath reads a path: keys and places, as in a.b[1]["c.d"].
func ParsePath(s string) (Path, *wire.Error) {
	if len(s) > wire.MaxPathBytes {
		return nil, tooLarge("path", wire.MaxPathBytes)
	}
	if !utf8.ValidString(s) {
		return nil, badRequest("the path is not UTF-8", "")
	}
	var path Path
	for rest := s; rest != ""; {
		if len(path) == wire.MaxPathSteps {
			return nil, wire.NewError(wire.CodeTooLarge, fmt.Sprintf("the path has more than %d steps", wire.MaxPathSteps), "write the part above it")
		}
		step, after, ok := cutStep(rest, len(path) == 0)
		if !ok {
			return nil, badRequest(fmt.Sprintf("the path is wrong at byte %d", len(s)-len(rest)), `write it as in a.b[1]["c.d"]`)
		}
		if refused := checkKey(step.Key); refused != nil {
			return nil, refused
		}
		if step.Place >= wire.MaxElements {
			return nil, tooMany()
		}
		path, rest = append(path, step), after
	}
	if 6*len(s) > wire.MaxPathBytes && len(path.String()) > wire.MaxPathBytes { // as it is stored and told: escapes can be longer there
		return nil, tooLarge("path", wire.MaxPathBytes)
	}
	return path, nil
}

// cutStep reads the next step of a path that is not at its end.
func cutStep(s string, first bool) (step Step, rest string, ok bool) {
	if s[0] == '[' {
		return cutPlace(s[1:])
	}
	if !first {
		if s[0] != '.' {
			return step, s, false
		}
		s = s[1:]
	}
	end := strings.IndexAny(s, ".[]")
	if end < 0 {
		end = len(s)
	}
	return Step{Key: s[:end]}, s[end:], end > 0 && (end == len(s) || s[end] != ']')
}

// cutPlace reads what stands behind an opening bracket, with the closing one.
func cutPlace(s string) (step Step, rest string, ok bool) {
	if strings.HasPrefix(s, `"`) {
		p := parser{b: []byte(s)}
		key, refused := p.string()
		if refused != nil {
			return step, s, false
		}
		rest, ok = strings.CutPrefix(s[p.i:], "]")
		return Step{Key: key}, rest, ok
	}
	digits, rest, ok := strings.Cut(s, "]")
	place, err := strconv.Atoi(digits)
	ok = ok && err == nil && place >= 0 && strconv.Itoa(place) == digits
	return Step{Place: place, InArray: true}, rest, ok
}

// String is the path as ParsePath reads it, the same for all ways to write it.
func (p Path) String() string {
	size := 0
	for _, s := range p {
		size += len(s.Key) + 8
	}
	b := make([]byte, 0, size)
	for i, s := range p {
		switch {
		case s.InArray:
			b = append(strconv.AppendInt(append(b, '['), int64(s.Place), 10), ']')
		case s.Key == "" || strings.ContainsAny(s.Key, ".[]"):
			b = append(appendQuoted(append(b, '['), s.Key), ']')
		default:
			if i > 0 {
				b = append(b, '.')
			}
			b = append(b, s.Key...)
		}
	}
	return string(b)
}

// compare orders paths so that what lies below one follows it at once.
func (p Path) compare(q Path) int { return slices.CompareFunc(p, q, Step.compare) }

func (s Step) compare(t Step) int {
	if s.InArray != t.InArray {
		if s.InArray {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(s.Place, t.Place), strings.Compare(s.Key, t.Key))
}

// leadsTo tells whether q is p or lies below it.
func (p Path) leadsTo(q Path) bool { return len(q) >= len(p) && slices.Equal(p, q[:len(p)]) }
