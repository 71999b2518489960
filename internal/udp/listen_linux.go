package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
)

// batched is the Conn that reads and writes many datagrams per system call.
type batched struct {
	// static after construction
	conn  *net.UDPConn
	raw   syscall.RawConn
	local netip.AddrPort
	v4    bool // an AF_INET socket; else AF_INET6, which carries IPv4 as v4-mapped addresses
	gso   bool // the kernel knows UDP_SEGMENT

	rd   *reader
	idle chan *sender // senders that nobody uses; a channel because any goroutine may send

	// guarded by itself
	fallbacks fallbacks

	// atomic
	counters
}

func listen(cfg Config) (Conn, error) {
	conn, err := bind(cfg, func(network, _ string, raw syscall.RawConn) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) { err = setOptions(int(fd), network, cfg) }); cerr != nil {
			return cerr
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("listen on UDP %s: %w", cfg.Listen, err)
	}
	c := &batched{
		conn: conn, raw: raw, local: unmapped(conn.LocalAddr().(*net.UDPAddr).AddrPort()),
		idle: make(chan *sender, maxIdleSenders),
	}
	err = raw.Control(func(fd uintptr) {
		domain, derr := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		c.v4 = derr == nil && domain == unix.AF_INET
		_, gerr := unix.GetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT)
		c.gso = gerr == nil
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("listen on UDP %s: %w", cfg.Listen, err)
	}
	c.rd = newReader(c)
	c.rd.aside.patience = cfg.Patience
	return c, nil
}

// setOptions runs before bind, so that every datagram comes with the address it was sent to, and when.
func setOptions(fd int, network string, cfg Config) error {
	var err error
	if network == "udp4" {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	} else {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	if err != nil {
		return fmt.Errorf("ask for destination addresses: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) // without it, what waits counts as under way
	// Forcing needs CAP_NET_ADMIN; without it the system's maximum applies. What was granted is in Stats.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, cfg.ReceiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, cfg.ReceiveBuffer)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, cfg.SendBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, cfg.SendBuffer)
	}
	return nil
}

// ReadBatch implements Conn.
func (c *batched) ReadBatch(b *datagram.Batch) error { return c.rd.readBatch(b) }

// Local implements Conn.
func (c *batched) Local() netip.AddrPort { return c.local }

// Stats implements Conn.
func (c *batched) Stats() Stats {
	s := c.stats()
	_ = c.raw.Control(func(fd uintptr) {
		// The kernel keeps bookkeeping in the buffers and reports twice what was asked for (socket(7)).
		if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
			s.ReceiveBuffer = n / 2
		}
		if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF); err == nil {
			s.SendBuffer = n / 2
		}
		s.KernelDrops = uint64(kernelDrops(fd))
		if second := c.rd.aside.fd.Load(); second != 0 {
			s.KernelDrops += uint64(kernelDrops(uintptr(second)))
		}
	})
	return s
}

// kernelDrops asks for the socket's drop counter (SO_MEMINFO, Linux 4.12): it costs the packet path nothing and is right also
// when nothing arrives any more.
func kernelDrops(fd uintptr) uint32 {
	var mem [unix.SK_MEMINFO_DROPS + 1]uint32
	size := uint32(unsafe.Sizeof(mem))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&mem)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0
	}
	return mem[unix.SK_MEMINFO_DROPS]
}

// Close implements Conn.
func (c *batched) Close() error {
	switch err := c.conn.Close(); {
	case err == nil:
		c.rd.aside.close() // nobody reads any more: the first Close has waited for that
		return nil
	case errors.Is(err, net.ErrClosed):
		return nil
	default:
		return err
	}
}

// tune keeps what waits for a TCP connection in our rings, where the oldest can be dropped, instead of in the kernel.
func tune(c *net.TCPConn) {
	_ = c.SetWriteBuffer(streamSendBuffer)
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, streamUnsent)
		})
	}
}
