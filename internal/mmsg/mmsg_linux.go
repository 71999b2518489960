package mmsg

import (
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Header is the kernel's struct mmsghdr (recvmmsg(2)).
type Header struct {
	Hdr unix.Msghdr
	N   uint32 // bytes that were received, or sent
}

// Control is room for the control messages of one datagram: addresses (IPV6_PKTINFO is the larger), and when it came, or segment size and dropped
// datagrams. It is made of words because they must be aligned.
type Control [11]uint64

// Sizes of socket addresses, and of Control.
const (
	SizeInet4   = unix.SizeofSockaddrInet4
	SizeInet6   = unix.SizeofSockaddrInet6
	SizeControl = int(unsafe.Sizeof(Control{}))
)

// The raw calls keep this thread and its P: none of these waits, and giving the P away costs more than the call.

// Receive is recvmmsg, which does not wait. It returns how many messages were received.
func Receive(fd int, msgs []Header, flags int) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)),
		uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
	return int(n), errno
}

// Send is sendmmsg, which does not wait. It returns how many messages were sent.
func Send(fd int, msgs []Header) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)),
		unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// port reads a port in network order.
func port(p *uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(p))
	return uint16(b[0])<<8 | uint16(b[1])
}

func setPort(p *uint16, v uint16) {
	b := (*[2]byte)(unsafe.Pointer(p))
	b[0], b[1] = byte(v>>8), byte(v)
}

// SetName writes to as a socket address of a socket's family, AF_INET where v4, and returns its size; 0 when the family cannot express it.
func SetName(sa *unix.RawSockaddrInet6, to netip.AddrPort, v4 bool) uint32 {
	addr := to.Addr()
	switch {
	case !addr.IsValid() || to.Port() == 0:
		return 0
	case !v4:
		sa.Family, sa.Addr, sa.Flowinfo, sa.Scope_id = unix.AF_INET6, addr.As16(), 0, ZoneIndex(addr)
		setPort(&sa.Port, to.Port())
		return SizeInet6
	case addr.Is4():
		s := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		s.Family, s.Addr = unix.AF_INET, addr.As4()
		setPort(&s.Port, to.Port())
		return SizeInet4
	}
	return 0
}

// SetControl writes the control messages for a datagram from local, where that is an address, and, where segment is not 0, to be cut every segment
// bytes. It returns their size.
func SetControl(c *Control, local netip.Addr, segment int, v4 bool) int {
	at := 0
	if local.IsValid() && !local.IsUnspecified() {
		if v4 {
			p := (*unix.Inet4Pktinfo)(setHeader(c, at, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo))
			*p = unix.Inet4Pktinfo{Spec_dst: local.As4()}
			at += unix.CmsgSpace(unix.SizeofInet4Pktinfo)
		} else {
			p := (*unix.Inet6Pktinfo)(setHeader(c, at, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo))
			*p = unix.Inet6Pktinfo{Addr: local.As16(), Ifindex: ZoneIndex(local)}
			at += unix.CmsgSpace(unix.SizeofInet6Pktinfo)
		}
	}
	if segment != 0 {
		*(*uint16)(setHeader(c, at, unix.SOL_UDP, unix.UDP_SEGMENT, 2)) = uint16(segment)
		at += unix.CmsgSpace(2)
	}
	return at
}

// setHeader writes a control message's header at offset at and returns where its value goes.
func setHeader(c *Control, at int, level, kind int32, size int) unsafe.Pointer {
	h := (*unix.Cmsghdr)(unsafe.Add(unsafe.Pointer(c), at))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(size))
	return unsafe.Add(unsafe.Pointer(h), unix.CmsgLen(0))
}

// Zones turns interface numbers into address zones: the number in decimal, so that no look-up is needed on the way back. It remembers what it has made: an
// address with a zone would be allocated otherwise. It belongs to one goroutine.
type Zones map[uint32]netip.Addr

// apply gives link-local addresses their zone; all others stay as they are.
func (z Zones) apply(a netip.Addr, index uint32) netip.Addr {
	if index == 0 || !a.Is6() || !(a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast()) {
		return a
	}
	known, ok := z[index]
	if !ok {
		known = netip.IPv6Unspecified().WithZone(strconv.FormatUint(uint64(index), 10))
		z[index] = known
	}
	return a.WithZone(known.Zone())
}

// ZoneIndex returns the interface number of an address with a zone, else 0.
func ZoneIndex(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	n, _ := strconv.ParseUint(a.Zone(), 10, 32)
	return uint32(n)
}

// Name reads a socket address that the kernel wrote.
func (z Zones) Name(sa *unix.RawSockaddrInet6) netip.AddrPort {
	if sa.Family == unix.AF_INET {
		s := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), port(&s.Port))
	}
	return netip.AddrPortFrom(z.apply(netip.AddrFrom16(sa.Addr).Unmap(), sa.Scope_id), port(&sa.Port))
}

// Told is what the control messages of a received datagram tell.
type Told struct {
	To      netip.Addr // its destination; invalid where the socket did not ask
	Segment int        // of how many bytes are the datagrams that receive offload has joined; 0: it is one
	Dropped uint32     // by the kernel since the socket was opened, where it tells; else 0
	At      int64      // when it came, in ns since 1970, where the socket did ask; else 0
}

// Told reads the control messages of a datagram, which are the first size bytes of c.
func (z Zones) Told(c *Control, size int) (t Told) {
	for at := 0; at+unix.SizeofCmsghdr <= size; {
		h := (*unix.Cmsghdr)(unsafe.Add(unsafe.Pointer(c), at))
		n := int(h.Len) - unix.CmsgLen(0)
		if n < 0 || at+unix.CmsgLen(n) > size {
			break
		}
		value := unsafe.Add(unsafe.Pointer(h), unix.CmsgLen(0))
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && n >= unix.SizeofInet4Pktinfo:
			t.To = netip.AddrFrom4((*unix.Inet4Pktinfo)(value).Spec_dst)
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && n >= unix.SizeofInet6Pktinfo:
			p := (*unix.Inet6Pktinfo)(value)
			t.To = z.apply(netip.AddrFrom16(p.Addr).Unmap(), p.Ifindex)
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && n >= 4:
			t.Segment = int(*(*int32)(value))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && n >= 4:
			t.Dropped = *(*uint32)(value)
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && n >= int(unsafe.Sizeof(unix.Timespec{})):
			t.At = (*unix.Timespec)(value).Nano()
		}
		at += unix.CmsgSpace(n)
	}
	return t
}
