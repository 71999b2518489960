package nack

import (
	"time"

	"github.com/parley-rtc/parley/internal/drop"
)

// Sent remembers for one Consumer what went out under which number, so that a NACK can be answered from the Producer's Cache.
// What is the same for all packets between two switches of source (the producer, the offsets of timestamp and ids) is not
// kept per packet: the Consumer keeps it per epoch, and an entry names its epoch. The zero value is ready.
type Sent struct {
	// owned by the Consumer's loop
	entries [Window]entry
	highest uint16
	started bool
	since   time.Time // what times in entries count from
	at      time.Time // the time that was last asked for, which is that of a whole batch,
	tick    uint32    // in ticks since then
	budget  int       // bytes that may be sent again
}

// entry is 16 bytes, as ARCHITECTURE wants it: there is one ring of them per Consumer.
type entry struct {
	index uint32 // the low half: the rest is the same for all that a Cache reaches back to, but for a carry
	note  uint32
	at    uint32 // when it was last sent, in ticks since Sent.since, modulo 2^32
	seq   uint16
	epoch uint8
	tries uint8 // times sent, 0: empty
}

// Packet is what Sent remembers of a packet.
type Packet struct {
	Index int64  // the producer's; from Resend only its low 32 bits, see Near
	Note  uint32 // the Consumer's own: what else it needs to render the packet again
	Epoch uint8
}

// Near returns the index nearest to a recent one that has the same low 32 bits.
func (p Packet) Near(recent int64) int64 {
	return recent + int64(int32(uint32(p.Index)-uint32(recent)))
}

// tick is the resolution of an entry's time; 2^32 of them are five days.
const tick = 100 * time.Microsecond

// Put notes that p went out as seq, with size bytes on the wire. Numbers may come in any order: a hole that is repaired later is put
// at its place. The first request for it is then answered at once, like that for any number. It may have been under way before the
// hole was filled, and so be answered in vain; but it may also say that what filled the hole was lost too, and the next one would
// come a round trip later. A number further back than Window is not kept.
func (s *Sent) Put(seq uint16, p Packet, size int, now time.Time) {
	if !s.started {
		s.started, s.highest, s.since, s.budget = true, seq, now, resendBurst
	}
	s.budget = min(s.budget+size/resendShare, resendBurst)
	if ahead := int16(seq - s.highest); ahead > 0 {
		s.highest = seq
	} else if ahead <= -Window {
		return
	}
	s.entries[seq&(Window-1)] = entry{uint32(p.Index), p.Note, s.ticks(now), seq, p.Epoch, 1}
}

// Resend answers a NACK for seq: the packet, if it may be sent again now. The reason is NackUnknown when it was never sent or too
// long ago, and NackTooOften when it was last sent again less than rtt ago or has been sent MaxTries times again. What it answers
// counts as sent.
func (s *Sent) Resend(seq uint16, rtt time.Duration, now time.Time) (Packet, drop.Reason) {
	e := &s.entries[seq&(Window-1)]
	if e.tries == 0 || e.seq != seq || s.highest-seq >= Window {
		return Packet{}, drop.NackUnknown
	}
	age := time.Duration(s.ticks(now)-e.at) * tick
	switch {
	case age > MaxResendAge:
		return Packet{}, drop.NackUnknown
	case e.tries > MaxTries, e.tries > 1 && age < max(rtt, MinResendInterval):
		return Packet{}, drop.NackTooOften
	}
	e.tries++
	e.at = s.ticks(now)
	return Packet{int64(e.index), e.note, e.epoch}, drop.None
}

// SentSince reports whether seq has gone out again since t, when it had gone out before: that this one was lost says nothing of the later one.
func (s *Sent) SentSince(seq uint16, t time.Time) bool {
	e := &s.entries[seq&(Window-1)]
	if e.tries == 0 || e.seq != seq {
		return false
	}
	return int32(e.at-uint32(t.Sub(s.since)/tick)) > 1 // both are rounded
}

// Get returns what went out as seq, and whether it is remembered.
func (s *Sent) Get(seq uint16) (Packet, bool) {
	e := &s.entries[seq&(Window-1)]
	return Packet{int64(e.index), e.note, e.epoch}, e.tries > 0 && e.seq == seq && s.highest-seq < Window
}

// Forget notes that seq, of size bytes, did not go out after all, and never will.
func (s *Sent) Forget(seq uint16, size int) {
	s.budget -= size / resendShare
	if e := &s.entries[seq&(Window-1)]; e.seq == seq && e.tries > 0 {
		e.tries = MaxTries + 1
	}
}

// Twice reports whether what Resend has just answered for seq should go out two times: it has been sent again before, and was
// lost then too. A packet whose repairs are lost one after the other is what a picture waits for longest.
func (s *Sent) Twice(seq uint16) bool { return s.entries[seq&(Window-1)].tries > 2 }

// Spend takes size bytes from what this Consumer may send again, and reports false, taking nothing, when it does not suffice:
// the packet is then dropped as NackTooOften.
func (s *Sent) Spend(size int) bool {
	if size > s.budget {
		return false
	}
	s.budget -= size
	return true
}

// Scarce reports whether most of what had been saved up is spent: what is needed least should then not be sent again.
func (s *Sent) Scarce() bool { return s.budget < resendBurst/2 }

func (s *Sent) ticks(now time.Time) uint32 {
	if now != s.at {
		s.at, s.tick = now, uint32(now.Sub(s.since)/tick)
	}
	return s.tick
}
