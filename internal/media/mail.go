package media

import (
	"sync"

	"github.com/parley-rtc/parley/internal/dtls"
)

// letter is one thing that waits for the loop: a command, a DTLS record to send, or what a DTLS association has to tell.
type letter struct {
	command   Command
	ask       func(*Shard)
	transport TransportID
	record    []byte
	event     *dtls.Event
}

// mail is the bounded queue through which everything but datagrams reaches the loop. It is off the packet path.
type mail struct {
	wake chan struct{}

	// guarded by mu
	mu      sync.Mutex
	letters []letter
	closed  bool
}

func newMail() *mail { return &mail{wake: make(chan struct{}, 1)} }

// put reports false when the mail is full or closed.
func (m *mail) put(l letter) bool {
	m.mu.Lock()
	ok := !m.closed && len(m.letters) < maxLetters
	if ok {
		m.letters = append(m.letters, l)
	}
	m.mu.Unlock()
	if ok {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return ok
}

// take returns what waits, and gives the queue spare, which the loop has emptied before.
func (m *mail) take(spare []letter) []letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.letters
	m.letters = spare[:0]
	return out
}

// close refuses further letters and returns those that wait.
func (m *mail) close() []letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	out := m.letters
	m.letters = nil
	return out
}
