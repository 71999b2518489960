package media

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/transport"
)

// Whatever is put in, put forward and taken out, in any order: all that is due comes out, soonest first, and nothing else does.
func TestAgenda(t *testing.T) {
	var a agenda
	rnd := rand.New(rand.NewPCG(1, 2))
	tasks := make([]task, 50)
	want := map[*task]time.Time{}
	for round := range 2000 {
		x := &tasks[rnd.IntN(len(tasks))]
		at := epoch.Add(time.Duration(rnd.IntN(1000)) * time.Millisecond)
		switch rnd.IntN(4) {
		case 0:
			a.remove(x)
			delete(want, x)
		case 1:
			until := epoch.Add(time.Duration(rnd.IntN(200)) * time.Millisecond)
			got := a.take(until, nil)
			if !slices.IsSortedFunc(got, func(x, y *task) int { return x.at.Compare(y.at) }) {
				t.Fatalf("round %d: not in order", round)
			}
			for _, x := range got {
				if at, ok := want[x]; !ok || !at.Equal(x.at) || until.Before(at) {
					t.Fatalf("round %d: took %v, put in for %v", round, x.at, at)
				}
				delete(want, x)
			}
			for _, at := range want {
				if !until.Before(at) {
					t.Fatalf("round %d: left %v", round, at)
				}
			}
		default:
			a.soon(x, at)
			if old, ok := want[x]; !ok || at.Before(old) {
				want[x] = at
			}
		}
		var first time.Time
		for _, at := range want {
			if first.IsZero() || at.Before(first) {
				first = at
			}
		}
		if got := a.next(); !got.Equal(first) || len(a.tasks) != len(want) {
			t.Fatalf("round %d: next is %v of %d, not %v of %d", round, got, len(a.tasks), first, len(want))
		}
	}
	a.soon(&tasks[0], time.Time{})
	if _, in := want[&tasks[0]]; !in && tasks[0].place != 0 {
		t.Error("never is no time")
	}
}

// A report that is due goes out with the next packets, and until Slack is over no timer is set for it.
func TestReportsGoOutWithPackets(t *testing.T) {
	s, out := loopless(t, 3)
	fanOut(epoch, s, upTo(3))
	s.readMail(epoch)
	batches := frames(t, 3)
	s.read(epoch, batches[0], nil)
	s.timeouts(epoch.Add(900 * time.Millisecond)) // and a request for a key frame
	const frame = 2 * 5
	*out = counter{}
	s.read(epoch.Add(999*time.Millisecond), batches[1], nil)
	if out.datagrams != frame {
		t.Errorf("%d datagrams before a report is due", out.datagrams)
	}
	if next, want := s.agenda.next(), transport.Late(epoch.Add(time.Second)); next.Before(want) {
		t.Errorf("awake %v before it must be sent", want.Sub(next))
	}
	*out = counter{}
	s.read(epoch.Add(time.Second), batches[2], nil)
	if out.datagrams != frame+1 {
		t.Errorf("%d datagrams when a report is due", out.datagrams)
	}
}
