package rtp

// Limits that the wire formats set.
const (
	maxBlocks = 31  // report blocks in one SR or RR: a five-bit count
	maxCNAME  = 255 // bytes of a CNAME: an eight-bit length
)
