package nats_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/nats"
)

const blocks = "jetstream/$G/streams/STATE/msgs"

// killed returns a folder as kill -9 leaves it, in which so many messages were stored and the first ones purged, of several subjects.
func killed(t *testing.T, messages int) string {
	t.Helper()
	dir, left := t.TempDir(), t.TempDir()
	l, err := open(t, dir).Log(t.Context(), "STATE", bus.Limits{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]uint64{}
	for i := range messages {
		subject := fmt.Sprint("r", i%2)
		if last[subject], err = l.Append(t.Context(), subject, last[subject], fmt.Appendf(nil, `{"message":%d}`, i)); err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			if err := l.Purge(t.Context(), subject, last[subject]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return left
}

func readBlock(t *testing.T, dir string, n int) (path string, b []byte) {
	t.Helper()
	path = filepath.Join(dir, blocks, fmt.Sprint(n, ".blk"))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Rule: whichever bit has changed on disk is found, also of the last message, and of the sums and lengths themselves.
func TestFlippedBit(t *testing.T) {
	dir := killed(t, 4)
	path, b := readBlock(t, dir, 1)
	if err := nats.Check(dir, "STATE"); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	put := func(at int, b byte) {
		t.Helper()
		if _, err := f.WriteAt([]byte{b}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 8 * len(b) {
		put(i/8, b[i/8]^1<<(i%8))
		if err := nats.Check(dir, "STATE"); !errors.Is(err, nats.ErrDamaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("bit %d of %d: %v", i, 8*len(b), err)
		}
		put(i/8, b[i/8])
	}
}

// Rule: a store of which a bit has changed is not opened, and not touched, so that a copy can be put back.
func TestOpenDamaged(t *testing.T) {
	dir := killed(t, 100)
	path, b := readBlock(t, dir, 1)
	damaged := slices.Clone(b)
	damaged[len(b)/2] ^= 1
	write(t, path, damaged)
	if n, err := nats.Open(dir, "STATE"); !errors.Is(err, nats.ErrDamaged) {
		_ = n.Close()
		t.Fatalf("opened: %v", err)
	}
	if _, left := readBlock(t, dir, 1); !bytes.Equal(left, damaged) {
		t.Errorf("%d bytes are left of %d, or others", len(left), len(damaged))
	}
	write(t, path, b)
	l, err := open(t, dir).Log(t.Context(), "STATE", bus.Limits{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	bustest.WantLog(t, l, "r1", 98, `{"message":99}`)
}

// Rule: a message that a crash has left half written, as nobody was told that it is stored, is no damage; all that is before it is there. What is behind it is not
// lost that way, nor is what is half written in another block than the last.
func TestTornMessage(t *testing.T) {
	dir := killed(t, 6)
	path, b := readBlock(t, dir, 1)
	record := func(content string) (from, to int) {
		at := bytes.Index(b, []byte(content))
		return bytes.LastIndex(b[:at], []byte("STATE.")) - 22, at + len(content) + 8
	}
	from, to := record(`{"message":5}`)
	if to != len(b) {
		t.Fatalf("the last message ends at %d of %d", to, len(b))
	}
	for cut := from; cut < to; cut++ {
		write(t, path, b[:cut])
		if err := nats.Check(dir, "STATE"); err != nil {
			t.Errorf("cut off at %d of %d to %d: %v", cut, from, to, err)
		}
	}
	blank := append(slices.Clone(b[:from]), make([]byte, 4096)...)
	write(t, path, blank)
	if err := nats.Check(dir, "STATE"); err != nil {
		t.Errorf("with nothing where it should be: %v", err)
	}
	first, _ := record(`{"message":3}`)
	clear(blank[first:])
	copy(blank[first+1024:], b[from:])
	write(t, path, blank)
	if err := nats.Check(dir, "STATE"); !errors.Is(err, nats.ErrDamaged) {
		t.Errorf("with nothing before it: %v", err)
	}
	write(t, path, b[:to-1])
	write(t, filepath.Join(dir, blocks, "2.blk"), b[:1])
	if err := nats.Check(dir, "STATE"); !errors.Is(err, nats.ErrDamaged) {
		t.Errorf("in a block that is not the last: %v", err)
	}
	write(t, filepath.Join(dir, blocks, "2.blk"), nil)
	l, err := open(t, dir, "STATE").Log(t.Context(), "STATE", bus.Limits{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	bustest.WantLog(t, l, "r1", 0, `{"message":1}`, `{"message":3}`)
	bustest.WantLog(t, l, "r0", 3, `{"message":4}`)
}
