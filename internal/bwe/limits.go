package bwe

// Limits.
const (
	// Window is how many transport-wide numbers Arrivals reaches back. It is a power of two.
	Window = 1024

	// maxArrivals is how many arrivals one feedback packet reports: with two bytes each it stays below 1,200 bytes.
	maxArrivals = 400
)
