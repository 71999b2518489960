package sim

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/udp"
)

// endpoint is a bound address with what has arrived at it.
type endpoint struct {
	// static after construction
	network *Network
	local   netip.AddrPort
	ready   chan struct{} // something has arrived
	gone    chan struct{} // closed by close

	// guarded by mu
	mu     sync.Mutex
	inbox  []flight
	head   int
	closed bool
	drops  uint64
}

// put adds an arrival and reports whether there was room.
func (e *endpoint) put(f flight) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.inbox)-e.head >= InboxSize {
		e.drops++
		return false
	}
	e.inbox = append(e.inbox, f)
	select {
	case e.ready <- struct{}{}:
	default:
	}
	return true
}

// take removes the oldest arrival. Whoever takes it recycles its bytes.
func (e *endpoint) take() (f flight, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.head == len(e.inbox) {
		return flight{}, false
	}
	f = e.inbox[e.head]
	e.inbox[e.head] = flight{}
	if e.head++; e.head == len(e.inbox) {
		e.inbox, e.head = e.inbox[:0], 0
	} else if e.head >= InboxSize {
		e.inbox, e.head = append(e.inbox[:0], e.inbox[e.head:]...), 0
	}
	return f, true
}

func (e *endpoint) close() {
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	e.mu.Unlock()
	if closed {
		return
	}
	close(e.gone)
	e.network.mu.Lock()
	delete(e.network.endpoints, e.local)
	e.network.mu.Unlock()
}

func (e *endpoint) isClosed() bool {
	select {
	case <-e.gone:
		return true
	default:
		return false
	}
}

// dropped returns how many datagrams did not fit the inbox.
func (e *endpoint) dropped() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drops
}

// Conn is a socket on the simulated network. It implements udp.Conn.
type Conn struct {
	*endpoint

	// atomic
	received, receivedBytes, sent, sentBytes, messages, empty, oversized, sendFailed atomic.Uint64
}

var _ udp.Conn = (*Conn)(nil)

// Listen opens a socket at one address. Port 0 means any that is free.
func (n *Network) Listen(addr netip.AddrPort) (*Conn, error) {
	e, err := n.listen(addr)
	if err != nil {
		return nil, err
	}
	return &Conn{endpoint: e}, nil
}

// ReadBatch implements udp.Conn.
func (c *Conn) ReadBatch(b *datagram.Batch) error {
	b.Reset()
	for {
		for !c.isClosed() && b.N < datagram.BatchSize {
			f, ok := c.take()
			if !ok {
				break
			}
			c.add(b, f)
			c.network.recycle(f.b)
		}
		switch {
		case c.isClosed():
			return net.ErrClosed
		case b.N > 0:
			return nil
		}
		select {
		case <-c.ready:
		case <-c.gone:
		}
	}
}

// add copies an arrival into the batch, or counts why not.
func (c *Conn) add(b *datagram.Batch, f flight) {
	switch pair := (datagram.Pair{Local: c.local, Remote: f.from}); {
	case len(f.b) == 0:
		c.empty.Add(1)
	case !b.Append(pair, f.b):
		c.oversized.Add(1)
	default:
		c.received.Add(1)
		c.receivedBytes.Add(uint64(len(f.b)))
	}
}

// Send implements udp.Conn. A run from another address than the Conn's own is refused, as a kernel would.
func (c *Conn) Send(e *datagram.Egress) (dropped int) {
	for _, r := range e.Runs() {
		if r.Pair.Proto != datagram.UDP {
			continue
		}
		from := r.Pair.Local.Addr()
		if c.isClosed() || from.IsValid() && !from.IsUnspecified() && from != c.local.Addr() || r.Pair.Remote.Port() == 0 {
			c.sendFailed.Add(uint64(r.Segments))
			dropped += r.Segments
			continue
		}
		for at := 0; at < len(r.B); at += r.Size {
			c.network.send(c.local, r.Pair.Remote, r.B[at:min(at+r.Size, len(r.B))])
		}
		c.sent.Add(uint64(r.Segments))
		c.sentBytes.Add(uint64(len(r.B)))
		c.messages.Add(1)
	}
	return dropped
}

// Local implements udp.Conn.
func (c *Conn) Local() netip.AddrPort { return c.local }

// Stats implements udp.Conn.
func (c *Conn) Stats() udp.Stats {
	return udp.Stats{
		Received: c.received.Load(), ReceivedBytes: c.receivedBytes.Load(),
		Sent: c.sent.Load(), SentBytes: c.sentBytes.Load(), Messages: c.messages.Load(),
		Empty: c.empty.Load(), Oversized: c.oversized.Load(), SendFailed: c.sendFailed.Load(),
		KernelDrops: c.dropped(),
	}
}

// Close implements udp.Conn.
func (c *Conn) Close() error {
	c.close()
	return nil
}
