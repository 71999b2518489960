package sim

import "time"

const (
	// InboxSize is how many datagrams wait at an endpoint that does not read; more are dropped, as by a full receive buffer.
	InboxSize = 4096
	// DefaultQueue is how many bytes wait in front of a link's rate unless Link.Queue says otherwise.
	DefaultQueue = 128 << 10
	// DefaultReorderBy is how much later a reordered datagram comes unless Link.ReorderBy says otherwise.
	DefaultReorderBy = 10 * time.Millisecond
	// MaxNATMappings is how many ports a NAT maps, and how many pairs of endpoints its filter knows; what needs one more does not pass.
	MaxNATMappings = 4096

	// headerBytes is what IPv4 and UDP add to a datagram on a link with a rate.
	headerBytes = 28
	// maxDatagram is the longest UDP datagram over IPv4.
	maxDatagram = 65507
	firstPort   = 49152 // RFC 6335: dynamic ports
	// firstNATPort is the first that a NAT takes. Up to the last one there are more than MaxNATMappings.
	firstNATPort = 20000

	bufferBytes = 2048 // of a buffer that is used again
	maxFree     = 4096 // buffers kept for it
)
