package transport

import (
	"time"

	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// downlink is which part of the packets that the server sends is lost on the way to the client, by its receiver reports; and with it
// goes redundancy of audio on and off. Numbers that the publisher's loss has left open do not count.
type downlink struct {
	expected, lost int64   // since fraction was brought up to date
	fraction       float32 // smoothed
	known          bool
	lossy          bool
	calmSince      time.Time // while lossy: since when the loss is small; zero: it is not
}

// reported is what the last report about a slot said, and how far the slot was then.
type reported struct {
	known   bool
	highest uint32
	lost    int32
	number  int64
	packets uint32
}

const (
	lossSample = 50               // packets that make a measurement: a second of audio
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
	holes := max(number-before.number-int64(packets-before.packets), 0)
	expected = max(expected-holes, 0)
	return expected, min(max(lost-holes, 0), expected)
}

// heard takes a report block about a slot.
func (t *Transport) heard(now time.Time, s *slot, b *rtp.ReportBlock) {
	expected, lost := s.reported.since(s, b)
	t.lossReport(now, s, int(expected), int(lost))
	d := &t.downlink
	d.expected += expected
	d.lost += lost
	if d.expected < lossSample {
		return
	}
	d.update(now)
	for _, s := range t.slots {
		if s.neg.Kind == sdp.Audio {
			s.consumer.SetLoss(now, d.fraction)
			s.consumer.SetLossy(d.lossy)
		}
	}
}

// update smooths what was measured, and decides.
func (d *downlink) update(now time.Time) {
	fraction := float32(d.lost) / float32(d.expected)
	if d.known {
		fraction = (d.fraction + fraction) / 2
	}
	d.expected, d.lost, d.fraction, d.known = 0, 0, fraction, true
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
