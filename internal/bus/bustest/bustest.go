// Package bustest is the suite that every implementation of bus.Bus passes. It owns nothing; it is imported by tests only.
//
// It waits for what must happen, and never for time to pass: it runs on real networks and inside synctest bubbles alike.
package bustest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/parley-rtc/parley/internal/bus"
)

// Run runs the suite. open returns a new bus, with no connection to the others it has returned.
func Run(t *testing.T, open func(t *testing.T) bus.Bus) {
	for _, rule := range []struct {
		name string
		test func(t *testing.T, b bus.Bus)
	}{
		{"a request reaches its server and the answer comes back", answers},
		{"a request that nobody serves says so", noResponders},
		{"a stopped server gets no more requests", stops},
		{"servers of one subject share its requests, each going to one", shares},
		{"a request ends with its context", contextEnds},
		{"a published message reaches every subscription of its subject, in order", fansOut},
		{"a full queue loses messages, counts them, and stalls nobody", fullQueue},
		{"a queue holds its order and its limit whatever was taken meanwhile", longQueue},
		{"it is told once for each message that something waits", ready},
		{"a closed subscription ends after what it holds", closedSubscription},
		{"a closed bus refuses everything and ends its subscriptions", closedBus},
		{"what is not a subject is refused", badSubjects},
		{"sizes beyond the limits are refused", limits},
		{"many may use it at once, while it closes too", concurrent},
	} {
		t.Run(rule.name, func(t *testing.T) {
			b := open(t)
			rule.test(t, b)
			if err := b.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

func answers(t *testing.T, b bus.Bus) {
	serve(t, b, "room.a", func(_ context.Context, m []byte) []byte { return append([]byte("re: "), m...) })
	serve(t, b, "room.b", func(context.Context, []byte) []byte { return nil })
	want(t, b, "room.a", "hello", "re: hello")
	want(t, b, "room.b", "", "")
}

func noResponders(t *testing.T, b bus.Bus) {
	if _, err := b.Request(t.Context(), "room.nobody", nil); !errors.Is(err, bus.ErrNoResponders) {
		t.Errorf("got %v, want ErrNoResponders", err)
	}
}

func stops(t *testing.T, b bus.Bus) {
	var stop func()
	stop = serve(t, b, "room.a", func(context.Context, []byte) []byte {
		stop() // from within a call
		return []byte("the last")
	})
	want(t, b, "room.a", "", "the last")
	stop() // again
	noRespondersOn(t, b, "room.a")
	serve(t, b, "room.a", func(context.Context, []byte) []byte { return []byte("the next") })
	want(t, b, "room.a", "", "the next")
}

func noRespondersOn(t *testing.T, b bus.Bus, subject string) {
	t.Helper()
	if _, err := b.Request(t.Context(), subject, nil); !errors.Is(err, bus.ErrNoResponders) {
		t.Errorf("request on %s: got %v, want ErrNoResponders", subject, err)
	}
}

func shares(t *testing.T, b bus.Bus) {
	var mu sync.Mutex
	served := map[string]int{}
	for _, name := range []string{"one", "two"} {
		serve(t, b, "rooms.open", func(context.Context, []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			served[name]++
			return []byte(name)
		})
	}
	const requests = 200
	for range requests {
		if _, err := b.Request(t.Context(), "rooms.open", nil); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if served["one"]+served["two"] != requests || served["one"] == 0 || served["two"] == 0 {
		t.Errorf("served %v of %d requests", served, requests)
	}
}

func contextEnds(t *testing.T, b bus.Bus) {
	entered := make(chan struct{})
	serve(t, b, "room.a", func(ctx context.Context, _ []byte) []byte {
		close(entered)
		<-ctx.Done()
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if _, err := b.Request(ctx, "room.a", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("during the call: got %v", err)
	}
	if _, err := b.Request(ctx, "room.a", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("before the call: got %v", err)
	}
}

func fansOut(t *testing.T, b bus.Bus) {
	first, second := subscribe(t, b, "session.a", 100), subscribe(t, b, "session.a", 100)
	other := subscribe(t, b, "session.b", 100)
	for i := range 100 {
		publish(t, b, "session.a", fmt.Sprint(i))
	}
	publish(t, b, "session.nobody", "x")
	publish(t, b, "session.b", "the only one")
	for _, s := range []bus.Subscription{first, second} {
		for i := range 100 {
			next(t, s, fmt.Sprint(i))
		}
		if n := s.Lost(); n != 0 {
			t.Errorf("lost %d", n)
		}
	}
	next(t, other, "the only one")
}

func fullQueue(t *testing.T, b bus.Bus) {
	slow, quick := subscribe(t, b, "session.a", 2), subscribe(t, b, "session.a", 100)
	for i := range 10 {
		publish(t, b, "session.a", fmt.Sprint(i))
	}
	for i := range 10 {
		next(t, quick, fmt.Sprint(i)) // all have been offered to both by now
	}
	next(t, slow, "0")
	next(t, slow, "1")
	publish(t, b, "session.a", "after the gap")
	next(t, slow, "after the gap")
	if n := slow.Lost(); n != 8 {
		t.Errorf("lost %d, want 8", n)
	}
}

func longQueue(t *testing.T, b bus.Bus) {
	const capacity = 100
	s := subscribe(t, b, "session.a", capacity)
	var waiting []string
	published, lost := 0, uint64(0)
	for round := range 60 { // some are taken each time, and more come, until it is full again and again
		for range 3 * round {
			m := fmt.Sprint(published)
			publish(t, b, "session.a", m)
			published++
			if len(waiting) < capacity {
				waiting = append(waiting, m)
			} else {
				lost++
			}
		}
		for range min(2*round, len(waiting)) {
			next(t, s, waiting[0])
			waiting = waiting[1:]
		}
	}
	if n := s.Lost(); n != lost || lost == 0 {
		t.Errorf("lost %d, want %d", n, lost)
	}
}

func ready(t *testing.T, b bus.Bus) {
	s := subscribe(t, b, "session.a", 10)
	for range 3 {
		publish(t, b, "session.a", "x")
	}
	for range 3 { // who takes one at a time is told of the rest
		next(t, s, "x")
	}
	s.Close()
	for range 2 { // at most one more, then the end
		if _, open := <-s.Ready(); !open {
			return
		}
	}
	t.Error("still told after the end")
}

func closedSubscription(t *testing.T, b bus.Bus) {
	s, other := subscribe(t, b, "session.a", 10), subscribe(t, b, "session.a", 10)
	publish(t, b, "session.a", "held")
	next(t, other, "held") // it has been offered to both
	s.Close()
	s.Close()
	publish(t, b, "session.a", "too late")
	next(t, s, "held")
	ends(t, s)
	next(t, other, "too late")
}

func closedBus(t *testing.T, b bus.Bus) {
	s := subscribe(t, b, "session.a", 1)
	stop := serve(t, b, "room.a", func(context.Context, []byte) []byte { return nil })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	ends(t, s)
	s.Close()
	stop()
	_, requestErr := b.Request(t.Context(), "room.a", nil)
	_, serveErr := b.Serve("room.a", func(context.Context, []byte) []byte { return nil })
	_, subscribeErr := b.Subscribe("session.a", 1)
	for what, err := range map[string]error{
		"Request": requestErr, "Serve": serveErr, "Subscribe": subscribeErr, "Publish": b.Publish("session.a", nil),
	} {
		if !errors.Is(err, bus.ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", what, err)
		}
	}
}

func badSubjects(t *testing.T, b bus.Bus) {
	for _, subject := range []string{
		"", ".", "a.", ".a", "a..b", "a.*", "a.>", "a b", "a\r\nPUB", "ä", strings.Repeat("a", bus.MaxSubjectBytes+1),
	} {
		_, requestErr := b.Request(t.Context(), subject, nil)
		_, serveErr := b.Serve(subject, func(context.Context, []byte) []byte { return nil })
		_, subscribeErr := b.Subscribe(subject, 1)
		for what, err := range map[string]error{
			"Request": requestErr, "Serve": serveErr, "Subscribe": subscribeErr, "Publish": b.Publish(subject, nil),
		} {
			if !errors.Is(err, bus.ErrSubject) {
				t.Errorf("%s on %q: got %v, want ErrSubject", what, subject, err)
			}
		}
	}
	publish(t, b, strings.Repeat("a", bus.MaxSubjectBytes), "the longest is fine")
}

func limits(t *testing.T, b bus.Bus) {
	large := bytes.Repeat([]byte("x"), bus.MaxMessageBytes+1)
	if err := b.Publish("session.a", large); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("Publish: got %v, want ErrTooLarge", err)
	}
	if _, err := b.Request(t.Context(), "room.a", large); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("Request: got %v, want ErrTooLarge", err)
	}
	serve(t, b, "room.a", func(context.Context, []byte) []byte { return large })
	if _, err := b.Request(t.Context(), "room.a", nil); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("answer: got %v, want ErrTooLarge", err)
	}
	for _, capacity := range []int{-1, 0, bus.MaxQueue + 1} {
		if _, err := b.Subscribe("session.a", capacity); !errors.Is(err, bus.ErrQueue) {
			t.Errorf("capacity %d: got %v, want ErrQueue", capacity, err)
		}
	}
}

func concurrent(t *testing.T, b bus.Bus) {
	var wait sync.WaitGroup
	for i := range 8 {
		subject := fmt.Sprintf("session.%d", i%3)
		wait.Go(func() {
			for range 50 {
				s, err := b.Subscribe(subject, 4)
				if err != nil {
					return // closed
				}
				_ = b.Publish(subject, []byte("x"))
				s.Close()
			}
		})
		wait.Go(func() {
			for range 50 {
				stop, err := b.Serve(subject, func(context.Context, []byte) []byte { return []byte("y") })
				if err != nil {
					return
				}
				_, _ = b.Request(t.Context(), subject, nil)
				stop()
			}
			if i == 0 {
				_ = b.Close()
			}
		})
	}
	wait.Wait()
}

func serve(t *testing.T, b bus.Bus, subject string, f func(context.Context, []byte) []byte) func() {
	t.Helper()
	stop, err := b.Serve(subject, f)
	if err != nil {
		t.Fatalf("serve %s: %v", subject, err)
	}
	return stop
}

func subscribe(t *testing.T, b bus.Bus, subject string, capacity int) bus.Subscription {
	t.Helper()
	s, err := b.Subscribe(subject, capacity)
	if err != nil {
		t.Fatalf("subscribe to %s: %v", subject, err)
	}
	return s
}

func publish(t *testing.T, b bus.Bus, subject, m string) {
	t.Helper()
	if err := b.Publish(subject, []byte(m)); err != nil {
		t.Fatalf("publish on %s: %v", subject, err)
	}
}

func want(t *testing.T, b bus.Bus, subject, m, answer string) {
	t.Helper()
	got, err := b.Request(t.Context(), subject, []byte(m))
	if err != nil || string(got) != answer {
		t.Fatalf("request %q on %s: got %q, %v; want %q", m, subject, got, err, answer)
	}
}

// Receive waits for the next message, or for the end.
func Receive(s bus.Subscription) (m []byte, ok bool) {
	for {
		_, open := <-s.Ready()
		if m, ok = s.Next(); ok || !open {
			return m, ok
		}
	}
}

func next(t *testing.T, s bus.Subscription, m string) {
	t.Helper()
	if got, ok := Receive(s); !ok || string(got) != m {
		t.Fatalf("got %q, %v; want %q", got, ok, m)
	}
}

func ends(t *testing.T, s bus.Subscription) {
	t.Helper()
	if m, ok := Receive(s); ok {
		t.Fatalf("got %q, want the end", m)
	}
}
