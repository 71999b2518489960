package signal

import (
	"cmp"
	"time"

	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Limits of sessions. Those that clients rely on are in package wire.
const (
	MaxSessions        = 20_000 // sessions and calls of one node
	MaxUnauthenticated = 2_000  // sockets that have not joined
	JoinTime           = 10 * time.Second
	MaxTries           = 3 // refused joins and resumes on one socket

	MaxKeptReplies     = 256
	MaxKeptReplyBytes  = 1 << 20
	KeptTime           = silenceTime + resumeTime // of replies and messages: so long after its client's last sign of life a session can be resumed
	MaxWaiting         = 256                      // messages that a socket has not taken, without replies to requests of state
	MaxWaitingBytes    = 1 << 20                  // of all, without snapshots
	MaxKeptBytes       = 1 << 20                  // of messages kept for a resume
	MaxDepth           = 32                       // nesting of a request's JSON
	MaxRequestID       = 1<<53 - 1
	RequestsPerSecond  = 50
	MaxRequestBurst    = 200
	maxDirect          = 16      // unnumbered messages of one socket
	eventQueue         = 256     // events of a room that a session has not taken
	callEventQueue     = 16      // the same for a call, which waits for its end only
	stateQueue         = 1024    // events of shared state that a session has not taken
	atOnce             = 64      // messages that a session takes before it looks for what else is due
	MaxHeldBytes       = 1 << 20 // of requests of one session that wait until a scope has let it in, unless it is a single one
	MaxStateUnderway   = 1024    // requests of state of one session that have no reply yet, with its writes
	logCost            = 10      // requests of state that a reading of the log counts as
	pingTime           = 10 * time.Second
	silenceTime        = 3 * pingTime
	resumeTime         = wire.ResumeSeconds * time.Second
	slowTime           = 5 * time.Second  // for a resync to be taken
	requestTime        = 10 * time.Second // for a room to answer
	flushTime          = 5 * time.Second  // for the last messages of a session to be taken
	slowFlushTime      = time.Second      // the same, for one that reads too slowly
	maxToldOrigins     = 100              // refused origins that are told
	maxToldOriginBytes = 256              // of each
	refusalsTime       = time.Minute      // between two lines about tokens that were refused for the same reason
	retryOverloadAfter = 5                // seconds
)

// visitTime is how long a request without a session may take: until it is begun, and then two commits, or a call of which the first two providers
// are silent.
func (c Config) visitTime() time.Duration {
	accept, answer := cmp.Or(c.AcceptTime, state.DefaultAcceptTime), cmp.Or(c.AnswerTime, state.DefaultAnswerTime)
	return scopes.AskTime + max(2*scopes.StoreTime, 3*accept+answer)
}
