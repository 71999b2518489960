package state

import "time"

// Limits of one scope, beside those that package wire tells to clients.
const (
	// DefaultMaxRecords of a scope.
	DefaultMaxRecords = 50_000
	// DefaultMaxBytes of a scope's documents, as they are encoded.
	DefaultMaxBytes = 64 << 20
	// DefaultAcceptTime is how long a provider may take to accept a call.
	DefaultAcceptTime = time.Second
	// DefaultAnswerTime is how long it may take from there to its answer.
	DefaultAnswerTime = 10 * time.Second
	// DefaultHistory is how many earlier versions of a record are kept.
	DefaultHistory = 8
	// MaxHistoryBytes of the changes that lead back to them, for each record.
	MaxHistoryBytes = 256 << 10
	// MaxDiffEntries is how long the parts of two lists may be that differ, for the difference to be looked for.
	MaxDiffEntries = 1 << 11
	// MaxFailureBytes of what a provider says went wrong.
	MaxFailureBytes = 1 << 10
	// MaxCallsWithoutSession are RPC requests of callers without a session that have no result yet.
	MaxCallsWithoutSession = 1 << 10
	// MaxUnfoldedBytes of documents, as they are encoded, that are kept unfolded for rules while one command is carried out.
	MaxUnfoldedBytes = 1 << 20
	// MaxSessions of one scope.
	MaxSessions = 20_000
)
