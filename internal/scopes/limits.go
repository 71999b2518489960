package scopes

import (
	"time"

	"github.com/parley-rtc/parley/internal/bus"
)

// MaxScopes of rooms on one node, with those that make way for others.
const MaxScopes = 10_000

// maxEnding is how many scopes may be storing what is left before they have ended. Beyond it none makes way for another.
const maxEnding = 1024

// MaxBytes of the records of all scopes of one node, about as they are in memory.
const MaxBytes = 512 << 20

// ShelfReserve is how much more a log must take than a Shelf says: for deletions, and what is under way when the shelf is full.
const ShelfReserve = 32 << 20

// shelfShares are the parts of a Shelf: a room may have one, and one is the server's scope's alone.
const shelfShares = 16

// probeSubject is where it is tried whether a log takes something; no scope has it.
const probeSubject = "probe"

// storedOverhead is about what a message takes in a log beside its bytes.
const storedOverhead = 128

// retryAfter and retryBusy are when a scope may be asked again, in seconds, that could not be, or that had no place for a request.
const retryAfter, retryBusy = 5, 2

// What a request may take, beside a call of an RPC: BusyTime until it has a place in a full inbox, and AskTime until it is begun, else it is not
// carried out, and so that whoever waits longer is told; then the commit that is being stored, and its own, StoreTime each.
const (
	BusyTime  = time.Second
	AskTime   = 9 * time.Second
	StoreTime = 10 * time.Second
)

// Limits of one owner.
const (
	// inboxCapacity is the number of commands that wait for the loop; more wait with whoever asks, for BusyTime.
	inboxCapacity = 256
	// maxCommitBytes of the entries in one commit, unless it is a single one.
	maxCommitBytes = bus.MaxStoredBytes / 4
	// MaxNotedBytes of values that a change is told with in a room's log. A larger one is there by its name and version.
	MaxNotedBytes = 4 << 10
	// maxOpenBytes of entries that wait for the next commits. Beyond it no commands are taken.
	maxOpenBytes = 4 * maxCommitBytes
	// maxCopyBytes of whole records that one commit takes along.
	maxCopyBytes = 256 << 10
	// logSlack is how much longer a scope's log may be than it must, and purgeWorth how much is purged at once.
	logSlack, purgeWorth = 4 << 20, 1 << 20
	// tidySlack is how much longer than twice what lives the log of a scope may be that is tidied: about what a disk writes at once, below which it is not worth it to write that anew.
	tidySlack = 4 << 10
	// floorPause is when it is tried again to store what is not needed any more.
	floorPause = 10 * time.Second
	// maxHeld replies and events may wait for commits, and maxHeldBytes of the values in them. Beyond it no commands are taken.
	maxHeld      = 8192
	maxHeldBytes = 16 << 20
	// sweepPause is how often it is looked which rooms that are not open are not tidy, or have records that are over, and fullSweepPause where there is no room for more.
	sweepPause, fullSweepPause = time.Hour, 10 * time.Minute
	// tidyTime is how long one scope may keep the others from being tidied, and sizesTime how long it may take to ask what is stored.
	tidyTime, sizesTime = 30 * time.Second, time.Minute
	// probePause is how long a log is left alone that has taken nothing.
	probePause = 2 * time.Second
	// loadTime and loadPause are how long a scope may take to be loaded again, and when that is tried again.
	loadTime, loadPause = 30 * time.Second, time.Second
	// openPause is when a room's scope is opened again that could not be, and damagedPause where what is stored is damaged, which seldom mends itself.
	openPause, damagedPause = 10 * time.Second, 10 * time.Minute
)
