package scopes_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Rule: whoever asks is told of each record whether he may not read it, in the room that is meant, as a session or without one, whether there
// is such a record or not.
func TestDenied(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		c.ask("tea", "", "record-write", writeA+"}")
		secret := "forbidden in room tea"
		for room, want := range map[string]bool{"tea": true, "milk": false} {
			for _, by := range []state.Caller{{Identity: "ann"}, {Session: "gone", Identity: "ann"}} {
				denied, err := scopes.Denied(t.Context(), c.bus, room, by, []string{"a", secret, "none"})
				if err != nil || !maps.Equal(denied, map[string]bool{"a": false, secret: want, "none": false}) {
					t.Errorf("in %s, by session %q: %v, %v", room, by.Session, denied, err)
				}
			}
		}
		c.strict.Store(true)
		c.Recheck()
		if denied, err := scopes.Denied(t.Context(), c.bus, "tea", state.Caller{}, []string{"a", "none"}); err != nil || !denied["a"] || !denied["none"] {
			t.Errorf("where nothing is allowed: %v, %v", denied, err)
		}
	})
}

// Rule: records that could not be asked about, as rules would have to look at too much, are left out: those behind the first, which are asked
// about in further requests.
func TestDeniedLeavesOut(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		var rest []string
		for i := range 2*state.MaxUnfolded/wire.MaxRecordBytes + 4 {
			name := fmt.Sprint("looked at ", i)
			c.ask("tea", "", "record-write", `{"name":"`+name+`","operations":[{"op":"set","path":"n","value":"`+strings.Repeat("x", wire.MaxRecordBytes-10)+`"}]}`)
			rest = append(rest, name)
		}
		for requests := 1; len(rest) > 0; requests++ {
			denied, err := scopes.Denied(t.Context(), c.bus, "tea", state.Caller{}, rest)
			if err != nil || len(denied) == 0 || requests > 3 || slices.Contains(slices.Collect(maps.Values(denied)), true) {
				t.Fatalf("request %d: %v, %v", requests, denied, err)
			}
			rest = slices.DeleteFunc(rest, func(name string) bool { _, told := denied[name]; return told })
			if requests < 3 && len(rest) == 0 {
				t.Errorf("%d requests were enough", requests)
			}
		}
		if c.Costly() == 0 {
			t.Error("nothing was counted")
		}
	})
}

// Rule: where nobody can be asked, nobody says that something may be read.
func TestDeniedFails(t *testing.T) {
	town1(t, func(t *testing.T, c *town) {
		if denied, err := scopes.Denied(t.Context(), c.bus, "tea", state.Caller{}, make([]string, wire.MaxBulkNames+1)); err == nil {
			t.Errorf("of too many: %v", denied)
		}
		if denied, err := scopes.Denied(t.Context(), local.New(), "tea", state.Caller{}, []string{"a"}); err == nil {
			t.Errorf("where there are no scopes: %v", denied)
		}
	})
}
