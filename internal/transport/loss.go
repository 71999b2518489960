package transport

import (
	"time"

	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// downlink is which part of the packets that the server sends is lost on the way to the client, by its receiver reports; and with it
// goes redundancy of audio on and off. Numbers that the publisher's loss has left open do not count.
type downlink struct {
	once, twice tally   // since fraction was brought up to date, of packets that are sent so often
	fraction    float32 // smoothed, of what is sent once
	known       bool
	lossy       bool
	calmSince   time.Time // while lossy: since when the loss is small; zero: it is not
}

// tally is packets of which reports have told.
type tally struct{ expected, lost int64 }

func (y *tally) add(expected, lost int64) { y.expected, y.lost = y.expected+expected, y.lost+lost }

// reported is what the last report about a slot said, and how far the slot was then.
type reported struct {
	known   bool
	highest uint32
	lost    int32
	number  int64
	packets uint32
}

const (
	lossSample = 50               // packets that make a measurement: a second of audio;
	rareSample = 3 * lossSample   // of those that are sent twice, of which few are lost
	lossyAt    = 0.02             // a loss that needs redundancy: Opus conceals less without being noticed
	calmBelow  = 0.005            // one that does not,
	calmFor    = 10 * time.Second // once it has been as small for so long
)

// since returns how many packets went out that the report is about and the one before was not, and how many of them are lost.
func (r *reported) since(s *slot, b *rtp.ReportBlock) (expected, lost int64) {
	before := *r
	number, packets := s.consumer.Sent()
	*r = reported{true, b.Highest, b.Lost, number, packets}
	expected, lost = int64(int32(b.Highest-before.highest)), int64(b.Lost-before.lost)
	if !before.known || expected <= 0 {
		return 0, 0
	}
	holes := max(number-before.number-int64(int32(packets-before.packets)), 0)
	expected = max(expected-holes, 0)
	return expected, min(max(lost-holes, 0), expected)
}

// heard takes a report block about a slot.
func (t *Transport) heard(now time.Time, s *slot, b *rtp.ReportBlock) {
	expected, lost := s.reported.since(s, b)
	t.lossReport(now, s, int(expected), int(lost))
	d := &t.downlink
	if s.neg.Kind == sdp.Audio && s.consumer.Repeats() {
		d.twice.add(expected, lost)
	} else {
		d.once.add(expected, lost)
	}
	if !d.update(now) {
		return
	}
	for _, s := range t.slots {
		if s.neg.Kind == sdp.Audio {
			s.consumer.SetLoss(now, d.fraction)
			s.consumer.SetLossy(d.lossy)
			if s.repeat == nil && s.consumer.Repeats() {
				s.repeat = new(repeat)
			}
		}
	}
}

// update smooths what was measured, and decides; or reports false where that is too little yet.
func (d *downlink) update(now time.Time) bool {
	sample := d.once
	if sample.expected < lossSample {
		if d.twice.expected < rareSample {
			return false
		}
		sample.add(d.twice.expected, lostOnce(d.twice.expected, d.twice.lost))
	}
	fraction := float32(sample.lost) / float32(sample.expected)
	if d.known {
		fraction = (d.fraction + fraction) / 2
	}
	d.once, d.twice, d.fraction, d.known = tally{}, tally{}, fraction, true
	switch {
	case fraction >= lossyAt:
		d.lossy, d.calmSince = true, time.Time{}
	case fraction >= calmBelow:
		d.calmSince = time.Time{}
	case d.calmSince.IsZero():
		d.calmSince = now
	case now.Sub(d.calmSince) >= calmFor:
		d.lossy = false
	}
	return true
}

// maxToldLoss is the most downlink loss that a publisher is told: what Opus adds against more costs everybody too much.
const maxToldLoss = 0.2

// tell puts the worst downlink loss among an audio publisher's subscribers into the report block about it, so that its Opus encoder
// sends what makes up for losses (RFC 7587 §3.3; browsers go by the fraction lost). The number of packets lost stays that of its own
// network: from that browsers estimate how fast they can send, and a subscriber's network must not slow the publisher down.
func tell(b *rtp.ReportBlock, downlink float32) {
	uplink := float32(b.FractionLost) / 256
	b.FractionLost = uint8(256 * (1 - (1-uplink)*(1-min(downlink, maxToldLoss))))
}
