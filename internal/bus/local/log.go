package local

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
)

// Log implements bus.Log in memory. Make it with NewLog.
type Log struct {
	// static after construction
	maxBytes int

	// guarded by mu
	mu       sync.Mutex
	closed   bool
	last     uint64
	bytes    int
	subjects map[string][]bus.Stored
}

// NewLog returns an empty log of at most so many bytes of messages.
func NewLog(maxBytes int) *Log { return &Log{maxBytes: maxBytes, subjects: map[string][]bus.Stored{}} }

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
	there, last := l.subjects[subject], uint64(0)
	if len(there) > 0 {
		last = there[len(there)-1].Number
	}
	switch {
	case l.closed:
		return 0, bus.ErrClosed
	case last != after:
		return 0, fmt.Errorf("append to %s after %d: %w", subject, after, bus.ErrSequence)
	case l.bytes+len(b) > l.maxBytes:
		return 0, fmt.Errorf("append to %s: %w", subject, bus.ErrFull)
	}
	l.last++
	l.subjects[subject] = append(there, bus.Stored{Number: l.last, At: time.Now(), Bytes: slices.Clone(b)})
	l.bytes += len(b)
	return l.last, nil
}

// Read implements bus.Log.
func (l *Log) Read(ctx context.Context, subject string, after uint64, visit func(bus.Stored) error) error {
	if err := checkStored(subject, nil); err != nil {
		return err
	}
	l.mu.Lock()
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
	rest := slices.DeleteFunc(l.subjects[subject], func(m bus.Stored) bool {
		if m.Number < below {
			l.bytes -= len(m.Bytes)
		}
		return m.Number < below
	})
	if l.subjects[subject] = rest; len(rest) == 0 {
		delete(l.subjects, subject)
	}
	return nil
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
