package signal

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// End says why a socket is closed. Carriers have their own numbers for it.
type End uint8

// Ends.
const (
	EndLost     End = iota + 1 // by the client, the network, or silence: the session can be resumed
	EndFinished                // the session is over
	EndRefused                 // not joined in time, or refused too often
	EndTooLarge                // a message was too large
	EndReplaced                // another socket has resumed the session
	EndClosing                 // the server goes down
)

// Error implements error: a carrier's loops return it.
func (e End) Error() string {
	return [...]string{"", "socket lost", "session over", "not joined", "message too large", "resumed elsewhere", "server closing"}[e]
}

// Attachment is one socket, and the session it serves once it has joined or resumed one. The carrier has one goroutine that calls
// Receive, one that calls Wait and Take; both call Lost when the socket fails, and the last of them Release.
type Attachment struct {
	// static after construction
	service  *Service
	source   netip.Addr      // the client's
	deadline time.Time       // to have a session
	wake     chan struct{}   // something to take; capacity 1
	open     context.Context // ends when the socket shall be closed at once
	shut     func()          // ends open

	// atomic
	nudged atomic.Bool // by Nudge, since Wait has returned for it

	// owned by the goroutine that calls Receive
	tries int

	// guarded by mu
	mu      sync.Mutex
	session *Session
	direct  [][]byte // unnumbered messages, taken before all else
	end     End      // why open has ended, or will
	last    bool     // open ends once all is taken
	pending bool     // counted in service.pending
}

// Attach begins with a new socket of a client at source, which must join or resume within JoinTime.
func (s *Service) Attach(source netip.Addr) (*Attachment, *wire.Error) {
	a := &Attachment{service: s, source: source, deadline: time.Now().Add(JoinTime), wake: make(chan struct{}, 1), pending: true}
	a.open, a.shut = context.WithCancel(context.Background())
	err := s.enter(func() *wire.Error {
		if s.pending >= MaxUnauthenticated {
			return overloaded("too many sockets have not joined yet")
		}
		s.pending++
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Release ends the attachment's part in Service.Close. None of Receive, Wait and Take may be running.
func (a *Attachment) Release() {
	a.Lost()
	a.joined()
	a.service.running.Done()
}

// joined takes the attachment off the unauthenticated ones.
func (a *Attachment) joined() {
	a.mu.Lock()
	was := a.pending
	a.pending = false
	a.mu.Unlock()
	if was {
		a.service.mu.Lock()
		a.service.pending--
		a.service.mu.Unlock()
	}
}

// Limit is the largest message that may be received now, in bytes.
func (a *Attachment) Limit() int {
	if a.attached() == nil {
		return wire.MaxMessageBytesBeforeJoin
	}
	return wire.MaxMessageBytes
}

// PingTime is how often the carrier shall ask the client for a sign of life.
func (a *Attachment) PingTime() time.Duration { return pingTime }

// Heard notes a sign of life that is not a message.
func (a *Attachment) Heard() {
	if s := a.attached(); s != nil {
		s.heard(time.Now())
	}
}

func (a *Attachment) attached() *Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session
}

// Receive carries out one message of the client, which it keeps. It blocks while the room works on it, at most for requestTime. After an error
// the carrier receives nothing more; Wait says when to close the socket.
func (a *Attachment) Receive(b []byte) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			a.service.report(fault)
			a.fail()
			err = EndLost
		}
	}()
	if len(b) > a.Limit() {
		return a.TooLarge()
	}
	r, refused := decode(b)
	s := a.attached()
	if s != nil {
		return s.receive(a, r, refused)
	}
	if refused == nil {
		switch r.Type {
		case wire.TypeJoin:
			// With a stack of its own: it takes three times what the rest of an idle session's reading does, and stacks hardly shrink.
			refused = elsewhere(func() *wire.Error { return a.join(r) })
		case wire.TypeResume:
			refused = a.resume(r)
		default:
			refused = wire.NewError(wire.CodeUnauthorized, "the first request is join or resume, not "+printable(r.Type), "join first")
		}
	} else {
		a.service.counts.malformed.Add(1)
	}
	if refused == nil {
		return a.over()
	}
	a.send(entry{reply: r.ID, typ: wire.TypeError, body: encode(refused)})
	if a.tries++; a.tries >= MaxTries {
		a.finish(EndRefused)
	}
	return a.over()
}

// elsewhere calls f in a goroutine that ends with it, and passes its faults on.
func elsewhere(f func() *wire.Error) (refused *wire.Error) {
	done := make(chan any, 1)
	go func() {
		defer func() {
			fault := recover()
			if fault != nil {
				fault = fmt.Sprintf("%v\n%s", fault, debug.Stack())
			}
			done <- fault
		}()
		refused = f()
	}()
	if fault := <-done; fault != nil {
		panic(fault)
	}
	return refused
}

// TooLarge refuses a message that was not even read.
func (a *Attachment) TooLarge() error {
	a.service.counts.tooLarge.Add(1)
	e := entry{typ: wire.TypeError, body: encode(wire.NewError(wire.CodeTooLarge,
		fmt.Sprintf("a message is at most %d bytes here", a.Limit()), "send less; prune codecs from the session description"))}
	if s := a.attached(); s != nil {
		s.emit(e)
	} else {
		a.send(e)
	}
	a.finish(EndTooLarge)
	return EndTooLarge
}

// Wait blocks until there may be something to take, or Nudge is called. The error, an End, means that the socket shall be closed.
func (a *Attachment) Wait() error {
	for {
		s, waits, err := a.look()
		if waits || err != nil || a.nudged.Swap(false) {
			return err
		}
		a.wait(s)
	}
}

// Nudge lets Wait return, so that the carrier looks for what else it has to do.
func (a *Attachment) Nudge() {
	a.nudged.Store(true)
	a.nudge()
}

// Take appends the next message for the client to dst, and reports whether there is one.
func (a *Attachment) Take(dst []byte) ([]byte, bool) {
	if a.open.Err() != nil {
		return dst, false
	}
	a.mu.Lock()
	s, direct := a.session, []byte(nil)
	if len(a.direct) > 0 {
		direct, a.direct = a.direct[0], a.direct[1:]
	}
	a.mu.Unlock()
	if direct != nil || s == nil {
		return append(dst, direct...), direct != nil
	}
	return s.take(a, dst)
}

// wait blocks until there may be something to take.
func (a *Attachment) wait(s *Session) {
	var late <-chan time.Time
	closing := a.service.closing
	if s == nil {
		timer := time.NewTimer(time.Until(a.deadline))
		defer timer.Stop()
		late = timer.C
	} else {
		closing = nil // the session says goodbye itself
	}
	select {
	case <-a.wake:
	case <-a.open.Done():
	case <-closing:
		a.cut(EndClosing)
	case <-late:
		a.expire()
	}
}

// look reports whether a message waits, or why none will come.
func (a *Attachment) look() (s *Session, waits bool, err error) {
	if a.open.Err() != nil {
		return nil, false, a.over()
	}
	a.mu.Lock()
	s, waits, last := a.session, len(a.direct) > 0, a.last
	a.mu.Unlock()
	if waits {
		return s, true, nil
	}
	if s != nil {
		waits, over := s.waits(a)
		if waits {
			return s, true, nil
		}
		if over {
			a.finish(EndFinished)
			last = true
		}
	}
	if last {
		a.cut(0)
		return s, false, a.over()
	}
	return s, false, nil
}

// expire refuses a socket that has not joined in time. One that just did stays.
func (a *Attachment) expire() {
	if a.attached() != nil {
		return
	}
	a.send(entry{typ: wire.TypeError, body: encode(wire.NewError(wire.CodeTimeout,
		fmt.Sprintf("no join or resume within %v", JoinTime), "join right after connecting"))})
	a.finish(EndRefused)
}

// send queues an unnumbered message.
func (a *Attachment) send(e entry) {
	a.mu.Lock()
	if len(a.direct) < maxDirect {
		a.direct = append(a.direct, appendMessage(nil, 0, e))
	}
	a.mu.Unlock()
	a.nudge()
}

// finish closes the socket once everything that waits is taken.
func (a *Attachment) finish(why End) {
	a.mu.Lock()
	if a.end == 0 {
		a.end = why
	}
	a.last = true
	a.mu.Unlock()
	a.nudge()
}

// cut closes the socket at once. Why counts only where finish has not said it.
func (a *Attachment) cut(why End) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.end == 0 {
		a.end = why
	}
	a.shut()
}

// Lost says that the socket has failed, or that the client has closed it.
func (a *Attachment) Lost() {
	a.cut(EndLost)
	if s := a.attached(); s != nil {
		s.detach(a)
	}
}

// Gone is called instead of Lost when the client has said that it is going away (RFC 6455 §7.4.1, status 1001): its session ends,
// because nobody is there to resume it.
func (a *Attachment) Gone() {
	if s := a.attached(); s != nil {
		s.leaving(a)
	}
	a.Lost()
}

// Context ends when the socket shall be closed, without waiting for what is being written.
func (a *Attachment) Context() context.Context { return a.open }

func (a *Attachment) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// over returns why nothing more is received, or nil.
func (a *Attachment) over() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.end != 0 {
		return a.end
	}
	return nil
}

func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("signal: encode %T: %v", v, err)) // only types of wire come here, and they all can be encoded
	}
	return b
}

// printable quotes what a client sent, shortened.
func printable(s string) string {
	if len(s) > 32 {
		s = s[:32] + "…"
	}
	return fmt.Sprintf("%q", s)
}
