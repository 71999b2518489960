package host

import (
	"testing"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/scopes"
)

// Rule: who lowers --state-bytes below what is stored can still delete: the log takes some more.
func TestStateBytesLowered(t *testing.T) {
	store, err := nats.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	log, err := store.Log(t.Context(), stateLog, bus.Limits{MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	const lowered = 1 << 20
	last := uint64(0)
	for stored := 0; stored < lowered+scopes.ShelfReserve; stored += bus.MaxStoredBytes {
		if last, err = log.Append(t.Context(), "s", last, make([]byte, bus.MaxStoredBytes)); err != nil {
			t.Fatal(err)
		}
	}
	n := &node{cfg: &Config{StateBytes: lowered}, store: store}
	opened, err := n.openState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Append(t.Context(), "s", last, []byte("deleted")); err != nil {
		t.Error(err)
	}
}
