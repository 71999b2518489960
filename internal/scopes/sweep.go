package scopes

import (
	"context"
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// sweep tidies scopes of rooms, one at a time: at once those that nobody uses any more, which end then, and now and then those that were left otherwise, or have records that are over.
func (s *Service) sweep() {
	defer close(s.swept)
	tick := time.NewTicker(fullSweepPause)
	defer tick.Stop()
	var now pass
	for s.ctx.Err() == nil {
		if r := s.nextUntidy(); r != nil {
			s.tidy(r)
			continue
		}
		if len(now.rooms) > 0 {
			s.visit(now.rooms[0], now)
			now.rooms = now.rooms[1:]
			continue
		}
		select {
		case <-s.wake:
		case <-tick.C:
			if full := s.shelf.full(wire.ScopeRoom); full || time.Since(now.began) >= sweepPause {
				now = pass{began: time.Now(), rooms: s.stored(), first: now.began.IsZero(), full: full}
			}
		case <-s.ctx.Done():
		}
	}
}

// pass is one look at all rooms of which something is stored.
type pass struct {
	began time.Time // zero: there was none
	rooms []string  // that are still to be looked at
	first bool      // of this process: there may be purges that the last one has not finished
	full  bool      // there is no room for more
}

// stored returns the rooms of which something is stored.
func (s *Service) stored() (rooms []string) {
	ctx, cancel := context.WithTimeout(s.ctx, sizesTime)
	defer cancel()
	sizes, err := s.config.Log.Sizes(ctx)
	if err != nil && s.ctx.Err() == nil {
		s.config.Logger.Warn("it was not found out of which rooms something is stored; what is over of their records stays for now", "error", err)
	}
	for subject := range sizes {
		if room, ok := RoomOf(subject); ok {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

// visit tidies the scope of a room that is not open and not tidy, or has records that are over; where there was no room for more when the pass began, also one that is open.
func (s *Service) visit(room string, now pass) {
	if s.shelf.refuses() {
		return
	}
	s.mu.Lock()
	r := s.rooms[room]
	open := r != nil
	s.mu.Unlock()
	if open && !now.full || !open && !s.due(room, now.first) {
		return
	}
	s.mu.Lock()
	r = s.rooms[room]
	switch {
	case s.closed || r == nil && len(s.rooms) >= MaxScopes || r != nil && r.owner == nil:
		s.mu.Unlock()
		return
	case r == nil:
		r = s.add(room, netip.Addr{})
	}
	r.users++
	s.keep(r)
	s.mu.Unlock()
	s.tidy(r)
}

// due tells whether what is stored of a room that is not open was not left tidy, or has records that are over.
func (s *Service) due(room string, first bool) bool {
	subject := logSubject(wire.ScopeRoom, room)
	last, err := s.config.Log.Last(s.ctx, subject)
	if err != nil || last.Number == 0 {
		return false // it is looked at again
	}
	c, err := readCommit(last)
	switch {
	case err != nil: // whoever opens the room is told
		return false
	case c.Expiry == nil || *c.Expiry != 0 && *c.Expiry <= time.Now().Unix():
		return true
	case !first:
		return false
	}
	oldest, err := s.config.Log.First(s.ctx, subject)
	return err == nil && oldest.Number < c.Floor
}

// nextUntidy takes the first of those that are to be tidied and that nobody has used meanwhile, and holds it; nil: there is none.
func (s *Service) nextUntidy() *roomScope {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.untidy) > 0 && !s.closed {
		r := s.untidy[0]
		s.untidy[0], s.untidy = nil, s.untidy[1:]
		if s.over(r) && time.Since(r.used) >= s.config.Linger {
			r.users++
			s.keep(r)
			return r
		}
	}
	return nil
}

// tidy tidies a scope that is held, and ends it, unless somebody uses it or has not long ago. Where it cannot be tidied now, it ends as it is.
func (s *Service) tidy(r *roomScope) {
	<-r.ready
	if r.err == nil {
		ctx, cancel := context.WithTimeout(s.ctx, tidyTime) // a scope that cannot be loaded, or is never at rest, is not to keep the others waiting
		err := r.owner.Tidy(ctx)
		cancel()
		if err != nil {
			s.config.Logger.Debug("what is stored of a room was not tidied", "room", r.name, "error", err)
		}
	}
	s.mu.Lock()
	r.users--
	var end chan struct{}
	switch {
	case !s.over(r) || s.closed || r.err != nil:
	case time.Since(r.used) >= s.config.Linger:
		end = s.remove(r)
	default:
		s.linger(r)
	}
	s.mu.Unlock()
	if end != nil {
		s.finish(r, end)
	}
}
