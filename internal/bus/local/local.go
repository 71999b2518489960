// Package local is the bus of a single node: calls and channels inside one process.
//
// It owns the tables of servers and subscriptions, and no goroutine: a request runs on its caller's, a published message is
// put into each queue at once or counted as lost. A queue begins with nothing and grows with what waits: a node has two for each session,
// and most of them are empty.
package local

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/parley-rtc/parley/internal/bus"
)

// Bus implements bus.Bus. Make it with New.
type Bus struct {
	// guarded by mu
	mu            sync.RWMutex
	closed        bool
	servers       map[string][]*server
	subscriptions map[string][]*subscription

	// atomic
	turn atomic.Uint64 // chooses among the servers of one subject
}

type server struct {
	serve func(context.Context, []byte) []byte
}

type subscription struct {
	// static after construction
	bus      *Bus
	subject  string
	capacity int
	ready    chan struct{} // capacity 1; sent to and closed under mu

	// atomic
	lost atomic.Uint64

	// guarded by mu, which is locked behind bus.mu
	mu     sync.Mutex
	queue  [][]byte // what waits begins at first
	first  int
	closed bool
}

// keptQueue is how long a queue may be that is kept when it is empty.
const keptQueue = 16

// New returns an open bus.
func New() *Bus {
	return &Bus{servers: map[string][]*server{}, subscriptions: map[string][]*subscription{}}
}

// Request implements bus.Bus.
func (b *Bus) Request(ctx context.Context, subject string, m []byte) ([]byte, error) {
	if err := check(subject, m); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := b.choose(subject)
	if err != nil {
		return nil, err
	}
	answer := s.serve(ctx, m)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(answer) > bus.MaxMessageBytes {
		return nil, fmt.Errorf("answer on %s: %w", subject, bus.ErrTooLarge)
	}
	return answer, nil
}

func (b *Bus) choose(subject string) (*server, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return nil, bus.ErrClosed
	}
	all := b.servers[subject]
	if len(all) == 0 {
		return nil, fmt.Errorf("request on %s: %w", subject, bus.ErrNoResponders)
	}
	return all[b.turn.Add(1)%uint64(len(all))], nil
}

// Serve implements bus.Bus.
func (b *Bus) Serve(subject string, serve func(context.Context, []byte) []byte) (func(), error) {
	if err := check(subject, nil); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, bus.ErrClosed
	}
	s := &server{serve: serve}
	b.servers[subject] = append(b.servers[subject], s)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		remove(b.servers, subject, s)
	}, nil
}

// Publish implements bus.Bus.
func (b *Bus) Publish(subject string, m []byte) error {
	if err := check(subject, m); err != nil {
		return err
	}
	// Publishers share the lock: a queue orders what one of them sends.
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return bus.ErrClosed
	}
	for _, s := range b.subscriptions[subject] {
		s.offer(m)
	}
	return nil
}

// Subscribe implements bus.Bus.
func (b *Bus) Subscribe(subject string, capacity int) (bus.Subscription, error) {
	if err := check(subject, nil); err != nil {
		return nil, err
	}
	if capacity < 1 || capacity > bus.MaxQueue {
		return nil, fmt.Errorf("subscribe to %s with %d: %w", subject, capacity, bus.ErrQueue)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, bus.ErrClosed
	}
	s := &subscription{bus: b, subject: subject, capacity: capacity, ready: make(chan struct{}, 1)}
	b.subscriptions[subject] = append(b.subscriptions[subject], s)
	return s, nil
}

// Close implements bus.Bus.
func (b *Bus) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	clear(b.servers)
	for _, all := range b.subscriptions {
		for _, s := range all {
			s.end()
		}
	}
	clear(b.subscriptions)
	return nil
}

// Ready implements bus.Subscription.
func (s *subscription) Ready() <-chan struct{} { return s.ready }

// Next implements bus.Subscription.
func (s *subscription) Next() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == len(s.queue) {
		return nil, false
	}
	m := s.queue[s.first]
	s.queue[s.first] = nil
	s.first++
	switch {
	case s.first < len(s.queue):
		s.nudge()
	case cap(s.queue) > keptQueue:
		s.queue, s.first = nil, 0
	default:
		s.queue, s.first = s.queue[:0], 0
	}
	return m, true
}

// offer puts m into the queue, or counts it as lost.
func (s *subscription) offer(m []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return
	case len(s.queue)-s.first == s.capacity:
		s.lost.Add(1)
		return
	case len(s.queue) == cap(s.queue) && s.first > len(s.queue)/2: // to move what waits costs less than more room for it
		n := copy(s.queue, s.queue[s.first:])
		clear(s.queue[n:])
		s.queue, s.first = s.queue[:n], 0
	}
	s.queue = append(s.queue, m)
	s.nudge()
}

// nudge lets Ready receive. The caller holds mu.
func (s *subscription) nudge() {
	if s.closed {
		return
	}
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// end takes no more messages. The caller holds bus.mu, and calls it once.
func (s *subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	close(s.ready)
}

// Lost implements bus.Subscription.
func (s *subscription) Lost() uint64 { return s.lost.Load() }

// Close implements bus.Subscription.
func (s *subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	if remove(s.bus.subscriptions, s.subject, s) {
		s.end()
	}
}

// remove takes x out of its list, and the list out of the table once it is empty. It reports whether x was there.
func remove[T comparable](table map[string][]T, subject string, x T) bool {
	i := slices.Index(table[subject], x)
	if i < 0 {
		return false
	}
	rest := slices.Delete(table[subject], i, i+1)
	if len(rest) == 0 {
		delete(table, subject)
	} else {
		table[subject] = rest
	}
	return true
}

func check(subject string, m []byte) error {
	if err := bus.CheckSubject(subject); err != nil {
		return fmt.Errorf("%q: %w", subject, err)
	}
	if len(m) > bus.MaxMessageBytes {
		return fmt.Errorf("%d bytes on %s: %w", len(m), subject, bus.ErrTooLarge)
	}
	return nil
}
