package transport

import (
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/sdp"
)

// reported returns what the client's sender report means by its timestamp; not ok: it cannot be made out.
//
// A report tells the timestamp of its own moment: that of the last packet, and the time since that one was captured. libwebrtc
// counts that time at 8 kHz where the packet's payload type is redundancy, whose clock rate it does not know
// (bugs.webrtc.org/6458). Voices of Chromium would come 17 to 33 ms late, by chance, and later from a busy machine. Such a report
// is recognised by what it says of the time since, and what is missing is added. One report may mislead, where it or the packet has
// been held up; so the last few decide together. Where the report's packet is lost or has been overtaken, the packet that is here is
// taken to be as old as the last one was: a report that counts for nothing would let the clocks drift apart.
func (r *receiver) reported(now time.Time, told uint32) (timestamp uint32, ok bool) {
	i := slices.IndexFunc(r.section.neg.Codecs, func(c sdp.Codec) bool { return c.PayloadType == r.heard })
	if i < 0 || !r.section.neg.Codecs[i].IsRED() {
		return told, true
	}
	ticks, since := told-r.heardTS, now.Sub(r.heardAt)
	right, wrong := seconds(ticks, r.section.rate), seconds(ticks, bogusRate)
	ordered := int32(ticks) >= 0
	fits := ordered && wrong <= since+leastAge+ageRange
	switch {
	case ordered && right > since+leastAge:
		r.bogus = max(r.bogus-1, -maxVotes)
	case fits:
		r.bogus = min(r.bogus+1, maxVotes)
	}
	switch {
	case r.bogus < 0 || r.bogus == 0 && ordered && right > since+leastAge:
		return told, true
	case fits:
		r.age = wrong - since
	}
	return r.heardTS + uint32((since+r.age)*time.Duration(r.section.rate)/time.Second), r.age > 0
}

const (
	bogusRate = 8000 // Hz
	maxVotes  = 3    // reports by which one side can be ahead

	// When a packet arrives, its first sample was captured as long ago as it lasts, or somewhat longer.
	leastAge = 15 * time.Millisecond
	ageRange = 75 * time.Millisecond
)

// seconds returns how long a number of ticks is.
func seconds(ticks, rate uint32) time.Duration {
	return time.Duration(ticks) * time.Second / time.Duration(rate)
}
