package data

import (
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
)

// Counts is what a Hub has done since its start, and what it holds now.
type Counts struct {
	Messages uint64 // passed on, once for each receiver
	// HeldRate and HeldReceiver are how long senders of reliable messages were held back, because they were too fast or because a
	// receiver was behind.
	HeldRate, HeldReceiver time.Duration
	Rooms                  int
	Drops                  drop.Counts
}

// counts are written by the readers of all channels.
type counts struct {
	messages       atomic.Uint64
	rate, receiver atomic.Int64 // nanoseconds
	drops          [drop.NumReasons]atomic.Uint64
}

func (c *counts) drop(r drop.Reason) {
	if r != drop.None {
		c.drops[r].Add(1)
	}
}

// Counts returns the numbers so far.
func (h *Hub) Counts() Counts {
	c := Counts{
		Messages: h.counts.messages.Load(),
		HeldRate: time.Duration(h.counts.rate.Load()), HeldReceiver: time.Duration(h.counts.receiver.Load()),
	}
	for r := range c.Drops {
		c.Drops[r] = h.counts.drops[r].Load()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Rooms = len(h.rooms)
	return c
}
