package bwe

// Limits.
const (
	// Window is how many transport-wide numbers Arrivals reaches back. It is a power of two.
	Window = 1024

	// maxFeedback is how many bytes one call of AppendFeedback appends at most: with SRTCP around it, less than any path's MTU.
	maxFeedback = 1100
)
