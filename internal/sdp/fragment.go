package sdp

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Fragment is a client's trickle message (RFC 8840 §9, media type application/trickle-ice-sdpfrag), as WHIP and WHEP carry
// it in PATCH requests (RFC 9725 §4.3).
type Fragment struct {
	ICE        ICE      // as told at the top, else in the first m-line that tells it; empty: none
	Mids       []string // in order
	Candidates []string // values of a=candidate, without "candidate:"
	End        bool     // a=end-of-candidates
}

// ParseFragment reads a fragment. Errors are *Error.
func ParseFragment(text string) (Fragment, error) {
	var f Fragment
	if len(text) > MaxFragmentBytes {
		return f, refuse(fmt.Sprintf("%d bytes are more than %d", len(text), MaxFragmentBytes), "send fewer candidates")
	}
	if !utf8.ValidString(text) {
		return f, refuse("not UTF-8", "")
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return f, refuse("control characters", "")
		}
		if err := f.line(line); err != nil {
			return f, err
		}
	}
	if (f.ICE.Ufrag != "" || f.ICE.Pwd != "") &&
		(!credential(f.ICE.Ufrag, minUfragBytes) || !credential(f.ICE.Pwd, minPwdBytes)) {
		return f, refuse("a=ice-ufrag and a=ice-pwd belong together, with at least 4 and 22 characters", "")
	}
	return f, nil
}

func (f *Fragment) line(line string) error {
	if line == "" || strings.HasPrefix(line, "m=") {
		return nil
	}
	attribute, ok := strings.CutPrefix(line, "a=")
	if !ok {
		return &Error{Reason: "a fragment has only a= and m= lines", Line: shorten(line)}
	}
	key, value, _ := strings.Cut(attribute, ":")
	switch key {
	case "ice-ufrag":
		if f.ICE.Ufrag == "" {
			f.ICE.Ufrag = value
		}
	case "ice-pwd":
		if f.ICE.Pwd == "" {
			f.ICE.Pwd = value
		}
	case "ice-lite":
		f.ICE.Lite = true
	case "mid":
		if !token(value) || len(value) > maxMidBytes || len(f.Mids) == MaxSections || slices.Contains(f.Mids, value) {
			return badLine(key, value)
		}
		f.Mids = append(f.Mids, value)
	case "candidate":
		if value == "" || len(value) > maxValueBytes {
			return badLine(key, value)
		}
		if len(f.Candidates) == MaxCandidates {
			return refuse(fmt.Sprintf("more than %d candidates", MaxCandidates), "send fewer candidates")
		}
		f.Candidates = append(f.Candidates, value)
	case "end-of-candidates":
		f.End = true
	}
	return nil
}

// AppendFragment writes the server's fragment for an m-line: the answer to an ICE restart (RFC 9725 §4.3.3).
func AppendFragment(dst []byte, ice ICE, mid string, candidates []Candidate) []byte {
	if ice.Lite {
		dst = append(dst, "a=ice-lite\r\n"...)
	}
	dst = fmt.Appendf(dst, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", ice.Ufrag, ice.Pwd)
	// The m-line only says where candidates belong; its media and format mean nothing (RFC 8840 §4.4).
	dst = fmt.Appendf(dst, "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:%s\r\n", mid)
	for _, c := range candidates {
		dst = fmt.Appendf(dst, "a=%s\r\n", c)
	}
	return append(dst, "a=end-of-candidates\r\n"...)
}
