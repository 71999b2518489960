package dtls

import (
	"context"
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/pion/sctp"
)

// link is the net.Conn that SCTP has below it. SCTP may close it and DTLS goes on: the media's keys come from there.
type link struct {
	// static after construction
	association *Association
	window      window
	more        sync.Cond // with mu

	// guarded by mu
	mu       sync.Mutex
	waiting  [][]byte // packets for SCTP
	channels []*channel
	news     news // in what SCTP was given last
	closed   bool
	ctx      context.Context // over with SCTP; nil: nobody has asked for it
	over     context.CancelFunc
}

func (a *Association) newLink() *link {
	l := &link{association: a}
	l.window.link = l
	l.more.L = &l.mu
	return l
}

// context is over with SCTP. It is made when it is first needed: most clients send nothing, and it takes half a KiB.
func (l *link) context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		l.ctx, l.over = context.WithCancel(l.association.ctx)
		if l.closed {
			l.over()
		}
	}
	return l.ctx
}

// put gives SCTP a packet, and keeps it. When SCTP does not keep up it is lost, as in a network.
func (l *link) put(b []byte) drop.Reason {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return drop.DtlsClosed
	case len(l.waiting) == queueDatagrams:
		return drop.DtlsQueueFull
	}
	l.waiting = append(l.waiting, b)
	l.more.Signal()
	return drop.None
}

// Read implements net.Conn. SCTP asks for the next packet when it has dealt with those before: what they have brought can be read by then.
func (l *link) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pollNews()
	for len(l.waiting) == 0 && !l.closed {
		l.more.Wait()
	}
	if l.closed {
		return 0, net.ErrClosed
	}
	n := copy(b, l.waiting[0])
	l.waiting = slices.Delete(l.waiting, 0, 1)
	l.news.take(b[:n])
	return n, nil
}

// pollNews lets the channels read for which there may be something: those that are open, if anything has come for any, and others only if
// something has come for them. A client may keep channels that were refused; they cost nothing while it sends on the others. The caller holds mu.
func (l *link) pollNews() {
	if !l.news.some {
		return
	}
	l.news.some = false
	for _, c := range l.channels {
		if l.news.of(c.stream) || c.isOpen() {
			c.poll()
		}
	}
}

// poll lets all channels read. The caller holds mu.
func (l *link) poll() {
	for _, c := range l.channels {
		c.poll()
	}
}

// news is what a packet may have brought to read.
type news struct {
	some, all bool // for some stream, for all of them
	streams   []uint16
}

func (n *news) of(stream uint16) bool { return n.all || slices.Contains(n.streams, stream) }

// take reads the chunks of a packet. Data are for one stream, acknowledgements bring nothing; what else there is, a reset above all, may
// concern any. Whether it is in order is for SCTP to say.
func (n *news) take(b []byte) {
	*n = news{streams: n.streams[:0]}
	for b = b[min(firstChunk, len(b)):]; len(b) >= chunkHeader; {
		switch {
		case b[0] == sackChunk:
		case b[0] == dataChunk && len(b) >= dataHeader:
			n.some, n.streams = true, append(n.streams, binary.BigEndian.Uint16(b[8:]))
		default:
			n.some, n.all = true, true
		}
		length := max(int(binary.BigEndian.Uint16(b[2:])), chunkHeader)
		b = b[min((length+3)&^3, len(b)):] // padded (RFC 9260 §3.2)
	}
}

// remember lets a channel be read, from now on and until forget.
func (l *link) remember(c *channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.channels = append(l.channels, c)
	c.poll()
}

func (l *link) forget(c *channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.channels = slices.DeleteFunc(l.channels, func(x *channel) bool { return x == c })
}

// Write implements net.Conn.
func (l *link) Write(b []byte) (int, error) {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	return len(b), l.association.say(applicationData, b)
}

// Close implements net.Conn.
func (l *link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over != nil {
		l.over()
	}
	l.closed, l.waiting = true, nil
	l.more.Broadcast()
	return nil
}

// LocalAddr implements net.Conn.
func (l *link) LocalAddr() net.Addr { return address{} }

// RemoteAddr implements net.Conn.
func (l *link) RemoteAddr() net.Addr { return address{} }

// SetDeadline implements net.Conn. SCTP sets deadlines only where it aborts, which nobody asks for here.
func (l *link) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn; see SetDeadline.
func (l *link) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn; see SetDeadline.
func (l *link) SetWriteDeadline(time.Time) error { return nil }

// inside gives SCTP a packet, and keeps it. The first starts SCTP; clients without data channels send none. The caller holds mu.
func (a *Association) inside(b []byte) drop.Reason {
	if a.link == nil {
		l := a.newLink()
		a.link = l
		a.start(func() { a.associate(l) })
	}
	return a.link.window.receive(b)
}

// start starts a goroutine that the association waits for at its end.
func (a *Association) start(f func()) {
	a.work.Go(func() {
		defer a.recover()
		f()
	})
}

// associate begins SCTP.
func (a *Association) associate(l *link) {
	assoc, err := sctp.ServerWithOptions(
		sctp.WithNetConn(l), sctp.WithLoggerFactory(silent), sctp.WithMTU(sctpMTU),
		sctp.WithMaxReceiveBufferSize(receiveBytes), sctp.WithMaxMessageSize(MaxMessage),
		sctp.WithMaxReassemblyQueueEntries(maxUnread), sctp.WithEnableInterleaving(false),
	)
	if err != nil {
		_ = l.Close()
		return
	}
	a.start(func() { a.streams(l, assoc) }) // whose stack stays as small as it begins
}

// streams starts a goroutine for every stream, until SCTP is over.
func (a *Association) streams(l *link, assoc *sctp.Association) {
	defer l.Close()
	defer func() { // the channels have their end to read
		l.mu.Lock()
		defer l.mu.Unlock()
		l.poll()
	}()
	defer assoc.Close()
	pending := make(chan struct{}, maxPendingChannels)
	for {
		stream, err := assoc.AcceptStream()
		if err != nil || a.nuisances() >= maxRefused {
			return
		}
		select {
		case pending <- struct{}{}:
			a.start(func() { a.accept(l, stream, pending) })
		default:
			a.refuse(stream)
		}
	}
}

// nuisances is how many channels had to be refused, or closed for being slow.
func (a *Association) nuisances() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return int(a.counts.Refused) + a.slow
}
