package data

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/dtls"
)

// queue holds so many messages of a client that takes none.
type queue struct {
	left int
	room chan struct{}
}

func (q *queue) Send(dtls.Channel, []byte) (drop.Reason, <-chan struct{}) {
	if q.left == 0 {
		return drop.DataQueueFull, q.room
	}
	q.left--
	return drop.None, nil
}

// A sender that goes while it waits loses what it has on the way to all who are behind, which is as many drops, and nothing to others.
func TestSenderLeavesWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		for _, left := range []int{1, 0, 1, 0, 0} {
			m := h.Member(1, "receiver", false)
			m.Join(&queue{left, make(chan struct{})})
			defer m.Leave()
		}
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Member(1, "sender", true).Message(ctx, dtls.Reliable, []byte{0, 0, 'x'}) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatal("it did not wait:", err)
		default:
		}
		leave()
		if err := <-done; err == nil {
			t.Error("nothing says that the channel is over")
		}
		if c := h.Counts(); c.Messages != 2 || c.Drops[drop.DtlsClosed] != 3 {
			t.Errorf("%d messages passed on, %d drops", c.Messages, c.Drops[drop.DtlsClosed])
		}
	})
}
