package client

import "time"

// Limits of a Room, beside those that package wire tells.
const (
	// MaxWaitingWrites of one scope that the server has not confirmed, also while the connection is lost.
	MaxWaitingWrites = 1024
	// MaxWaitingBytes of all of them together.
	MaxWaitingBytes = 4 << 20
	// MaxWaitingRequests that have no reply, or wait for a connection. Beyond it the application's are refused. Writes have the limits above, and what
	// is subscribed to or provided is always asked for: once each.
	MaxWaitingRequests = 512
	// MaxWaitingCalls of functions of the application, all together. Beyond it each function has one more call waiting at most, the newest: of a
	// record it is told what is there last, of presence what has changed until then, of events how many it has missed (Event.Missed, Missed).
	MaxWaitingCalls = 4096
	// MaxAnswering is how many calls of others are answered at once. Beyond it, other providers are asked.
	MaxAnswering = 256
	// maxWritesUnderway of one scope, each of another record.
	maxWritesUnderway = 64
	// maxRestored records in one request that subscribes again.
	maxRestored = 64
	// maxMerges of one write before its conflict is told.
	maxMerges = 8
	// maxFailureBytes of what a provider says went wrong.
	maxFailureBytes = 1 << 10
	// maxMessageBytes of what the server sends.
	maxMessageBytes = 16 << 20
	// envelopeBytes is what a request takes beside its body.
	envelopeBytes = 256

	dialTime    = 10 * time.Second
	requestTime = 10 * time.Second // for a reply, while there is a connection
	doubtTime   = requestTime / 2  // without a word, before the connection is asked about
	leaveTime   = 2 * time.Second
	sweepTime   = time.Second // between two looks at what takes too long
	firstPause  = 300 * time.Millisecond
	longPause   = 5 * time.Second
	giveUpTime  = 5 * time.Minute
	crowdedTime = time.Second      // before asking again what was too much at once, where the server does not say
	keptPause   = 30 * time.Second // it grows up to this, where something that is kept fails for now
)
