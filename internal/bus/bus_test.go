package bus_test

import (
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/bus"
)

// Rule: a subject is tokens of letters, digits, '-' and '_', parted by dots, of bounded length. Nothing of a name that somebody
// chose can act as a wildcard or a separator.
func TestCheckSubject(t *testing.T) {
	for subject, ok := range map[string]bool{
		"a": true, "room.dGVh": true, "a.b.c-d_e": true, strings.Repeat("a", bus.MaxSubjectBytes): true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "a.*": false, "a.>": false, "a b": false,
		"a\n": false, "ö": false, "a\x00": false, strings.Repeat("a", bus.MaxSubjectBytes+1): false,
	} {
		if got := bus.CheckSubject(subject) == nil; got != ok {
			t.Errorf("%q: got %v, want %v", subject, got, ok)
		}
	}
}
