package nats_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/nats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string, whole ...string) *nats.Node {
	t.Helper()
	n, err := nats.Open(dir, whole...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func TestLog(t *testing.T) {
	opened := func(t *testing.T, limits bus.Limits) bus.Log {
		l, err := open(t, t.TempDir()).Log(t.Context(), "STATE", limits)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	bustest.RunLog(t, opened)
	age := 2 * time.Second // of real time: the server does not live in a bubble, and a busy machine takes some to read what is there
	bustest.ForgetsByAge(t, opened(t, bus.Limits{MaxBytes: 1 << 20, MaxAge: age}), age)
}

// Rule: a log that is opened again has what was stored, and goes on behind it.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	l, err := n.Log(t.Context(), "STATE", bus.Limits{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	first, err := l.Append(t.Context(), "r.a", 0, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = open(t, dir).Log(t.Context(), "STATE", bus.Limits{MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), "r.a", first, []byte("two")); err != nil {
		t.Fatal(err)
	}
	bustest.WantLog(t, l, "r.a", 0, "one", "two")
}

// Rule: what is no subject is no name of a log.
func TestLogName(t *testing.T) {
	n := open(t, t.TempDir())
	for _, name := range []string{"", "a.*", ">", "a b"} {
		if _, err := n.Log(t.Context(), name, bus.Limits{}); err == nil {
			t.Errorf("opened %q", name)
		}
	}
}
