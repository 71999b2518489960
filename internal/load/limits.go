package load

import "time"

// Limits of a plan: what one process can send and measure on time, and more than that is not asked of a server at once.
const (
	maxRooms      = 500
	maxClients    = 1000
	maxPublishers = 24 // of one room: nobody can have more slots (wire.MaxSlotPairs)
	minBitrate    = 50_000
	maxBitrate    = 20_000_000
	maxTraffic    = 2_000_000_000 // bit/s that the server is to send
	minFPS        = 5
	maxFPS        = 60
	maxDuration   = time.Hour
	minRamp       = 0.1 // clients a second
	maxRamp       = 50
)

// Other limits.
const (
	filesPerClient = 2  // a WebSocket and a UDP socket
	otherFiles     = 64 // what a process has open besides
	firstPairs     = 4  // slots to begin with (docs/protocol.md section 9.1)
	firstVideos    = 1
	maxVideos      = 8
	maxEvents      = 4096 // of a session that have not been looked at
	maxMessage     = 8 << 20
	maxCauses      = 32 // kinds of faults that are told apart
	maxFaults      = 16 // of one client

	nudges     = 7 // see there
	firstNudge = 3 * time.Millisecond
	maxChecks  = 256 // of a pair: pion gives up after 8, which with nudges are over in half a second; browsers go on

	pingTries = 5 // of which the quickest counts

	joinTimeout  = 15 * time.Second // from the first byte to media that can flow
	pathTimeout  = 6 * time.Second  // the same where a Path is tried: nearby, that is long
	replyTimeout = 10 * time.Second
	leaveTimeout = 3 * time.Second
	settleTime   = 3 * time.Second // for first pictures, after the last join
	statusEvery  = 500 * time.Millisecond
	lateSending  = 20 * time.Millisecond // as late as this, the machine is too busy to measure well
)
