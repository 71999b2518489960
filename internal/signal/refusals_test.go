package signal

import (
	"testing"
	"time"
)

// Whatever is refused for one reason makes one line in a minute, which tells how many it stands for; other reasons have their own.
func TestRefusals(t *testing.T) {
	var r refusals
	now := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		after  time.Duration
		why    string
		before int
		isTold bool
	}{
		{0, "expired", 0, true},
		{time.Second, "expired", 0, false},
		{2 * time.Second, "unknown key", 0, true},
		{refusalsTime - 1, "expired", 0, false},
		{refusalsTime, "expired", 2, true},
		{refusalsTime + 1, "expired", 0, false},
	} {
		if before, isTold := r.count(now.Add(c.after), c.why); before != c.before || isTold != c.isTold {
			t.Errorf("%s after %v: %d, %v, want %d, %v", c.why, c.after, before, isTold, c.before, c.isTold)
		}
	}
}
