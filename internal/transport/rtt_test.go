package transport

import (
	"testing"
	"time"
)

// The first measurement of the round-trip time stands for itself, those after it move it by a quarter, and one beyond belief not at all.
func TestMeasured(t *testing.T) {
	tr := &Transport{rtt: initialRTT}
	for _, c := range []struct{ measured, want time.Duration }{
		{10 * time.Second, initialRTT},
		{300 * time.Millisecond, 300 * time.Millisecond},
		{100 * time.Millisecond, 250 * time.Millisecond},
		{0, 250*time.Millisecond - (250*time.Millisecond-minRTT)/4},
	} {
		if tr.measured(time.Time{}, c.measured); tr.rtt != c.want {
			t.Errorf("after %v it is %v, want %v", c.measured, tr.rtt, c.want)
		}
	}
}
