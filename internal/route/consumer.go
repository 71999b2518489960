package route

import (
	"time"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/nack"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// phase is where a Consumer stands with its Producer.
type phase uint8

const (
	empty    phase = iota // no Producer
	blanking              // the subscriber has yet to blank its slot
	waiting               // for the first packet that a decoder can start with
	flowing
)

// blankTimeout is how long a subscriber has to blank its slot.
const blankTimeout = 250 * time.Millisecond

// Consumer fills one slot of one subscriber. Its SSRC stays the same whatever Producer it has, so its sequence numbers,
// timestamps and picture ids go on without a jump when the Producer changes.
//
// Outgoing numbers are the incoming ones plus an offset that is fixed while a Producer lasts. A number that is missing here is
// therefore one that the publisher's packet loss has left open; when the packet is repaired it takes its old place.
type Consumer struct {
	// static after construction
	kind   sdp.Kind
	codecs []sdp.Codec // what the subscriber can decode

	// owned by loop
	producer   *Producer
	phase      phase
	generation uint64
	deadline   time.Time  // blanking: when it ends at the latest
	types      [128]uint8 // the publisher's payload type → the subscriber's; 0: it has none
	rtxTypes   [128]uint8 // the subscriber's payload type → that of its RTX; 0: it has none
	first      int64      // the Producer's index with which this Consumer began
	beganAt    time.Time  // when it did
	seqOffset  int64      // outgoing number − index
	tsOffset   uint32     // outgoing timestamp − the publisher's
	ids        codec.Continuity
	highest    int64      // highest outgoing number so far
	lastTS     uint32     // its timestamp
	lastAt     time.Time  // when it was forwarded; zero: nothing ever was
	reportedTS uint32     // what the last sender report said,
	reportedAt time.Time  // and when; zero: there was none
	rate       uint32     // clock rate of the codec
	packets    uint32     // forwarded, for sender reports
	octets     uint32     // payload bytes of those
	sent       *nack.Sent // nil for audio, which is never sent again
	epoch      uint8      // counts the Producers that began
	lossy      bool       // the subscriber needs redundancy of audio
	red        uint8      // its payload type for that; 0: it takes none
	redCarries uint8      // and that of what is inside
	loss       float32    // of what is sent to the subscriber, from 0 to 1
	lossAt     time.Time  // when that was measured
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

// Assign stops the slot's Producer and makes p the next one; it flows after Ready, or blankTimeout later. An older generation
// than the last is ignored.
func (c *Consumer) Assign(now time.Time, p *Producer, generation uint64) {
	if generation < c.generation {
		return
	}
	c.Clear()
	c.generation = generation
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
	c.producer, c.phase, c.deadline = nil, empty, time.Time{}
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
	c.producer.attach(c)
	c.producer.RequestKeyFrame()
}

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

// Forward decides what becomes of a packet of its Producer, and writes the header that the subscriber gets to h. It patches the
// packet's payload and dependency descriptor in place, for this subscriber alone: they must be sealed before the next Consumer
// forwards the same packet.
func (c *Consumer) Forward(now time.Time, p *Packet, h *rtp.Header) drop.Reason {
	payloadType := c.types[p.Type&0x7f]
	if payloadType == 0 {
		return drop.CodecMismatch
	}
	if c.phase == waiting {
		if c.kind == sdp.Video && !(p.Frame.Key && p.Frame.Start) {
			c.producer.RequestKeyFrame() // the one that was asked for may have been lost, or have come too early
			return drop.NoKeyFrame
		}
		c.begin(now, p)
	}
	if p.Index < c.first {
		return drop.TooLate
	}
	c.render(p, payloadType, h)
	if c.kind == sdp.Video && !p.Padding {
		c.ids.Apply(&p.Frame.IDs, p.Payload, p.Dependency)
	}
	if number := p.Index + c.seqOffset; number > c.highest || c.lastAt.IsZero() {
		c.highest, c.lastTS, c.lastAt = number, h.Timestamp, now
	}
	c.packets++
	c.octets += uint32(len(p.Payload))
	if c.sent != nil {
		c.sent.Put(h.SequenceNumber, p.Index, c.epoch, len(p.Payload), now)
	}
	return drop.None
}

// begin sets the offsets so that the first packet of a new Producer follows the last of the old one.
func (c *Consumer) begin(now time.Time, p *Packet) {
	c.phase, c.first, c.beganAt = flowing, p.Index, now
	c.epoch++
	if c.lastAt.IsZero() {
		return // the slot's first source: its numbers and timestamps are as good as any
	}
	c.seqOffset = c.highest + 1 - p.Index
	c.tsOffset = c.timestampAt(now, p) - p.Timestamp
	c.ids.Switch()
}

// timestampAt returns the timestamp with which p goes on. It is chosen so that the line from timestamps to wall-clock time, which the
// subscriber knows from sender reports, goes on too: receivers fit it over many reports, and lips would be off voices until the
// old ones are forgotten. Where the new publisher has not reported yet, the time since the last packet has to do. Timestamps
// never go back.
func (c *Consumer) timestampAt(now time.Time, p *Packet) uint32 {
	next := c.lastTS + max(c.ticks(now.Sub(c.lastAt)), 1)
	if theirs, ok := c.producer.timeline.At(now); ok && !c.reportedAt.IsZero() {
		line := c.reportedTS + c.ticks(now.Sub(c.reportedAt))
		if ts := line - (theirs - p.Timestamp); int32(ts-c.lastTS) > 0 {
			return ts
		}
		return c.lastTS + 1
	}
	return next
}

// ticks returns d in units of the codec's clock.
func (c *Consumer) ticks(d time.Duration) uint32 {
	return uint32(int64(d.Seconds() * float64(c.rate)))
}

// render writes the outgoing header.
func (c *Consumer) render(p *Packet, payloadType uint8, h *rtp.Header) {
	*h = rtp.Header{
		PayloadType: payloadType, Marker: p.Marker,
		SequenceNumber: uint16(p.Index + c.seqOffset), Timestamp: p.Timestamp + c.tsOffset,
	}
}

// Report returns what a sender report says of this Consumer at the server's time now: the timestamp that belongs to now, and
// the number of packets and payload bytes so far. It is not ok before the publisher has sent its own report.
func (c *Consumer) Report(now time.Time) (timestamp, packets, octets uint32, ok bool) {
	if c.phase != flowing {
		return 0, 0, 0, false
	}
	theirs, ok := c.producer.timeline.At(now)
	if !ok {
		return 0, 0, 0, false
	}
	c.reportedTS, c.reportedAt = theirs+c.tsOffset, now
	return c.reportedTS, c.packets, c.octets, true
}

// Began returns when the present Producer began to flow; zero: nothing flows.
func (c *Consumer) Began() time.Time {
	if c.phase != flowing {
		return time.Time{}
	}
	return c.beganAt
}

// WantKeyFrame asks for the key frame that a waiting Consumer needs, once its subscriber can be sent to.
func (c *Consumer) WantKeyFrame() {
	if c.phase == waiting {
		c.producer.RequestKeyFrame()
	}
}

// RequestKeyFrame passes the subscriber's request on.
func (c *Consumer) RequestKeyFrame() {
	if p := c.Producer(); p != nil {
		p.RequestKeyFrame()
	}
}
