package sdp

import "strings"

// Error says why a description is refused and what its author can do about it.
type Error struct {
	Reason string // what is wrong, in words
	Next   string // what to do instead; may be empty
	Mid    string // the m-line that it is about; empty: all of the description
	Line   string // the line that it is about, shortened; may be empty
	// NoCodec: the m-line has no codec that the server forwards; otherwise the description is fine.
	NoCodec bool
}

// Error implements error: what is wrong, and what to do instead.
func (e *Error) Error() string {
	if e.Next == "" {
		return e.Fault()
	}
	return e.Fault() + "; " + e.Next
}

// Fault says what is wrong, and where.
func (e *Error) Fault() string {
	var b strings.Builder
	b.WriteString("session description: ")
	if e.Mid != "" {
		b.WriteString("m-line ")
		b.WriteString(e.Mid)
		b.WriteString(": ")
	}
	b.WriteString(e.Reason)
	if e.Line != "" {
		b.WriteString(": ")
		b.WriteString(e.Line)
	}
	return b.String()
}

// NotSupported is the error of a form of negotiation that the types describe and this version does not speak.
type NotSupported struct {
	What string
}

// Error implements error.
func (e *NotSupported) Error() string { return e.What + ": not supported" }

// ErrNotSupported is what [Local.Offer] answers.
var ErrNotSupported = &NotSupported{What: "an offer by the server"}

func refuse(reason, next string) *Error { return &Error{Reason: reason, Next: next} }

// badLine refuses a line that is malformed.
func badLine(key, value string) *Error {
	line := "a=" + key
	if value != "" {
		line += ":" + value
	}
	return &Error{Reason: "cannot be understood", Line: shorten(line)}
}

// shorten keeps what a person needs to find a line again.
func shorten(line string) string {
	if len(line) > 80 {
		return strings.ToValidUTF8(line[:80], "") + "…"
	}
	return line
}
