package journal_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/journal"
	"github.com/parley-rtc/parley/wire"
)

// Rule: a log that was removed is empty, be it open or not, and so is the chat of the room; no cursor comes again, and the logs of other rooms stay. That of a room that is there is not removed.
func TestRemoved(t *testing.T) {
	for _, after := range []time.Duration{time.Second, time.Minute} { // it is still open, or not any more
		people, changes := local.NewLog(1<<30), local.NewLog(1<<30)
		onBoth(t, people, changes, func(s *shelf) {
			s.say("milk", 1, 1)
			s.Hold("tea")
			s.say("tea", 1, 3)
			s.record("tea", "any")
			last := s.read("tea", "ann", wire.LogRead{}).Last
			if err := s.Remove(s.Context(), "tea"); !errors.Is(err, journal.ErrInUse) {
				t.Errorf("of a room that is there: %v", err)
			}
			s.Release("tea")
			time.Sleep(after)
			synctest.Wait()
			if err := s.Remove(s.Context(), "tea"); err != nil {
				t.Fatal(err)
			}
			for _, log := range []*local.Log{people, changes} {
				sizes, err := log.Sizes(s.Context())
				for subject := range sizes {
					if room, ok := journal.RoomOf(subject); !ok || room != "milk" {
						t.Errorf("%s is left, %v", subject, err)
					}
				}
			}
			if log := s.read("tea", "ann", wire.LogRead{}); len(log.Entries) != 0 || log.Last < last {
				t.Errorf("there is %v behind %d", log, last)
			}
			if chat, err := s.Chat(s.Context(), "tea"); err != nil || len(chat) != 0 {
				t.Errorf("chat: %v, %v", chat, err)
			}
			s.say("tea", 4, 4)
			s.want(s.read("tea", "ann", wire.LogRead{}), "<4>")
			s.want(s.read("milk", "ann", wire.LogRead{}), "<1>")
		})
	}
}

// slowErase erases when the test says so.
type slowErase struct {
	*local.Log
	erases chan struct{}
}

func (l *slowErase) Erase(ctx context.Context, subject string) error {
	<-l.erases
	return l.Log.Erase(ctx, subject)
}

// Rule: what happens in a room while its former log is removed is logged, behind that.
func TestNotedWhileRemoved(t *testing.T) {
	l := &slowErase{Log: local.NewLog(1 << 30)}
	on(t, l, func(s *shelf) {
		l.erases = make(chan struct{})
		s.say("tea", 1, 3)
		s.read("tea", "ann", wire.LogRead{})
		removed := make(chan error, 1)
		go func() { removed <- s.Remove(context.Background(), "tea") }()
		synctest.Wait()
		s.Hold("tea")
		s.say("tea", 4, 5)
		synctest.Wait()
		close(l.erases)
		if err := <-removed; err != nil {
			t.Fatal(err)
		}
		s.want(s.read("tea", "ann", wire.LogRead{}), "<4>", "<5>")
	})
}
