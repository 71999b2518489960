package bustest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
)

// errFailing is what a FailingLog says.
var errFailing = errors.New("the disk takes nothing")

// FailingLog is a log whose disk takes nothing while it is told so. What is there can be read.
type FailingLog struct {
	bus.Log
	Silent bool // it does not say so: a call ends with its context
	Keeps  bool // what is appended is stored all the same
	Shows  bool // what is appended is shown, though it is not stored

	mu      sync.Mutex
	failing bool
	failed  map[string]int
	shown   map[string][]bus.Stored
}

// Fail lets the disk take nothing, or something again. What is not stored is not shown any more then.
func (l *FailingLog) Fail(failing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing, l.failed, l.shown = failing, map[string]int{}, map[string][]bus.Stored{}
}

// Failed counts messages of a subject that were not taken this time.
func (l *FailingLog) Failed(subject string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed[subject]
}

// Append implements bus.Log.
func (l *FailingLog) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	l.mu.Lock()
	if !l.failing {
		defer l.mu.Unlock()
		return l.Log.Append(ctx, subject, after, b)
	}
	l.failed[subject]++
	switch {
	case l.Keeps:
		_, _ = l.Log.Append(ctx, subject, after, b) // nobody is told
	case l.Shows:
		l.shown[subject] = append(l.shown[subject], bus.Stored{Number: after + 1, At: time.Now(), Bytes: b})
	}
	l.mu.Unlock()
	if l.Silent {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 0, errFailing
}

// Purge implements bus.Log.
func (l *FailingLog) Purge(ctx context.Context, subject string, below uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing {
		return errFailing
	}
	return l.Log.Purge(ctx, subject, below)
}

// Erase implements bus.Log.
func (l *FailingLog) Erase(ctx context.Context, subject string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing {
		return errFailing
	}
	return l.Log.Erase(ctx, subject)
}

// Read implements bus.Log.
func (l *FailingLog) Read(ctx context.Context, subject string, after uint64, visit func(bus.Stored) error) error {
	l.mu.Lock()
	shown := l.shown[subject]
	l.mu.Unlock()
	if err := l.Log.Read(ctx, subject, after, visit); err != nil {
		return err
	}
	for _, m := range shown {
		if err := visit(m); err != nil {
			return err
		}
	}
	return nil
}

// Last implements bus.Log.
func (l *FailingLog) Last(ctx context.Context, subject string) (bus.Stored, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if shown := l.shown[subject]; len(shown) > 0 {
		return shown[len(shown)-1], nil
	}
	return l.Log.Last(ctx, subject)
}
