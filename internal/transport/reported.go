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
// been held up; so the last few decide together.
func (r *receiver) reported(now time.Time, told uint32) (timestamp uint32, ok bool) {
	i := slices.IndexFunc(r.section.neg.Codecs, func(c sdp.Codec) bool { return c.PayloadType == r.heard })
	if i < 0 || !r.section.neg.Codecs[i].IsRED() {
		return told, true
	}
	ticks := told - r.heardTS
	right, wrong := seconds(ticks, r.section.rate), seconds(ticks, bogusRate)
	least := now.Sub(r.heardAt) + leastAge
	fits := wrong <= least+ageRange // otherwise the report's packet has not come yet, or is lost
	switch {
	case int32(ticks) < 0:
		return 0, false // the packet has overtaken the report
	case right > least:
		r.bogus = max(r.bogus-1, -maxVotes)
	case fits:
		r.bogus = min(r.bogus+1, maxVotes)
	default:
		return 0, false
	}
	if r.bogus < 0 || r.bogus == 0 && right > least {
		return told, true
	}
	return r.heardTS + ticks*(r.section.rate/bogusRate), fits
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
