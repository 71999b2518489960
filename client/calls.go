package client

import (
	"slices"
	"sync"
	"sync/atomic"
)

// calls are functions of the application that are called one after the other. Whoever adds one never waits, as it may be what reads from the
// server: where MaxWaitingCalls wait, each user has one more call at most, the newest.
type calls struct {
	// static after construction
	wake chan struct{} // capacity 1: there is something to call, or nothing more comes
	done chan struct{} // closed when the last has returned

	// guarded by mu
	mu    sync.Mutex
	queue []func()
	over  bool
}

// user is what the application has given to be called, until it is stopped.
type user[F any] struct {
	given   F // static after construction
	stopped atomic.Bool

	// guarded by the calls' mu
	late   func(given F, missed int) // the newest call, where too many wait; nil: it is not behind
	missed int                       // calls in place of which that one is made
}

// tell calls it after what was to be called before, unless it is stopped by then. Missed is how many calls before this one are not made, as
// it was behind: this one is made in their place.
func (u *user[F]) tell(c *calls, call func(given F, missed int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case u.late != nil:
		u.late = call
		u.missed++
	case len(c.queue) >= MaxWaitingCalls:
		u.late = call
		c.push(func() { u.catchUp(c) })
	default:
		c.push(func() { u.call(call, 0) })
	}
}

// last calls it once more, behind all else, however many calls wait.
func (u *user[F]) last(c *calls, call func(F)) {
	c.add(func() { u.call(func(given F, _ int) { call(given) }, 0) })
}

func (u *user[F]) call(call func(F, int), missed int) {
	if !u.stopped.Load() {
		call(u.given, missed)
	}
}

// catchUp makes the newest call.
func (u *user[F]) catchUp(c *calls) {
	c.mu.Lock()
	call, missed := u.late, u.missed
	u.late, u.missed = nil, 0
	c.mu.Unlock()
	u.call(call, missed)
}

// without is all users but one, which is stopped.
func without[F any](users []*user[F], one *user[F]) []*user[F] {
	one.stopped.Store(true)
	return slices.DeleteFunc(slices.Clone(users), func(u *user[F]) bool { return u == one })
}

func newCalls() *calls {
	return &calls{wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// add takes one more, of which whoever adds it knows that there are not too many.
func (c *calls) add(call func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push(call)
}

// push takes one more. The caller holds mu.
func (c *calls) push(call func()) {
	c.queue = append(c.queue, call)
	signal(c.wake)
}

// finish ends run once all is called.
func (c *calls) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	signal(c.wake)
}

func (c *calls) run() {
	defer close(c.done)
	for {
		call, over := c.next()
		switch {
		case call != nil:
			call()
		case over:
			return
		default:
			<-c.wake
		}
	}
}

func (c *calls) next() (call func(), over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil, c.over
	}
	call, c.queue = c.queue[0], c.queue[1:]
	return call, false
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
