package state

import "strings"

// pattern is a name with wildcards: * stands for any text, \* for itself. Matching takes no longer than the product of the lengths.
type pattern struct {
	text   string
	parts  []string // what stands between the wildcards
	weight int      // characters that are no wildcard, in bytes
}

func newPattern(text string) pattern {
	p := pattern{text: text, parts: []string{""}}
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '*' {
			p.parts = append(p.parts, "")
			continue
		}
		if c == '\\' && i+1 < len(text) && (text[i+1] == '*' || text[i+1] == '\\') {
			i++
			c = text[i]
		}
		p.parts[len(p.parts)-1] += string([]byte{c})
		p.weight++
	}
	return p
}

// matches tells whether the whole name fits.
func (p pattern) matches(name string) bool {
	name, ok := strings.CutPrefix(name, p.parts[0])
	if !ok || len(p.parts) == 1 {
		return ok && name == ""
	}
	last := len(p.parts) - 1
	for _, part := range p.parts[1:last] {
		// The first place is as good as any later one: it leaves the most to what follows.
		if _, name, ok = strings.Cut(name, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(name, p.parts[last])
}
