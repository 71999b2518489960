package scopes

import (
	"context"
	"sync/atomic"

	"github.com/parley-rtc/parley/internal/bus"
)

// Shelf is what the commits of several scopes may take together where they are stored, in bytes. Beyond it durable records are not written any
// more, but can be deleted: the log has some room above it (ShelfReserve). It is safe for concurrent use.
type Shelf struct {
	// static after construction
	log bus.Log
	max int64

	// atomic
	used     atomic.Int64
	unstored atomic.Uint64 // commits that were not
}

// NewShelf measures what is in a log, of which so much may be used; 0: as much as the log takes.
func NewShelf(ctx context.Context, log bus.Log, bytes int64) (*Shelf, error) {
	s := &Shelf{log: log, max: bytes}
	return s, s.measure(ctx)
}

// measure finds out what is used, which only grows in between.
func (s *Shelf) measure(ctx context.Context) error {
	if s == nil {
		return nil
	}
	used, err := s.log.Size(ctx)
	if err == nil {
		s.used.Store(used)
	}
	return err
}

func (s *Shelf) full() bool { return s != nil && s.max > 0 && s.used.Load() >= s.max }

// slack is by how much a scope's log may be longer than it must, and how much is worth purging: where there is no room, everything.
func (s *Shelf) slack() (slack, worth int) {
	if s.full() {
		return 0, 1
	}
	return logSlack, purgeWorth
}

// put notes the end of a commit.
func (s *Shelf) put(r result) {
	switch {
	case s == nil:
	case r.err != nil:
		s.unstored.Add(1)
	default:
		s.used.Add(int64(r.size) + storedOverhead)
	}
}
