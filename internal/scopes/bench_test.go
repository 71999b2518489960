package scopes_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Durable writes with 64 in flight, beside what one sync of this disk takes.
func BenchmarkDurableWrites(b *testing.B) {
	dir := b.TempDir()
	one := syncTime(b, dir)
	node, o, err := disked(filepath.Join(dir, "store"))
	if err != nil {
		b.Fatal(err)
	}
	defer node.Close()
	defer o.Close()
	var mu sync.Mutex
	var took []time.Duration
	var wait sync.WaitGroup
	b.ResetTimer()
	for i := range writers {
		wait.Go(func() {
			name := fmt.Sprint("record", i)
			for n := i; n < b.N; n += writers {
				start := time.Now()
				if r, err := o.Do(b.Context(), set(name, n)); err != nil || r.Error != nil || r.Body.(wire.Written).Version == 0 {
					b.Error(r, err)
				}
				mu.Lock()
				took = append(took, time.Since(start))
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(one.Microseconds()), "sync-µs")
}

// syncTime is the median time that 4 KiB take to be on disk.
func syncTime(b *testing.B, dir string) time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var took []time.Duration
	for range 50 {
		start := time.Now()
		if _, err := f.Write(make([]byte, 4<<10)); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// A start with 10,000 records, as they were when the process ended.
func BenchmarkColdStart(b *testing.B) {
	const records = 10_000
	dir := b.TempDir()
	node, o, err := disked(dir)
	if err != nil {
		b.Fatal(err)
	}
	var wait sync.WaitGroup
	for i := range writers {
		wait.Go(func() {
			for n := i; n < records; n += writers {
				w := set(fmt.Sprint("record ", n), n)
				w.Operations = append(w.Operations, wire.Operation{
					Op: wire.OperationSet, Path: "shapes", Value: []byte(`[{"x":1,"y":2,"colour":"red"},{"x":3,"y":4,"colour":"blue"}]`),
				})
				if r, err := o.Do(b.Context(), w); err != nil || r.Error != nil {
					b.Error(r, err)
				}
			}
		})
	}
	wait.Wait()
	for b.Loop() {
		b.StopTimer()
		if err := errors.Join(o.Close(), node.Close()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if node, o, err = disked(dir); err != nil {
			b.Fatal(err)
		}
		if r, err := o.Do(b.Context(), read("record 9999")); err != nil || r.Error != nil {
			b.Fatal(r, err)
		}
	}
	if err := errors.Join(o.Close(), node.Close()); err != nil {
		b.Fatal(err)
	}
}
