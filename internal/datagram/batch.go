// Package datagram holds datagrams on their way in and out: a Batch that a reader fills, an Egress that a shard fills, and the
// Pair of addresses between which each travels.
//
// It is the one vocabulary of sockets (udp, port), of the simulated network (sim) and of the cores that decide what is sent,
// so that none of them converts addresses and nothing is copied between them.
package datagram

import "time"

// Datagram is the bytes of one received datagram. B aliases its Batch's storage and may be changed in place.
type Datagram struct {
	Pair Pair
	B    []byte
	At   int64 // when the kernel got it, in ns since 1970 by the system's clock; 0: not known
}

// maxWait is how long a datagram can have waited to be read. What looks older comes from before the system's clock was set.
const maxWait = time.Second

// Arrival returns when the datagram arrived, on now's clock: now where that is not known. Who reads is busy at times, and what waits
// meanwhile has not been slow on its way.
func (d *Datagram) Arrival(now time.Time) time.Time {
	waited := time.Duration(now.UnixNano() - d.At)
	if d.At == 0 || waited < 0 || waited > maxWait {
		return now
	}
	return now.Add(-waited)
}

// Batch is up to BatchSize received datagrams with their storage. It travels from the reader to one owner and back; whoever
// holds it owns it. The zero Batch has no storage: use NewBatch.
type Batch struct {
	D   [BatchSize]Datagram
	N   int
	buf []byte
}

// NewBatch returns an empty Batch with storage for BatchSize datagrams of MaxBytes.
func NewBatch() *Batch { return &Batch{buf: make([]byte, BatchSize*MaxBytes)} }

// Storage returns the i-th datagram's full buffer, MaxBytes long, for a reader to fill.
func (b *Batch) Storage(i int) []byte {
	return b.buf[i*MaxBytes : (i+1)*MaxBytes : (i+1)*MaxBytes]
}

// Append copies p into the batch as its next datagram. It reports false when the batch is full or p too long. It is for a batch
// that has only been appended to since its Reset: where a reader or a filter has left datagrams out, it would overwrite others.
func (b *Batch) Append(pair Pair, p []byte) bool {
	if b.N == BatchSize || len(p) > MaxBytes {
		return false
	}
	n := copy(b.Storage(b.N), p)
	b.D[b.N] = Datagram{Pair: pair, B: b.Storage(b.N)[:n]}
	b.N++
	return true
}

// Reset empties the batch.
func (b *Batch) Reset() { b.N = 0 }
