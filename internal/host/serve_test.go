package host

import (
	"runtime/debug"
	"testing"
)

// Memory is collected sooner than Go does by itself, unless whoever starts the server says how soon.
func TestCollectSooner(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	t.Setenv("GOGC", "200")
	collectSooner()
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("%d %%, though GOGC is set", got)
	}
	t.Setenv("GOGC", "")
	collectSooner()
	if got := debug.SetGCPercent(100); got != gcPercent {
		t.Errorf("%d %%", got)
	}
}
