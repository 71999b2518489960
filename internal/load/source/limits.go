package source

import "time"

// Limits.
const (
	maxPayload  = 1160                   // bytes: with headers, extensions, RTX and SRTP a packet stays below 1280, which every path carries
	minFrame    = 64                     // bytes of a video frame: room for a head and a stamp
	keyFactor   = 4                      // a key frame is so many times as long as another
	KeyInterval = 300 * time.Millisecond // between two key frames, as libwebrtc has it
)
