package media

import (
	"sync"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/dtls"
)

// letter is one thing that waits for the loop: a command, a DTLS record to send, what a DTLS association has to tell, or what
// another shard has.
type letter struct {
	command   Command
	ask       func(*Shard)
	transport TransportID
	record    []byte
	event     *dtls.Event
	wishes    *wishes
	gone      []ProducerID
	stray     *datagram.Datagram // whose bytes are the letter's
}

// about returns the Transport that the letter is about; 0: none.
func (l *letter) about() TransportID {
	if l.command != nil {
		return l.command.about()
	}
	return l.transport
}

// bytes is what the letter holds beside itself.
func (l *letter) bytes() int {
	n := len(l.record)
	if l.stray != nil {
		n += len(l.stray.B)
	}
	return n
}

// mail is the bounded queue through which everything but datagrams reaches the loop. It is off the packet path.
type mail struct {
	wake chan struct{}

	// guarded by mu
	mu      sync.Mutex
	letters []letter
	bytes   int // that they hold
	closed  bool
}

func newMail() *mail { return &mail{wake: make(chan struct{}, 1)} }

// put reports false when the mail is full or closed.
func (m *mail) put(l letter) bool {
	m.mu.Lock()
	ok := !m.closed && len(m.letters) < maxLetters && m.bytes+l.bytes() <= maxLetterBytes
	if ok {
		m.letters = append(m.letters, l)
		m.bytes += l.bytes()
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
	m.letters, m.bytes = spare[:0], 0
	return out
}

// close refuses further letters. Those that wait can still be taken.
func (m *mail) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
}
