package client_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/client"
	"github.com/parley-rtc/parley/wire"
)

// everything begins one of each kind of what is kept over lost sessions.
func everything(t *town, r *client.Room, ctx context.Context, told *heard) []func() error {
	ended := func(what string) func(error) { return func(err error) { told.add("%s ended: %s", what, code(err)) } }
	return []func() error{
		func() error {
			rec, err := r.State().Record(ctx, "board", client.RecordOptions{})
			if err == nil {
				_, err = rec.Subscribe("", func(v client.Change) { told.add("board %s", v.Value) })
			}
			return err
		},
		func() error {
			_, err := r.State().Subscribe(ctx, "wave", func(e client.Event) { told.add("wave %s", e.Value) }, ended("wave"))
			return err
		},
		func() error {
			_, err := r.State().Provide(ctx, "add", client.Provider{
				Answer: func(context.Context, client.Call) (any, error) { told.add("asked"); return 5, nil }, Ended: ended("add"),
			})
			return err
		},
		func() error {
			_, err := r.State().Listen(ctx, wire.ListenRecords, "sensor/*", client.Listener{
				Start: func(name string) bool { told.add("start %s", name); return true },
				Stop:  func(name string) { told.add("stop %s", name) },
				Ended: ended("sensor/*"),
			})
			return err
		},
		func() error {
			_, _, err := r.State().WatchPresence(ctx, func(identity string, present bool, err error) {
				if err != nil {
					ended("presence")(err)
					return
				}
				told.add("%s %v", identity, present)
			})
			return err
		},
	}
}

// uses makes another participant use all of it, and tells what the first one has to hear.
func uses(t *town) (want []string) {
	t.Helper()
	bob, _ := t.join("bob")
	r := t.record(bob, "board", client.RecordOptions{})
	t.must(r.Set(t.Context(), "n", 1))
	synctest.Wait()
	t.must(bob.State().Publish(t.Context(), "wave", 2))
	synctest.Wait()
	if _, err := bob.State().Request(t.Context(), "add", nil); err != nil {
		t.Errorf("the RPC: %v", err)
	}
	t.record(bob, "sensor/1", client.RecordOptions{})
	return []string{"bob true", `board {"n":1}`, "wave 2", "asked", "start sensor/1"}
}

// Rule: what is kept, and what was written meanwhile, is there in the next session, however many requests wait for it.
func TestAllIsRestoredThoughRequestsWait(t *testing.T) {
	inTown(t, func(t *town) {
		t.join("keeper")
		ann, cable := t.join("ann")
		var told heard
		for _, begin := range everything(t, ann, t.Context(), &told) {
			t.must(begin())
		}
		mine := t.record(ann, "mine", client.RecordOptions{})
		cable.away()
		for range client.MaxWaitingRequests {
			go func() { _ = ann.State().Publish(context.Background(), "x", 1) }()
		}
		synctest.Wait()
		written := mine.Send(set(t, "n", 1), client.WriteOptions{})
		cable.mend()
		pass(time.Minute)
		t.must(<-written)
		t.heard(&told, uses(t)...)
	})
}

// Rule: what one request may not ask for together is asked for one by one when all is made again.
func TestRestoredOneByOne(t *testing.T) {
	inTown(t, func(t *town) {
		t.join("keeper")
		ann, cable := t.join("ann")
		var told heard
		ended := func(err error) { told.add("ended: %s", code(err)) }
		var names []string
		for n := range 3 {
			name := fmt.Sprint(costly, n)
			names = append(names, name)
			_, err := ann.State().Subscribe(t.Context(), name, func(e client.Event) { told.add("event %s", e.Name) }, ended)
			t.must(err)
			_, err = ann.State().Provide(t.Context(), name, client.Provider{
				Answer: func(_ context.Context, c client.Call) (any, error) { told.add("asked %s", c.Name); return nil, nil }, Ended: ended,
			})
			t.must(err)
		}
		present, _, err := ann.State().WatchPresence(t.Context(), func(identity string, _ bool, err error) { told.add("%s %s", identity, code(err)) }, names...)
		if t.must(err); len(present) > 0 {
			t.Errorf("present: %v", present)
		}
		cable.away()
		bob, _ := t.join(names[2])
		cable.mend()
		pass(time.Minute)
		t.heard(&told, "costly2 ")
		for _, name := range names {
			t.must(bob.State().Publish(t.Context(), name, nil))
			t.heard(&told, "event "+name)
			_, err := bob.State().Request(t.Context(), name, nil)
			t.must(err)
			t.heard(&told, "asked "+name)
		}
		t.join(names[0])
		t.heard(&told, "costly0 ")
	})
}

// Rule: a request that was not sent when its context ended is never sent, and takes nobody's place.
func TestTakenBackRequests(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		bob, _ := t.join("bob")
		var told heard
		_, err := bob.State().Subscribe(t.Context(), "wave", func(e client.Event) { told.add("%s", e.Value) }, nil)
		t.must(err)
		cable.cut(true)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ended := make(chan error, client.MaxWaitingRequests)
		for i := range client.MaxWaitingRequests {
			go func() {
				if i%2 == 0 {
					ended <- ann.State().Publish(ctx, "wave", "late")
					return
				}
				_, err := ann.State().Request(ctx, "late", nil)
				ended <- err
			}()
		}
		pass(2 * time.Second)
		for range client.MaxWaitingRequests {
			if err := <-ended; !errors.Is(err, context.DeadlineExceeded) && code(err) != wire.CodeLimit {
				t.Errorf("ended by %v", err)
			}
		}
		go func() { ended <- ann.State().Publish(t.Context(), "wave", "now") }()
		go func() {
			_, err := ann.State().Request(t.Context(), "none", nil)
			ended <- err
		}()
		synctest.Wait()
		cable.mend()
		a, b := <-ended, <-ended
		if (a == nil) == (b == nil) || code(errors.Join(a, b)) != wire.CodeNoProvider {
			t.Errorf("afterwards: %v, %v", a, b)
		}
		t.heard(&told, `"now"`)
	})
}

// Rule: what is subscribed to, provided or watched is asked for again when there was no answer in time.
func TestKeptIsAskedForAgain(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		release := cable.hold()
		var told heard
		ended := make(chan error, 8)
		all := everything(t, ann, t.Context(), &told)
		for _, begin := range all {
			go func() { ended <- begin() }()
		}
		pass(12 * time.Second)
		release()
		for range all {
			t.must(<-ended)
		}
		t.heard(&told, uses(t)...)
	})
}

// Rule: whoever subscribes, provides, listens or watches is told when that ends, unless it was ended here.
func TestEndIsTold(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		var told heard
		for _, begin := range everything(t, ann, t.Context(), &told) {
			t.must(begin())
		}
		stop, err := ann.State().Subscribe(t.Context(), "other", func(client.Event) {}, func(err error) { told.add("other ended: %v", err) })
		t.must(err)
		stop()
		t.join("ann")
		<-ann.Done()
		t.heard(&told, "wave ended: replaced", "add ended: replaced", "sensor/* ended: replaced", "presence ended: replaced")
	})
}

// Rule: what the server refused for now is not asked for any more once nobody wants it.
func TestNobodyWantsIt(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, _ := t.join("bob")
		var told heard
		for _, begin := range everything(t, bob, t.Context(), &told) {
			t.must(begin())
		}
		crowd := make(chan error, client.MaxWaitingRequests)
		for range client.MaxWaitingRequests {
			go func() { crowd <- ann.State().Publish(t.Context(), "x", 1) }()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		ended := make(chan error, 2)
		go func() {
			_, err := ann.State().Record(ctx, "sensor/2", client.RecordOptions{})
			ended <- err
		}()
		go func() {
			_, err := ann.State().Listen(ctx, wire.ListenRecords, "meter/*", client.Listener{Start: func(string) bool { return true }})
			ended <- err
		}()
		for range 2 {
			if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it was not refused: %v", err)
			}
		}
		pass(10 * time.Second)
		if r := t.record(bob, "meter/1", client.RecordOptions{}); r.Provided() {
			t.Error("ann provides")
		}
		t.heard(&told)
	})
}

// Rule: what waits to be called is not called once it was stopped.
func TestStoppedCalls(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, _ := t.join("bob")
		r := t.record(ann, "board", client.RecordOptions{})
		hold := make(chan struct{})
		_, err := ann.State().Subscribe(t.Context(), "hold", func(client.Event) { <-hold }, nil)
		t.must(err)
		var told heard
		var stops []func()
		add := func(stop func(), err error) {
			t.must(err)
			stops = append(stops, stop)
		}
		add(ann.State().Subscribe(t.Context(), "wave", func(client.Event) { told.add("wave") }, nil))
		add(r.Subscribe("", func(client.Change) { told.add("board") }))
		add(r.SubscribeProvided(func(bool) { told.add("provided") }), nil)
		add(ann.Subscribe(func(any) { told.add("room") }), nil)
		_, stop, err := ann.State().WatchPresence(t.Context(), func(string, bool, error) { told.add("presence") })
		add(stop, err)
		add(ann.State().Listen(t.Context(), wire.ListenRecords, "sensor/*", client.Listener{
			Start: func(string) bool { told.add("start"); return true }, Stop: func(string) { told.add("stop") },
		}))
		t.must(bob.State().Publish(t.Context(), "hold", nil))
		t.must(bob.State().Publish(t.Context(), "wave", nil))
		t.must(t.record(bob, "board", client.RecordOptions{}).Set(t.Context(), "n", 1))
		_, err = bob.State().Listen(t.Context(), wire.ListenRecords, "board", client.Listener{Start: func(string) bool { return true }})
		t.must(err)
		t.must(bob.Chat(t.Context(), "hello", ""))
		t.join("carl")
		t.record(bob, "sensor/1", client.RecordOptions{})
		synctest.Wait()
		for _, stop := range stops {
			stop()
		}
		close(hold)
		t.heard(&told)
	})
}
