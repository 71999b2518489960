package bus

import (
	"context"
	"errors"
	"time"
)

// Errors of logs, perhaps wrapped.
var (
	// ErrSequence: something else was appended to the subject than the caller knows of.
	ErrSequence = errors.New("another message is the last one of the subject")
	// ErrFull: the log may not grow any more.
	ErrFull = errors.New("the log is full")
)

// Log is a stream of messages that are kept, on subjects. Numbers grow in the order in which messages are appended, over all
// subjects; on one subject they skip. It is safe for concurrent use.
//
// What Append says is stored in the way that the Log is made for: on disk, where it outlives the process and the power, or in memory.
type Log interface {
	// Append stores b as the next message of the subject, and returns its number when it is stored. after is the number of the
	// subject's last message, 0: it has none. With any other last message it returns ErrSequence. Where a log forgets, and nothing of a
	// subject is left, the last message may have had any number. After an error other than ErrSequence,
	// ErrFull, ErrSubject, ErrTooLarge and ErrClosed it is not known whether b was stored. b is not kept.
	Append(ctx context.Context, subject string, after uint64, b []byte) (number uint64, err error)

	// Read visits the messages of the subject that are there now and whose numbers are above after, in order, but for those that are
	// purged or forgotten meanwhile, in whose place it may visit what is appended meanwhile. It returns the error of visit, if there is one. The message's bytes are the visitor's.
	Read(ctx context.Context, subject string, after uint64, visit func(Stored) error) error

	// First returns the oldest message of the subject that is there now; its Number is 0 where there is none. Its bytes are the caller's.
	First(ctx context.Context, subject string) (Stored, error)

	// Last returns the newest message of the subject that is there now; its Number is 0 where there is none. Its bytes are the caller's.
	Last(ctx context.Context, subject string) (Stored, error)

	// Purge removes the subject's messages with numbers below. Where it cannot, or is not finished when the process or the machine ends, any of them may be
	// there again later, also without those behind them.
	Purge(ctx context.Context, subject string, below uint64) error

	// Size is about how many bytes all messages take that are there now.
	Size(ctx context.Context) (int64, error)

	// Sizes is about how many bytes the messages of each subject take that are there now. It may take as long as to read them all.
	Sizes(ctx context.Context) (map[string]int64, error)

	// Erase removes all messages of the subject, to which nobody appends meanwhile. When it has returned they stay away, whatever happens to the process or the
	// machine. Before, any of them may be there, but not without the last one.
	Erase(ctx context.Context, subject string) error

	// Close ends the log. What is called afterwards returns ErrClosed.
	Close() error
}

// Limits of one log. Where Forget is set, it forgets the oldest messages when it is full; else it takes no more.
type Limits struct {
	MaxBytes int64
	MaxAge   time.Duration // 0: forever
	Forget   bool
}

// Stored is a message of a Log.
type Stored struct {
	Number uint64
	At     time.Time // when it was stored
	Bytes  []byte
}
