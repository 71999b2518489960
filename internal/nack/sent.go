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
	budget  int       // bytes that may be sent again
}

// entry is 16 bytes, as ARCHITECTURE wants it: there is one ring of them per Consumer.
type entry struct {
	index int64
	at    uint32 // when it was last sent, in ticks since Sent.since, modulo 2^32
	seq   uint16
	epoch uint8
	tries uint8 // times sent, 0: empty
}

// tick is the resolution of an entry's time; 2^32 of them are five days.
const tick = 100 * time.Microsecond

// Put notes that the packet with the producer's index went out as seq, with size bytes on the wire, in the Consumer's present
// epoch. Numbers may come in any order: a hole that is repaired later is put at its place, as sent again once. A number
// further back than Window is not kept.
func (s *Sent) Put(seq uint16, index int64, epoch uint8, size int, now time.Time) {
	if !s.started {
		s.started, s.highest, s.since, s.budget = true, seq, now, resendBurst
	}
	s.budget = min(s.budget+size/resendShare, resendBurst)
	tries := uint8(1)
	if ahead := int16(seq - s.highest); ahead > 0 {
		s.highest = seq
	} else if ahead <= -Window {
		return
	} else if ahead < 0 {
		tries = 2 // the subscriber has seen the hole: this answers the requests for it that are under way
	}
	s.entries[seq&(Window-1)] = entry{index: index, at: s.ticks(now), seq: seq, epoch: epoch, tries: tries}
}

// Resend answers a NACK for seq: the producer's index and the epoch that it was sent in, if it may be sent again now. The reason
// is NackUnknown when it was never sent or too long ago, and NackTooOften when it was last sent again less than rtt ago or has
// been sent MaxTries times again. What it answers counts as sent.
func (s *Sent) Resend(seq uint16, rtt time.Duration, now time.Time) (index int64, epoch uint8, r drop.Reason) {
	e := &s.entries[seq&(Window-1)]
	if e.tries == 0 || e.seq != seq || s.highest-seq >= Window {
		return 0, 0, drop.NackUnknown
	}
	age := time.Duration(s.ticks(now)-e.at) * tick
	switch {
	case age > MaxResendAge:
		return 0, 0, drop.NackUnknown
	case e.tries > MaxTries, e.tries > 1 && age < max(rtt, MinResendInterval):
		return 0, 0, drop.NackTooOften
	}
	e.tries++
	e.at = s.ticks(now)
	return e.index, e.epoch, drop.None
}

// Spend takes size bytes from what this Consumer may send again, and reports false, taking nothing, when it does not suffice:
// the packet is then dropped as NackTooOften.
func (s *Sent) Spend(size int) bool {
	if size > s.budget {
		return false
	}
	s.budget -= size
	return true
}

func (s *Sent) ticks(now time.Time) uint32 { return uint32(now.Sub(s.since) / tick) }
