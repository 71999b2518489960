package rtp

import "time"

// ReceiverStats counts one received stream for the report block about it (RFC 3550 appendices A.1, A.3 and A.8). Packets that
// came by retransmission are not shown to it: the publisher should see the loss that its network has.
type ReceiverStats struct {
	unwrap        SequenceUnwrapper
	base, highest int64
	received      uint64

	expectedPrior, receivedPrior uint64

	epoch   time.Time // first arrival
	transit int64     // arrival − timestamp, in timestamp units
	jitter  uint32    // × 16, as A.8 computes it

	lastSR   uint32
	lastSRAt time.Time
}

// Received counts a packet with this sequence number and timestamp, of a stream whose clock runs at rate Hz.
func (s *ReceiverStats) Received(seq uint16, timestamp, rate uint32, now time.Time) {
	index := s.unwrap.Unwrap(seq)
	if s.received == 0 {
		s.base, s.highest, s.epoch = index, index, now
	}
	s.base = min(s.base, index) // reordered at the very beginning
	s.highest = max(s.highest, index)
	s.received++

	arrival := int64(now.Sub(s.epoch)) / int64(time.Microsecond) * int64(rate) / 1e6
	transit := int64(int32(uint32(arrival) - timestamp)) // modulo 2^32, as timestamps wrap
	if s.received > 1 {
		d := int64(int32(uint32(transit) - uint32(s.transit)))
		if d < 0 {
			d = -d
		}
		// A.8 in integers: J += (|D| − J) / 16. A timestamp that jumps (a new source) must not throw the value off for long.
		d = min(d, int64(rate))
		s.jitter += uint32(d) - (s.jitter+8)>>4
	}
	s.transit = transit
}

// SenderReport notes that the stream's SR with this NTP time arrived at now.
func (s *ReceiverStats) SenderReport(ntp uint64, now time.Time) {
	s.lastSR, s.lastSRAt = CompactNTP(ntp), now
}

// Seen reports whether any packet has been received.
func (s *ReceiverStats) Seen() bool { return s.received > 0 }

// Lost returns how many packets are missing since the beginning; negative with duplicates.
func (s *ReceiverStats) Lost() int64 { return int64(s.expected()) - int64(s.received) }

func (s *ReceiverStats) expected() uint64 {
	if s.received == 0 {
		return 0
	}
	return uint64(s.highest-s.base) + 1
}

// Block returns the report block about the stream ssrc. Its fraction lost covers the time since the call before.
func (s *ReceiverStats) Block(ssrc uint32, now time.Time) ReportBlock {
	b := ReportBlock{
		SSRC:    ssrc,
		Lost:    int32(min(max(s.Lost(), -1<<23), 1<<23-1)),
		Highest: uint32(s.highest - s.base&^0xFFFF), // cycles count from the first packet
		Jitter:  s.jitter >> 4,
		LastSR:  s.lastSR,
	}
	if s.lastSR != 0 {
		b.Delay = CompactDuration(now.Sub(s.lastSRAt))
	}
	expected := s.expected() - s.expectedPrior
	received := s.received - s.receivedPrior
	if expected > received { // A.3
		b.FractionLost = uint8(min((expected-received)<<8/expected, 255))
	}
	s.expectedPrior, s.receivedPrior = s.expected(), s.received
	return b
}
