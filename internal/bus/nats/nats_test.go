package nats_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/nats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string) *nats.Node {
	t.Helper()
	n, err := nats.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func TestLog(t *testing.T) {
	bustest.RunLog(t, func(t *testing.T, maxBytes int) bus.Log {
		l, err := open(t, t.TempDir()).Log(t.Context(), "STATE", nats.Limits{MaxBytes: int64(maxBytes)})
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
}

// Rule: a log that is opened again has what was stored, and goes on behind it.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	l, err := n.Log(t.Context(), "STATE", nats.Limits{MaxBytes: 1 << 20})
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
	if l, err = open(t, dir).Log(t.Context(), "STATE", nats.Limits{MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), "r.a", first, []byte("two")); err != nil {
		t.Fatal(err)
	}
	bustest.WantLog(t, l, "r.a", 0, "one", "two")
}

// Rule: a log that forgets makes room for what is new.
func TestForget(t *testing.T) {
	l, err := open(t, t.TempDir()).Log(t.Context(), "LOG", nats.Limits{MaxBytes: 64 << 10, Forget: true})
	if err != nil {
		t.Fatal(err)
	}
	var last uint64
	for range 100 {
		if last, err = l.Append(t.Context(), "r.a", last, make([]byte, 2<<10)); err != nil {
			t.Fatal(err)
		}
	}
	kept := 0
	if err := l.Read(t.Context(), "r.a", 0, func(bus.Stored) error { kept++; return nil }); err != nil || kept < 20 || kept > 32 {
		t.Errorf("kept %d, %v", kept, err)
	}
}

// Rule: where a log has forgotten all of a subject, its writer goes on behind the message that it knows; not where others have written.
func TestForgottenSubject(t *testing.T) {
	l, err := open(t, t.TempDir()).Log(t.Context(), "LOG", nats.Limits{MaxBytes: 64 << 10, Forget: true})
	if err != nil {
		t.Fatal(err)
	}
	idle, err := l.Append(t.Context(), "r.idle", 0, []byte("long ago"))
	if err != nil {
		t.Fatal(err)
	}
	var last uint64
	for range 100 {
		if last, err = l.Append(t.Context(), "r.busy", last, make([]byte, 2<<10)); err != nil {
			t.Fatal(err)
		}
	}
	bustest.WantLog(t, l, "r.idle", 0)
	if _, err := l.Append(t.Context(), "r.idle", idle, []byte("now")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), "r.idle", idle, []byte("too late")); !errors.Is(err, bus.ErrSequence) {
		t.Errorf("behind a forgotten message where there is another one: %v", err)
	}
	bustest.WantLog(t, l, "r.idle", idle, "now")
}

// Rule: what is no subject is no name of a log.
func TestLogName(t *testing.T) {
	n := open(t, t.TempDir())
	for _, name := range []string{"", "a.*", ">", "a b"} {
		if _, err := n.Log(t.Context(), name, nats.Limits{}); err == nil {
			t.Errorf("opened %q", name)
		}
	}
}
