// Package bwe estimates bandwidth, in both directions, by feedback of draft-holmer-rmcat-transport-wide-cc-extensions-01 about
// transport-wide sequence numbers. Arrivals tells a publisher how its packets arrive, so that its own estimate can rise. Sender
// estimates what may be sent to a subscriber, from the feedback that comes back: draft-ietf-rmcat-gcc-02, with the differences that
// docs/decisions/0011-bandwidth.md explains.
package bwe

import "time"

// Bitrate is in bits per second.
type Bitrate int64

// Units of a Bitrate.
const (
	Kbps Bitrate = 1000
	Mbps Bitrate = 1000 * Kbps
)

// Over returns the Bitrate of so many bytes in d; 0 where d is not positive.
func Over(bytes int, d time.Duration) Bitrate {
	if d <= 0 {
		return 0
	}
	return Bitrate(float64(bytes) * 8 / d.Seconds())
}

// Bytes returns how many bytes b carries in d.
func (b Bitrate) Bytes(d time.Duration) int { return int(float64(b) / 8 * d.Seconds()) }

// times returns b multiplied by x.
func (b Bitrate) times(x float64) Bitrate { return Bitrate(float64(b) * x) }
