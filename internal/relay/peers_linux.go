package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/turn"
)

// connection is one to a peer (RFC 6062). Until it is joined with a client's, nothing is read of it: what the peer sends meanwhile waits in the
// kernel (§5.3).
type connection struct {
	// static after construction
	id turn.ConnID

	// owned by loop
	conn   net.Conn           // nil: it is dialed
	cancel context.CancelFunc // ends that
	client *client            // nil: not joined
	piece  int                // of its bytes, since there is a rate; 0: there is none
}

// with calls f with the descriptor of a socket.
func with(c syscall.RawConn, f func(fd int) error) (err error) {
	if called := c.Control(func(fd uintptr) { err = f(int(fd)) }); called != nil {
		return called
	}
	return err
}

// leaveFrom binds a socket to the address that s listens at, since connections of RFC 6062 §5.2 leave from there. Linux has two at one address only where both
// say that they share it (SO_REUSEPORT); but then any other program of the same user may listen there too, and is given peers that are the client's. So the
// listener says it no longer than this takes.
func (l *loop) leaveFrom(s *socket, c syscall.RawConn) error {
	l.binding.Lock()
	defer l.binding.Unlock()
	share := func(value int) func(fd int) error {
		return func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, value) }
	}
	listener, err := s.listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		return err
	}
	if err := with(listener, share(1)); err != nil {
		return err
	}
	err = with(c, func(fd int) error {
		return errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), share(1)(fd), unix.Bind(fd, sockaddr(s.local)), share(0)(fd))
	})
	err = errors.Join(err, with(listener, share(0)))
	unshare(s.local.Port())
	return err
}

// unshare lets Linux forget that a port has been shared: it remembers that of the last socket that was bound to the port, and lets the next one that would share it
// have it without looking at the others. So one that would not is bound to the port, at an address that is nobody's. Where that fails the port is as safe as
// the programs of this user are.
func unshare(number uint16) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	_ = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, byte(rand.Uint32()), byte(rand.Uint32()), byte(2 + rand.Uint32N(253))}, Port: int(number)})
	unix.Close(fd)
}

// network is "tcp" with the family of an address.
func network(a netip.Addr) string {
	if a.Is4() {
		return "tcp4"
	}
	return "tcp6"
}

// relayTCP opens a relayed TCP address.
func (l *loop) relayTCP(at Address, number uint16) (*socket, error) {
	local := netip.AddrPortFrom(at.Bind, number)
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	listener, err := lc.Listen(l.ctx, network(at.Bind), local.String())
	if err != nil {
		return nil, fmt.Errorf("listen on TCP %s: %w", local, err)
	}
	s := &socket{fd: -1, listener: listener, relayed: true, local: local, first: -1, last: -1, id: l.place()}
	l.sockets[s.id] = s
	l.opened(s, at)
	l.start(func() { l.acceptPeers(s) })
	return s, nil
}

// acceptPeers gives the core the connections of peers, one after the other: a peer that opens many waits for its turn.
func (l *loop) acceptPeers(s *socket) {
	wait := acceptPause
	for {
		conn, err := s.listener.Accept()
		switch {
		case err == nil:
			wait = acceptPause
			if !l.ask(func() { l.accepted(s, conn) }) {
				conn.Close()
				return
			}
		case errors.Is(err, net.ErrClosed):
			return
		default: // no descriptor is left, or the like
			select {
			case <-time.After(wait):
				wait = min(2*wait, maxAcceptPause)
			case <-l.ctx.Done():
				return
			}
		}
	}
}

// accepted gives the core the connection of a peer.
func (l *loop) accepted(s *socket, conn net.Conn) {
	remote := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	peer := l.own.seen(netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()))
	if s.closed {
		conn.Close()
		return
	}
	id, reason := l.core.Accepted(l.now, s.id, peer, &l.out)
	l.drops.Add(reason)
	if id == 0 {
		conn.Close()
		return
	}
	l.conns[id] = &connection{id: id, conn: conn}
}

// dial connects to a peer from the relayed address (RFC 6062 §5.2).
func (l *loop) dial(c *turn.Command) {
	ctx, cancel := context.WithTimeout(l.ctx, DialTimeout)
	to := &connection{id: c.Conn, cancel: cancel}
	l.conns[to.id] = to
	s, peer := l.sockets[c.Relay], l.own.reached(c.Peer)
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { return l.leaveFrom(s, c) }}
	d.SetMultipathTCP(false)
	l.start(func() {
		conn, err := d.DialContext(ctx, network(peer.Addr()), peer.String())
		cancel()
		if !l.call(func() { l.dialed(to, conn, err) }) && err == nil {
			conn.Close()
		}
	})
}

func (l *loop) dialed(to *connection, conn net.Conn, err error) {
	switch {
	case l.conns[to.id] != to:
		if err == nil {
			conn.Close()
		}
		return
	case err != nil:
		delete(l.conns, to.id)
	default:
		to.conn = conn
	}
	l.core.Dialed(l.now, turn.Dialed{Conn: to.id, Failed: err != nil}, &l.out)
	l.obey()
}

// join makes a client's connection one with that to a peer.
func (l *loop) join(c *turn.Command) {
	to, client := l.conns[c.Conn], l.clients[c.Pair]
	if to == nil || to.conn == nil || client == nil {
		l.hangUp(c.Conn)
		l.core.Ended(l.now, c.Conn)
		return
	}
	to.client, client.joined, to.piece = client, to, l.core.Piece()
}

// hangUp closes a connection to a peer, with the client's that is joined with it.
func (l *loop) hangUp(id turn.ConnID) {
	to := l.conns[id]
	if to == nil {
		return
	}
	delete(l.conns, id)
	if to.cancel != nil {
		to.cancel()
	}
	if to.conn != nil {
		to.conn.Close()
	}
	if to.client != nil {
		to.client.abort()
	}
}

// hangUpClient closes the connection of a client.
func (l *loop) hangUpClient(pair datagram.Pair) {
	if c := l.clients[pair]; c != nil {
		c.abort()
	}
}

// pace asks the core how long bytes of a connection wait in one direction.
func (l *loop) pace(id turn.ConnID, toPeer bool) func(n int) time.Duration {
	return func(n int) (wait time.Duration) {
		l.ask(func() { wait = l.core.Pace(l.now, id, toPeer, n) })
		return wait
	}
}

// splice carries bytes both ways until both ways have ended, or one has failed, or neither has carried any for SpliceIdleTimeout. One way is read
// no faster than the other end takes it.
func (to *connection) splice(c *client) {
	var active atomic.Int64
	active.Store(time.Now().UnixNano())
	up := way{active: &active, carried: &c.loop.carried[toPeers], piece: to.piece, pace: c.loop.pace(to.id, true), stop: c.stop}
	back := up
	back.carried, back.pace = &c.loop.carried[toClients], c.loop.pace(to.id, false)
	down := make(chan struct{})
	go func() {
		defer close(down)
		if !back.carry(c.conn, to.conn, nil) {
			c.abort()
			to.conn.Close()
		}
	}()
	if !up.carry(to.conn, c.conn, c.buf[c.used:c.have]) {
		c.abort()
		to.conn.Close()
	}
	<-down
	to.conn.Close()
	c.loop.call(func() {
		if c.loop.conns[to.id] == to {
			delete(c.loop.conns, to.id)
			c.loop.core.Ended(c.loop.now, to.id)
		}
	})
}

// Ways of loop.carried.
const (
	toPeers = iota
	toClients
)

// way is one direction of a joined connection.
type way struct {
	active  *atomic.Int64  // when something was last carried, either way, in Unix nanoseconds; in the future while something waits
	carried *atomic.Uint64 // bytes
	piece   int            // what pace is asked for at once; 0: it is not asked
	pace    func(n int) time.Duration
	stop    <-chan struct{}
}

// carry writes first and then what it reads from one connection to another, until there is no more, which it tells the other; or reports false.
func (w *way) carry(to, from net.Conn, first []byte) bool {
	if !w.write(to, first) {
		return false
	}
	buf := make([]byte, spliceBytes)
	for {
		_ = from.SetReadDeadline(time.Unix(0, w.active.Load()).Add(SpliceIdleTimeout))
		n, err := from.Read(buf)
		if !w.write(to, buf[:n]) {
			return false
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if time.Since(time.Unix(0, w.active.Load())) >= SpliceIdleTimeout {
				return false
			}
		default:
			half, ok := to.(interface{ CloseWrite() error })
			return errors.Is(err, io.EOF) && ok && half.CloseWrite() == nil
		}
	}
}

// write writes all of b, each piece when its time has come.
func (w *way) write(to net.Conn, b []byte) bool {
	for len(b) > 0 {
		n := len(b)
		if w.piece > 0 {
			n = min(n, w.piece)
			if !w.wait(w.pace(n)) {
				return false
			}
		}
		now := time.Now()
		w.active.Store(now.UnixNano())
		w.carried.Add(uint64(n))
		_ = to.SetWriteDeadline(now.Add(SpliceIdleTimeout))
		if _, err := to.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

// wait waits, and reports false where the connection ends meanwhile.
func (w *way) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	w.active.Store(time.Now().Add(d).UnixNano())
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.stop:
		return false
	}
}
