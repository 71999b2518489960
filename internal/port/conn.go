package port

import (
	"container/list"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
)

// conn is an accepted TCP connection. What the test of its first bytes has read is read again by whoever gets it.
type conn struct {
	net.Conn

	// static after construction
	gate   *gate
	remote netip.AddrPort
	source netip.Addr
	once   sync.Once

	// owned by the reader
	head []byte

	// guarded by gate.mu
	waiting *list.Element // its place among the half-open ones
	use     use
}

func newConn(c net.Conn, g *gate) *conn {
	remote := addrPort(c.RemoteAddr())
	return &conn{Conn: c, gate: g, remote: remote, source: datagram.Source(remote.Addr())}
}

// addrPort returns a TCP address in our form; it is invalid for others.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := t.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// pair returns the addresses of the connection.
func (c *conn) pair() datagram.Pair {
	return datagram.Pair{Local: addrPort(c.LocalAddr()), Remote: c.remote, Proto: datagram.TCP}
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) { return readHead(&c.head, c.Conn, b) }

// readHead reads from head while there is any, then from c.
func readHead(head *[]byte, c net.Conn, b []byte) (int, error) {
	if len(*head) == 0 {
		return c.Read(b)
	}
	n := copy(b, *head)
	*head = (*head)[n:]
	return n, nil
}

// Close implements net.Conn. The connection stops to count.
func (c *conn) Close() error {
	c.once.Do(func() { c.gate.leave(c) })
	return c.Conn.Close()
}

// CloseWrite lets net/http end a response whose request has not been read to its end.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection below, as tls.Conn has it.
func (c *conn) NetConn() net.Conn { return c.Conn }

// secureConn is a TLS connection of which the first bytes inside have been looked at. By its ConnectionState net/http knows
// that it is one.
type secureConn struct {
	*tls.Conn

	// owned by the reader
	head []byte
}

// Read implements net.Conn.
func (c *secureConn) Read(b []byte) (int, error) { return readHead(&c.head, c.Conn, b) }

// class is what a connection carries.
type class uint8

const (
	classUnknown class = iota
	classTLS
	classHTTP
	classStream
	classTURN
)

// sniff reads the first bytes of c and tells what they are. It does not wait for more than it needs, nor longer than
// SniffTimeout: then what there is decides.
func sniff(c net.Conn) (head []byte, k class) {
	head = make([]byte, sniffBytes)
	_ = c.SetReadDeadline(time.Now().Add(SniffTimeout))
	n := 0
	for n < len(head) {
		m, err := c.Read(head[n:])
		n += m
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, classUnknown
		}
		if err != nil {
			break
		}
	}
	_ = c.SetReadDeadline(time.Time{})
	return head[:n], classify(head[:n])
}

// classify tells what begins with b.
func classify(b []byte) class {
	if len(b) == 0 {
		return classUnknown
	}
	switch first := b[0]; {
	case first == 0x16: // TLS handshake record
		return classTLS
	case first >= 'A' && first <= 'Z', first >= 'a' && first <= 'z':
		return classHTTP
	}
	// The STUN header of RFC 8489 section 5: two zero bits, its own length, the cookie; for ICE after a length (RFC 4571).
	const cookie = "\x21\x12\xa4\x42"
	switch {
	case len(b) < sniffBytes:
	case b[2]&0xc0 == 0 && string(b[6:10]) == cookie:
		return classStream
	case b[0]&0xc0 == 0 && string(b[4:8]) == cookie:
		return classTURN
	}
	return classUnknown
}
