package signal

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/wire"
)

// resync is how far a session is with replacing events by a snapshot.
type resync uint8

const (
	inStep  resync = iota
	wanted         // events were discarded or lost; the loop fetches a snapshot
	offered        // the resync message waits to be taken
)

// Session is a participant's signalling, over all its sockets.
type Session struct {
	// static after construction
	service *Service
	id      string
	token   [sha256.Size]byte // of the resume token
	turn    chan struct{}     // held by the one request that is carried out
	wake    chan struct{}     // the loop shall look again; capacity 1
	emptied chan struct{}     // there may be room for a large reply; capacity 1
	seat    seat
	share   *share // in shared state; nil: there is none

	// atomic
	broken atomic.Bool // a goroutine that works for it has failed

	// owned by loop
	after uint64 // Seq of the last event that is dealt with
	lost  uint64 // seat.events.Lost() at that time

	// guarded by mu
	mu         sync.Mutex
	outbox     outbox
	replies    replies
	underway   map[uint64]*asked // requests of state that have no reply yet
	writes     int               // of them
	reading    int               // of them, those whose reply may be large
	pace       bucket
	statePace  bucket
	revision   uint64 // of the room, as far as this session has heard
	attachment *Attachment
	attached   time.Time // since when there is one
	detached   time.Time // since when there is none
	heardAt    time.Time // last sign of life
	resync     resync
	resyncSeq  uint64    // number of the resync message that is offered
	resyncTime time.Time // when it was
	slow       bool      // overfull again before the resync was taken
	expired    bool      // the room does not know this session
	revoked    bool      // the key of its token is gone
	gone       bool      // the client is going away, see Attachment.Gone
	left       bool      // the client said leave, and the room knows
	over       bool      // the last message is in the outbox
}

func newSession(v *Service, p seat, token string) *Session {
	now := time.Now()
	return &Session{
		service: v, id: p.id, token: sha256.Sum256([]byte(token)), turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), emptied: make(chan struct{}, 1),
		seat: p, after: p.after, outbox: newOutbox(), underway: map[uint64]*asked{}, detached: now, heardAt: now,
	}
}

// run is the session's loop: it turns what the room publishes into messages and watches the clock.
func (s *Session) run() {
	defer s.service.running.Done()
	defer s.survive()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if s.step(time.Now()) {
			break
		}
		timer.Reset(time.Until(s.next()))
		select {
		case _, open := <-s.seat.events.Ready():
			s.each(s.seat.events, open, s.event)
		case _, open := <-s.stateReady():
			s.each(s.share.events, open, s.stateEvent)
		case <-s.wake:
		case <-timer.C:
		case <-s.service.closing:
			s.conclude(wire.CodeDraining, "the server is going down", true)
		}
	}
	s.linger(timer)
	s.forget()
}

// each takes some of the messages that wait, and looks for the end of the queue.
func (s *Session) each(events bus.Subscription, open bool, take func([]byte)) {
	for range atOnce {
		b, ok := events.Next()
		if ok {
			take(b)
			continue
		}
		if !open { // the bus was closed under us
			s.conclude(wire.CodeDraining, "the server is going down", true)
		}
		return
	}
}

// forget takes the session out of the table.
func (s *Session) forget() {
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	delete(s.service.sessions, s.id)
}

// step does what is due, and reports whether the session is over.
func (s *Session) step(now time.Time) bool {
	s.mu.Lock()
	over, expired, revoked, gone, left, due := s.over, s.expired, s.revoked, s.gone, s.left, s.due(now)
	fetch := s.resync == wanted
	s.replies.expire(now)
	s.outbox.expire(now)
	s.mu.Unlock()
	switch {
	case over:
	case left:
		s.conclude(wire.CodeLeft, "you left", true)
	case gone:
		s.conclude(wire.CodeLeft, "the page was left", true)
	case s.broken.Load():
		s.conclude(wire.CodeInternal, "a fault of the server", true)
	case revoked:
		s.conclude(wire.CodeUnauthorized, "the key that signed the token was taken away", false)
	case due == wire.CodeSlowReader:
		s.service.counts.slowReaders.Add(1)
		s.setSlow()
		s.conclude(due, "messages were not read, even after a resync", true)
	case due == wire.CodeTimeout:
		s.service.counts.timeouts.Add(1)
		s.conclude(due, "the session lost its socket and was not resumed in time", true)
	case expired:
		s.drain()
		s.conclude(wire.CodeSessionExpired, "the room has forgotten this session", true)
	case fetch:
		s.snapshot()
	default:
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// due returns what has come to its time: a code to end with, or none. A silent socket is given up here. The caller holds mu.
func (s *Session) due(now time.Time) wire.Code {
	if s.slow || s.resync == offered && s.attachment != nil && now.Sub(s.resyncTime) >= slowTime {
		return wire.CodeSlowReader
	}
	if a := s.attachment; a != nil && now.Sub(s.heardAt) >= silenceTime {
		s.attachment, s.detached = nil, now
		a.cut(EndLost)
	}
	if s.attachment == nil && (now.Sub(s.detached) >= resumeTime || s.outbox.next == 1) {
		return wire.CodeTimeout // a client that did not even get joined has nothing to resume with
	}
	return ""
}

// next is when step has something to do.
func (s *Session) next() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attachment == nil {
		return s.detached.Add(resumeTime)
	}
	next := s.heardAt.Add(silenceTime)
	if t := s.resyncTime.Add(slowTime); s.resync == offered && t.Before(next) {
		next = t
	}
	return next
}

func (s *Session) setSlow() {
	s.mu.Lock()
	s.slow = true
	s.mu.Unlock()
}

// event takes one message of the room.
func (s *Session) event(b []byte) {
	e, err := decodeEvent(b)
	if err != nil {
		s.service.config.Log.Error("read a room's event", "error", err)
		return
	}
	lost := s.seat.events.Lost()
	if e.Seq <= s.after && !e.End {
		return // the snapshot had it
	}
	hole := e.Seq != s.after+1 || lost != s.lost
	s.after, s.lost = e.Seq, lost
	if e.Type == wire.TypeGrantsChanged {
		s.regrantBy(e.Body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision = max(s.revision, e.Rev)
	switch {
	case s.over:
	case e.End:
		s.add(entry{rev: e.Rev, typ: wire.TypeEnded, body: e.Body})
		s.over = true
	case s.resync == wanted: // the snapshot will have it
	case hole:
		s.resync = wanted
	default:
		s.add(entry{rev: e.Rev, typ: e.Type, body: e.Body})
	}
}

// recheck ends a session whose token was signed with none of these keys.
func (s *Session) recheck(keys auth.Keys) {
	if s.seat.permit.holds(keys) {
		return
	}
	s.mu.Lock()
	s.revoked = true
	s.mu.Unlock()
	nudge(s.wake)
}

// leaving ends a session whose client goes away, unless another socket has resumed it.
func (s *Session) leaving(a *Attachment) {
	s.mu.Lock()
	s.gone = s.gone || s.attachment == a
	s.mu.Unlock()
	nudge(s.wake)
}

// drain looks for the end among the events that are there.
func (s *Session) drain() {
	for b, ok := s.seat.events.Next(); ok; b, ok = s.seat.events.Next() {
		s.event(b)
	}
}

// snapshot asks the room for everything, and offers that in place of what was discarded.
func (s *Session) snapshot() {
	s.resetState()
	lost := s.seat.events.Lost()
	reply, refused := s.service.ask(s.seat.room, rooms.Request{Session: s.id, Type: rooms.TypeSnapshot})
	if refused != nil {
		s.drain()
		s.conclude(refused.Code, refused.Message, true)
		return
	}
	s.service.counts.resyncs.Add(1)
	s.regrantBy(reply.Body)
	s.after, s.lost = reply.After, lost
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.revision = max(s.revision, reply.Rev)
	s.resync, s.resyncTime = offered, time.Now()
	s.resyncSeq = s.add(entry{rev: reply.Rev, typ: wire.TypeResync, body: reply.Body, whole: true})
}

// conclude puts the last message into the outbox, and tells the room, unless somebody has done so already.
func (s *Session) conclude(code wire.Code, message string, rejoin bool) {
	s.mu.Lock()
	over, left := s.over, s.left
	if !over {
		s.add(entry{typ: wire.TypeEnded, body: encode(wire.Ended{Code: code, Message: message, Rejoin: rejoin})})
		s.over = true
	}
	s.mu.Unlock()
	if !over && !left {
		s.service.rise(&s.seat, code)
	}
}

// linger gives the client time to take the last messages: over a socket that there is flushTime, else until it could have resumed.
func (s *Session) linger(timer *time.Timer) {
	s.seat.events.Close()
	s.service.leaveState(&s.seat, s.share)
	start := time.Now()
	for {
		a, until, done := s.lingering(start)
		if done {
			return
		}
		closing := s.service.closing
		if a != nil {
			closing = nil // flushTime is short enough
		}
		timer.Reset(time.Until(until))
		select {
		case <-s.wake:
			continue
		case <-closing:
		case <-timer.C:
		}
		if a != nil {
			a.cut(EndFinished)
		}
		return
	}
}

// lingering returns for which socket to wait, if there is one, and until when; or that all is done.
func (s *Session) lingering(start time.Time) (a *Attachment, until time.Time, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.outbox.next == s.outbox.end()
	if s.attachment == nil {
		// Nobody comes back after leave, without having got joined, or too late.
		return nil, s.detached.Add(resumeTime), taken || s.left || s.outbox.next == 1
	}
	if s.attached.After(start) {
		start = s.attached
	}
	if s.slow {
		return s.attachment, start.Add(slowFlushTime), taken
	}
	return s.attachment, start.Add(flushTime), taken
}

// emit queues a message for the client.
func (s *Session) emit(e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.add(e)
	}
}

// add numbers a message and keeps the limits. The caller holds mu.
func (s *Session) add(e entry) uint64 {
	seq := s.outbox.add(e)
	a := s.attachment
	if a == nil {
		s.outbox.trim(s.outbox.end())
		return seq
	}
	a.nudge()
	if s.outbox.overfull() && !s.slow {
		if s.resync != inStep {
			s.slow = true
		} else {
			s.outbox.collapse(s.outbox.next)
			s.resync, s.slow = wanted, s.outbox.overfull()
		}
		nudge(s.wake)
	}
	s.outbox.trim(s.outbox.next)
	return seq
}

// waits reports whether a message waits for a, and if not, whether there will be none.
func (s *Session) waits(a *Attachment) (waits, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.attachment != a:
		return false, false
	case s.outbox.next < s.outbox.end():
		return true, false
	case s.over:
		nudge(s.wake)
	}
	return false, s.over
}

// take appends the next message for a to dst, and reports whether there is one.
func (s *Session) take(a *Attachment, dst []byte) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attachment != a {
		return dst, false
	}
	dst, ok := s.outbox.take(time.Now(), dst)
	nudge(s.emptied)
	if ok && s.resync == offered && s.outbox.next > s.resyncSeq {
		s.resync = inStep
	}
	return dst, ok
}

// attach makes a the session's socket. The one before is closed.
func (s *Session) attach(a *Attachment) {
	s.mu.Lock()
	s.attachLocked(a)
	s.mu.Unlock()
	if a.open.Err() != nil { // lost meanwhile
		s.detach(a)
	}
}

func (s *Session) attachLocked(a *Attachment) {
	if old := s.attachment; old != nil {
		old.cut(EndReplaced)
	}
	s.attachment, s.attached = a, time.Now()
	s.heardAt = s.attached
	if s.resync == offered {
		s.resyncTime = s.heardAt
	}
	a.mu.Lock()
	a.session = s
	a.mu.Unlock()
	a.nudge()
	nudge(s.wake)
}

// detach says that a's socket is lost.
func (s *Session) detach(a *Attachment) {
	s.mu.Lock()
	if s.attachment == a {
		s.attachment, s.detached = nil, time.Now()
	}
	s.mu.Unlock()
	nudge(s.wake)
}

// resume continues on a after the message that the client has seen last. It reports false where that cannot be.
func (s *Session) resume(a *Attachment, request, after uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after >= s.outbox.end() || s.left || s.attachment == nil && time.Since(s.detached) >= resumeTime {
		return false
	}
	if s.outbox.next == 1 && after == 0 {
		return false // it cannot know the token before it has seen joined
	}
	whole := s.outbox.resume(after)
	if s.resync == offered && (!whole || s.resyncSeq <= after) {
		s.resync = inStep
	}
	if !whole && !s.over {
		s.resync = wanted
	}
	follow := int(s.outbox.end() - s.outbox.next)
	if s.resync == wanted {
		follow++
	}
	a.send(entry{reply: request, typ: wire.TypeResumed, body: encode(wire.Resumed{Session: s.id, Revision: s.revision, Replayed: follow})})
	s.attachLocked(a)
	return true
}

func (s *Session) heard(now time.Time) {
	s.mu.Lock()
	s.heardAt = now
	s.mu.Unlock()
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
