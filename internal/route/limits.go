package route

import "time"

// MaxEncodings is how many a Producer has; more that are configured are left out.
const MaxEncodings = 3

// Limits of a Pipe.
const (
	// MaxPipePackets and MaxPipeBytes are what one PipeBatch holds: more than arrives between two turns of a loop.
	MaxPipePackets = 256
	MaxPipeBytes   = 512 << 10

	// wishInterval is how often a Wish is repeated, and wishFor how long it counts without that.
	wishInterval = 2 * time.Second
	wishFor      = 10 * time.Second

	// pipeMargin is how many bytes longer a packet may be on a Pipe than when it came: extensions in the two-byte form, a wider
	// picture id.
	pipeMargin = 32
)

// Limits of redundancy of audio.
const (
	redundantFrames   = 2    // that are put in front of each packet under loss
	historyFrames     = 16   // of a Producer that are kept: its newest in a batch, and those before
	maxRedundantBytes = 400  // of a frame that is repeated; beyond, three would not fit a packet
	maxREDBytes       = 1150 // of a payload that is put together

	newestFor = 60 * time.Millisecond // who begins to listen gets a packet no older than the longest that is usual
)
