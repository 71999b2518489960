package transport

import "time"

// Limits of one Transport.
const (
	maxStreams       = 64   // SSRCs that a client may send, RTX among them
	maxSlots         = 72   // slots: 24 pairs and as many video-only ones
	maxHeaderBytes   = 320  // of an outgoing RTP packet with its extensions
	maxCompoundBytes = 1200 // of an outgoing RTCP compound
	maxNacksAtOnce   = 64   // numbers that one request for repair names
	maxNacksAnswered = 256  // numbers of one request that are answered
	maxPadding       = 128  // packets of padding at once
	maxRepeatedBytes = 512  // of a packet of sound that is sent twice; it is kept for each slot

	// feedbackRate is what is read a second of a client's RTCP: each datagram, each packet in it and each number that it asks for counts as
	// one. A client that fills all its slots on a network that loses a fifth stays below; one that floods is not even decrypted. As much may be saved up.
	feedbackRate = 4000
	// forgedRate is how often a second it is tried to open what then turns out not to be the client's, beyond which a packet has to look like its next.
	forgedRate = 1000

	reportInterval   = time.Second
	feedbackInterval = 50 * time.Millisecond

	// Slack is how much later reports and feedback may be than they are due, so that they go out when packets come by and cost no
	// wake-up of their own.
	Slack = 100 * time.Millisecond
)
