package port

import "time"

// Limits bound what strangers can hold open. A limit that is 0 is the default.
type Limits struct {
	// Connections are all TCP connections, PerSource those of one IPv4 address or IPv6 /64.
	Connections, PerSource int
	// HalfOpen are those of which it is not yet known what they are: one more closes the oldest, which has had the most time.
	// HalfOpenPerSource are those of one source: one more is refused.
	HalfOpen, HalfOpenPerSource int
	// Streams are ICE-TCP connections: each may hold udp.MediaRingBytes and udp.ControlRingBytes. StreamsPerSource are those of one source.
	Streams, StreamsPerSource int
	// TURN are connections to the STUN and TURN server, TURNPerSource those of one source: one for each client, and one more for each of its
	// connections to a peer (RFC 6062).
	TURN, TURNPerSource int
}

func (l Limits) withDefaults() Limits {
	for _, x := range []struct {
		v   *int
		def int
	}{
		{&l.Connections, DefaultConnections},
		{&l.PerSource, DefaultPerSource},
		{&l.HalfOpen, DefaultHalfOpen},
		{&l.HalfOpenPerSource, DefaultHalfOpenPerSource},
		{&l.Streams, DefaultStreams},
		{&l.StreamsPerSource, DefaultStreamsPerSource},
		{&l.TURN, DefaultTURN},
		{&l.TURNPerSource, DefaultTURNPerSource},
	} {
		if *x.v == 0 {
			*x.v = x.def
		}
	}
	return l
}

const (
	DefaultConnections       = 12288
	DefaultPerSource         = 768 // an office behind one address: a page for each, and TURN besides
	DefaultHalfOpen          = 512
	DefaultHalfOpenPerSource = 64
	DefaultStreams           = 1024
	DefaultStreamsPerSource  = 256 // an office without UDP, some connections for each; no source alone takes more than a quarter
	DefaultTURN              = 4096
	DefaultTURNPerSource     = 256

	// SniffTimeout: after it a connection is judged by what it has sent, and closed if that is nothing.
	SniffTimeout = 5 * time.Second
	// HandshakeTimeout is for the whole TLS handshake.
	HandshakeTimeout = 10 * time.Second

	// tidyEvery is how often half of the batches that nobody has used meanwhile are given up.
	tidyEvery = 5 * time.Second

	sniffBytes = 10 // up to the end of STUN's magic cookie in an RFC 4571 frame

	maxBacklog     = 128     // HTTP connections that nobody has accepted yet
	maxIdleBatches = 64      // batches kept for the next reader, 66 KiB each
	idleBatches    = 4       // as many stay when nothing is read
	maxPairs       = 1 << 18 // pairs of addresses that all owners together have validated
	firstBuckets   = 1 << 10 // where the table of pairs starts
	maxTries       = 16      // to find a number that is free for both protocols

	strayRate  = 200 // packets a second of media from unknown addresses that owners look at
	strayBurst = 50

	// patience is how long feedback about arrivals may wait to be read with something else, where there is much of it.
	patience = 10 * time.Millisecond

	readPause      = 10 * time.Millisecond // after an error of the UDP socket
	acceptPause    = 5 * time.Millisecond  // after an error of the listener, doubling
	maxAcceptPause = time.Second
)
