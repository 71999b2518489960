package scopes_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

const (
	childEnv = "PARLEY_TEST_SCOPES_CHILD"
	writers  = 64
	diggers  = 4 // who make records and delete them again
)

func childFolder() (string, bool) { return os.LookupEnv(childEnv) }

// disked opens the server's scope in a folder.
func disked(dir string) (*nats.Node, *scopes.Owner, error) {
	node, err := nats.Open(dir, "STATE")
	if err != nil {
		return nil, nil, err
	}
	log, err := node.Log(context.Background(), "STATE", bus.Limits{MaxBytes: 1 << 30})
	if err != nil {
		return nil, nil, err
	}
	o, err := scopes.Open(context.Background(), scopes.Config{
		State: state.Config{Scope: wire.ScopeServer, Durable: true}, Log: log, Subject: "server",
		Tell: func(state.Tell, []byte) {}, Logger: slog.Default(),
	})
	return node, o, err
}

// padding makes records so large that whole copies are taken along and old messages purged meanwhile.
var padding = wire.Operation{Op: wire.OperationSet, Path: "pad", Value: []byte(`"` + strings.Repeat("x", 4<<10) + `"`)}

var heavy = wire.Operation{Op: wire.OperationSet, Path: "pad", Value: []byte(`"` + strings.Repeat("x", 64<<10) + `"`)}

// child writes as fast as it can, and says each version that was acknowledged, until it is killed, 0 for a deletion. Each record says its own version.
func child(dir string) {
	_, o, err := disked(dir)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range writers {
		wait.Go(func() {
			name := fmt.Sprint("record", i%(writers/2)) // two writers for each
			for {
				head := wire.RecordWanted{Name: name, Head: true}
				r, _ := o.Do(context.Background(), state.RecordRead{RecordRead: wire.RecordRead{Records: []wire.RecordWanted{head}}})
				version := uint64(0)
				if have := r.Body.(wire.Records).Results[0].Record; have != nil {
					version = have.Version
				}
				w := set(name, version+1)
				w.Version = &version
				w.Operations = append(w.Operations, padding)
				if r, _ := o.Do(context.Background(), w); r.Error == nil {
					mu.Lock()
					fmt.Println(name, r.Body.(wire.Written).Version)
					mu.Unlock()
				}
			}
		})
	}
	for i := range diggers {
		wait.Go(func() {
			for n := uint64(1); ; n++ {
				name := fmt.Sprintf("grave%d-%d", i, time.Now().UnixNano())
				w := set(name, n)
				w.Operations = append(w.Operations, heavy)
				r, _ := o.Do(context.Background(), w)
				if r.Error == nil {
					r, _ = o.Do(context.Background(), state.RecordDelete{RecordDelete: wire.RecordDelete{Name: name}})
				}
				if r.Error == nil {
					mu.Lock()
					fmt.Println(name, 0)
					mu.Unlock()
				}
			}
		})
	}
	wait.Go(func() {
		for {
			_ = o.Tidy(context.Background()) // where it cannot be, that is seen by the writers
		}
	})
	wait.Wait()
}

// Rule: a write that was acknowledged is there after kill -9: 20 times, 64 writers, none is lost and none out of order. What was deleted stays so, though
// the log is purged again and again meanwhile.
func TestKill(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	acknowledged := map[string]uint64{}
	writes, tidied := 0, 0
	for round := range rounds {
		writes += killed(t, dir, acknowledged)
		tidied += tidies(t, dir)
		node, o, err := disked(dir)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		var deleted []string
		for name, version := range acknowledged {
			if version == 0 {
				deleted = append(deleted, name)
				continue
			}
			wanted := read(name)
			wanted.Records[0].Path = "n"
			r, err := o.Do(t.Context(), wanted)
			if err != nil {
				t.Fatal(err)
			}
			result := r.Body.(wire.Records).Results[0]
			if result.Record == nil || result.Record.Version < version {
				t.Fatalf("round %d: version %d of %s was acknowledged, there is %+v", round, version, name, result)
			}
			if got, want := string(result.Record.Value), fmt.Sprint(result.Record.Version); got != want {
				t.Fatalf("round %d: %s has %s, want %s", round, name, got, want)
			}
		}
		if back, err := versions(o, deleted); err != nil || len(back) > 0 {
			t.Fatalf("round %d: of %d deleted records %v are there, %v", round, len(deleted), back, err)
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		if err := node.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if tidied == 0 {
		t.Error("the scope was never tidied: that says less")
	}
	t.Logf("%d writes were acknowledged in %d rounds; of what was left, %d commits said that the scope was tidy", writes, rounds, tidied)
}

// tidies counts commits of the scope that say that it was tidy.
func tidies(t *testing.T, dir string) (n int) {
	t.Helper()
	node, err := nats.Open(dir, "STATE")
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	log, err := node.Log(t.Context(), "STATE", bus.Limits{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	err = log.Read(t.Context(), "server", 0, func(m bus.Stored) error {
		if strings.Contains(string(m.Bytes[:min(100, len(m.Bytes))]), `"x":`) {
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// killed runs a child for a while, kills it, and notes what it said to be acknowledged. Versions of one record grow one by one.
func killed(t *testing.T, dir string, acknowledged map[string]uint64) (writes int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	kill := func() { _ = cmd.Process.Signal(syscall.SIGKILL) }
	defer kill()
	for lines.Scan() {
		name, number, ok := strings.Cut(lines.Text(), " ")
		var version uint64
		if _, err := fmt.Sscan(number, &version); err != nil || !ok || !strings.HasPrefix(name, "record") && !strings.HasPrefix(name, "grave") {
			t.Fatalf("the child said %q", lines.Text())
		}
		if writes == 0 { // it has begun
			time.AfterFunc(time.Duration(50+rand.IntN(150))*time.Millisecond, kill)
		}
		acknowledged[name] = max(acknowledged[name], version)
		writes++
	}
	if err := cmd.Wait(); err == nil || writes == 0 {
		t.Fatalf("the child ended by itself after %d writes: %v", writes, err)
	}
	return writes
}
