package bwe

import "time"

// fate is what is known of a packet that was sent.
type fate uint8

const (
	vacant  fate = iota // no packet
	flying              // nothing is known yet
	arrived             // the receiver has it
	lost                // the receiver has passed it over; it may still arrive
	skipped             // the feedback about it was lost
)

// Origin is what a packet was made of, in the words of whoever sends it: Lost says it of those that are lost. 0: it is not asked for.
type Origin uint32

// Copy marks the Origin of a packet that is the same as the one sent right before it, which has no Origin of its own: of the two, one is
// enough.
const Copy Origin = 1 << 31

// Loss is a packet that was sent and is lost.
type Loss struct {
	Of  Origin
	Ago time.Duration // that it was sent, when the feedback came
}

// packet is one that was sent. It takes 12 bytes: every subscriber has a ring of them.
type packet struct {
	at     uint32 // when it was sent, in ticks of the Sender's clock, modulo 2^32
	origin Origin
	size   uint16 // bytes on the wire, IP and UDP headers included
	probe  uint8  // the probe that it was part of; 0: none
	fate   fate
}

// tick is the resolution of a packet's time; 2^32 of them are 19 hours.
const tick = 16 * time.Microsecond

// flight is the ring of packets that were sent, by index: a transport-wide number unwrapped to 64 bits.
type flight struct {
	packets []packet
	next    int64 // index of the next packet
}

// put adds the next packet. Where the ring is too small for what is still flying it doubles, if grow allows it.
func (f *flight) put(p packet, grow bool) (index int64) {
	if f.packets == nil {
		f.packets = make([]packet, minInFlight)
	}
	index = f.next
	f.next++
	old := f.slot(index)
	if grow && old.fate == flying && time.Duration(p.at-old.at)*tick < flightAge && len(f.packets) < MaxInFlight {
		f.grow()
		old = f.slot(index)
	}
	*old = p
	return index
}

func (f *flight) grow() {
	old := *f
	f.packets = make([]packet, 2*len(old.packets))
	for i := max(f.next-1-int64(len(old.packets)), 0); i < f.next-1; i++ {
		*f.slot(i) = *old.slot(i)
	}
}

func (f *flight) slot(index int64) *packet { return &f.packets[index&int64(len(f.packets)-1)] }

// get returns the packet of an index, or nil where it is too old or was never sent.
func (f *flight) get(index int64) *packet {
	if index < 0 || index >= f.next || index < f.next-int64(len(f.packets)) {
		return nil
	}
	return f.slot(index)
}

// index unwraps a number: it is that of the newest packet, or of one before it.
func (f *flight) index(seq uint16) int64 {
	newest := f.next - 1
	return newest - int64(uint16(newest)-seq)
}
