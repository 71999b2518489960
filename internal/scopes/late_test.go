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

// holdUp lets the owner take no more commands: of a write that the disk does not take, and readings of it, too much waits. So many other requests are in front of it.
func (h *house) holdUp(by state.Caller, requests int) {
	go func() {
		w := set("large", strings.Repeat("x", 200<<10))
		w.By = by
		_, _ = h.Do(context.Background(), w)
	}()
	synctest.Wait()
	for range 100 {
		r := read("large")
		r.By = by
		go func() { _, _ = h.Do(context.Background(), r) }()
	}
	synctest.Wait()
	for range requests {
		go func() { _, _ = h.Do(context.Background(), read("other")) }()
	}
	synctest.Wait()
}

// late gives up a command that the owner does not take.
func (h *house) late(c state.Command) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := h.Do(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
		h.t.Errorf("%T: %v", c, err)
	}
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
			h.holdUp(ann, places)
			eve := state.Caller{Session: "eve", Identity: "eve"}
			fay := state.Caller{Session: "fay", Identity: "fay"}
			h.late(state.Detach{Session: bob.Session})
			h.late(state.Attach{By: eve})
			h.late(state.Attach{By: fay}) // and goes again
			h.late(state.Detach{Session: fay.Session})
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

// Rule: who has lost its messages while the owner takes nothing has lost its subscriptions, patterns and calls afterwards, as it was told, and keeps what it asks for since; be it that it is to be attached again as somebody
// else as well. It ends once.
func TestResetLate(t *testing.T) {
	for _, places := range []int{0, 300} {
		synctest.Test(t, func(t *testing.T) {
			d := newDisk()
			h := open(t, d)
			ann, bob := h.attach("ann"), h.attach("bob")
			events := func(by state.Caller, names ...string) state.EventSubscribe {
				return state.EventSubscribe{By: by, EventNames: wire.EventNames{Names: names}}
			}
			listen := state.Listen{By: ann, Listen: wire.Listen{Kind: wire.ListenEvents, Pattern: "*"}}
			for _, command := range []state.Command{listen, events(ann, "old"), events(bob, "old", "new")} {
				if r := h.now(command); r.Error != nil {
					t.Fatal(r.Error)
				}
			}
			h.holdUp(bob, places)
			h.heard()
			h.late(state.Reset{Session: ann.Session})
			h.late(state.Attach{By: ann})
			synctest.Wait() // it has been carried out, or waits before all else
			asked := []chan state.Reply{h.later(listen), h.later(events(ann, "new"))}
			synctest.Wait()
			d.sync <- nil
			for _, replies := range asked {
				if r := <-replies; r.Error != nil {
					t.Fatal(r.Error)
				}
			}
			time.Sleep(scopes.AskTime)
			synctest.Wait()
			if told := strings.Join(h.heard(), "\n"); strings.Count(told, "listen-start") != 1 || !strings.Contains(told, `"names":["new","old"]`) {
				t.Errorf("with %d in front, ann, who listens again, was told %s", places, told)
			}
			for _, name := range []string{"old", "new"} {
				h.now(state.EventPublish{EventPublish: wire.EventPublish{Name: name}})
				told := h.heard()
				if want := map[string]string{"old": "[bob]", "new": "[ann bob]"}[name]; len(told) != 1 || !strings.HasPrefix(told[0], want) {
					t.Errorf("with %d in front, %s: told %q, want %s", places, name, told, want)
				}
			}
		})
	}
}
