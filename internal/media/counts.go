package media

import (
	"context"
	"errors"

	"github.com/parley-rtc/parley/internal/data"
	"github.com/parley-rtc/parley/internal/drop"
)

// Counts is what a shard has done since its start, and what it holds now.
type Counts struct {
	Received  uint64 // datagrams
	Sent      uint64 // datagrams
	SentBytes uint64
	Piped     uint64 // packets that came from other shards
	Panics    uint64 // Transports that ended on an internal fault
	Probes    uint64 // tries of what a subscriber's network carries
	Padding   uint64 // packets that were sent for them
	Waited    uint64 // packets that were sent later, when there was room on the subscriber's network

	// DTLS handshakes that failed: the certificate was not what the offer told; or anything else.
	Strangers, Unfinished uint64

	Evicted uint64 // Transports that had to make way before their handshake was finished, where too many had not

	SlowChannels uint64      // reliable data channels that were closed because the client did not read them
	Data         data.Counts // of all shards; its drops are among Drops

	// Estimated is the number of Transports of whose network something is known, Estimate the sum of what these carry, in bit/s.
	Estimated int
	Estimate  int64

	Rooms, Transports, Producers, Mirrors, Handshakes int
	Drops                                             drop.Counts
}

// add adds o to c. A room that is on several shards counts on each.
func (c *Counts) add(o *Counts) {
	c.Received += o.Received
	c.Sent += o.Sent
	c.SentBytes += o.SentBytes
	c.SlowChannels += o.SlowChannels
	c.Strangers += o.Strangers
	c.Unfinished += o.Unfinished
	c.Evicted += o.Evicted
	c.Piped += o.Piped
	c.Panics += o.Panics
	c.Probes += o.Probes
	c.Padding += o.Padding
	c.Waited += o.Waited
	c.Estimated += o.Estimated
	c.Estimate += o.Estimate
	c.Rooms += o.Rooms
	c.Transports += o.Transports
	c.Producers += o.Producers
	c.Mirrors += o.Mirrors
	c.Handshakes += o.Handshakes
	c.Drops.Merge(&o.Drops)
}

// ErrClosed is the answer of a shard that is closing or overloaded.
var ErrClosed = errors.New("media: the shard takes no questions: closed or overloaded")

// Counts asks the loop for its numbers. Safe for concurrent use.
func (s *Shard) Counts(ctx context.Context) (Counts, error) {
	answer := make(chan Counts, 1)
	if !s.mail.put(letter{ask: func(s *Shard) { answer <- s.count() }}) {
		return Counts{}, ErrClosed
	}
	select {
	case c := <-answer:
		return c, nil
	case <-ctx.Done():
		return Counts{}, ctx.Err()
	}
}

func (s *Shard) count() Counts {
	c := s.counts
	c.Rooms, c.Transports, c.Handshakes = len(s.rooms), len(s.transports), s.handshakes.Len()
	c.Producers, c.Mirrors = len(s.producers)-s.mirrors, s.mirrors
	c.Drops = s.drops
	c.Probes, c.Padding, c.Waited = s.out.Probes, s.out.Padding, s.out.Waited
	for _, e := range s.transports {
		if rate, known := e.transport.Estimate(); known {
			c.Estimated++
			c.Estimate += int64(rate)
		}
	}
	return c
}
