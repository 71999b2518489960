package nats_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
)

// Rule: however many read a lot at once, each gets all, and the log is there afterwards.
func TestManyLargeReadings(t *testing.T) {
	const readers, messages = 24, 6
	l, err := open(t, t.TempDir()).Log(t.Context(), "LOG", bus.Limits{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	var last uint64
	for range messages {
		if last, err = l.Append(t.Context(), "r.a", last, make([]byte, bus.MaxStoredBytes)); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			n := 0
			err := l.Read(t.Context(), "r.a", 0, func(bus.Stored) error { n++; return nil })
			if err != nil || n != messages {
				t.Errorf("read %d messages of %d, %v", n, messages, err)
			}
		})
	}
	all.Wait()
	if _, err := l.Append(t.Context(), "r.a", last, nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Rule: what a reading takes follows from what is read: of one that ends with the first message little, however much lies behind it.
func TestSmallReading(t *testing.T) {
	l, err := open(t, t.TempDir()).Log(t.Context(), "LOG", bus.Limits{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	var last uint64
	for range 256 {
		if last, err = l.Append(t.Context(), "r.a", last, make([]byte, 32<<10)); err != nil {
			t.Fatal(err)
		}
	}
	const readings = 20
	enough := errors.New("enough")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range readings {
		if err := l.Read(t.Context(), "r.a", 0, func(bus.Stored) error { return enough }); !errors.Is(err, enough) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / readings; each > 2<<20 {
		t.Errorf("%d KiB are allocated for a message of 32", each>>10)
	}
}

// Rule: where the server ends the connections to it, what is read meanwhile is read, and the log goes on.
func TestDisconnected(t *testing.T) {
	n := open(t, t.TempDir())
	l, err := n.Log(t.Context(), "STATE", bus.Limits{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	var last uint64
	for range 100 {
		if last, err = l.Append(t.Context(), "r.a", last, make([]byte, 64<<10)); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	err = l.Read(t.Context(), "r.a", 0, func(bus.Stored) error {
		if seen++; seen == 1 {
			if connections, err := n.Disconnect(); err != nil || connections == 0 {
				t.Errorf("%d connections were ended, %v", connections, err)
			}
		}
		return nil
	})
	if err != nil || seen != 100 {
		t.Errorf("read %d of 100, %v", seen, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := l.Append(ctx, "r.b", 0, []byte("afterwards")); err != nil {
		t.Error(err)
	}
	bustest.WantLog(t, l, "r.b", 0, "afterwards")
}
