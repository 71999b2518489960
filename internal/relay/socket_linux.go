package relay

import (
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/mmsg"
	"github.com/parley-rtc/parley/internal/turn"
)

// socket is a UDP socket of the loop: a listener, or the relayed address of an allocation. There are as many as allocations, so it has no
// buffer. A relayed TCP address is one as well, but it is a goroutine that waits for it.
type socket struct {
	// static after construction
	fd       int
	listener net.Listener // of a relayed TCP address; else nil
	id       turn.RelayID
	v4       bool           // an AF_INET socket; else AF_INET6
	dual     bool           // AF_INET6, and carries IPv4 as v4-mapped addresses as well
	relayed  bool           // else a listener
	local    netip.AddrPort // as bound
	address  netip.AddrPort // relayed: as peers see it

	// owned by loop
	first, last int32 // what waits in Out.Peers, chained by loop.next; −1: nothing
	more        bool  // it is in loop.more
	closed      bool  // closed in this turn
	dropped     uint32
	next        *socket // of loop.touched
}

// openUDP binds a UDP socket; 0 is any port. Dual is for the unspecified IPv6 address: IPv4 comes there as well. Where it is a relayed one, the kernel's own idea of what fits the path does not matter to the
// client: without DONT-FRAGMENT its datagrams may be fragmented (RFC 8656 §14.1, §18.9).
func openUDP(local netip.AddrPort, relayed, dual bool) (*socket, error) {
	s := &socket{local: local, relayed: relayed, v4: local.Addr().Is4(), dual: dual, first: -1, last: -1}
	domain := unix.AF_INET6
	if s.v4 {
		domain = unix.AF_INET
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a UDP socket: %w", err)
	}
	s.fd = fd
	if err := s.setOptions(); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if err := s.bind(local); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return s, nil
}

// bind binds s and notes what it has been bound to.
func (s *socket) bind(local netip.AddrPort) error {
	if err := unix.Bind(s.fd, sockaddr(local)); err != nil {
		return fmt.Errorf("listen on UDP %s: %w", local, err)
	}
	s.local = local
	if local.Port() == 0 {
		sa, err := unix.Getsockname(s.fd)
		if err != nil {
			return fmt.Errorf("listen on UDP %s: %w", local, err)
		}
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			s.local = netip.AddrPortFrom(local.Addr(), uint16(sa.Port))
		case *unix.SockaddrInet6:
			s.local = netip.AddrPortFrom(local.Addr(), uint16(sa.Port))
		}
	}
	return nil
}

// sockaddr is an address as system calls take it.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port()), ZoneId: mmsg.ZoneIndex(a.Addr())}
}

func (s *socket) setOptions() error {
	set := func(level, name, value int) error { return unix.SetsockoptInt(s.fd, level, name, value) }
	// Older kernels have neither; then datagrams come one by one, and nobody tells of drops.
	_ = set(unix.SOL_UDP, unix.UDP_GRO, 1)
	_ = set(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
	if !s.v4 && !s.dual {
		if err := set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return fmt.Errorf("serve IPv6 only: %w", err)
		}
	}
	if s.relayed {
		return s.setRelayed(set)
	}
	for _, o := range [...]struct{ force, plain, bytes int }{
		{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, listenerReceiveBuffer}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, listenerSendBuffer},
	} {
		// Forcing needs CAP_NET_ADMIN; without it the system's maximum applies.
		if set(unix.SOL_SOCKET, o.force, o.bytes) != nil {
			_ = set(unix.SOL_SOCKET, o.plain, o.bytes)
		}
	}
	if s.dual {
		if err := set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return fmt.Errorf("serve both families: %w", err)
		}
	}
	// Every datagram comes with the address it was sent to: answers leave from there.
	var err error
	switch {
	case !s.local.Addr().IsUnspecified():
	case s.v4:
		err = set(unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	default:
		err = set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	if err != nil {
		return fmt.Errorf("ask for destination addresses: %w", err)
	}
	return nil
}

func (s *socket) setRelayed(set func(level, name, value int) error) error {
	level, discover, errors, dont := unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_RECVERR, unix.IPV6_PMTUDISC_DONT
	if s.v4 {
		level, discover, errors, dont = unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_RECVERR, unix.IP_PMTUDISC_DONT
	}
	if err := set(level, discover, dont); err != nil {
		return fmt.Errorf("allow fragmentation: %w", err)
	}
	if err := set(level, errors, 1); err != nil {
		return fmt.Errorf("ask for ICMP errors: %w", err)
	}
	return nil
}

// fragment sets whether what s sends may be fragmented.
func (s *socket) fragment(allowed bool) {
	level, name, value := unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO
	if s.v4 {
		level, name, value = unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO
	}
	if allowed {
		value = unix.IP_PMTUDISC_DONT // of both families
	}
	_ = unix.SetsockoptInt(s.fd, level, name, value)
}

// kernelDrops asks how many datagrams the kernel has dropped since the receive buffer was full (SO_MEMINFO, Linux 4.12).
func (s *socket) kernelDrops() uint32 {
	var mem [unix.SK_MEMINFO_DROPS + 1]uint32
	size := uint32(unsafe.Sizeof(mem))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&mem)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0
	}
	return mem[unix.SK_MEMINFO_DROPS]
}
