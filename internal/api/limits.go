package api

import (
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Limits of what is told of stored rooms.
const (
	// MaxStoredRooms in one answer.
	MaxStoredRooms = 10_000
	// MaxNamedRooms in one request: with the longest names they fit its head.
	MaxNamedRooms = 32
)

// Limits of one batch.
const (
	// MaxItems in one batch.
	MaxItems = wire.MaxBulkNames
	// MaxBodyBytes of a batch.
	MaxBodyBytes = wire.MaxMessageBytes
	// MaxAnswerBytes of what is answered together. Items beyond it are not carried out.
	MaxAnswerBytes = 2 << 20
	// MaxBatchTime after which no item of a batch is begun: the answer has to be written while somebody waits for it.
	MaxBatchTime = 30 * time.Second
)
