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
	// headsMessages are asked for at once where heads alone are wanted.
	headsMessages = 4096
	// maxReading batches are on their way at once: less than maxPending, whatever the size of messages.
	maxReading = 4
	// readPause without a message of a batch, and it is asked for again; so often in a row.
	readPause, readTries = 2 * time.Second, 5
	// connectPause is how long there is no connection where the server has ended it.
	connectPause = 10 * time.Millisecond
	// startTime is how long it may take to read what is there.
	startTime = 30 * time.Second
	// suspectTime is after which it is looked why something was not written. Where the disk takes nothing it is tried again after faultPause, and twice as long after each further try,
	// up to maxFaultPause; it does when it takes a file of probeBytes, which is more than any message.
	suspectTime               = time.Second
	faultPause, maxFaultPause = time.Second, 30 * time.Second
	probeBytes                = 2 * bus.MaxStoredBytes
	// complaintPause is how long nothing more is logged about what cannot be read.
	complaintPause = time.Hour
)

// tooManyBytes is how the server says that a log is full; the error has no code of its own.
const tooManyBytes = "maximum bytes exceeded"
