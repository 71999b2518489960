package sim

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// PacketConn is a socket on the simulated network as package net has it, with the methods of net.UDPConn that pion uses. It
// fits ice.UDPMuxParams.UDPConn (and its AddrPortReaderWriter) and transport.UDPConn.
type PacketConn struct {
	*endpoint
	deadline deadline
}

// ListenPacket opens a socket at one address. Port 0 means any that is free.
func (n *Network) ListenPacket(addr netip.AddrPort) (*PacketConn, error) {
	e, err := n.listen(addr)
	if err != nil {
		return nil, err
	}
	return &PacketConn{endpoint: e, deadline: deadline{over: make(chan struct{})}}, nil
}

// ReadFromAddrPort waits for a datagram. As with a socket, what does not fit b is lost.
func (c *PacketConn) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		over := c.deadline.wait()
		select {
		case <-c.gone:
			return 0, netip.AddrPort{}, c.fail("read", net.ErrClosed)
		case <-over:
			return 0, netip.AddrPort{}, c.fail("read", os.ErrDeadlineExceeded)
		default:
		}
		if f, ok := c.take(); ok {
			n := copy(b, f.b)
			c.network.recycle(f.b)
			c.again()
			return n, f.from, nil
		}
		select {
		case <-c.ready:
		case <-over:
		case <-c.gone:
		}
	}
}

// again wakes another reader where more has arrived: ready holds one wake-up for any number of arrivals.
func (c *PacketConn) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head < len(c.inbox) {
		select {
		case c.ready <- struct{}{}:
		default:
		}
	}
}

// WriteToAddrPort sends a datagram.
func (c *PacketConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if c.isClosed() {
		return 0, c.fail("write", net.ErrClosed)
	}
	if len(b) > maxDatagram {
		return 0, c.fail("write", os.ErrInvalid)
	}
	c.network.send(c.local, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()), b)
	return len(b), nil
}

func (c *PacketConn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: c.LocalAddr(), Err: err}
}

// ReadFrom implements net.PacketConn.
func (c *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDP(b)
	if err != nil {
		return 0, nil, err
	}
	return n, from, nil
}

// WriteTo implements net.PacketConn.
func (c *PacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, c.fail("write", net.UnknownNetworkError(to.Network()))
	}
	return c.WriteToAddrPort(b, u.AddrPort())
}

// ReadFromUDP is as in net.UDPConn.
func (c *PacketConn) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	n, from, err := c.ReadFromAddrPort(b)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// WriteToUDP is as in net.UDPConn.
func (c *PacketConn) WriteToUDP(b []byte, to *net.UDPAddr) (int, error) {
	return c.WriteToAddrPort(b, to.AddrPort())
}

// ReadMsgUDP is as in net.UDPConn; there is never any oob.
func (c *PacketConn) ReadMsgUDP(b, _ []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	n, from, err = c.ReadFromUDP(b)
	return n, 0, 0, from, err
}

// WriteMsgUDP is as in net.UDPConn; oob is ignored.
func (c *PacketConn) WriteMsgUDP(b, _ []byte, to *net.UDPAddr) (n, oobn int, err error) {
	n, err = c.WriteToUDP(b, to)
	return n, 0, err
}

// Read is as in net.UDPConn.
func (c *PacketConn) Read(b []byte) (int, error) {
	n, _, err := c.ReadFromAddrPort(b)
	return n, err
}

// Write fails: the socket is connected to nobody.
func (c *PacketConn) Write([]byte) (int, error) { return 0, c.fail("write", os.ErrInvalid) }

// LocalAddr implements net.PacketConn.
func (c *PacketConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.local) }

// RemoteAddr returns nil: the socket is connected to nobody.
func (c *PacketConn) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.PacketConn.
func (c *PacketConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (c *PacketConn) SetReadDeadline(t time.Time) error {
	c.deadline.set(t)
	return nil
}

// SetWriteDeadline implements net.PacketConn. Writing never waits.
func (c *PacketConn) SetWriteDeadline(time.Time) error { return nil }

// SetReadBuffer is as in net.UDPConn; InboxSize is what counts.
func (c *PacketConn) SetReadBuffer(int) error { return nil }

// SetWriteBuffer is as in net.UDPConn.
func (c *PacketConn) SetWriteBuffer(int) error { return nil }

// Close implements net.PacketConn.
func (c *PacketConn) Close() error {
	c.deadline.set(time.Time{})
	c.close()
	return nil
}

// deadline is a time after which a channel is closed. Whoever waits on the channel sees a later or earlier deadline as well.
type deadline struct {
	// guarded by mu
	mu    sync.Mutex
	timer *time.Timer
	turn  int // of set: an older timer that fires nevertheless does nothing
	over  chan struct{}
}

// wait returns the channel that is closed when the deadline has passed.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

// set moves the deadline; the zero time takes it away.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	select {
	case <-d.over:
		d.over = make(chan struct{})
	default:
	}
	d.turn++
	if t.IsZero() {
		return
	}
	wait, turn := time.Until(t), d.turn
	if wait <= 0 {
		close(d.over)
		return
	}
	d.timer = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.turn == turn {
			close(d.over)
		}
	})
}
