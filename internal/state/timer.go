package state

import (
	"container/heap"
	"time"
)

// timer is when something is looked at: a record, or a call. What has changed meanwhile is left alone then.
type timer struct {
	at     time.Time
	record *record
	call   *call
}

// timers is a heap.
type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }

// Pop is for package heap.
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	(*t)[len(*t)-1] = timer{}
	*t = (*t)[:len(*t)-1]
	return last
}

func (t *timers) add(x timer) { heap.Push(t, x) }

func (t timers) next() time.Time {
	if len(t) == 0 {
		return time.Time{}
	}
	return t[0].at
}

// expire carries out what is due.
func (s *Scope) expire() {
	for len(s.timers) > 0 && !s.timers[0].at.After(s.now) {
		t := heap.Pop(&s.timers).(timer)
		if t.record != nil {
			s.look(t.record, t.at)
		} else {
			s.lapse(t.call, t.at)
		}
	}
}
