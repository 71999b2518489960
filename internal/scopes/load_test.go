package scopes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// gappy is a log that has kept what was purged, but for some of its messages.
type gappy struct {
	bus.Log
	t       *testing.T
	below   uint64 // it was to be purged
	missing map[uint64]bool
}

func (g *gappy) Purge(ctx context.Context, subject string, below uint64) error {
	last, err := g.Last(ctx, subject)
	if err != nil {
		return err
	}
	var c state.Commit
	if err := json.Unmarshal(last.Bytes, &c); err != nil || c.Floor < below {
		g.t.Errorf("purged below %d, and what is stored says %d, %v", below, c.Floor, err)
	}
	g.below = max(g.below, below)
	return nil
}

func (g *gappy) Read(ctx context.Context, subject string, after uint64, visit func(bus.Stored) error) error {
	return g.Log.Read(ctx, subject, after, func(m bus.Stored) error {
		if g.missing[m.Number] {
			return nil
		}
		return visit(m)
	})
}

// openScope opens the server's scope.
func openScope(log bus.Log) (*scopes.Owner, error) {
	return scopes.Open(context.Background(), scopes.Config{
		State: state.Config{Scope: wire.ScopeServer, Durable: true}, Log: log, Subject: "server",
		Tell: func(state.Tell, []byte) {}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

// versions reads what is there of records, and returns the versions of those that are.
func versions(o *scopes.Owner, names []string) (map[string]uint64, error) {
	there := map[string]uint64{}
	for some := range slices.Chunk(names, wire.MaxBulkNames) {
		var r wire.RecordRead
		for _, name := range some {
			r.Records = append(r.Records, wire.RecordWanted{Name: name, Head: true})
		}
		reply, err := o.Do(context.Background(), state.RecordRead{RecordRead: r})
		if err != nil || reply.Error != nil {
			return nil, fmt.Errorf("%w, %v", err, reply.Error)
		}
		for i, result := range reply.Body.(wire.Records).Results {
			if result.Record != nil && result.Record.Version > 0 {
				there[some[i]] = result.Record.Version
			}
		}
	}
	return there, nil
}

var names = []string{"a", "b", "c", "d", "e", "f"}

// history writes and deletes records at random, until the log was purged a few times, and returns what is there then.
func history(t *testing.T, log *gappy) map[string]uint64 {
	t.Helper()
	o, err := openScope(log)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	pad := wire.Operation{Op: wire.OperationSet, Path: "pad", Value: []byte(`"` + strings.Repeat("x", 64<<10) + `"`)}
	for i := range 300 {
		var command state.Command
		if name := names[r.IntN(len(names))]; r.IntN(4) == 0 {
			command = state.RecordDelete{RecordDelete: wire.RecordDelete{Name: name}}
		} else {
			w := set(name, i)
			w.Operations = append(w.Operations, pad)
			command = w
		}
		if _, err := o.Do(t.Context(), command); err != nil {
			t.Fatal(err)
		}
	}
	there, err := versions(o, names)
	if err := errors.Join(err, o.Close()); err != nil {
		t.Fatal(err)
	}
	if log.below == 0 || len(there) == 0 || len(there) == len(names) {
		t.Fatalf("purged below %d, %v are there: that says nothing", log.below, there)
	}
	return there
}

// numbers are those of all messages of the scope.
func numbers(t *testing.T, log bus.Log) (all []uint64) {
	t.Helper()
	if err := log.Read(t.Context(), "server", 0, func(m bus.Stored) error { all = append(all, m.Number); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// Rule: whatever a purge that was cut short has left of what it was to purge, the scope is what it was.
func TestPurgeCutShort(t *testing.T) {
	log := &gappy{Log: local.NewLog(1 << 30), t: t}
	want := history(t, log)
	all := numbers(t, log)
	purged, _ := slices.BinarySearch(all, log.below)
	rapid.Check(t, func(t *rapid.T) {
		log.missing = map[uint64]bool{}
		for _, n := range all[:purged] {
			if rapid.Bool().Draw(t, "missing") {
				log.missing[n] = true
			}
		}
		o, err := openScope(log)
		if err != nil {
			t.Fatal(err)
		}
		got, err := versions(o, names)
		if err := errors.Join(err, o.Close()); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	if log.below == 0 {
		t.Error("what was left was not purged")
	}
}

// Rule: where any commit is missing that is needed, but the first ones, the scope is damaged.
func TestMissingCommit(t *testing.T) {
	log := &gappy{Log: local.NewLog(1 << 30), t: t}
	history(t, log)
	all := numbers(t, log)
	kept, _ := slices.BinarySearch(all, log.below)
	for _, n := range all[kept+1:] {
		log.missing = map[uint64]bool{n: true}
		o, err := openScope(log)
		if !errors.Is(err, scopes.ErrDamaged) {
			_ = o.Close()
			t.Errorf("without %d of %d to %d: %v", n, log.below, all[len(all)-1], err)
		}
	}
}

// Rule: commits of a server that did not say which one is before them are loaded, and what is written then goes on behind them.
func TestCommitsOfBefore(t *testing.T) {
	log := &gappy{Log: local.NewLog(1 << 30), t: t, missing: map[uint64]bool{2: true}}
	last := uint64(0)
	for i, commit := range []string{
		`{"c":7,"e":[{"n":"a","i":7,"v":1,"w":{"d":{"n":1}}}]}`,
		`{"c":8,"e":[{"n":"b","i":8,"v":1,"w":{"d":{"n":1}}}]}`, // purged
		`{"c":8,"e":[{"n":"a","i":7,"v":2,"o":[{"op":"set","path":"n","value":2}]}]}`,
	} {
		var err error
		if last, err = log.Append(t.Context(), "server", last, []byte(commit)); err != nil || last != uint64(i+1) {
			t.Fatal(last, err)
		}
	}
	for n := range uint64(3) {
		o, err := openScope(log)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := versions(o, names); err != nil || !maps.Equal(got, map[string]uint64{"a": 2 + n}) {
			t.Errorf("start %d: %v, %v", n, got, err)
		}
		if _, err := o.Do(t.Context(), set("a", n)); err != nil {
			t.Fatal(err)
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
