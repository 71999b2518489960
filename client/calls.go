package client

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// calls are functions of the application that are called one after the other.
type calls struct {
	// static after construction
	wake chan struct{} // capacity 1: there is something to call, or nothing more comes
	free chan struct{} // capacity 1: there is room again
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
}

// tell calls it after what was to be called before, unless it is stopped by then.
func (u *user[F]) tell(c *calls, call func(F)) {
	c.add(func() {
		if !u.stopped.Load() {
			call(u.given)
		}
	})
}

// without is all users but one, which is stopped.
func without[F any](users []*user[F], one *user[F]) []*user[F] {
	one.stopped.Store(true)
	return slices.DeleteFunc(slices.Clone(users), func(u *user[F]) bool { return u == one })
}

func newCalls() *calls {
	return &calls{wake: make(chan struct{}, 1), free: make(chan struct{}, 1), done: make(chan struct{})}
}

// add takes one more. It never waits: whoever reads from the server does, see wait.
func (c *calls) add(call func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, call)
	signal(c.wake)
}

// wait blocks while there are too many, and reports false where ctx has ended.
func (c *calls) wait(ctx context.Context) bool {
	for {
		c.mu.Lock()
		full := len(c.queue) >= MaxWaitingCalls
		c.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-c.free:
		case <-ctx.Done():
			return false
		}
	}
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
			signal(c.free)
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
