package scopes

import "time"

// sweep tidies scopes of rooms that nobody uses, one at a time, and ends them.
func (s *Service) sweep() {
	defer close(s.swept)
	for {
		if r, used := s.nextUntidy(); r != nil {
			s.tidy(r, used)
			continue
		}
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
	}
}

// nextUntidy takes the first of those that are to be tidied and are still unused, since that time, and holds it; nil: there is none.
func (s *Service) nextUntidy() (r *roomScope, used time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.untidy) > 0 && !s.closed {
		r = s.untidy[0]
		s.untidy[0], s.untidy = nil, s.untidy[1:]
		if s.over(r) && time.Since(r.used) >= s.config.Linger { // else somebody has used it meanwhile
			r.users++
			s.keep(r)
			return r, r.used
		}
	}
	return nil, time.Time{}
}

// tidy tidies a scope that is held and ends it, unless somebody has used it since that time. Where it cannot be tidied now, it ends as it is.
func (s *Service) tidy(r *roomScope, used time.Time) {
	if err := r.owner.Tidy(s.ctx); err != nil {
		s.config.Logger.Debug("what is stored of a room was not tidied", "room", r.name, "error", err)
	}
	s.mu.Lock()
	r.users--
	var end chan struct{}
	switch {
	case !s.over(r) || s.closed:
	case r.used.Equal(used):
		end = s.remove(r)
	default:
		s.linger(r)
	}
	s.mu.Unlock()
	if end != nil {
		s.finish(r, end)
	}
}
