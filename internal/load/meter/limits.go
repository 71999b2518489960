package meter

import "time"

// Limits.
const (
	window     = 1024 // numbers of a stream that are remembered; a power of two, and of 64
	maxMissing = 256  // numbers that are asked for at a time
	maxAsks    = 10   // for one number, as libwebrtc has it
	maxFrames  = 64   // frames of a picture that are put together at a time
	Sizes      = 3    // encodings of a picture
	maxKnown   = 512  // publications of a room, slots of a client

	firstRoundTrip = 100 * time.Millisecond // as long as none is known
	minRoundTrip   = 10 * time.Millisecond
	patience       = 500 * time.Millisecond // without a new frame although packets come, before a key frame is asked for
	keyAgain       = time.Second            // between two such requests
	afterglow      = time.Second            // how long packets of a slot's last publication may still come in
)
