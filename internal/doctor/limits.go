package doctor

import "time"

const (
	// maxArrivals is how many datagrams wait for an examination of the NAT; a reader waits while it is full.
	maxArrivals = 64
	// stunTimeout is how long a server has to take a connection and to answer one request.
	stunTimeout = 4 * time.Second
)

const (
	// maxClockError is how far a clock may be off. Tokens allow for a minute between two clocks (auth.MaxSkew).
	maxClockError = 10 * time.Second
	// maxClockStep is more than a clock that is slewed, or read late, is off after some seconds.
	maxClockStep = 100 * time.Millisecond
	// littleMemory is what a server with one full room comfortably runs in.
	littleMemory = 256 << 20
)
