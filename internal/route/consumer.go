package route

import (
	"time"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/nack"
	"github.com/parley-rtc/parley/internal/sdp"
)

// phase is where a Consumer stands with its Producer.
type phase uint8

const (
	empty    phase = iota // no Producer
	blanking              // the subscriber has yet to blank its slot
	paused                // nothing is sent for now
	waiting               // for the first packet that a decoder can start with
	flowing
)

// blankTimeout is how long a subscriber has to blank its slot.
const blankTimeout = 250 * time.Millisecond

// Consumer fills one slot of one subscriber. Its SSRC stays the same whatever Producer, Encoding and Layer it has, so its
// sequence numbers, timestamps and picture ids go on without a jump when these change.
//
// Outgoing numbers are the incoming ones plus an offset that changes only where packets are left out on purpose. A number that
// is missing here is therefore one that the publisher's packet loss has left open; when the packet is repaired it takes its old
// place.
type Consumer struct {
	// static after construction
	kind   sdp.Kind
	codecs []sdp.Codec // what the subscriber can decode

	// owned by loop
	producer   *Producer
	phase      phase
	held       bool // paused, as soon as the slot is blanked
	generation uint64
	deadline   time.Time  // blanking: when it ends at the latest
	types      [128]uint8 // the publisher's payload type → the subscriber's; 0: it has none
	rtxTypes   [128]uint8 // the subscriber's payload type → that of its RTX; 0: it has none
	want       Want
	share      share
	target     Layer // what it shall get
	source           // what it gets
	ids        codec.Continuity
	highest    int64      // highest outgoing number so far
	lastTS     uint32     // its timestamp
	lastAt     time.Time  // when it was forwarded; zero: nothing ever was
	reportedTS uint32     // what the last sender report said,
	reportedAt time.Time  // and when; zero: there was none
	anchorTS   uint32     // what the first sender report of this Producer said,
	anchoredAt time.Time  // and when by the publisher's clock; zero: there was none
	rate       uint32     // clock rate of the codec
	packets    uint32     // forwarded, for sender reports
	octets     uint32     // payload bytes of those
	sent       *nack.Sent // nil for audio, which is never sent again
	epoch      uint8      // counts the sources that began
	lossy      bool       // the subscriber needs redundancy of audio
	red        uint8      // its payload type for that; 0: it takes none
	redCarries uint8      // and that of what is inside
	loss       float32    // of what is sent to the subscriber, from 0 to 1
	lossAt     time.Time  // when that was measured
}

// source is a Consumer's present Encoding, from the packet on with which it began.
type source struct {
	current   Layer     // what flows of it
	before    Layer     // what flowed before the last change
	changedAt int64     // the index with which current began
	lowSince  time.Time // since when a temporal layer is missed; zero: none is
	picture   uint32    // the Encoding's timestamp of the newest packet
	numbers   numbers
	first     int64     // the index with which it began
	beganAt   time.Time // when it did
	tsOffset  uint32    // outgoing timestamp − the publisher's
	// Where the source began with a picture that is older than the last one of the source before, outgoing timestamps are
	// squeezed in behind floor until they are beyond it: see timestamp.
	squeezed   bool
	floor      uint32 // the last timestamp of the source before
	unsqueezed uint32 // the first one of this source, without squeezing
}

// NewConsumer returns an empty Consumer for a slot whose subscriber takes these codecs.
func NewConsumer(kind sdp.Kind, codecs []sdp.Codec) *Consumer {
	c := &Consumer{kind: kind}
	if kind == sdp.Video {
		c.sent = new(nack.Sent)
	}
	c.SetCodecs(codecs)
	return c
}

// SetCodecs replaces what the subscriber takes, after a new answer. Payload types may change within a slot.
func (c *Consumer) SetCodecs(codecs []sdp.Codec) {
	c.codecs = codecs
	clear(c.rtxTypes[:])
	for _, x := range codecs {
		c.rtxTypes[x.PayloadType&0x7f] = x.RTX
	}
	if c.producer != nil {
		c.mapTypes()
	}
}

// Assign stops the slot's Producer and makes p the next one; it flows after Ready, or blankTimeout later. What the subscriber wants
// of it is yet to be said. An older generation than the last is ignored.
func (c *Consumer) Assign(now time.Time, p *Producer, generation uint64) {
	if generation < c.generation {
		return
	}
	c.Clear()
	c.generation, c.want, c.share, c.held = generation, DefaultWant, share{}, false
	if p == nil || p.Kind() != c.kind {
		return
	}
	c.producer, c.phase, c.deadline = p, blanking, now.Add(blankTimeout)
	c.mapTypes()
}

// Clear empties the slot.
func (c *Consumer) Clear() {
	if c.producer != nil {
		c.producer.detach(c)
	}
	c.producer, c.phase, c.deadline, c.anchoredAt = nil, empty, time.Time{}, time.Time{}
}

// Ready says that the subscriber has blanked the slot for this generation.
func (c *Consumer) Ready(generation uint64) {
	if c.phase == blanking && generation == c.generation {
		c.start()
	}
}

// Timeout starts a Producer for which the subscriber did not answer in time.
func (c *Consumer) Timeout(now time.Time) {
	if c.phase == blanking && !now.Before(c.deadline) {
		c.start()
	}
}

// Next returns when Timeout has something to do; zero: never.
func (c *Consumer) Next() time.Time { return c.deadline }

func (c *Consumer) start() {
	c.phase, c.deadline = waiting, time.Time{}
	c.target = all
	if c.held {
		c.phase = paused
	}
	c.producer.attach(c)
	c.producer.change()
	c.WantKeyFrame()
}

// all is the target before anybody knows which layers there are.
var all = Layer{Spatial: codec.SpatialLayers - 1, Temporal: codec.TemporalLayers - 1}

// mapTypes relates the publisher's payload types to the subscriber's.
func (c *Consumer) mapTypes() {
	clear(c.types[:])
	for _, theirs := range c.producer.Codecs() {
		for _, ours := range c.codecs {
			if ours.Matches(theirs) {
				c.types[theirs.PayloadType&0x7f] = ours.PayloadType
				c.rate = ours.ClockRate
				break
			}
		}
	}
	c.mapRED()
}

// Producer returns what fills the slot and flows, or waits for a key frame; nil: nothing does.
func (c *Consumer) Producer() *Producer {
	if c.phase < waiting {
		return nil
	}
	return c.producer
}

// Mark returns the mark of what fills the slot, be it that nothing flows yet: see Router.Marks.
func (c *Consumer) Mark() uint64 {
	if c.producer == nil {
		return 0
	}
	return c.producer.mark
}

// Want returns what the subscriber has said.
func (c *Consumer) Want() Want { return c.want }

// SetWant notes what the subscriber says of what fills the slot.
func (c *Consumer) SetWant(now time.Time, w Want) {
	c.want = w
	c.aim(now)
}

// aim chooses the target by the wanted size, and by what there is room for.
func (c *Consumer) aim(now time.Time) {
	switch {
	case c.want.Paused, c.share.starved:
		c.Pause()
	case c.Producer() == nil && c.phase != paused:
		c.held = false
	default:
		c.SetTarget(c.choose(c.producer.Layers(now)))
	}
}

// SetTarget decides which layer the subscriber shall get, and ends a pause. Going down begins with the next picture, within an
// encoding; going up, and to another encoding, with a packet that a decoder can go on with.
func (c *Consumer) SetTarget(l Layer) {
	c.held, c.target = false, l
	if c.phase == paused {
		c.phase = waiting
	}
	if c.phase == waiting || c.phase == flowing && (l.Encoding != c.current.Encoding || l.Spatial > c.current.Spatial) {
		c.producer.Encoding(l.Encoding).RequestKeyFrame()
	}
}

// Target returns the layer that the subscriber shall get.
func (c *Consumer) Target() Layer { return c.target }

// Current returns the layer that the subscriber gets; not ok: it gets nothing.
func (c *Consumer) Current() (l Layer, ok bool) { return c.current, c.phase == flowing }

// Pause sends nothing until SetTarget.
func (c *Consumer) Pause() {
	c.held = true
	if c.phase >= waiting {
		c.phase = paused
	}
}

// Report returns what a sender report says of this Consumer at the server's time now: the timestamp that belongs to now, and
// the number of packets and payload bytes so far. It is not ok before the publisher has sent its own report.
func (c *Consumer) Report(now time.Time) (timestamp, packets, octets uint32, ok bool) {
	if c.phase != flowing {
		return 0, 0, 0, false
	}
	theirs, ok := c.encoding().timeline.At(now)
	if !ok {
		return 0, 0, 0, false
	}
	c.reportedTS, c.reportedAt = theirs+c.tsOffset, now
	if wall, ok := c.producer.wall(now); ok && c.anchoredAt.IsZero() {
		c.anchorTS, c.anchoredAt = c.reportedTS, wall
	}
	return c.reportedTS, c.packets, c.octets, true
}

// encoding returns the Encoding that flows.
func (c *Consumer) encoding() *Encoding { return c.producer.Encoding(c.current.Encoding) }

// Began returns when the present source began to flow; zero: nothing flows.
func (c *Consumer) Began() time.Time {
	if c.phase != flowing {
		return time.Time{}
	}
	return c.beganAt
}

// Source returns a number that changes when another source begins to flow, and whether one flows.
func (c *Consumer) Source() (number uint8, flows bool) { return c.epoch, c.phase == flowing }

// Restart sends nothing more until the next key frame, and asks for that.
func (c *Consumer) Restart() {
	if c.phase == flowing {
		c.phase = waiting
	}
	c.WantKeyFrame()
}

// WantKeyFrame asks for the key frame that a waiting Consumer needs, once its subscriber can be sent to.
func (c *Consumer) WantKeyFrame() {
	if c.phase == waiting {
		c.producer.Encoding(c.target.Encoding).RequestKeyFrame()
	}
}

// RequestKeyFrame passes the subscriber's request on.
func (c *Consumer) RequestKeyFrame() {
	if c.phase == flowing {
		c.encoding().RequestKeyFrame()
	}
	c.WantKeyFrame()
}
