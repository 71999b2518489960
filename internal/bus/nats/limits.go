package nats

import (
	"time"

	"github.com/parley-rtc/parley/internal/bus"
)

// Limits of the embedded server.
const (
	// maxPayload leaves room for headers.
	maxPayload = bus.MaxStoredBytes + 64<<10
	// maxPending is what the server keeps for its one client.
	maxPending = 64 << 20
	// maxMemory of streams in memory, of which there are none.
	maxMemory = 1 << 20
	// maxStore of all logs together; each has its own limit below it.
	maxStore = 1 << 40
	// readBytes are on their way to one reader, at most. More than one message of any size always fits.
	readBytes = 4 * maxPayload
	// readPause without a message, so often, is the end of reading where there are some.
	readPause, readPauses = 2 * time.Second, 5
	// startTime is how long it may take to read what is there.
	startTime = 30 * time.Second
)

// tooManyBytes is how the server says that a log is full; the error has no code of its own.
const tooManyBytes = "maximum bytes exceeded"
