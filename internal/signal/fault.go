package signal

import (
	"runtime/debug"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// A fault of the server (a panic) while it works for one session ends that session and nothing else: its client is told `internal` and may
// join again, and its participant leaves the room. Each goroutine that works for a session recovers at its boundary; faults
// are counted, and logged with their stack.

// report counts a fault and logs it. It is called while the goroutine is panicking, so the stack is that of the fault.
func (s *Service) report(fault any) {
	s.counts.panics.Add(1)
	s.config.Log.Error("a session ended by a fault", "fault", fault, "stack", string(debug.Stack()))
}

// Survive is to be deferred by each of the carrier's goroutines: a fault in one ends the session of its socket, or a socket that has none.
func (a *Attachment) Survive() {
	if fault := recover(); fault != nil {
		a.service.report(fault)
		a.fail()
	}
}

func (a *Attachment) fail() {
	s := a.attached()
	if s == nil {
		a.cut(EndLost)
		return
	}
	s.broken.Store(true)
	nudge(s.wake)
}

// survive ends the session whose loop has failed. What fails again meanwhile is let go of.
func (s *Session) survive() {
	fault := recover()
	if fault == nil {
		return
	}
	s.service.report(fault)
	defer s.forget()
	defer func() {
		if again := recover(); again != nil {
			s.service.report(again)
		}
	}()
	if !s.mu.TryLock() {
		return // it failed under its own lock: nothing of it can be used any more
	}
	s.mu.Unlock()
	s.conclude(wire.CodeInternal, "a fault of the server", true)
	s.service.rise(&s.seat, wire.CodeInternal) // where it was the end that failed, the room does not know
	s.linger(time.NewTimer(0))
}

// survive ends the call whose loop has failed.
func (c *Call) survive() {
	fault := recover()
	if fault == nil {
		return
	}
	c.service.report(fault)
	defer func() {
		if again := recover(); again != nil {
			c.service.report(again)
		}
	}()
	c.forget()
	c.service.rise(&c.seat, wire.CodeInternal)
}

func internalFault() *wire.Error {
	return &wire.Error{Code: wire.CodeInternal, Message: "a fault of the server", Next: "try again", RetrySeconds: retryOverloadAfter}
}
