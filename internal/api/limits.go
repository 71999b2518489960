package api

import "github.com/parley-rtc/parley/wire"

// Limits of one batch.
const (
	// MaxItems in one batch.
	MaxItems = wire.MaxBulkNames
	// MaxBodyBytes of a batch.
	MaxBodyBytes = wire.MaxMessageBytes
	// MaxAnswerBytes of what is answered together. Items beyond it are not carried out.
	MaxAnswerBytes = 2 << 20
)
