package nats_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/nats"
)

// Rule: where the disk does not take what is written, the writer is told within seconds, and the operator once; what was acknowledged can be read; nothing new is begun, but what waits is
// written when the disk takes it again, without a restart. Nothing that was acknowledged is lost, also for the next start.
func TestDiskTakesNothing(t *testing.T) {
	if bustest.Apart(t) {
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, 0) }) // before it is removed
	signal.Ignore(unix.SIGXFSZ)
	filler := filepath.Join(dir, "filler")
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	for _, fault := range []struct {
		name          string
		begin, finish func() error
	}{
		{
			"it is full",
			func() error {
				f, err := os.Create(filler)
				if err != nil {
					return err
				}
				for err == nil {
					_, err = f.Write(make([]byte, 4096))
				}
				if errors.Is(err, unix.ENOSPC) {
					err = nil
				}
				return errors.Join(err, f.Close())
			},
			func() error { return os.Remove(filler) },
		},
		{
			"it takes no large files",
			func() error {
				return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 100 << 10, Max: before.Max})
			},
			func() error { return unix.Setrlimit(unix.RLIMIT_FSIZE, &before) },
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			var told operator
			c := nats.Config{Dir: filepath.Join(dir, strings.ReplaceAll(fault.name, " ", "-")), Whole: []string{"STATE"}, Logger: told.logger()}
			n := start(t, c)
			l, err := n.Log(t.Context(), "STATE", bus.Limits{MaxBytes: 32 << 20})
			if err != nil {
				t.Fatal(err)
			}
			var acknowledged []string
			last := uint64(0)
			say := func(ctx context.Context) error {
				text := fmt.Sprint(len(acknowledged), strings.Repeat("x", 10_000))
				next, err := l.Append(ctx, "r.a", last, []byte(text))
				if err == nil {
					last, acknowledged = next, append(acknowledged, text)
				}
				return err
			}
			for range 5 {
				if err := say(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := fault.begin(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for err = nil; err == nil; {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				err = say(ctx)
				cancel()
			}
			if took := time.Since(began); !errors.Is(err, nats.ErrFault) || took > 20*time.Second || !n.Stats().Faulty {
				t.Fatalf("the writer is told %v, after %v; %+v", err, took, n.Stats())
			}
			bustest.WantLog(t, l, "r.a", 0, acknowledged...)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			if err := say(ctx); !errors.Is(err, nats.ErrFault) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the next writer is told %v", err)
			}
			waits := make(chan error)
			go func() { waits <- say(t.Context()) }()
			if err := fault.finish(); err != nil {
				t.Fatal(err)
			}
			if err := <-waits; err != nil {
				t.Fatalf("when it takes more again: %v", err)
			}
			for range 20 {
				if err := say(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if s := n.Stats(); s.Faulty || s.Faults != 1 || told.told("ERROR", "What to do: make room") != 1 || told.told("ERROR") != 1 || told.told("stored again") != 1 {
				t.Errorf("%+v; the operator is told %q", s, told.lines)
			}
			bustest.WantLog(t, l, "r.a", 0, acknowledged...)
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			n = start(t, c)
			if l, err = n.Log(t.Context(), "STATE", bus.Limits{MaxBytes: 32 << 20}); err != nil {
				t.Fatal(err)
			}
			bustest.WantLog(t, l, "r.a", 0, acknowledged...)
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
