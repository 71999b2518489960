package nats_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/nats"
)

// operator is who reads the log of a node: warnings and errors.
type operator struct {
	mu    sync.Mutex
	lines []string
}

func (o *operator) logger() *slog.Logger { return slog.New(slog.NewTextHandler(o, nil)) }

func (o *operator) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(o.lines, string(line))
	return len(line), nil
}

// told returns how many lines have all of these words.
func (o *operator) told(words ...string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, line := range o.lines {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	return n
}

func start(t *testing.T, c nats.Config) *nats.Node {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	n, err := nats.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// small has a few blocks in a log.
var small = bus.Limits{MaxBytes: 120_000}

func logOf(t *testing.T, n *nats.Node, name string) bus.Log {
	t.Helper()
	l, err := n.Log(t.Context(), name, small)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// fill stores messages of two subjects in several blocks, and returns what they are: each has its number as a text.
func fill(t *testing.T, l bus.Log, messages int) map[string][]string {
	t.Helper()
	stored, last := map[string][]string{}, map[string]uint64{}
	for i := range messages {
		subject := fmt.Sprint("r", i%2)
		text := fmt.Sprintf("<%d>%s", i, strings.Repeat("x", 2000))
		n, err := l.Append(t.Context(), subject, last[subject], []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		last[subject], stored[subject] = n, append(stored[subject], text)
	}
	return stored
}

func read(t *testing.T, l bus.Log, subject string) (all []string, err error) {
	t.Helper()
	err = l.Read(t.Context(), subject, 0, func(m bus.Stored) error { all = append(all, string(m.Bytes)); return nil })
	return all, err
}

// Rule: of a log that may be mended each message is there that is as it was written, before and behind damage, in whichever block and also after a clean end; what is damaged is kept, the operator is told
// once, and the log goes on.
func TestMended(t *testing.T) {
	for name, block := range map[string]int{"first block": 1, "another": 2, "last block": -1} {
		for _, killed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", killed ", killed), func(t *testing.T) {
				dir, left := t.TempDir(), t.TempDir()
				n := start(t, nats.Config{Dir: dir})
				stored := fill(t, logOf(t, n, "LOG"), 40)
				if !killed {
					if err := n.Close(); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				folder := filepath.Join(left, "jetstream/$G/streams/LOG/msgs")
				if block < 0 {
					all, err := filepath.Glob(filepath.Join(folder, "*.blk"))
					if err != nil || len(all) < 3 {
						t.Fatal(all, err)
					}
					block = len(all)
				}
				path := filepath.Join(folder, fmt.Sprint(block, ".blk"))
				whole, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				damaged := bytes.Clone(whole)
				at := len(damaged) / 2
				damaged[at] ^= 1
				write(t, path, damaged)

				var told operator
				c := nats.Config{Dir: left, Mended: []string{"LOG", "CHANGES"}, Logger: told.logger()}
				n = start(t, c)
				l := logOf(t, n, "LOG")
				lost := 0
				for subject, want := range stored {
					got, err := read(t, l, subject)
					if err != nil || len(got) < len(want)-1 {
						t.Fatalf("of %s %d are there of %d, %v", subject, len(got), len(want), err)
					}
					lost += len(want) - len(got)
					for _, m := range got {
						for len(want) > 0 && want[0] != m {
							want = want[1:]
						}
						if len(want) == 0 {
							t.Fatalf("%s: %.10s is not what was written, or not in its order", subject, m)
						}
					}
				}
				d := n.Damage()
				kept, err := os.ReadFile(filepath.Join(d.Aside, "LOG", filepath.Base(path)))
				if lost != 1 || d.Blocks != 1 || n.Stats().Damaged != 1 || err != nil || !bytes.Equal(kept, damaged) {
					t.Errorf("%d messages are lost; %+v; %d bytes are kept, %v", lost, d, len(kept), err)
				}
				if told.told("ERROR", "set aside", "What to do", d.Aside) != 1 {
					t.Errorf("the operator is told %q", told.lines)
				}
				if _, err := l.Append(t.Context(), "r9", 0, []byte("new")); err != nil {
					t.Fatal(err)
				}
				if err := n.Close(); err != nil {
					t.Fatal(err)
				}
				n = start(t, c)
				if again := n.Damage(); again.Blocks != 0 || again.At.UnixMilli() != d.At.UnixMilli() {
					t.Errorf("at the next start: %+v, it was %v", again, d.At)
				}
				bustest.WantLog(t, logOf(t, n, "LOG"), "r9", 0, "new")
			})
		}
	}
}

// Rule: whichever byte of a block has changed, no more is set aside than the record that it is in.
func TestMendEveryByte(t *testing.T) {
	dir := t.TempDir()
	l, err := open(t, dir).Log(t.Context(), "STATE", small)
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for i := range 4 {
		if last, err = l.Append(t.Context(), "r0", last, fmt.Append(nil, "message ", i)); err != nil {
			t.Fatal(err)
		}
	}
	left := t.TempDir()
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	path, b := readBlock(t, left, 1)
	size := len(b) / 4
	for i := range b {
		damaged := bytes.Clone(b)
		damaged[i] ^= 0x10
		write(t, path, damaged)
		d, err := nats.Mend(left, "STATE")
		if err != nil || d.Blocks != 1 || d.Bytes != size {
			t.Fatalf("byte %d of %d: %+v, %v", i, len(b), d, err)
		}
		record := i / size * size
		if _, mended := readBlock(t, left, 1); !bytes.Equal(mended, append(bytes.Clone(b[:record]), b[record+size:]...)) {
			t.Fatalf("byte %d of %d: %d bytes are left, or others", i, len(b), len(mended))
		}
		if err := nats.Check(left, "STATE"); err != nil {
			t.Fatalf("byte %d of %d: %v", i, len(b), err)
		}
	}
}

// Rule: a block that the disk does not give is set aside, and the others are there.
func TestMendUnreadable(t *testing.T) {
	dir := t.TempDir()
	n := start(t, nats.Config{Dir: dir})
	stored := fill(t, logOf(t, n, "LOG"), 40)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	unreadable(t, filepath.Join(dir, "jetstream/$G/streams/LOG/msgs/2.blk"))
	n = start(t, nats.Config{Dir: dir, Mended: []string{"LOG"}})
	l := logOf(t, n, "LOG")
	for subject, want := range stored {
		got, err := read(t, l, subject)
		if err != nil || len(got) < len(want)/2 || len(got) >= len(want) || got[0] != want[0] || got[len(got)-1] != want[len(want)-1] {
			t.Errorf("%s: %d are there of %d, %v", subject, len(got), len(want), err)
		}
	}
	if d := n.Damage(); d.Blocks != 1 {
		t.Errorf("%+v", d)
	}
}

// unreadable makes a file one that can be opened, and of which nothing can be read, and returns how to undo that.
func unreadable(t *testing.T, path string) (undo func()) {
	t.Helper()
	if err := os.Rename(path, path+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".kept", path); err != nil {
			t.Fatal(err)
		}
	}
}

// Rule: what the disk does not give is never taken for what was never there: each reading says so; it is counted, and the operator is told once. When the disk gives it again, all is there.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	n := start(t, nats.Config{Dir: dir})
	l := logOf(t, n, "STATE")
	if _, err := l.Append(t.Context(), "only", 0, []byte("the only one")); err != nil {
		t.Fatal(err)
	}
	stored := fill(t, l, 40)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	var told operator
	n = start(t, nats.Config{Dir: dir, Whole: []string{"STATE"}, Logger: told.logger()})
	undo := unreadable(t, filepath.Join(dir, blocks, "1.blk"))
	l = logOf(t, n, "STATE")
	failures := uint64(0)
	for what, ask := range map[string]func(ctx context.Context) error{
		"Read":           func(ctx context.Context) error { return l.Read(ctx, "only", 0, func(bus.Stored) error { return nil }) },
		"First":          func(ctx context.Context) error { _, err := l.First(ctx, "only"); return err },
		"Last":           func(ctx context.Context) error { _, err := l.Last(ctx, "only"); return err },
		"Read of others": func(ctx context.Context) error { _, err := read(t, l, "r0"); return err },
	} {
		if err := ask(t.Context()); err == nil {
			t.Errorf("%s says that nothing is there", what)
		}
		failures++
	}
	if got := n.Stats(); got.Unreadable != failures || got.Faulty {
		t.Errorf("%+v, want %d that were not readable", got, failures)
	}
	if told.told("ERROR", "cannot be read", "What to do") != 1 {
		t.Errorf("the operator is told %q", told.lines)
	}
	if m, err := l.Last(t.Context(), "r0"); err != nil || string(m.Bytes) != stored["r0"][19] {
		t.Errorf("what is in another block: %.10s, %v", m.Bytes, err)
	}
	undo()
	bustest.WantLog(t, l, "only", 0, "the only one")
	bustest.WantLog(t, l, "r0", 0, stored["r0"]...)
}
