package rooms

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/wire"
)

type noMedia struct{}

func (noMedia) Do(media.Command) bool { return true }

func (noMedia) Reserve(netip.Addr) (media.Place, media.Refusal) { return media.Place{}, media.Admitted }
func (noMedia) Refuses(netip.Addr) media.Refusal                { return media.Admitted }

// Limit: inboxCapacity requests wait for an actor. One more waits with whoever asks, and is refused when that gives up.
func TestInboxCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := local.New()
		defer b.Close()
		s, err := New(Config{Bus: b, Shards: []Media{noMedia{}}, Random: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		a, err := newActor(s, "tea", 1, nil) // its loop does not run
		if err != nil {
			t.Fatal(err)
		}
		leave := encode(Request{Session: "s", Type: wire.TypeLeave})
		waiting, stop := context.WithCancel(t.Context())
		for range inboxCapacity {
			go a.serve(waiting, leave)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var r Reply
		if err := json.Unmarshal(a.serve(ctx, leave), &r); err != nil || r.Error == nil || r.Error.Code != wire.CodeOverloaded {
			t.Errorf("one more: %+v, %v", r, err)
		}
		if took := time.Since(start); took != time.Second || len(a.inbox) != 64 {
			t.Errorf("after %v, with %d in the inbox", took, len(a.inbox))
		}
		stop()
		synctest.Wait()
	})
}
