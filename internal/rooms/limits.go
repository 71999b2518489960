package rooms

import "time"

// Limits of the runtime. Those of a room itself are in package room.
const (
	// MaxRooms of one node.
	MaxRooms = 10_000
	// DefaultLinger is how long an empty room keeps its chat.
	DefaultLinger = 30 * time.Second

	// DefaultSpreadFrom is what a conference of eight does not fill, and 64 viewers do: 6 to 8 % of a core.
	DefaultSpreadFrom = 128

	// inboxCapacity is the number of requests that wait for one actor; more wait with whoever asks, until its ctx ends.
	inboxCapacity = 64
	// maxOwed is the number of commands that may wait for a full media plane. Beyond it, requests are refused, apart from
	// those that end something.
	maxOwed = 4096
	// owedInterval is how often such commands are tried again.
	owedInterval = 10 * time.Millisecond
	// maxTries bounds how often Do joins a room that ends at that moment.
	maxTries = 4
	// retryUnchecked and retryFull are when a Transport may be tried again, in seconds, that had no place: one that is never checked
	// gives its own up after ice.FirstCheck, others earlier.
	retryUnchecked, retryFull = 2, 10
	// recallTime is how long a room that opens waits for its chat of before.
	recallTime = 2 * time.Second
	// abortTimeout is how long Do takes to undo a join that nobody waits for any more.
	abortTimeout = time.Second
)
