package nats

import (
	"time"

	"github.com/parley-rtc/parley/internal/bus"
)

// Limits of the embedded server.
const (
	// maxPayload leaves room for headers.
	maxPayload = bus.MaxStoredBytes + 64<<10
	// maxPending is what the server keeps for each connection; more ends it.
	maxPending = 64 << 20
	// maxMemory of streams in memory, of which there are none.
	maxMemory = 1 << 20
	// maxStore of all logs together; each has its own limit below it.
	maxStore = 1 << 40
	// A batch of one reading has firstBytes, then twice as many each time, up to readBytes, and the message that goes beyond; and so many messages.
	firstBytes   = 128 << 10
	readBytes    = 1 << 20
	readMessages = 256
	// maxReading batches are on their way at once: less than maxPending, whatever the size of messages.
	maxReading = 4
	// readPause without a message of a batch, and it is asked for again; so often in a row.
	readPause, readTries = 2 * time.Second, 5
	// connectPause is how long there is no connection where the server has ended it.
	connectPause = 10 * time.Millisecond
	// startTime is how long it may take to read what is there.
	startTime = 30 * time.Second
)

// tooManyBytes is how the server says that a log is full; the error has no code of its own.
const tooManyBytes = "maximum bytes exceeded"
