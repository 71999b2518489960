// Package bus carries requests and events between the parts of Parley that may live on different nodes: sessions, rooms and
// their homes.
//
// A subject is a path of tokens, "room.dGVh". A request goes to one server of its subject and comes back with the answer; a
// published message goes to every subscription of its subject, and to nobody where there is none. What is published is not
// kept. Messages of one publisher on one subject arrive in order.
//
// Bytes that are handed over are shared, not copied: neither side changes them afterwards.
//
// Implementations pass the suite in bustest. This package holds the interface alone; it owns nothing.
package bus

import (
	"context"
	"errors"
)

// Errors that every implementation returns, perhaps wrapped.
var (
	// ErrNoResponders: nobody serves the subject.
	ErrNoResponders = errors.New("nobody serves this subject")
	// ErrClosed: this bus was closed.
	ErrClosed = errors.New("the bus is closed")
	// ErrSubject: the subject is empty, too long, or has characters other than letters, digits, '-' and '_' in its tokens.
	ErrSubject = errors.New("not a subject")
	// ErrTooLarge: the message is beyond MaxMessageBytes.
	ErrTooLarge = errors.New("message too large for the bus")
	// ErrQueue: a queue of this capacity is not allowed.
	ErrQueue = errors.New("queue capacity out of bounds")
)

// Bus is safe for concurrent use.
type Bus interface {
	// Request sends b to one server of the subject and returns its answer. It returns ctx.Err() once ctx ends.
	Request(ctx context.Context, subject string, b []byte) ([]byte, error)

	// Serve answers the requests of a subject until stop is called. It is called concurrently, and must return once its ctx
	// ends. Servers of the same subject share its requests. stop does not wait for the calls that are under way; it may be
	// called from within one, and more than once.
	Serve(subject string, serve func(ctx context.Context, b []byte) []byte) (stop func(), err error)

	// Publish offers b to every subscription of the subject. It never waits for them.
	Publish(subject string, b []byte) error

	// Subscribe opens a queue of so many messages for a subject. It is open for what is published after it returns.
	Subscribe(subject string, capacity int) (Subscription, error)

	// Close ends every server and subscription. What is called afterwards returns ErrClosed.
	Close() error
}

// Subscription is a bounded queue of messages. It takes no more memory than what waits in it.
type Subscription interface {
	// Ready receives as long as a message waits, and now and then where none does. It is closed when the subscription is: Next has what it
	// holds then, and nothing after that.
	Ready() <-chan struct{}

	// Next takes the oldest message that waits, and reports whether there is one.
	Next() (m []byte, ok bool)

	// Lost counts the messages that the full queue could not take. It grows before any message that was published after the
	// lost one can be received, so who compares it after each message misses no gap.
	Lost() uint64

	// Close ends the subscription. It may be called more than once.
	Close()
}

// CheckSubject returns ErrSubject unless s is a subject. Implementations call it; so does who builds subjects from names.
func CheckSubject(s string) error {
	if s == "" || len(s) > MaxSubjectBytes {
		return ErrSubject
	}
	token := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.' && token > 0:
			token = 0
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			token++
		default:
			return ErrSubject
		}
	}
	if token == 0 {
		return ErrSubject
	}
	return nil
}
