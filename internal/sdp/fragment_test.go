package sdp

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const trickle = "a=group:BUNDLE 0 1\r\na=ice-ufrag:MODa\r\na=ice-pwd:kHCNl2A9oxlX35pM5yirBav1\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:1\r\na=candidate:1 1 udp 1 192.0.2.2 9 typ host\r\na=end-of-candidates\r\n"

// A fragment says which credentials, m-lines and candidates it is about (RFC 8840 §9).
func TestParseFragment(t *testing.T) {
	got, err := ParseFragment(trickle)
	if err != nil {
		t.Fatal(err)
	}
	want := Fragment{
		ICE: ICE{Ufrag: "MODa", Pwd: "kHCNl2A9oxlX35pM5yirBav1"}, Mids: []string{"0", "1"}, End: true,
		Candidates: []string{"1 1 udp 1 192.0.2.1 9 typ host", "1 1 udp 1 192.0.2.2 9 typ host"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The server's fragment can be read by the same rules.
func TestAppendFragment(t *testing.T) {
	l := decisions(offer(t, smallest))
	text := string(AppendFragment(nil, l.ICE, "0", l.Candidates))
	got, err := ParseFragment(text)
	if err != nil {
		t.Fatal(err)
	}
	if got.ICE != l.ICE || len(got.Candidates) != 2 || !got.End || len(got.Mids) != 1 {
		t.Errorf("%+v from %s", got, text)
	}
}

// A malformed or oversized fragment is refused.
func TestFragmentRefusals(t *testing.T) {
	candidate := "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
	for what, text := range map[string]string{
		"an offer":            smallest,
		"half of credentials": "a=ice-ufrag:MODa\r\n",
		"a short password":    "a=ice-ufrag:MODa\r\na=ice-pwd:short\r\n",
		"an empty candidate":  "a=candidate:\r\n",
		"the same mid twice":  "a=mid:0\r\na=mid:0\r\n",
		"control characters":  "a=mid:0\x00\r\n",
		"not UTF-8":           "a=mid:\xff\r\n",
		"too many candidates": strings.Repeat(candidate, MaxCandidates+1),
		"too long":            strings.Repeat("a=x\r\n", MaxFragmentBytes/5+1),
		"a long candidate":    "a=candidate:" + strings.Repeat("x", maxValueBytes+1) + "\r\n",
	} {
		_, err := ParseFragment(text)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ParseFragment(strings.Repeat(candidate, MaxCandidates)); err != nil {
		t.Error(err)
	}
}

// Whatever the text, a fragment stays within its limits.
func FuzzParseFragment(f *testing.F) {
	f.Add(trickle)
	f.Add("a=ice-lite\na=mid:x\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseFragment(text)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
		if len(got.Candidates) > MaxCandidates || len(got.Mids) > MaxSections {
			t.Fatal(len(got.Candidates), len(got.Mids))
		}
	})
}
