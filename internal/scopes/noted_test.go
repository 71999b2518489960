package scopes_test

import (
	"fmt"
	"log/slog"
	"slices"
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

// Rule: when a scope is loaded, the last change of each record is told, also that it was deleted, but not what was only copied since.
func TestLoaded(t *testing.T) {
	log := local.NewLog(1 << 30)
	last, err := log.Append(t.Context(), "room", 0, []byte(`{"c":7,"e":[{"n":"copied","i":7,"v":3,"w":{"d":{}},"k":true},{"n":"gone","i":5,"v":1,"w":{"d":{}}},{"n":"kept","i":6,"v":1,"w":{"d":{}}}]}`))
	for _, commit := range []string{
		`{"c":7,"e":[{"n":"kept","i":6,"v":2,"o":[{"op":"set","path":"n","value":2}]},{"n":"gone","i":5,"v":1,"d":true}]}`,
		`{"c":7,"e":[{"n":"kept","i":6,"v":2,"w":{"d":{"n":2}},"k":true}]}`,
	} {
		if err == nil {
			last, err = log.Append(t.Context(), "room", last, []byte(commit))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	o, err := scopes.Open(t.Context(), scopes.Config{
		State: state.Config{Scope: wire.ScopeRoom}, Log: log, Subject: "room", Tell: func(state.Tell, []byte) {}, Logger: slog.New(slog.DiscardHandler),
		Loaded: func(changes []state.LastChange) {
			for _, c := range changes {
				got = append(got, fmt.Sprint(c.Scope, " ", c.Name, c.Incarnation, c.Version, c.Deleted, c.At.IsZero()))
			}
		},
	})
	if err == nil {
		err = o.Close()
	}
	slices.Sort(got)
	if want := "[room gone5 1 true false room kept6 2 false false]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("told %s, want %s; %v", got, want, err)
	}
}

// Rule: of what was stored before commits said what is a copy, what may be one is told as no change.
func TestLoadedOfBefore(t *testing.T) {
	log := local.NewLog(1 << 30)
	last := uint64(0)
	for _, commit := range []string{
		`{"c":9,"e":[{"n":"unknown","i":7,"v":1,"w":{"d":{}}}]}`,
		`{"c":9,"e":[{"n":"copied","i":8,"v":1,"w":{"d":{}}},{"n":"written","i":9,"v":4,"w":{"d":{}}}]}`,
		`{"c":10,"e":[{"n":"created","i":10,"v":1,"w":{"d":{}}},{"n":"written","i":9,"v":5,"o":[{"op":"set","path":"n","value":2}]}]}`,
		`{"c":10,"e":[{"n":"written","i":9,"v":5,"w":{"d":{"n":2}}},{"n":"created","i":10,"v":1,"w":{"d":{}}}]}`,
		`{"c":11,"p":4,"f":1,"e":[{"n":"later","i":11,"v":1,"w":{"d":{}}},{"n":"copied","i":8,"v":1,"w":{"d":{}},"k":true}]}`,
	} {
		var err error
		if last, err = log.Append(t.Context(), "room", last, []byte(commit)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	o, err := scopes.Open(t.Context(), scopes.Config{
		State: state.Config{Scope: wire.ScopeRoom}, Log: log, Subject: "room", Tell: func(state.Tell, []byte) {}, Logger: slog.New(slog.DiscardHandler),
		Loaded: func(changes []state.LastChange) {
			for _, c := range changes {
				got = append(got, fmt.Sprint(c.Name, " ", c.Version))
			}
		},
	})
	if err == nil {
		err = o.Close()
	}
	slices.Sort(got)
	if want := "[created 1 later 1 written 5]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("told %s, want %s; %v", got, want, err)
	}
}
