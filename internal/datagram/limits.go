package datagram

const (
	// BatchSize is how many datagrams one Batch holds at most.
	BatchSize = 32

	// MaxBytes is the largest datagram that is received; longer ones are dropped as drop.Oversized.
	MaxBytes = 2048

	// MaxRunSegments and MaxRunBytes bound a Run so that it fits one GSO message on every kernel that has GSO.
	MaxRunSegments = 50
	MaxRunBytes    = 65000
)
