package scopes_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// present asks who is there.
func (h *house) present(by state.Caller) string {
	h.t.Helper()
	r := h.now(state.PresenceRead{By: by})
	if r.Error != nil {
		h.t.Fatal(r.Error)
	}
	return fmt.Sprint(r.Body.(wire.Present).Identities)
}

// Rule: who comes or goes while the owner takes nothing, for longer than anybody waits for that, has come or gone afterwards, also where the command has a place in the queue and where it
// has none.
func TestComeAndGoLate(t *testing.T) {
	for _, places := range []int{0, 300} { // requests that take the places
		synctest.Test(t, func(t *testing.T) {
			d := newDisk()
			h := open(t, d)
			ann, bob := h.attach("ann"), h.attach("bob")
			h.attach("dan")
			go func() { // a write that the disk does not take, and readings of it, until no more commands are taken
				w := set("large", strings.Repeat("x", 200<<10))
				w.By = ann
				_, _ = h.Do(context.Background(), w)
			}()
			synctest.Wait()
			for range 100 {
				r := read("large")
				r.By = ann
				go func() { _, _ = h.Do(context.Background(), r) }()
			}
			synctest.Wait()
			for range places {
				go func() { _, _ = h.Do(context.Background(), read("other")) }()
			}
			synctest.Wait()
			late := func(c state.Command) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				if _, err := h.Do(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%T: %v", c, err)
				}
			}
			eve := state.Caller{Session: "eve", Identity: "eve"}
			fay := state.Caller{Session: "fay", Identity: "fay"}
			late(state.Detach{Session: bob.Session})
			late(state.Attach{By: eve})
			late(state.Attach{By: fay}) // and goes again
			late(state.Detach{Session: fay.Session})
			d.sync <- nil
			synctest.Wait()
			time.Sleep(scopes.AskTime) // what else waits has lapsed
			synctest.Wait()
			if got := h.present(ann); got != "[ann dan eve]" {
				t.Errorf("with %d in the queue: %s are there", places, got)
			}
		})
	}
}
