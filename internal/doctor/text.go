package doctor

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	areaWidth = 12  // of an area, in columns
	textWidth = 110 // of a line; longer ones are broken
)

var marks = map[Level]string{OK: "✔", Note: "·", Warning: "!", Fault: "✘"}

// Write writes a finding for people.
func (f Finding) Write(out io.Writer) error {
	var b strings.Builder
	indent := strings.Repeat(" ", 4+areaWidth+1)
	fmt.Fprintf(&b, "  %s %-*s %s\n", marks[f.Level], areaWidth, f.Area, wrap(f.Text, indent))
	for _, line := range f.More {
		fmt.Fprintf(&b, "%s%s\n", indent, wrap(line, indent))
	}
	for _, x := range []struct{ name, text string }{{"why ", f.Cause}, {"next", f.Next}} {
		if x.text != "" {
			fmt.Fprintf(&b, "%s%s  %s\n", indent, x.name, wrap(x.text, indent+"      "))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// wrap breaks a text into lines between words; those after the first begin with indent. Lines that the text has already stay.
func wrap(text, indent string) string {
	var b strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.WriteString("\n" + indent)
		}
		at := len(indent)
		for j, word := range strings.Split(line, " ") {
			n := utf8.RuneCountInString(word)
			switch {
			case j == 0:
			case at+1+n > textWidth:
				b.WriteString("\n" + indent)
				at = len(indent)
			default:
				b.WriteByte(' ')
				at++
			}
			b.WriteString(word)
			at += n
		}
	}
	return b.String()
}

// WriteVerdict writes the last line for people.
func (r *Report) WriteVerdict(out io.Writer) error {
	text := "Nothing is wrong."
	switch faults, warnings := r.count(Fault), r.count(Warning); {
	case faults > 0:
		text = fmt.Sprintf("%s, %s.", plural(faults, "fault"), plural(warnings, "warning"))
	case warnings > 0:
		text = fmt.Sprintf("Nothing is broken; %s.", plural(warnings, "warning"))
	}
	_, err := fmt.Fprintf(out, "\n  %s\n", text)
	return err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Progress tells a person at a terminal what is being looked at; elsewhere it says nothing.
type Progress struct {
	out      io.Writer
	terminal bool
	shown    bool
}

// NewProgress returns one that writes to out, which may be a terminal.
func NewProgress(out io.Writer, terminal bool) *Progress {
	return &Progress{out: out, terminal: terminal}
}

// Show replaces what was shown before.
func (p *Progress) Show(text string) {
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[2K  … %s", text)
		p.shown = true
	}
}

// Clear takes away what is shown.
func (p *Progress) Clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[2K")
		p.shown = false
	}
}
