package nats_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
)

// Rule: what is erased is not there when the log is opened again, also where the server has no time to write what it knows: files are copied while it runs, as
// a crash leaves them.
func TestErasedStaysAway(t *testing.T) {
	dir := t.TempDir()
	l, err := open(t, dir).Log(t.Context(), "STATE", bus.Limits{MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var last [3]uint64
	for range 600 { // more than one block of 8 MiB
		subject := random.IntN(3)
		n, err := l.Append(t.Context(), fmt.Sprint("r.", subject), last[subject], []byte(strings.Repeat("x", 30<<10)))
		if err != nil {
			t.Fatal(err)
		}
		last[subject] = n
	}
	before, err := l.Sizes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Erase(t.Context(), "r.1"); err != nil {
		t.Fatal(err)
	}
	crashed := t.TempDir()
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(crashed, "lock")); err != nil {
		t.Fatal(err)
	}
	if l, err = open(t, crashed, "STATE").Log(t.Context(), "STATE", bus.Limits{MaxBytes: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	bustest.WantLog(t, l, "r.1", 0)
	after, err := l.Sizes(t.Context())
	delete(before, "r.1")
	if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("there is %v, %v, want %v", after, err, before)
	}
}
