package signal

import (
	"time"

	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/wire"
)

// door is how a session gets into a scope. A scope may take long to open, or wait for a disk: the room and media do not wait for that.
type door struct {
	// static after construction
	asking chan struct{} // held by whoever asks the scope; capacity 1

	// guarded by Session.mu
	open  bool      // the scope was asked to let the session in, and takes requests: they go to it
	held  []waiting // requests until then, in their order
	bytes int       // of their bodies

	// guarded by asking
	left bool // it is over, and nothing lets it in again
}

func newDoor() *door { return &door{asking: make(chan struct{}, 1)} }

func (d *door) lock()   { d.asking <- struct{}{} }
func (d *door) unlock() { <-d.asking }

// tryLock reports false where somebody else asks.
func (d *door) tryLock() bool {
	select {
	case d.asking <- struct{}{}:
		return true
	default:
		return false
	}
}

// waiting is a request that waits at a door.
type waiting struct {
	id uint64
	*asked
}

// enterState makes the session present in both scopes, without waiting for them. The session is among those that Service.Close waits for.
func (s *Session) enterState() {
	if s.share == nil {
		return
	}
	for scope, d := range s.share.doors {
		s.service.running.Add(1)
		go s.enterScope(scope, d) // ends when the scope has answered, or not in requestTime, and what waited for that was asked
	}
}

// enterScope makes the session present in a scope, then asks what its client has asked meanwhile. Where the scope does not answer, that is
// refused, and it is tried again with the next request.
func (s *Session) enterScope(scope wire.Scope, d *door) {
	defer s.service.running.Done()
	defer s.surviveAside()
	_, refused := s.service.letIn(&s.seat, s.share, scope)
	s.passHeld(d, refused)
}

// shut keeps a request, which is noted, and what comes after it at the door: its scope takes nothing now. The room and media do not wait for that.
func (s *Session) shut(id uint64, a *asked) *wire.Error {
	d := s.share.doors[a.scope]
	s.mu.Lock()
	d.open = false
	s.mu.Unlock()
	_, refused := s.hold(id, a)
	s.service.running.Add(1) // the attachment that asks is counted too
	go func() {              // ends when the scope has taken what waits, or has not in BusyTime
		defer s.service.running.Done()
		defer s.surviveAside()
		s.passHeld(d, nil)
	}()
	return refused
}

// passHeld asks what waits at a door, until nothing does, and opens it.
func (s *Session) passHeld(d *door, refused *wire.Error) {
	for held := s.unhold(d); len(held) > 0; held = s.unhold(d) {
		refused = s.passAll(held, refused)
	}
}

// passAll asks what has waited at a door, in its order. Where the scope does not take one in time, those behind it have waited as long, and are refused,
// as are those that have come meanwhile.
func (s *Session) passAll(held []waiting, refused *wire.Error) *wire.Error {
	for _, w := range held {
		began := time.Now()
		err := s.pass(w, refused)
		if err != nil {
			s.answerState(w.id, refusal(w.id, err), err)
		}
		if err != nil && time.Since(began) >= scopes.BusyTime {
			refused = overloaded("shared state does not take requests now")
		}
	}
	return refused
}

// pass asks what has waited at a door, unless it was given up, or is refused.
func (s *Session) pass(w waiting, refused *wire.Error) *wire.Error {
	s.mu.Lock()
	given := s.over || s.underway[w.id] != w.asked
	if !given && refused != nil {
		s.forgetAsked(w.id)
	}
	s.mu.Unlock()
	if given { // it was answered
		return nil
	}
	if refused != nil {
		return refused
	}
	_, refused = s.request(w.id, w.asked, true)
	return refused
}

// hold keeps a request, which is noted, where the scope has not been asked to let the session in, or says that too much waits for that.
func (s *Session) hold(id uint64, a *asked) (held bool, refused *wire.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.share.doors[a.scope]
	switch {
	case d.open:
		return false, nil
	case len(d.held) > 0 && d.bytes+len(a.body) > MaxHeldBytes:
		s.forgetAsked(id)
		return false, overloaded("shared state does not answer yet, and much of this session waits for it")
	}
	d.held = append(d.held, waiting{id, a})
	d.bytes += len(a.body)
	return true, nil
}

// unhold returns what has waited, or opens the door where nothing has.
func (s *Session) unhold(d *door) []waiting {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := d.held
	d.held, d.bytes, d.open = nil, 0, len(held) == 0
	return held
}
