package turn

import "time"

// instant is a time as the duration since the first one that the Server was told: 8 bytes instead of 24, and deaf to what is done to the clock.
type instant = time.Duration

// deadline is when something is over. It belongs to what it is the deadline of, and is in a heap while it is set.
type deadline struct {
	at  instant
	of  expirer
	pos int // in the heap, from 1; 0: not in it
}

// expirer is what has a deadline.
type expirer interface {
	// expired is called when the deadline has been reached; it is not set any more.
	expired(s *Server, now instant, out *Out)
}

// deadlines is a heap with the earliest on top.
type deadlines []*deadline

func (h deadlines) place(d *deadline, i int) {
	h[i] = d
	d.pos = i + 1
}

func (h deadlines) up(i int) {
	for d := h[i]; i > 0; {
		parent := (i - 1) / 2
		if h[parent].at <= d.at {
			break
		}
		h.place(h[parent], i)
		h.place(d, parent)
		i = parent
	}
}

func (h deadlines) down(i int) {
	for d := h[i]; ; {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].at < h[child].at {
			child++
		}
		if d.at <= h[child].at {
			return
		}
		h.place(h[child], i)
		h.place(d, child)
		i = child
	}
}

// set sets a deadline, or moves it.
func (h *deadlines) set(d *deadline, at instant) {
	d.at = at
	if d.pos == 0 {
		*h = append(*h, d)
		d.pos = len(*h)
	}
	h.up(d.pos - 1)
	h.down(d.pos - 1)
}

// clear takes a deadline away, if it is set.
func (h *deadlines) clear(d *deadline) {
	if d.pos == 0 {
		return
	}
	i, last := d.pos-1, (*h)[len(*h)-1]
	(*h)[len(*h)-1] = nil
	*h = (*h)[:len(*h)-1]
	d.pos = 0
	if last != d {
		h.place(last, i)
		h.up(i)
		h.down(last.pos - 1)
	}
}
