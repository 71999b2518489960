package dtls

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/pion/datachannel"
	"github.com/pion/sctp"
)

// Channel is one of the two data channels that a client may open, told by label and kind (RFC 8832).
type Channel uint8

// Channels.
const (
	Reliable Channel = iota // "parley": ordered, nothing is lost
	Lossy                   // "parley-lossy": unordered, nothing is sent twice
	numChannels
)

// String returns the channel's label.
func (c Channel) String() string {
	if c == Lossy {
		return "parley-lossy"
	}
	return "parley"
}

// channelOf returns which channel an opening message asks for.
func channelOf(c *datachannel.Config) (Channel, bool) {
	switch c.Label {
	case Reliable.String():
		return Reliable, c.ChannelType == datachannel.ChannelTypeReliable
	case Lossy.String():
		return Lossy, c.ChannelType == datachannel.ChannelTypePartialReliableRexmitUnordered && c.ReliabilityParameter == 0
	}
	return 0, false
}

// channel is an open data channel.
type channel struct {
	// static after construction
	kind  Channel
	dc    *datachannel.DataChannel
	wake  chan struct{} // something waits, or SCTP has room again
	ended chan struct{}

	// guarded by mu
	mu      sync.Mutex
	waiting [][]byte
	bytes   int // of waiting
	over    bool
	reason  string // why it is over
}

// Send queues a message for one channel of the client. It keeps b, which must not change any more. Where the client does not read,
// a lossy message is dropped and the reliable channel closed.
func (a *Association) Send(to Channel, b []byte) drop.Reason {
	if a.ctx.Err() != nil {
		return drop.DtlsClosed
	}
	if len(b) > MaxMessage {
		return drop.DataMalformed
	}
	a.mu.Lock()
	var c *channel
	if to < numChannels {
		c = a.channels[to]
	}
	a.mu.Unlock()
	if c == nil {
		return drop.DataNoChannel
	}
	return c.push(b)
}

func (c *channel) push(b []byte) drop.Reason {
	c.mu.Lock()
	full := c.bytes+len(b) > sendBytes || len(c.waiting) == sendMessages
	if !full && !c.over {
		c.waiting = append(c.waiting, b)
		c.bytes += len(b)
	}
	c.mu.Unlock()
	if full && c.kind == Reliable {
		c.end("slow reader")
	}
	if full {
		return drop.DataQueueFull
	}
	c.signal()
	return drop.None
}

func (c *channel) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// end makes reader and writer end. The first reason counts.
func (c *channel) end(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over, c.reason, c.waiting, c.bytes = true, reason, nil, 0
	close(c.ended)
}

func (c *channel) pop() (b []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return nil, false
	}
	b = c.waiting[0]
	c.waiting[0] = nil
	c.waiting = c.waiting[1:]
	c.bytes -= len(b)
	return b, true
}

// write gives SCTP what waits, as long as the client acknowledges: SCTP's own queue has no bound.
func (c *channel) write() {
	c.dc.SetBufferedAmountLowThreshold(unackedBytes / 2)
	c.dc.OnBufferedAmountLow(c.signal)
	for {
		for c.dc.BufferedAmount() < unackedBytes {
			b, ok := c.pop()
			if !ok {
				break
			}
			if _, err := c.dc.Write(b); err != nil {
				c.end("closed")
			}
		}
		select {
		case <-c.wake:
		case <-c.ended:
			_ = c.dc.Close()
			_ = c.dc.SetReadDeadline(time.Now()) // wakes the reader
			return
		}
	}
}

const readBytes = 2 << 10 // enough for most messages; there are many channels, and each has a buffer

// read tells the sink what the client sends, until the channel is over.
func (c *channel) read(a *Association) {
	buf := make([]byte, readBytes)
	for {
		n, _, err := c.dc.ReadDataChannel(buf)
		switch {
		case errors.Is(err, io.ErrShortBuffer) && len(buf) < MaxMessage: // the message is still there
			buf = make([]byte, MaxMessage)
		case errors.Is(err, io.ErrShortBuffer):
			c.end("a message is too long")
			return
		case err != nil:
			c.end("closed by the client")
			return
		default:
			c.message(a, buf[:n])
			if len(buf) > readBytes {
				buf = make([]byte, readBytes)
			}
		}
	}
}

// message tells of one message. Where the sink is full, a reliable channel waits, which ends in SCTP's flow control.
func (c *channel) message(a *Association, b []byte) {
	e := Event{Kind: Message, Channel: c.kind, Payload: bytes.Clone(b)}
	if c.kind == Reliable {
		a.tell(e)
	} else if !a.cfg.Sink.Event(a.cfg.ID, e) {
		a.count(func(n *Counts) { n.Lost++ })
	}
}

// accept waits for a stream's opening message and runs the channel, if it is one of the two and not open already.
func (a *Association) accept(stream *sctp.Stream, pending <-chan struct{}, start func(func())) {
	cfg := &datachannel.Config{LoggerFactory: silent}
	dc, err := datachannel.Server(stream, cfg)
	<-pending
	if err != nil {
		a.refuse(stream)
		return
	}
	kind, known := channelOf(cfg)
	c := &channel{kind: kind, dc: dc, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	if !known || !a.open(c) {
		a.refuse(stream)
		return
	}
	a.tell(Event{Kind: ChannelOpened, Channel: kind})
	defer c.end("internal fault") // by now there is another reason, unless this panics: the writer must end too
	start(c.write)
	c.read(a)
	a.mu.Lock()
	a.channels[kind] = nil
	a.mu.Unlock()
	a.tell(Event{Kind: ChannelClosed, Channel: kind, Reason: c.reason})
}

// open reports false if there is such a channel already.
func (a *Association) open(c *channel) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.channels[c.kind] != nil {
		return false
	}
	a.channels[c.kind] = c
	return true
}

func (a *Association) refuse(stream *sctp.Stream) {
	_ = stream.Close()
	a.count(func(n *Counts) { n.Refused++ })
}
