// Package pacer spreads over time what one Transport sends, so that a frame does not arrive at the narrowest point of its path all at
// once.
//
// Its unit is the burst: what fits the budget of the next Burst leaves at once, side by side, and so in one system call. The rest
// waits in a bounded queue. The queue holds no bytes, only what the caller needs to render a packet again.
//
//	audio         leaves at once, whatever waits, and is paid for
//	repairs       leave at once, before video that waits, as long as little has been advanced to them; else not at all: they are
//	              asked for again
//	video         leaves in order; frames that wait too long are dropped whole, the oldest first
package pacer

import (
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
)

// Burst is how far ahead of its rate a Pacer sends.
const Burst = 10 * time.Millisecond

// Grain is how often a queue is looked at.
const Grain = 5 * time.Millisecond

// advance is how far ahead of the rate repairs may leave, and the most that audio can leave to be paid for; packetBytes is the least.
const (
	advance     = 50 * time.Millisecond
	packetBytes = 1500
)

// Packet is a packet of video that waits, as far as a Pacer is concerned.
type Packet struct {
	Number uint16 // under which the client will know it
	Size   uint16 // bytes on the wire
	Slot   uint8  // whose it is
	Key    bool   // it begins a key frame

	at time.Duration // when it was queued
}

// Pacer holds the packets of one Transport that may not leave yet. The zero value lets everything leave at once.
type Pacer struct {
	// owned by the Transport's loop
	rate   bwe.Bitrate // 0: without limit
	epoch  time.Time
	filled time.Duration // when budget was last brought up to date
	budget float64       // bytes; negative while what has left is not paid for
	queue  []Packet      // ring
	head   int
	n      int
	bytes  int
}

// SetRate sets how much leaves in the long run; 0 is without limit.
func (p *Pacer) SetRate(now time.Time, rate bwe.Bitrate) {
	at := p.fill(now)
	if p.rate == 0 {
		p.budget, p.filled = bytes(rate, Burst), at
	}
	p.rate = rate
	p.forgive()
}

// forgive bounds what is to be paid for, or video would wait for what left while there was no room, long after there is.
func (p *Pacer) forgive() { p.budget = max(p.budget, -max(bytes(p.rate, advance), packetBytes)) }

// bytes returns how many bytes a rate brings in d.
func bytes(rate bwe.Bitrate, d time.Duration) float64 { return float64(rate) / 8 * d.Seconds() }

// fill adds to the budget what time has brought, and returns the time as a duration.
func (p *Pacer) fill(now time.Time) time.Duration {
	if p.epoch.IsZero() {
		p.epoch = now
	}
	at := now.Sub(p.epoch)
	if at > p.filled {
		p.budget = min(p.budget+bytes(p.rate, at-p.filled), bytes(p.rate, Burst))
		p.filled = at
	}
	return at
}

// Spend pays for a packet that leaves in any case.
func (p *Pacer) Spend(now time.Time, size int) {
	if p.rate != 0 {
		p.fill(now)
		p.budget -= float64(size)
		p.forgive()
	}
}

// Repairs reports whether a repair may leave now. It is to be paid for by Spend.
func (p *Pacer) Repairs(now time.Time) bool {
	if p.rate == 0 {
		return true
	}
	p.fill(now)
	return p.budget > -bytes(p.rate, advance)
}

// Front returns the packet that leaves next.
func (p *Pacer) Front() (Packet, bool) {
	if p.n == 0 {
		return Packet{}, false
	}
	return *p.place(0), true
}

// Holds reports whether a packet waits.
func (p *Pacer) Holds(slot uint8, number uint16) bool {
	for i := range p.n {
		if q := p.place(i); q.Slot == slot && q.Number == number {
			return true
		}
	}
	return false
}

// Admit reports whether a packet of video may leave now, and pays for it: nothing waits before it, and there is budget. What is not
// admitted is to be pushed.
func (p *Pacer) Admit(now time.Time, size int) bool { return p.n == 0 && p.pay(now, size) }

func (p *Pacer) pay(now time.Time, size int) bool {
	if p.rate == 0 {
		return true
	}
	if p.fill(now); p.budget <= 0 {
		return false
	}
	p.budget -= float64(size)
	return true
}

// Push queues a packet. It reports false where the queue is full: something has to be dropped first.
func (p *Pacer) Push(now time.Time, q Packet) bool {
	if p.n == MaxPackets || p.bytes+int(q.Size) > MaxBytes {
		return false
	}
	if p.n == len(p.queue) {
		p.grow()
	}
	q.at = p.fill(now)
	*p.place(p.n) = q
	p.n++
	p.bytes += int(q.Size)
	return true
}

func (p *Pacer) place(i int) *Packet { return &p.queue[(p.head+i)&(len(p.queue)-1)] }

func (p *Pacer) grow() {
	queue := make([]Packet, max(2*len(p.queue), firstPackets))
	for i := range p.n {
		queue[i] = *p.place(i)
	}
	p.queue, p.head = queue, 0
}

// Pop returns the next packet that may leave now, and pays for it.
func (p *Pacer) Pop(now time.Time) (Packet, bool) {
	if p.n == 0 || !p.pay(now, int(p.place(0).Size)) {
		return Packet{}, false
	}
	return p.take(), true
}

func (p *Pacer) take() Packet {
	q := *p.place(0)
	p.head = (p.head + 1) & (len(p.queue) - 1)
	p.n--
	p.bytes -= int(q.Size)
	return q
}

// Late reports whether the oldest packet has waited too long.
func (p *Pacer) Late(now time.Time) bool { return p.n > 0 && p.fill(now)-p.place(0).at > MaxAge }

// Clear takes out all that waits of a slot, tells of each packet, and returns how many they were.
func (p *Pacer) Clear(slot uint8, tell func(Packet)) (dropped int) {
	for {
		n, more := p.Drop(slot, tell)
		if dropped += n; !more {
			return dropped
		}
	}
}

// Drop takes out what waits of a slot, up to its next key frame, tells of each packet, and returns how many they were, and whether there is
// that key frame. What followed a frame that is left out could not be decoded either.
func (p *Pacer) Drop(slot uint8, tell func(Packet)) (dropped int, key bool) {
	kept := 0
	for i := range p.n {
		q := *p.place(i)
		key = key || q.Slot == slot && q.Key && dropped > 0
		if q.Slot == slot && !key {
			p.bytes -= int(q.Size)
			dropped++
			tell(q)
			continue
		}
		*p.place(kept) = q
		kept++
	}
	p.n = kept
	return dropped, key
}

// Waiting returns how many packets wait.
func (p *Pacer) Waiting() int { return p.n }

// Next returns when Pop has something to say; zero: nothing waits.
func (p *Pacer) Next() time.Time {
	if p.n == 0 {
		return time.Time{}
	}
	wait := Grain
	if p.rate > 0 {
		wait = max(wait, time.Duration(-p.budget*8/float64(p.rate)*float64(time.Second)))
	}
	return p.epoch.Add(p.filled + wait)
}
