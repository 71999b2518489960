package journal

import (
	"time"

	"github.com/parley-rtc/parley/internal/bus"
)

// Limits of one room's log. Its age, and the size of all logs together, are those of the bus.Log.
const (
	// MaxRooms whose logs are open at once.
	MaxRooms = 10_000
	// MaxRoomBytes of one room's log, for what is about records and for all else, so that a busy room does not make the others be forgotten. The oldest
	// messages go.
	MaxRoomBytes = 4 << 20
	// MaxQueued entries of a room, and MaxQueuedBytes, that wait to be stored, of each of the two. What is beyond is not logged.
	MaxQueued      = 4096
	MaxQueuedBytes = 2 << 20
	// maxMessageBytes of entries in one message, unless it is a single one.
	maxMessageBytes = bus.MaxStoredBytes / 4
	// pointBytes lie between two places of a log from which it can be read.
	pointBytes = 32 << 10
	// purgeWorth is how much is purged at once.
	purgeWorth = 1 << 20
	// promisedAhead cursors of changes are promised at once; so many may be skipped where all changes are forgotten.
	promisedAhead = 4096

	// MaxTries to store one message, whose entries are not logged then. Others wait behind it, so that the order is kept.
	MaxTries = 8

	// MaxRounds of looking for entries that the caller may know, in one reading. Each looks at wire.MaxLogEntries, or wire.MaxBulkBytes, at most.
	MaxRounds = 8

	loadTime   = 10 * time.Second
	storeTime  = 10 * time.Second
	faultPause = time.Second      // before a log is used again that could not be, and twice as long after each further try,
	maxPause   = 30 * time.Second // up to this
	quietTime  = time.Minute      // for which the same complaint is not logged again
	idleTime   = 15 * time.Second // after which the log of a room that is not there is closed
)
