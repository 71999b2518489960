package media

import "time"

// agenda says when each Transport and room of a shard has something to do: a heap, soonest first, so that the many that wait cost
// nothing. What comes to be due later than was said stays at its earlier place, and is put right when it is looked at there.
type agenda struct{ tasks []*task }

// task is the place in the agenda of a Transport, of a room, or of the farewells.
type task struct {
	endpoint *endpoint
	room     *room
	at       time.Time
	place    int // in the heap, from 1; 0: it is not there
}

// soon puts t in for that time, unless it is in for an earlier one. A zero time is never.
func (a *agenda) soon(t *task, at time.Time) {
	switch {
	case at.IsZero() || t.place > 0 && !at.Before(t.at):
		return
	case t.place == 0:
		a.tasks = append(a.tasks, t)
		t.place = len(a.tasks)
	}
	t.at = at
	a.up(t.place - 1)
}

// next returns when the first task is due; zero: never.
func (a *agenda) next() time.Time {
	if len(a.tasks) == 0 {
		return time.Time{}
	}
	return a.tasks[0].at
}

// take removes all that is due until then, and appends it to dst.
func (a *agenda) take(until time.Time, dst []*task) []*task {
	for len(a.tasks) > 0 && !until.Before(a.tasks[0].at) {
		dst = append(dst, a.tasks[0])
		a.remove(a.tasks[0])
	}
	return dst
}

// remove takes t out, where it is in.
func (a *agenda) remove(t *task) {
	if t.place == 0 {
		return
	}
	i, last := t.place-1, len(a.tasks)-1
	a.swap(i, last)
	a.tasks[last] = nil
	a.tasks = a.tasks[:last]
	t.place = 0
	if i < last {
		a.up(i)
		a.down(i)
	}
}

func (a *agenda) up(i int) {
	for i > 0 && a.tasks[i].at.Before(a.tasks[(i-1)/2].at) {
		a.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (a *agenda) down(i int) {
	for {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(a.tasks); child++ {
			if a.tasks[child].at.Before(a.tasks[first].at) {
				first = child
			}
		}
		if first == i {
			return
		}
		a.swap(i, first)
		i = first
	}
}

func (a *agenda) swap(i, j int) {
	a.tasks[i], a.tasks[j] = a.tasks[j], a.tasks[i]
	a.tasks[i].place, a.tasks[j].place = i+1, j+1
}
