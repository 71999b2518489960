package pacer

import "time"

// Limits of what waits in one Pacer. What is beyond them is dropped, oldest frame first.
const (
	MaxPackets = 512
	MaxBytes   = 512 << 10
	// MaxAge is how long a packet waits. A key frame has to get through a slow path within it, or none ever would.
	MaxAge = 2 * time.Second

	firstPackets = 32 // room in the queue when it is first needed
)
