package relay

import (
	"net/netip"

	"github.com/parley-rtc/parley/internal/datagram"
)

// run is neighbours to one destination that leave as one message with segmentation offload: all of the same size, but for the last, which
// may be smaller.
type run struct {
	to, from    netip.AddrPort
	size, bytes int
	segments    int
	closed      bool // a shorter datagram has ended it
}

// begin makes r the run of one datagram of n bytes.
func (r *run) begin(to, from netip.AddrPort, n int) {
	*r = run{to: to, from: from, size: n, bytes: n, segments: 1, closed: n == 0}
}

// join takes one more datagram into the run, if it may be part of it. An empty datagram cannot: it would not be a segment.
func (r *run) join(to, from netip.AddrPort, n int) bool {
	if r.closed || n == 0 || n > r.size || r.segments == datagram.MaxRunSegments || r.bytes+n > datagram.MaxRunBytes ||
		r.to != to || r.from != from {
		return false
	}
	r.bytes, r.segments, r.closed = r.bytes+n, r.segments+1, n < r.size
	return true
}
