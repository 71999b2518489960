package state

import (
	"container/heap"
	"time"
)

// timer is when something is looked at: a record, or a call. Each has one at most.
type timer struct {
	at     time.Time
	place  int // in the heap, from 1; 0: it is not there
	record *record
	call   *call
}

// timers is a heap.
type timers []*timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].place, t[j].place = i+1, j+1
}

// Push is for package heap.
func (t *timers) Push(x any) {
	last := x.(*timer)
	*t = append(*t, last)
	last.place = len(*t)
}

// Pop is for package heap.
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	(*t)[len(*t)-1] = nil
	*t = (*t)[:len(*t)-1]
	last.place = 0
	return last
}

// set lets a timer be due at this time and no other.
func (t *timers) set(x *timer, at time.Time) {
	x.at = at
	if x.place > 0 {
		heap.Fix(t, x.place-1)
	} else {
		heap.Push(t, x)
	}
}

// stop takes a timer away, if it is there.
func (t *timers) stop(x *timer) {
	if x != nil && x.place > 0 {
		heap.Remove(t, x.place-1)
	}
}

func (t timers) next() time.Time {
	if len(t) == 0 {
		return time.Time{}
	}
	return t[0].at
}

// expire carries out what is due, as much as one Apply may.
func (s *Scope) expire() {
	for range MaxDue {
		if len(s.timers) == 0 || s.timers[0].at.After(s.now) {
			return
		}
		if r := s.timers[0].record; r != nil && r.durable && s.shut {
			s.timers.set(r.timer, s.now.Add(shutSeconds*time.Second))
			continue
		}
		t := heap.Pop(&s.timers).(*timer)
		if t.record != nil {
			s.remove(t.record, "", true)
		} else {
			s.lapse(t.call)
		}
	}
}
