package bustest

import (
	"context"

	"github.com/parley-rtc/parley/internal/bus"
)

// SlowLog is a log whose disk takes no more until it is told to.
type SlowLog struct {
	bus.Log
	Stores chan struct{} // closed: now it does
}

// NewSlowLog returns one in front of l.
func NewSlowLog(l bus.Log) *SlowLog { return &SlowLog{l, make(chan struct{})} }

// Append implements bus.Log.
func (l *SlowLog) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	select {
	case <-l.Stores:
		return l.Log.Append(ctx, subject, after, b)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
