package host

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/doctor"
	"github.com/parley-rtc/parley/wire"
)

// Where a bit of what is stored has changed on disk, be it in the first record or in the middle, the server starts all the same, refuses what is durable, says what
// to do, as the doctor does, and leaves the file as it is: with it as it was, all is there.
func TestScenarioDamagedBlock(t *testing.T) {
	k := &killing{t: t, data: t.TempDir()}
	s := k.start()
	v := k.join(s, t.Context(), "ann")
	for i := range 20 {
		if _, err := v.ask(wire.TypeRecordWrite, wire.RecordWrite{
			Scope: wire.ScopeServer, Name: "board", Operations: []wire.Operation{{Op: wire.OperationSet, Path: fmt.Sprint("n", i), Value: []byte(`"some text"`)}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	s.kill()
	path := filepath.Join(k.data, "state/jetstream/$G/streams/STATE/msgs/1.blk")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := func(want string) (log string) {
		t.Helper()
		var text bytes.Buffer
		n := startLogging(t, slog.NewTextHandler(&text, nil), "--data", k.data)
		defer n.stop()
		s := dial(t, n)
		s.request(1, wire.TypeJoin, `{"protocol":1,"room":"tea","identity":"ann"}`)
		m := s.request(2, wire.TypeRecordWrite, `{"scope":"server","name":"board","operations":[{"op":"set","path":"n","value":1}]}`)
		if !strings.Contains(string(m.Body), want) || n.durable != strings.Contains(want, "version") {
			t.Errorf("durable: %v: %s, want %s", n.durable, m.Body, want)
		}
		go s.readToEnd()
		return text.String()
	}
	for _, at := range []int{40, len(whole) / 2} {
		damaged := slices.Clone(whole)
		damaged[at] ^= 4
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		check(t, stateFinding(k.data), doctor.Fault, "put back a copy of the folder")
		if log := start(`"unsupported"`); !strings.Contains(log, "put back a copy of the folder") || !strings.Contains(log, path) {
			t.Errorf("the log says %s", log)
		}
		if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, damaged) {
			t.Errorf("byte %d: %d bytes are left of %d, or others, %v", at, len(left), len(damaged), err)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, stateFinding(k.data), doctor.OK, "whole")
	start(`"version":21`)
}
