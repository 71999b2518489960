// Package udp moves datagrams between the kernel and batches: many per system call, without allocation, and without ever
// waiting for a socket that is full. It owns sockets and connections, and nothing of what is in a datagram.
//
// A Conn is a UDP socket. On Linux it reads with recvmmsg, writes with sendmmsg, and sends a run to one destination as one GSO
// message (UDP_SEGMENT); elsewhere it is a plain net.UDPConn. internal/sim implements Conn too.
//
// A StreamConn is a TCP connection that carries datagrams, each after its length (RFC 4571 section 2):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-------------------------------+
//	|            LENGTH             |  STUN, DTLS, RTP or RTCP ...  |
//	+-------------------------------+-------------------------------+
package udp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
)

// Conn sends and receives datagrams on one local port. One goroutine reads; any number may send.
type Conn interface {
	// ReadBatch empties b, waits for datagrams and fills b with at least one of them. A datagram's bytes lie somewhere in the
	// batch's storage, not always in the buffer of the same index. After Close the error is net.ErrClosed.
	ReadBatch(b *datagram.Batch) error
	// Send sends the UDP runs of e, leaves out all others, and returns how many datagrams could not be sent. It never waits:
	// what the socket does not take at once is dropped. It does not Reset e.
	Send(e *datagram.Egress) (dropped int)
	// Local returns the bound address; it is unspecified where the socket listens on all of them.
	Local() netip.AddrPort
	Stats() Stats
	// Close ends ReadBatch. It may be called more than once.
	Close() error
}

// Stats counts since the Conn was opened, in datagrams unless the name says otherwise.
type Stats struct {
	Received, ReceivedBytes uint64
	Sent, SentBytes         uint64
	// Messages is how many messages carried what was sent: Sent/Messages is the mean length of a run.
	Messages uint64
	// Empty and Oversized were received and dropped.
	Empty, Oversized uint64
	// SendFull were dropped because the socket's buffer was full, SendFailed because the kernel refused them.
	SendFull, SendFailed uint64
	// GSOFallbacks counts runs that the kernel refused as one message and that were then sent one by one.
	GSOFallbacks uint64
	// KernelDrops is how many the kernel dropped because the receive buffer was full. The kernel counts it in 32 bits.
	KernelDrops uint64
	// ReceiveBuffer and SendBuffer are the socket's buffers in bytes as the kernel granted them.
	ReceiveBuffer, SendBuffer int
}

// Config says what to listen on.
type Config struct {
	// Listen is HOST:PORT. Without a host, or with [::], it is all addresses of both families; 0.0.0.0 is all of IPv4.
	Listen string
	// ReceiveBuffer and SendBuffer are wanted socket buffers in bytes; 0 means the defaults of limits.go.
	ReceiveBuffer, SendBuffer int
	// Patience is how long transport-wide feedback that comes alone may wait to be read with something else, where there is much of it and
	// the system can tell it from the rest. 0: it is read at once.
	Patience time.Duration
	// Plain asks for the portable socket also where there is a faster one. It does not learn to which of its addresses a
	// datagram came.
	Plain bool
}

// Listen opens a UDP socket.
func Listen(cfg Config) (Conn, error) {
	if cfg.ReceiveBuffer == 0 {
		cfg.ReceiveBuffer = DefaultReceiveBuffer
	}
	if cfg.SendBuffer == 0 {
		cfg.SendBuffer = DefaultSendBuffer
	}
	if cfg.Plain {
		return listenPlain(cfg)
	}
	return listen(cfg)
}

// Network returns the network name, "udp" or "udp4", with which net binds base ("udp" or "tcp") as Config.Listen describes it:
// net itself would open 0.0.0.0 for both families.
func Network(base, listen string) string {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return base
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		return base + "4"
	}
	return base
}

// bind opens the socket; control runs before it is bound.
func bind(cfg Config, control func(network, address string, c syscall.RawConn) error) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: control}
	pc, err := lc.ListenPacket(context.Background(), Network("udp", cfg.Listen), cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on UDP %s: %w", cfg.Listen, err)
	}
	return pc.(*net.UDPConn), nil
}

// unmapped returns a with an IPv4 address as such.
func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
