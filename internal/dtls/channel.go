package dtls

import (
	"context"
	"errors"
	"io"
	"os"
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

	NumChannels // not a channel: the number of them
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

// Inbox takes the messages of a client, each on the goroutine that reads its channel. While Message blocks, nothing more is read of that
// channel, which ends in SCTP's flow control: the client's sending waits. ctx is over when the channel is. b is the caller's again
// when Message returns. After an error nothing more of the channel is taken.
type Inbox interface {
	Message(ctx context.Context, c Channel, b []byte) error
}

// channel is an open data channel.
type channel struct {
	// static after construction; opened and patience once it is open
	association *Association
	link        *link
	kind        Channel
	stream      uint16
	dc          *datachannel.DataChannel
	opened      bool          // for a while at least
	patience    time.Duration // with a client that is behind

	// guarded by mu
	mu      sync.Mutex
	waiting [][]byte
	bytes   int           // of waiting, each message with what it costs
	room    chan struct{} // closed when there is room again; nil: nobody waits for that
	late    *time.Timer   // ends the channel; nil: it is not behind
	taken   int           // of bytes, since late was set
	writing bool          // there is a goroutine that does
	reading bool          // likewise
	arrived bool          // something may have, since the reader looked last
	ended   bool
	reason  string          // why it has
	ctx     context.Context // over with the channel, or with SCTP; nil: no message has come
	over    context.CancelFunc
	lost    int // messages that waited when the client was given up as too slow
}

// Send queues a message for one channel of the client. It keeps b, which must not change any more. Where too much waits for the client,
// r is DataQueueFull: a lossy message is discarded; a reliable one may be sent again when room is closed, which it is when there is room
// or the channel is over.
func (a *Association) Send(to Channel, b []byte) (r drop.Reason, room <-chan struct{}) {
	if a.ctx.Err() != nil {
		return drop.DtlsClosed, nil
	}
	if len(b) > MaxMessage {
		return drop.DataMalformed, nil
	}
	a.mu.Lock()
	var c *channel
	if to < NumChannels {
		c = a.channels[to]
	}
	a.mu.Unlock()
	if c == nil {
		return drop.DataNoChannel, nil
	}
	return c.push(b)
}

func (c *channel) push(b []byte) (r drop.Reason, room <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch full := c.room != nil || c.bytes+cost(b) > sendBytes; {
	case c.ended:
		return drop.DataNoChannel, nil
	case full && c.kind == Lossy:
		return drop.DataQueueFull, nil
	case full:
		if c.room == nil {
			c.room = make(chan struct{})
		}
		return drop.DataQueueFull, c.room
	}
	c.waiting = append(c.waiting, b)
	if c.bytes += cost(b); c.bytes >= resumeBytes && c.late == nil && c.kind == Reliable {
		c.expect()
	}
	c.work()
	return drop.None, nil
}

// cost is what a message counts while it waits.
func cost(b []byte) int { return len(b) + messageOverhead }

// expect gives a client that is behind so long to take some of what waits. The caller holds mu.
func (c *channel) expect() {
	var late *time.Timer
	late = time.AfterFunc(c.patience, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.late == late {
			c.lost = len(c.waiting)
			c.endLocked("slow reader")
		}
	})
	c.late, c.taken = late, 0
}

// advance notes that the client has taken n bytes. The caller holds mu.
func (c *channel) advance(n int) {
	c.bytes -= n
	c.taken += n
	switch {
	case c.bytes < resumeBytes:
		c.catchUp()
	case c.late != nil && c.taken >= sendBytes-resumeBytes:
		c.late.Stop()
		c.expect()
	}
}

// catchUp: the client is not behind any more. The caller holds mu.
func (c *channel) catchUp() {
	if c.late != nil {
		c.late.Stop()
		c.late = nil
	}
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// work starts a goroutine where there is something to write, or to close, and none that does. The caller holds mu, and SCTP does not end
// before its channels: so the association waits for what is started here.
func (c *channel) work() {
	if c.opened && !c.writing && (c.ended || len(c.waiting) > 0) {
		c.writing = true
		c.association.start(c.write)
	}
}

// again goes on writing: SCTP has room.
func (c *channel) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work()
}

// end closes the channel. The first reason counts.
func (c *channel) end(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(reason)
}

func (c *channel) endLocked(reason string) {
	if c.ended {
		return
	}
	c.ended, c.reason, c.waiting, c.bytes = true, reason, nil, 0
	c.catchUp()
	if c.over != nil {
		c.over()
	}
	c.work()
}

// next returns the message to write. Where there is none, or no room, the writer is over, unless it has the channel to close.
func (c *channel) next(room bool) (b []byte, ok, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.waiting = nil // what it took to hold many is not kept
	}
	if c.ended || len(c.waiting) == 0 || !room {
		c.writing = c.ended
		return nil, false, c.ended
	}
	b = c.waiting[0]
	c.waiting[0] = nil
	c.waiting = c.waiting[1:]
	c.advance(cost(b))
	return b, true, false
}

// write gives SCTP what waits, as long as the client acknowledges (SCTP's own queue has no bound). A channel on which nothing is sent has
// no goroutine for that. Of a channel that is over it tells.
func (c *channel) write() {
	for {
		b, ok, ended := c.next(c.dc.BufferedAmount() < unackedBytes)
		switch {
		case ok:
			if _, err := c.dc.Write(b); err != nil {
				c.end("closed")
			}
		case ended:
			_ = c.dc.Close()
			c.association.closed(c)
			return
		default:
			if c.dc.BufferedAmount() < unackedBytes {
				c.again() // SCTP may have told of its room before the writer was over
			}
			return
		}
	}
}

// poll starts a goroutine that reads what may have come, where there is none. A channel on which nothing comes has none.
func (c *channel) poll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrived = true
	if !c.reading {
		c.reading = true
		c.association.start(c.read)
	}
}

// expects reports whether something may have come since it was asked before. Where not, the reader is over.
func (c *channel) expects() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading, c.arrived = c.arrived, false
	return c.reading
}

// read passes on what the client has sent. Once the channel is over it discards what still comes, which would fill the receive window
// of the other one, until the client has closed it too.
func (c *channel) read() {
	short := make([]byte, readBytes)
	for c.expects() {
		for c.readOne(short) {
		}
	}
}

// readOne passes on a message. It reports false when there is none for now, or will be none any more.
func (c *channel) readOne(short []byte) bool {
	buf := short
	n, _, err := c.dc.ReadDataChannel(buf)
	if errors.Is(err, io.ErrShortBuffer) { // the message is still there
		long := longBuffers.Get().(*[longestBytes]byte)
		defer longBuffers.Put(long)
		buf = long[:]
		n, _, err = c.dc.ReadDataChannel(buf)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false
	case err != nil:
		c.end("closed by the client")
		c.link.forget(c)
		return false
	case c.isOver():
	case n > MaxMessage:
		c.end("a message is too long")
		c.association.count(func(n *Counts) { n.Refused++ })
	default:
		if err := c.association.cfg.Inbox.Message(c.context(), c.kind, buf[:n]); err != nil {
			c.end("closed")
		}
	}
	c.link.window.read(n)
	return true
}

// longBuffers are for messages that are longer than most.
var longBuffers = sync.Pool{New: func() any { return new([longestBytes]byte) }}

func (c *channel) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// context is over with the channel.
func (c *channel) context() context.Context {
	parent := c.link.context()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.ctx, c.over = context.WithCancel(parent)
		if c.ended {
			c.over()
		}
	}
	return c.ctx
}

// isOpen reports whether messages of the channel are passed on: it was not refused, and is not over.
func (c *channel) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened && !c.ended
}

// accept waits for a stream's opening message and opens the channel, if it is one of the two and not open already. From then on reads
// do not wait: a deadline that is over lets them have what is there.
func (a *Association) accept(l *link, stream *sctp.Stream, pending <-chan struct{}) {
	cfg := &datachannel.Config{LoggerFactory: silent}
	dc, err := datachannel.Server(stream, cfg)
	<-pending
	if err != nil {
		a.refuse(stream)
		return
	}
	kind, known := channelOf(cfg)
	c := &channel{association: a, link: l, kind: kind, stream: stream.StreamIdentifier(), dc: dc}
	dc.SetBufferedAmountLowThreshold(unackedBytes / 2)
	dc.OnBufferedAmountLow(c.again)
	if known && a.open(c) {
		a.tell(Event{Kind: ChannelOpened, Channel: kind})
	} else {
		c.end("refused")
		a.refuse(stream)
	}
	_ = dc.SetReadDeadline(time.Now())
	l.remember(c)
}

// open reports false if there is such a channel already.
func (a *Association) open(c *channel) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if before := a.channels[c.kind]; before != nil && !before.isOver() {
		return false
	}
	c.mu.Lock()
	c.opened, c.patience = true, Patience>>a.slow
	c.mu.Unlock()
	a.channels[c.kind] = c
	return true
}

// closed forgets a channel that is over.
func (a *Association) closed(c *channel) {
	a.mu.Lock()
	if a.channels[c.kind] == c {
		a.channels[c.kind] = nil
	}
	if c.lost > 0 {
		a.slow++
	}
	a.mu.Unlock()
	a.tell(Event{Kind: ChannelClosed, Channel: c.kind, Reason: c.reason, Lost: c.lost})
}

func (a *Association) refuse(stream *sctp.Stream) {
	_ = stream.Close()
	a.count(func(n *Counts) { n.Refused++ })
}
