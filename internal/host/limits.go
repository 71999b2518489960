package host

import "time"

// Limits.
const (
	maxAdvertised  = 16               // addresses of --advertise
	maxICEServers  = 8                // of --ice-server
	maxICEURIBytes = 256              // of one of them
	maxCandidates  = 32               // addresses offered to a client; the rest is shown as left out
	maxConfigBytes = 1 << 20          // a configuration or keys file
	maxSecretBytes = 64 << 10         // a file that PARLEY_…_FILE names
	maxKeys        = 1000             // key pairs
	maxToldHosts   = 4                // names of --cert that the start text tells
	maxDrain       = 24 * time.Hour   // as long as a token lives
	maxLinger      = 24 * time.Hour   // likewise
	maxForwarded   = 32               // addresses of X-Forwarded-For that are looked at
	wantedFiles    = 65536            // open files: every TCP connection is one
	fewFiles       = 4096             // below this, the start warns
	maxHeaderBytes = 32 << 10         // headers of one request
	maxStreams     = 32               // HTTP/2 requests at once of one connection: a body of each may be in memory
	headerTimeout  = 5 * time.Second  // for a request's headers: slow ones are an attack
	bodyTimeout    = 15 * time.Second // for a request's body: an offer is 384 KiB at most
	answerTimeout  = 2 * time.Minute  // for an answer to be read: pages are less than 1 MiB, and phones may be slow
	idleTimeout    = 2 * time.Minute  // between two requests of a connection
	watchInterval  = 10 * time.Second // between looks at addresses and certificate files
	drainInterval  = 100 * time.Millisecond
	stopTimeout    = 10 * time.Second    // for requests that are under way after the drain
	exitTimeout    = time.Second         // for everything, when told again to end
	trialTime      = time.Second         // of each of the doctor's calls
	trialBitrate   = 2_000_000           // bit/s of the picture in them
	maxTrialLoss   = 1                   // percent: what goes astray within one machine is more than chance
	greetTimeout   = 2 * time.Second     // for another server on this machine to say what it is
	maxGreeted     = 8                   // ports of it that are asked: a `parley turn` may have hundreds
	lookupTimeout  = 4 * time.Second     // for a name to be found
	expiresSoon    = 14 * 24 * time.Hour // before the end of a certificate, the doctor warns
	littleSpace    = 100 << 20           // bytes free on a disk: below this, the doctor warns
	maxLogAge      = 10 * 365 * 24 * time.Hour
	minRPCTime     = 100 * time.Millisecond // of --rpc-accept and --rpc-answer
	minLogBytes    = 16 << 20               // of --room-log-bytes: two rooms, each with as many changes; and of --state-bytes
	maxLogBytes    = 1 << 39                // of both
	stateTime      = 30 * time.Second       // for what is stored to be read at the start
	commandTime    = 10 * time.Second       // for `parley state` to let the store go, where a server starts
	operatorTime   = time.Minute            // that the token of `parley state` is valid
	problemBytes   = 64 << 10               // of what it says is wrong
	askTime        = 90 * time.Second       // for a server to answer it
	keysInterval   = 350 * time.Millisecond // between looks at the keys and the rules, and settleTime after one at which they had changed: what is
	settleTime     = 50 * time.Millisecond  // taken away is worth nothing half a second later
)

// Limits of STUN and TURN.
const (
	maxTURNListeners         = 16            // of --turn-listen, --turn-dtls, --listen and --dtls each
	maxRelayNumber           = 1_000_000_000 // of --allocations and the like
	minRelayPort             = 1024          // of --relay-ports
	turnConnections          = 65536         // TCP connections of `parley turn`
	turnConnectionsPerSource = 4096
	openCredentials          = 24 * time.Hour         // of TURN, to who needs no token
	leastCredentials         = 10 * time.Minute       // though the token ends before: as long as an allocation lives without a Refresh
	maxSentOut               = 4096                   // participants that were kicked, and may not relay until they are let in again
	iceServersBurst          = 10                     // requests for ICE servers from one source at once
	iceServersEvery          = 500 * time.Millisecond // and then one more
	limitedSources           = 1 << 12                // places of the table of sources, which share them by chance
)
