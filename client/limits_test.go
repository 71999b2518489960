package client_test

import (
	"context"
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

// Rule: where the application does not return, nothing more is read, and all is told when it does.
func TestWaitingCalls(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, _ := t.join("bob")
		hold, calls := make(chan struct{}), 0
		_, err := ann.State().Subscribe(t.Context(), "wave", func(client.Event) { <-hold; calls++ }, nil)
		t.must(err)
		sent := 0
		for range client.MaxWaitingCalls + 100 {
			t.must(bob.State().Publish(t.Context(), "wave", nil))
			sent++
			time.Sleep(time.Second / wire.StateRequestsPerSecond)
		}
		close(hold)
		pass(time.Minute)
		if calls < client.MaxWaitingCalls || calls > sent {
			t.Errorf("%d of %d were told", calls, sent)
		}
	})
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
