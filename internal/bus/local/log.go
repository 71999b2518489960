package local

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
)

// Log implements bus.Log in memory. Make it with NewLog or NewLogWithin.
type Log struct {
	// static after construction
	limits bus.Limits

	// guarded by mu
	mu       sync.Mutex
	closed   bool
	last     uint64
	bytes    int64
	subjects map[string][]bus.Stored
}

// NewLog returns an empty log of at most so many bytes of messages, which forgets nothing.
func NewLog(maxBytes int) *Log { return NewLogWithin(bus.Limits{MaxBytes: int64(maxBytes)}) }

// NewLogWithin returns an empty log with these limits.
func NewLogWithin(l bus.Limits) *Log { return &Log{limits: l, subjects: map[string][]bus.Stored{}} }

// Append implements bus.Log.
func (l *Log) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	if err := checkStored(subject, b); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire()
	last, size := uint64(0), int64(len(b))
	if there := l.subjects[subject]; len(there) > 0 {
		last = there[len(there)-1].Number
	}
	forgets := l.limits.Forget || l.limits.MaxAge > 0
	switch {
	case l.closed:
		return 0, bus.ErrClosed
	case last != after && !(forgets && last == 0):
		return 0, fmt.Errorf("append to %s after %d: %w", subject, after, bus.ErrSequence)
	case l.bytes+size > l.limits.MaxBytes && (!l.limits.Forget || size > l.limits.MaxBytes):
		return 0, fmt.Errorf("append to %s: %w", subject, bus.ErrFull)
	}
	for l.bytes+size > l.limits.MaxBytes {
		l.forgetOldest()
	}
	l.last++
	l.subjects[subject] = append(l.subjects[subject], bus.Stored{Number: l.last, At: time.Now(), Bytes: slices.Clone(b)})
	l.bytes += size
	return l.last, nil
}

// expire forgets what is too old. The caller holds mu.
func (l *Log) expire() {
	if l.limits.MaxAge == 0 {
		return
	}
	until := time.Now().Add(-l.limits.MaxAge)
	for subject := range l.subjects {
		l.drop(subject, func(m bus.Stored) bool { return !m.At.After(until) })
	}
}

// forgetOldest forgets one message. The caller holds mu.
func (l *Log) forgetOldest() {
	oldest, number := "", uint64(math.MaxUint64)
	for subject, there := range l.subjects {
		if there[0].Number < number {
			oldest, number = subject, there[0].Number
		}
	}
	l.drop(oldest, func(m bus.Stored) bool { return m.Number == number })
}

// drop takes messages away. The caller holds mu.
func (l *Log) drop(subject string, gone func(bus.Stored) bool) {
	rest := slices.DeleteFunc(l.subjects[subject], func(m bus.Stored) bool {
		if !gone(m) {
			return false
		}
		l.bytes -= int64(len(m.Bytes))
		return true
	})
	if l.subjects[subject] = rest; len(rest) == 0 {
		delete(l.subjects, subject)
	}
}

// Read implements bus.Log.
func (l *Log) Read(ctx context.Context, subject string, after uint64, visit func(bus.Stored) error) error {
	if err := checkStored(subject, nil); err != nil {
		return err
	}
	l.mu.Lock()
	l.expire()
	closed, there := l.closed, slices.Clone(l.subjects[subject])
	l.mu.Unlock()
	if closed {
		return bus.ErrClosed
	}
	for _, m := range there {
		if m.Number <= after {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		m.Bytes = slices.Clone(m.Bytes)
		if err := visit(m); err != nil {
			return err
		}
	}
	return nil
}

// First implements bus.Log.
func (l *Log) First(ctx context.Context, subject string) (bus.Stored, error) {
	return l.one(ctx, subject, func([]bus.Stored) int { return 0 })
}

// Last implements bus.Log.
func (l *Log) Last(ctx context.Context, subject string) (bus.Stored, error) {
	return l.one(ctx, subject, func(there []bus.Stored) int { return len(there) - 1 })
}

// one returns one message of those that are there.
func (l *Log) one(ctx context.Context, subject string, choose func([]bus.Stored) int) (bus.Stored, error) {
	if err := checkStored(subject, nil); err != nil {
		return bus.Stored{}, err
	}
	if err := ctx.Err(); err != nil {
		return bus.Stored{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire()
	there := l.subjects[subject]
	switch {
	case l.closed:
		return bus.Stored{}, bus.ErrClosed
	case len(there) == 0:
		return bus.Stored{}, nil
	}
	m := there[choose(there)]
	m.Bytes = slices.Clone(m.Bytes)
	return m, nil
}

// Purge implements bus.Log.
func (l *Log) Purge(ctx context.Context, subject string, below uint64) error {
	if err := checkStored(subject, nil); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return bus.ErrClosed
	}
	l.drop(subject, func(m bus.Stored) bool { return m.Number < below })
	return nil
}

// Size implements bus.Log.
func (l *Log) Size(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire()
	if l.closed {
		return 0, bus.ErrClosed
	}
	return l.bytes, nil
}

// Sizes implements bus.Log.
func (l *Log) Sizes(ctx context.Context) (map[string]int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire()
	if l.closed {
		return nil, bus.ErrClosed
	}
	sizes := map[string]int64{}
	for subject, there := range l.subjects {
		for _, m := range there {
			sizes[subject] += int64(len(m.Bytes))
		}
	}
	return sizes, nil
}

// Erase implements bus.Log.
func (l *Log) Erase(ctx context.Context, subject string) error {
	return l.Purge(ctx, subject, math.MaxUint64)
}

// Close implements bus.Log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	clear(l.subjects)
	return nil
}

func checkStored(subject string, b []byte) error {
	if len(b) > bus.MaxStoredBytes {
		return fmt.Errorf("%d bytes on %s: %w", len(b), subject, bus.ErrTooLarge)
	}
	return check(subject, nil)
}
