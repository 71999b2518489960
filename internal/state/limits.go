package state

import "time"

// Limits of one scope, beside those that package wire tells to clients.
const (
	// DefaultMaxRecords of a scope.
	DefaultMaxRecords = 50_000
	// DefaultMaxBytes of a scope's records with their histories, about as they are in memory.
	DefaultMaxBytes = 128 << 20
	// DefaultAcceptTime is how long a provider may take to accept a call.
	DefaultAcceptTime = time.Second
	// DefaultAnswerTime is how long it may take from there to its answer.
	DefaultAnswerTime = 10 * time.Second
	// MaxAcceptTime and MaxAnswerTime are the longest that they may be set up to be.
	MaxAcceptTime = 5 * time.Second
	MaxAnswerTime = 30 * time.Second
	// DefaultHistory is how many earlier versions of a record are kept.
	DefaultHistory = 8
	// MaxHistoryBytes of the changes that lead back to them, for each record, and MaxHistoryOperations: so many may be undone in one
	// request, too.
	MaxHistoryBytes      = 256 << 10
	MaxHistoryOperations = 512
	// MaxToldBytes of the operations of a write are told and stored as they are, however short the document is.
	MaxToldBytes = 64 << 10
	// MaxDiffEntries is how long the parts of two lists may be that differ, for the difference to be looked for; MaxCompared is that for
	// all lists of one write together.
	MaxDiffEntries = 1 << 11
	MaxCompared    = 1 << 13
	// MaxLooked is at how many entries of a list the operations of one write may look.
	MaxLooked = 1 << 20
	// MaxPaths of one record to which somebody is subscribed.
	MaxPaths = 1 << 10
	// MaxDue is how many things that are due are done in one Apply. The others follow in the next.
	MaxDue = 256
	// MaxFailureBytes of what a provider says went wrong.
	MaxFailureBytes = 1 << 10
	// MaxCallsWithoutSession are RPC requests of callers without a session that have no result yet.
	MaxCallsWithoutSession = 1 << 10
	// MaxCallBytes are the values of all calls of a scope that have no result yet.
	MaxCallBytes = 32 << 20
	// MaxUnfolded is how much of documents, about as they are in memory, rules may look at for one request, or for one who is about to be told
	// something: the old and the new document of the worst kind, and some more.
	MaxUnfolded = 8 << 20
	// MaxSteps is how many elements of arrays and objects rules may go over for the same; text counts as one for 16 bytes, and for each where an
	// expression is matched with it.
	MaxSteps = 100_000
	// MaxPicked is how many identities rules that differ by identity are asked about for one list of all who are there, and how many sessions are
	// subscribed to all under such rules, each of which is asked about for whoever comes or goes.
	MaxPicked = 1 << 12
	// MaxKnownAnew is about how many identities the new rules are asked for all who are subscribed to the presence of all, where rules differ by
	// identity. Beyond it, subscriptions end.
	MaxKnownAnew = 100_000
	// MaxAdopted is for how many names that have lost their providers one Apply looks for others.
	MaxAdopted = 64
	// MaxListeners are the patterns of all sessions of a scope: each new name is compared with all of them.
	MaxListeners = 1 << 10
	// MaxSessions of one scope.
	MaxSessions = 20_000
	// shutSeconds are told to who would change what is durable where nothing can be stored, and so is when it is looked again at what is due to expire.
	shutSeconds = 10
)
