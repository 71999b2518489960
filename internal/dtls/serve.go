package dtls

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"

	pion "github.com/pion/dtls/v3"
	"github.com/pion/sctp"
)

// link is the net.Conn that SCTP has below it. SCTP may close it and DTLS goes on: the media's keys come from there.
type link struct {
	// static after construction
	*pipe
	conn   io.Writer
	ctx    context.Context // over with SCTP
	over   context.CancelFunc
	window window
}

func (a *Association) newLink(conn io.Writer) *link {
	l := &link{pipe: newPipe(nil), conn: conn}
	l.ctx, l.over = context.WithCancel(a.ctx)
	l.window.link = l
	return l
}

// Close implements net.Conn.
func (l *link) Close() error {
	l.over()
	return l.pipe.Close()
}

// Read implements net.Conn.
func (l *link) Read(b []byte) (int, error) {
	n, _, err := l.ReadFrom(b)
	return n, err
}

// Write implements net.Conn.
func (l *link) Write(b []byte) (int, error) {
	select {
	case <-l.closed:
		return 0, net.ErrClosed
	default:
		return l.conn.Write(b)
	}
}

// RemoteAddr implements net.Conn.
func (l *link) RemoteAddr() net.Addr { return address{} }

// serve reads what comes inside DTLS until that ends. The first record starts SCTP; clients without data channels send none.
func (a *Association) serve(conn io.ReadWriter) {
	var inside sync.WaitGroup
	defer inside.Wait()
	var l *link // nil until the first record
	defer func() {
		if l != nil {
			_ = l.Close()
		}
	}()
	buf, warnings := make([]byte, maxDatagram), 0
	for {
		n, err := conn.Read(buf)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, pion.ErrConnClosed), warnings == maxWarnings:
			return
		case err != nil: // an alert that is only a warning
			warnings++
			continue
		case l == nil:
			l = a.newLink(conn)
			inside.Go(func() { a.associate(l, &inside) })
		}
		l.window.receive(bytes.Clone(buf[:n]))
	}
}

// associate runs SCTP and starts a goroutine for every stream.
func (a *Association) associate(l *link, inside *sync.WaitGroup) {
	defer a.recover()
	start := func(f func()) {
		inside.Go(func() {
			defer a.recover()
			f()
		})
	}
	assoc, err := sctp.ServerWithOptions(
		sctp.WithNetConn(l), sctp.WithLoggerFactory(silent), sctp.WithMTU(sctpMTU),
		sctp.WithMaxReceiveBufferSize(receiveBytes), sctp.WithMaxMessageSize(MaxMessage),
		sctp.WithMaxReassemblyQueueEntries(maxUnread), sctp.WithEnableInterleaving(false),
	)
	if err != nil {
		return
	}
	defer assoc.Close()
	pending := make(chan struct{}, maxPendingChannels)
	for {
		stream, err := assoc.AcceptStream()
		if err != nil || a.nuisances() >= maxRefused {
			return
		}
		select {
		case pending <- struct{}{}:
			start(func() { a.accept(l, stream, pending, start) })
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
