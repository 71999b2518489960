package scopes

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Shelf is where the commits of several scopes are stored, and what they may take together there, in bytes. Beyond it durable records are not written any
// more, but can be deleted: the log has some room above it (ShelfReserve). A room may have a share of it, and one share is the server's scope's alone, so that whoever fills one room, or all
// that rooms may have, keeps nobody else from writing. It is safe for concurrent use.
//
// After a commit of which nobody knows whether it is stored the shelf is shut: nothing durable is to be begun, as the next commits would fare no better. A probe that is
// appended now and then opens it. It stands behind all that was appended before it, so what became of that is decided then.
type Shelf struct {
	// static after construction
	log    bus.Log
	max    int64
	faulty func() bool // the log knows that it takes nothing now
	logger *slog.Logger
	ctx    context.Context // ends with the Shelf
	end    context.CancelFunc

	// guarded by mu
	mu       sync.Mutex
	decided  chan struct{}    // closed when it is open again; nil: it is
	doubtful map[string]known // subjects behind whose last known commit there may be another one
	doubts   int              // so far
	opened   time.Time        // last

	// atomic
	shut     atomic.Bool // nothing durable is to be begun
	used     atomic.Int64
	unstored atomic.Uint64 // commits that were not

	probes sync.WaitGroup
}

// known is the last commit of a scope that is known to be stored.
type known struct {
	last  uint64 // its number
	floor uint64 // that it says
}

// NewShelf measures what is in a log, of which so much may be used; 0: as much as the log takes. faulty tells whether the log knows that it takes nothing now; nil: it never does.
func NewShelf(ctx context.Context, log bus.Log, bytes int64, faulty func() bool, logger *slog.Logger) (*Shelf, error) {
	if faulty == nil {
		faulty = func() bool { return false }
	}
	s := &Shelf{log: log, max: bytes, faulty: faulty, logger: logger, doubtful: map[string]known{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s, s.measure(ctx)
}

// Close ends what the shelf does by itself. The log stays open.
func (s *Shelf) Close() {
	s.end()
	s.probes.Wait()
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

// share is what may be stored of one room, and what rooms leave to the server's scope; 0: there is no limit.
func (s *Shelf) share() int64 {
	if s == nil {
		return 0
	}
	return s.max / shelfShares
}

// liveShare is how much of its share a room's records may be, as whole copies: its log is twice as long.
func (s *Shelf) liveShare() int64 { return s.share() / 2 }

// full tells whether there is no room for what a scope would write, whatever it has stored itself.
func (s *Shelf) full(scope wire.Scope) bool {
	if s.share() == 0 {
		return false
	}
	limit := s.max
	if scope == wire.ScopeRoom {
		limit -= s.share()
	}
	return s.used.Load() >= limit
}

// refusal tells why a scope, whose records take so many bytes as whole copies, may not write any more; nil: it may.
func (s *Shelf) refusal(scope wire.Scope, live int) *wire.Error {
	switch full := s.full(scope); {
	case full && scope == wire.ScopeRoom:
		return wire.NewError(wire.CodeLimit, "the durable records of all rooms take all that rooms may take",
			"delete some, let them expire, or ask whoever runs the server for more (--state-bytes)")
	case full:
		return state.Full()
	case scope == wire.ScopeRoom && s.share() > 0 && int64(live) >= s.liveShare():
		return wire.NewError(wire.CodeLimit, fmt.Sprintf("the durable records of this room take the %d bytes that those of one room may take", s.liveShare()),
			fmt.Sprintf("delete some, let them expire, use another room, or ask whoever runs the server for more (a room has 1/%d of --state-bytes)", 2*shelfShares))
	}
	return nil
}

// crowded tells whether a scope of which so much is stored is to give back what it does not need, also while nothing is written.
func (s *Shelf) crowded(scope wire.Scope, stored int) bool {
	return s.full(scope) || scope == wire.ScopeRoom && s.share() > 0 && int64(stored) >= s.share()
}

// slack is by how much a scope's log may be longer than it must, and how much is worth purging: where there is no room, everything.
func (s *Shelf) slack(scope wire.Scope) (slack, worth int) {
	switch {
	case s.full(scope):
		return 0, 1
	case scope == wire.ScopeRoom && s.share() > 0 && s.share() < 4*logSlack:
		return int(s.share() / 4), int(s.share() / 16)
	}
	return logSlack, purgeWorth
}

// put notes the end of a commit of a subject. One that is stored is known to be, also where the one before it is in doubt.
func (s *Shelf) put(subject string, r result) {
	switch {
	case s == nil:
	case r.err != nil:
		s.unstored.Add(1)
	default:
		s.used.Add(int64(r.size) + storedOverhead)
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, doubtful := s.doubtful[subject]; doubtful {
			s.doubtful[subject] = known{r.number, r.floor}
		}
	}
}

// unknown tells whether it is not known if what was appended is stored. A log that is closed is not asked any more.
func unknown(err error) bool {
	for _, known := range []error{nil, bus.ErrSequence, bus.ErrFull, bus.ErrSubject, bus.ErrTooLarge, bus.ErrClosed} {
		if errors.Is(err, known) {
			return false
		}
	}
	return true
}

// doubt shuts the shelf, as it is not known what is behind that commit of a subject. It returns what is closed when it is decided.
func (s *Shelf) doubt(subject string, k known, why error) (decided <-chan struct{}) {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubtful[subject] = k
	s.doubts++
	if s.decided == nil && s.ctx.Err() == nil {
		s.decided = make(chan struct{})
		s.shut.Store(true)
		s.logger.Error("nothing durable is stored at present: writes of durable records are refused until the log takes them again; all else goes on", "error", why)
		pause := time.Duration(0)
		if time.Since(s.opened) < probePause { // it takes probes, and something else fails again and again
			pause = probePause
		}
		s.probes.Go(func() { s.probe(pause) })
	}
	return s.decided
}

// behind tells up to which commit a subject is to be believed, and what is closed when it is decided what is behind that; false: all that is there is.
func (s *Shelf) behind(subject string) (k known, decided <-chan struct{}, doubtful bool) {
	if s == nil {
		return known{}, nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, doubtful = s.doubtful[subject]
	return k, s.decided, doubtful
}

// refuses tells whether nothing durable is to be begun.
func (s *Shelf) refuses() bool { return s != nil && (s.shut.Load() || s.faulty()) }

// probe tries, after a pause, until something is stored, or the Shelf is closed.
func (s *Shelf) probe(pause time.Duration) {
	began := time.Now()
	for ; ; pause = probePause {
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return
		}
		s.mu.Lock()
		before := s.doubts
		s.mu.Unlock()
		err := s.try()
		if err == nil && s.open(before) {
			s.logger.Info("what is durable is stored again", "after", time.Since(began).Round(time.Second))
			return
		}
		s.logger.Debug("nothing durable is stored yet", "error", err)
	}
}

// open opens the shelf, as something was stored behind all that so many doubts are about, and reports false where there are more by now.
func (s *Shelf) open(doubts int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doubts != doubts {
		return false
	}
	close(s.decided)
	s.decided, s.opened = nil, time.Now()
	clear(s.doubtful)
	s.shut.Store(false)
	return true
}

// try stores something and takes it away again. A log that has no room for it takes what there is room for.
func (s *Shelf) try() error {
	ctx, cancel := context.WithTimeout(s.ctx, StoreTime)
	defer cancel()
	last, err := s.log.Last(ctx, probeSubject)
	if err != nil {
		return fmt.Errorf("look for the last probe: %w", err)
	}
	b := make([]byte, maxCommitBytes)
	_, _ = rand.Read(b) // which never fails; a disk may have room for zeros where it has none
	number, err := s.log.Append(ctx, probeSubject, last.Number, b)
	if err != nil && !errors.Is(err, bus.ErrFull) {
		return err
	}
	if err := s.log.Purge(ctx, probeSubject, max(number, last.Number)+1); err != nil {
		s.logger.Warn("a probe of the log was not purged", "error", err)
	}
	return nil
}
