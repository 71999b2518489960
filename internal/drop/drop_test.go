package drop_test

import (
	"testing"

	"github.com/parley-rtc/parley/internal/drop"
)

// Every reason has a name of its own: it is a metric label.
func TestEveryReasonHasItsOwnName(t *testing.T) {
	seen := map[string]drop.Reason{}
	for r := drop.None; r < drop.NumReasons; r++ {
		if r.String() == "" {
			t.Errorf("reason %d has no name", r)
		}
		if other, dup := seen[r.String()]; dup {
			t.Errorf("reasons %d and %d are both called %q", other, r, r)
		}
		seen[r.String()] = r
	}
	if got := drop.NumReasons.String(); got != "invalid" {
		t.Errorf("out of range: %q", got)
	}
}

func TestCounts(t *testing.T) {
	var a, b drop.Counts
	a.Add(drop.None)
	a.Add(drop.SrtpAuth)
	b.Add(drop.SrtpAuth)
	a.Merge(&b)
	if a[drop.None] != 0 || a[drop.SrtpAuth] != 2 {
		t.Errorf("got %d none, %d srtp_auth", a[drop.None], a[drop.SrtpAuth])
	}
	a.Add(drop.Empty)
	if got := a.String(); got != "empty 1, srtp_auth 2" {
		t.Errorf("got %q", got)
	}
}
