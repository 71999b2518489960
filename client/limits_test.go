package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/client"
	"github.com/parley-rtc/parley/wire"
)

// Rule: so many writes wait for the server, and so many bytes of them; one more is refused, and changes nothing that is seen.
func TestWaitingWrites(t *testing.T) {
	for name, value := range map[string]string{"number": "x", "bytes": strings.Repeat("x", client.MaxWaitingBytes/20)} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(t *town) {
				ann, cable := t.join("ann")
				r := t.record(ann, "board", client.RecordOptions{})
				cable.cut(true)
				synctest.Wait()
				ended := make(chan error, client.MaxWaitingWrites+1)
				limit := client.MaxWaitingWrites
				if len(value) > 1 {
					limit = 19
				}
				for i := range limit + 1 {
					go func() { ended <- r.Set(t.Context(), "n", value[:len(value)-i%2]) }()
					synctest.Wait()
				}
				if len(ended) != 1 || code(<-ended) != wire.CodeLimit {
					t.Errorf("%d writes are refused", len(ended)+1)
				}
				cable.mend()
				for range limit {
					t.must(<-ended)
				}
			})
		})
	}
}

// Rule: so many requests wait for a reply.
func TestWaitingRequests(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		cable.cut(true)
		synctest.Wait()
		ended := make(chan error, client.MaxWaitingRequests+1)
		for range client.MaxWaitingRequests + 1 {
			go func() { ended <- ann.State().Publish(t.Context(), "x", 1) }()
		}
		synctest.Wait()
		if len(ended) != 1 || code(<-ended) != wire.CodeLimit {
			t.Errorf("%d requests are refused", len(ended)+1)
		}
	})
}

// Rule: a function of the application that does not return keeps nobody from being answered. Of what happens meanwhile so many calls wait; beyond,
// each function is called with the newest: an event says how many were missed, a record is told as it is, and so is who is there.
func TestWaitingCalls(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, _ := t.join("bob")
		hers, his := t.record(ann, "board", client.RecordOptions{}), t.record(bob, "board", client.RecordOptions{})
		full, asked := make(chan struct{}), make(chan error, 1)
		_, err := ann.State().Subscribe(t.Context(), "hold", func(client.Event) {
			<-full
			_, err := ann.State().Present(t.Context())
			asked <- err
		}, nil)
		t.must(err)
		events, missed := 0, 0
		_, err = ann.State().Subscribe(t.Context(), "wave", func(e client.Event) { events, missed = events+1, missed+e.Missed }, nil)
		t.must(err)
		var told heard
		follow(t, ann, hers, &told)
		t.must(bob.State().Publish(t.Context(), "hold", nil))
		const sent = client.MaxWaitingCalls + 100
		for range sent {
			t.must(bob.State().Publish(t.Context(), "wave", nil))
			time.Sleep(time.Second / wire.StateRequestsPerSecond)
		}
		for n := range 3 {
			t.must(his.Set(t.Context(), "n", n))
			t.must(bob.Chat(t.Context(), fmt.Sprint("hello ", n), ""))
			sensor := t.record(bob, fmt.Sprint("sensor/", n), client.RecordOptions{})
			synctest.Wait()
			if n < 2 {
				sensor.Close()
			}
		}
		t.join("carl")
		dora, _ := t.join("dora")
		dora.Leave()
		synctest.Wait()
		close(full)
		t.must(<-asked)
		pass(time.Minute)
		if events+missed != sent || events < client.MaxWaitingCalls {
			t.Errorf("%d of %d events were told, and %d missed", events, sent, missed)
		}
		t.heard(&told, `board {"n":2}`, "missed 5", "left dora", "start sensor/2", "present carl true")
	})
}

// follow tells what happens to a record, in the room, with what others subscribe to, and who comes and goes.
func follow(t *town, r *client.Room, board *client.Record, told *heard) {
	t.Helper()
	_, err := board.Subscribe("", func(value client.Change) { told.add("board %s", value.Value) })
	t.must(err)
	r.Subscribe(func(event any) {
		switch e := event.(type) {
		case client.Missed:
			told.add("missed %d", e.Events)
		case wire.ParticipantLeft:
			told.add("left %s", e.Identity)
		default:
			told.add("%T", event)
		}
	})
	_, err = r.State().Listen(t.Context(), wire.ListenRecords, "sensor/*", client.Listener{
		Start: func(name string) bool { told.add("start %s", name); return true }, Stop: func(name string) { told.add("stop %s", name) },
	})
	t.must(err)
	_, _, err = r.State().WatchPresence(t.Context(), func(identity string, present bool, _ error) { told.add("present %s %v", identity, present) })
	t.must(err)
}

// Rule: so many calls are answered at once; others are left to other providers.
func TestAnswering(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		hold := make(chan struct{})
		wait := func(context.Context, client.Call) (any, error) { <-hold; return nil, nil }
		_, err := ann.State().Provide(t.Context(), "wait", client.Provider{Answer: wait})
		t.must(err)
		ended := make(chan error, client.MaxAnswering+1)
		for i := range client.MaxAnswering + 1 {
			from := ann
			if i > 0 && i%100 == 0 {
				time.Sleep(time.Second) // for the pace
			}
			if i >= 200 {
				from = t.rooms[len(t.rooms)-1]
			}
			if i == 200 {
				from, _ = t.join("bob")
			}
			go func() {
				_, err := from.State().Request(t.Context(), "wait", nil)
				ended <- err
			}()
		}
		synctest.Wait()
		if len(ended) != 1 || code(<-ended) != wire.CodeNoProvider {
			t.Errorf("%d calls have ended", len(ended)+1)
		}
		close(hold)
		for range client.MaxAnswering {
			t.must(<-ended)
		}
	})
}

// Rule: an answer that nobody waits for any more takes nobody's place: its context ends, and the provider is asked again, though it does not return.
func TestHangingAnswers(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, _ := t.join("bob")
		hold, ends := make(chan struct{}), make(chan error, client.MaxAnswering)
		_, err := ann.State().Provide(t.Context(), "wait", client.Provider{Answer: func(ctx context.Context, c client.Call) (any, error) {
			if c.Value == nil {
				return "at once", nil
			}
			<-ctx.Done()
			ends <- ctx.Err()
			<-hold
			return nil, nil
		}})
		t.must(err)
		for i := range client.MaxAnswering {
			if i%100 == 99 {
				time.Sleep(time.Second) // for the pace
			}
			go func() { _, _ = bob.State().Request(t.Context(), "wait", 1) }()
		}
		pass(5 * time.Second)
		if _, err := ann.State().Request(t.Context(), "wait", nil); code(err) != wire.CodeNoProvider {
			t.Errorf("while all are waited for: %v", err)
		}
		pass(30 * time.Second)
		if got, err := bob.State().Request(t.Context(), "wait", nil); err != nil || string(got) != `"at once"` {
			t.Errorf("answered %s, %v", got, err)
		}
		if len(ends) != client.MaxAnswering || !errors.Is(<-ends, context.DeadlineExceeded) {
			t.Errorf("%d contexts have ended", len(ends))
		}
		close(hold)
	})
}
