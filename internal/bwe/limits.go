package bwe

import "time"

// Limits of feedback that is made.
const (
	// Window is how many transport-wide numbers Arrivals reaches back. It is a power of two.
	Window = 1024

	// maxFeedback is how many bytes one call of AppendFeedback appends at most: with SRTCP around it, less than any path's MTU.
	maxFeedback = 1100
)

// Limits of feedback that is read.
const (
	// MaxInFlight is how many packets a Sender reaches back at most. It begins with minInFlight and doubles when feedback is missing
	// about packets younger than flightAge. Both are powers of two.
	MaxInFlight = 4096
	minInFlight = 256
	flightAge   = 2 * time.Second

	// MaxStatuses is how many packets one feedback packet may speak of.
	MaxStatuses = MaxInFlight

	// maxLost is how many lost packets Lost tells of; of the others the receiver has to.
	maxLost = 256

	// feedbackRate and feedbackBurst bound the feedback packets that are read in a second and at once. Browsers send 4 to 20 a second.
	feedbackRate  = 100
	feedbackBurst = 50
)

// Bounds of an estimate.
const (
	// StartBitrate is assumed before anything is known.
	StartBitrate = 1 * Mbps
	// MinBitrate is never fallen below: it carries voice, and enough feedback to rise again.
	MinBitrate = 50 * Kbps
	// MaxBitrate is never exceeded, whatever a receiver claims.
	MaxBitrate = 50 * Mbps
)
