package route

import (
	"time"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/nack"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// Forward decides what becomes of a packet of its Producer, and writes the header that the subscriber gets to h. It patches the
// packet's payload and dependency descriptor in place, for this subscriber alone: they must be sealed before the next Consumer
// forwards the same packet. Where it returns empty, the packet goes out without payload, to fill a number that it had been given
// before its layer was known.
func (c *Consumer) Forward(now time.Time, p *Packet, h *rtp.Header) (empty bool, r drop.Reason) {
	payloadType := c.types[p.Type&0x7f]
	if payloadType == 0 {
		return false, drop.CodecMismatch
	}
	if c.phase != flowing || p.Encoding != c.current.Encoding {
		if r := c.enter(now, p); r != drop.None {
			return false, r
		}
	}
	if p.Index < c.first {
		return false, drop.TooLate
	}
	number, layer, r := c.place(now, p)
	if r != drop.None {
		return false, r
	}
	empty = p.Padding || !c.carries(p, layer)
	*h = rtp.Header{
		PayloadType: payloadType, Marker: p.Marker && !empty || ends(p, layer), SequenceNumber: uint16(number), Timestamp: c.timestamp(p.Timestamp),
	}
	c.account(now, p, h, number, empty)
	return empty, drop.None
}

// above reports whether a frame is of a higher layer.
func above(f *codec.Frame, l Layer) bool { return f.Spatial > l.Spatial || f.Temporal > l.Temporal }

// carries reports whether a packet that has a number goes out with its payload: not where its layer does not flow, or where the
// rest of its picture was left out before the packet came.
func (c *Consumer) carries(p *Packet, l Layer) bool {
	return !above(&p.Frame, l) && (p.Index == c.numbers.newest || !c.ids.Left(&p.Frame.IDs))
}

// ends reports whether the subscriber's picture ends with p, where the publisher's may go on with higher spatial layers.
func ends(p *Packet, l Layer) bool {
	return p.Frame.End && p.Frame.Spatial == l.Spatial && p.Frame.Temporal <= l.Temporal
}

// account patches the ids of a packet that goes out, and notes that it does.
func (c *Consumer) account(now time.Time, p *Packet, h *rtp.Header, number int64, empty bool) {
	var note note
	if empty {
		note = noteEmpty
	} else {
		c.octets += uint32(len(p.Payload))
		if c.kind == sdp.Video {
			note = c.noteOf(p, c.ids.Apply(&p.Frame.IDs, p.Payload, p.Dependency), h.Marker)
		}
	}
	if number > c.highest || c.lastAt.IsZero() {
		c.highest, c.lastTS, c.lastAt = number, h.Timestamp, now
	}
	c.packets++
	if c.sent != nil {
		c.sent.Put(h.SequenceNumber, nack.Packet{Index: p.Index, Note: uint32(note), Epoch: c.epoch}, len(p.Payload), now)
	}
}

// enter takes a packet that is not of the source that flows: it begins one, or is dropped.
func (c *Consumer) enter(now time.Time, p *Packet) drop.Reason {
	switch {
	case c.kind != sdp.Video:
	case p.Encoding != c.target.Encoding:
		return drop.LayerLeftOut
	case !p.Frame.Key || !p.Frame.Start:
		c.producer.Encoding(p.Encoding).RequestKeyFrame() // the one that was asked for may have been lost, or have come too early
		if c.phase == waiting {
			return drop.NoKeyFrame
		}
		return drop.LayerLeftOut
	}
	c.begin(now, p)
	return drop.None
}

// begin makes the packet's Encoding the source, so that the packet follows the last one of the source before.
func (c *Consumer) begin(now time.Time, p *Packet) {
	line, known := c.line(now)
	c.phase = flowing
	c.source = source{
		current: c.target, before: c.target, changedAt: p.Index, first: p.Index, picture: p.Timestamp, beganAt: now,
	}
	c.epoch++
	if c.lastAt.IsZero() { // the slot's first source: its numbers and timestamps are as good as any
		c.numbers.begin(p.Index, p.Index)
		return
	}
	c.numbers.begin(p.Index, c.highest+1)
	c.tsOffset = c.timestampAt(now, p, line, known) - p.Timestamp
	c.ids.Switch()
}

// line returns the timestamp that belongs to now, by what the subscriber knows or would learn from sender reports. Where the same
// publisher goes on, its clock is the measure: so the line comes back to where it was, if an encoding once had to begin before its
// first report.
func (c *Consumer) line(now time.Time) (ts uint32, known bool) {
	reported := c.reportedTS + c.ticks(now.Sub(c.reportedAt))
	if c.phase == flowing {
		if theirs, ok := c.encoding().timeline.At(now); ok {
			reported = theirs + c.tsOffset
		} else if c.reportedAt.IsZero() {
			return 0, false
		}
	}
	if wall, ok := c.producer.wall(now); ok && !c.anchoredAt.IsZero() {
		anchored := c.anchorTS + c.ticks(wall.Sub(c.anchoredAt))
		if off := int32(anchored - reported); max(off, -off) < int32(c.rate) { // else the publisher's clock was set
			return anchored, true
		}
	}
	return reported, c.phase == flowing || !c.reportedAt.IsZero()
}

// timestampAt returns the timestamp with which p goes on. It is chosen so that the line from timestamps to wall-clock time, which the
// subscriber knows from sender reports, goes on too: receivers fit it over many reports, and lips would be off voices until the
// old ones are forgotten. Where the new publisher has not reported yet, the time since the last packet has to do. What would go
// back a little is squeezed; what would go back further breaks the line.
func (c *Consumer) timestampAt(now time.Time, p *Packet, line uint32, known bool) uint32 {
	theirs, ok := c.producer.Encoding(p.Encoding).timeline.At(now)
	if !ok || !known {
		return c.lastTS + max(c.ticks(now.Sub(c.lastAt)), 1)
	}
	ts := line - (theirs - p.Timestamp)
	switch behind := int32(c.lastTS - ts); {
	case behind < 0:
	case uint32(behind) < c.rate:
		c.squeezed, c.floor, c.unsqueezed = true, c.lastTS, ts
	default:
		return c.lastTS + 1
	}
	return ts
}

// squeeze is the factor by which timestamps are squeezed that would lie behind the last one sent, as a shift. Pictures are
// further apart than 1024 ticks, so they remain apart.
const squeeze = 10

// timestamp returns the outgoing timestamp. The picture with which a source begins may be older than the last one sent before,
// where its packets took longer or had to be repaired. Such timestamps come behind the last one, in their order and close
// together, until they are beyond it by themselves: a jump of all that follow would be a jump of the line.
func (c *Consumer) timestamp(theirs uint32) uint32 {
	ts := theirs + c.tsOffset
	if !c.squeezed {
		return ts
	}
	least := c.floor + 1 + (ts-c.unsqueezed)>>squeeze
	if behind := int32(least - ts); behind > 0 {
		return least
	} else if uint32(-behind) > 4*c.rate {
		c.squeezed = false // all that may be sent again is beyond it too
	}
	return ts
}

// ticks returns d in units of the codec's clock.
func (c *Consumer) ticks(d time.Duration) uint32 {
	return uint32(int64(d.Seconds() * float64(c.rate)))
}

// place returns a packet's outgoing number, and the layer that flowed at its place. A packet that comes late takes the number
// that was kept for it, whatever its layer.
func (c *Consumer) place(now time.Time, p *Packet) (number int64, l Layer, r drop.Reason) {
	if p.Index > c.numbers.newest {
		if c.current != c.target {
			c.turn(now, p)
		}
		c.picture = p.Timestamp
		if above(&p.Frame, c.current) {
			c.numbers.leave(p.Index)
			c.ids.LeaveOut(&p.Frame.IDs)
			return 0, l, drop.LayerLeftOut
		}
		return c.numbers.next(p.Index), c.current, drop.None
	}
	number, ok := c.numbers.late(p.Index)
	if !ok {
		return 0, l, drop.TooLate
	}
	if p.Index < c.changedAt {
		return number, c.before, drop.None
	}
	return number, c.current, drop.None
}

// turn brings the layer that flows nearer to the target, as far as it may change with this packet, which is the newest. A key
// frame is asked for where the way up leads over one.
func (c *Consumer) turn(now time.Time, p *Packet) {
	begins := p.Timestamp != c.picture
	if begins {
		c.lower(p)
	}
	if c.target.Encoding != c.current.Encoding {
		return // see enter
	}
	if p.Frame.Start {
		c.raise(p)
	}
	if begins && (c.target.Spatial > c.current.Spatial || c.stuck(now)) {
		c.encoding().RequestKeyFrame()
	}
}

// lower goes down at a new picture. To a lower encoding the way leads over its key frame; until that comes, only the base
// temporal layer flows.
func (c *Consumer) lower(p *Packet) {
	next := c.current
	switch {
	case c.target.Encoding == next.Encoding:
		next.Spatial, next.Temporal = min(next.Spatial, c.target.Spatial), min(next.Temporal, c.target.Temporal)
	case c.producer.smaller(c.target.Encoding, next.Encoding):
		next.Temporal = 0
	}
	c.change(next, p.Index)
}

// stuckAfter is how long a higher temporal layer is waited for. Encoders that have some offer a way up every few pictures; where
// one does not, a key frame is one.
const stuckAfter = 3 * time.Second

func (c *Consumer) stuck(now time.Time) bool {
	switch {
	case c.encoding().temporal(c.current.Spatial) <= c.current.Temporal || c.target.Temporal <= c.current.Temporal:
		c.lowSince = time.Time{}
	case c.lowSince.IsZero():
		c.lowSince = now
	}
	return !c.lowSince.IsZero() && now.Sub(c.lowSince) > stuckAfter
}

// raise goes up where the decoder has all that p and what follows depends on.
func (c *Consumer) raise(p *Packet) {
	f, next := &p.Frame, c.current
	switch {
	case f.Key:
		next = c.target
	case f.Spatial == next.Spatial && f.Temporal <= next.Temporal:
		for t := next.Temporal + 1; t <= c.target.Temporal; t++ {
			if f.Switch&(1<<t) != 0 {
				next.Temporal = t
			}
		}
	case !f.Step:
	case f.Spatial == next.Spatial+1 && f.Spatial <= c.target.Spatial && f.Temporal == 0:
		next.Spatial++
	case f.Spatial == next.Spatial && f.Temporal == next.Temporal+1 && f.Temporal <= c.target.Temporal:
		next.Temporal++
	}
	c.change(next, p.Index)
}

// change lets another layer flow from index on.
func (c *Consumer) change(l Layer, index int64) {
	if l != c.current {
		c.before, c.current, c.changedAt = c.current, l, index
	}
}
