package host

import (
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
)

// members knows who is in a room, by mark, as far as what is relayed depends on it: a token may end before the call that it began, and a call before the
// token.
type members struct {
	// guarded by mu
	mu   sync.Mutex
	here map[auth.Mark]int       // how many participants go by it
	out  map[auth.Mark]time.Time // sent out and not back, until none of the credentials that they may have can be valid
}

// enter notes a participant. Who was sent out and is let in again is a member like any other.
func (m *members) enter(who auth.Mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.here == nil {
		m.here = map[auth.Mark]int{}
	}
	m.here[who]++
	delete(m.out, who)
}

// leave is the end of what enter began.
func (m *members) leave(who auth.Mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.here[who]--; m.here[who] <= 0 {
		delete(m.here, who)
	}
}

// sendOut notes that a participant was sent out. Where that is too many, the one that was first is forgotten.
func (m *members) sendOut(now time.Time, who auth.Mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.out == nil {
		m.out = map[auth.Mark]time.Time{}
	}
	m.out[who] = now.Add(auth.MaxLifetime + auth.MaxSkew + leastCredentials)
	for len(m.out) > 0 {
		first, at := who, m.out[who]
		for mark, until := range m.out {
			if until.Before(at) {
				first, at = mark, until
			}
		}
		if now.Before(at) && len(m.out) <= maxSentOut {
			return
		}
		delete(m.out, first)
	}
}

// hold reports whether the credentials of a mark are good: in their time, and beyond that while it is in the room; and never after it was sent out.
func (m *members) hold(who auth.Mark, inTime bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, out := m.out[who]; out {
		return false
	}
	return inTime || m.here[who] > 0
}
