package scopes_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Rule: a change is in the log as it was told, but a large one by its name and version.
func TestNoted(t *testing.T) {
	var noted []string
	o, err := scopes.Open(t.Context(), scopes.Config{
		State: state.Config{Scope: wire.ScopeRoom, Durable: true}, Log: local.NewLog(1 << 20), Subject: "room",
		Tell: func(state.Tell, []byte) {}, Note: func(typ string, body []byte) { noted = append(noted, typ+" "+string(body)) },
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{scopes.MaxNotedBytes - 2, scopes.MaxNotedBytes - 1} { // and two quotation marks
		if r, err := o.Do(t.Context(), set("board", strings.Repeat("x", size))); err != nil || r.Error != nil {
			t.Fatal(r, err)
		}
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if len(noted) != 2 || !strings.Contains(noted[0], `"operations":`) || strings.Contains(noted[1], "xxx") || !strings.Contains(noted[1], `"version":2`) {
		t.Errorf("noted: %.200q", noted)
	}
}
