package dtls

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/transport/v5/deadline"
)

// pipe is the net.PacketConn that the DTLS library reads and writes, without a socket. Its time is the time package's.
type pipe struct {
	// static after construction
	in       chan []byte
	send     func([]byte)
	closed   chan struct{}
	deadline *deadline.Deadline
	once     sync.Once // of Close

	// atomic
	muted atomic.Bool // what is written is lost
}

func newPipe(send func([]byte)) *pipe {
	return &pipe{
		in: make(chan []byte, queueDatagrams), send: send, closed: make(chan struct{}), deadline: deadline.New(),
	}
}

// put gives the reader a datagram, and keeps it. It reports false when the reader does not keep up.
func (p *pipe) put(b []byte) bool {
	select {
	case p.in <- b:
		return true
	default:
		return false
	}
}

// ReadFrom implements net.PacketConn.
func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-p.closed:
		return 0, nil, net.ErrClosed
	case <-p.deadline.Done():
		return 0, nil, os.ErrDeadlineExceeded
	case d := <-p.in:
		return copy(b, d), address{}, nil
	}
}

// WriteTo implements net.PacketConn. It never blocks.
func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	select {
	case <-p.closed:
		return 0, net.ErrClosed
	default:
	}
	if !p.muted.Load() && !plaintextAlert(b) {
		p.send(b)
	}
	return len(b), nil
}

// Close implements net.PacketConn.
func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// SetReadDeadline implements net.PacketConn.
func (p *pipe) SetReadDeadline(t time.Time) error {
	p.deadline.Set(t)
	return nil
}

// SetDeadline implements net.PacketConn; writes have none, as they do not block.
func (p *pipe) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn.
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr implements net.PacketConn.
func (p *pipe) LocalAddr() net.Addr { return address{} }

// address stands for either end: which addresses the datagrams travel between is the owner's business.
type address struct{}

// Network implements net.Addr.
func (address) Network() string { return "dtls" }

// String implements net.Addr.
func (address) String() string { return "transport" }
