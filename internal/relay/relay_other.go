//go:build !linux

package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"github.com/parley-rtc/parley/internal/datagram"
)

// Relay is not there on this system: it is made of what only Linux has. Open says so.
type Relay struct{}

// Open reports that there is no relay on this system: errors.ErrUnsupported.
func Open(Config) (*Relay, error) {
	return nil, fmt.Errorf("a STUN and TURN server needs Linux, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// UDP returns nothing.
func (*Relay) UDP() []netip.AddrPort { return nil }

// DTLS returns nothing.
func (*Relay) DTLS() []netip.AddrPort { return nil }

// Batch has no room.
func (*Relay) Batch(*datagram.Batch) bool { return false }

// Serve does nothing.
func (*Relay) Serve(net.Conn, datagram.Pair) {}

// FromMedia has no room.
func (*Relay) FromMedia(run datagram.Run) (dropped int) { return run.Segments }

// Recheck does nothing.
func (*Relay) Recheck() {}

// RecheckUser does nothing.
func (*Relay) RecheckUser(string) {}

// Stats returns nothing.
func (*Relay) Stats() (s Stats) { return s }

// Close does nothing.
func (*Relay) Close() error { return nil }
