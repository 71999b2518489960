package nack

import "time"

// Limits. What is beyond them is forgotten: its place in a ring belongs to something newer.
const (
	// Window is how many packets behind the newest one a Register, a Cache of the default size and a Sent reach back. It is a
	// power of two.
	Window = 512
	// MaxPacket is the longest packet that a Cache keeps.
	MaxPacket = 1500
	// MaxTries is how often one packet is asked for, and how often one is sent again to one subscriber.
	MaxTries = 10
	// MaxAge is for how long a missing packet is asked for.
	MaxAge = time.Second
	// MaxResendAge is how long after it was last sent a packet may still be sent again.
	MaxResendAge = 2 * time.Second
	// Reordering is how late a packet may be before it is asked for.
	Reordering = 10 * time.Millisecond
	// MinInterval is the least time between two requests for one packet; the round-trip time where that is longer.
	MinInterval = 20 * time.Millisecond
	// MinResendInterval is the least time between two resends of one packet; the round-trip time where that is longer.
	MinResendInterval = 10 * time.Millisecond

	// resendShare is the part of the media, 1/resendShare, that may be sent again on top of it, and resendBurst the bytes that
	// may be saved up. A subscriber that asks for everything again and again gets no more than that. Where a fifth is lost, a quarter
	// has to be sent again; with what goes out twice, and for requests that crossed a repair, that is a third.
	resendShare = 2
	resendBurst = 128 << 10
)
