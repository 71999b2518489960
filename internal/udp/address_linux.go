package udp

import (
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is the kernel's struct mmsghdr (recvmmsg(2)).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// control is room for the control messages of one datagram: addresses (IPV6_PKTINFO is the larger), and when it came or its
// GSO size. It is made of words because they must be aligned.
type control [9]uint64

const (
	sizeInet4 = unix.SizeofSockaddrInet4
	sizeInet6 = unix.SizeofSockaddrInet6
)

// port reads a port in network order.
func port(p *uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(p))
	return uint16(b[0])<<8 | uint16(b[1])
}

func setPort(p *uint16, v uint16) {
	b := (*[2]byte)(unsafe.Pointer(p))
	b[0], b[1] = byte(v>>8), byte(v)
}

// setName writes to as a socket address of the socket's family and returns its size, or 0 when the family cannot express it.
func setName(sa *unix.RawSockaddrInet6, to netip.AddrPort, v4 bool) uint32 {
	addr := to.Addr()
	switch {
	case !addr.IsValid() || to.Port() == 0:
		return 0
	case !v4:
		sa.Family, sa.Addr, sa.Flowinfo, sa.Scope_id = unix.AF_INET6, addr.As16(), 0, zoneIndex(addr)
		setPort(&sa.Port, to.Port())
		return sizeInet6
	case addr.Is4():
		s := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		s.Family, s.Addr = unix.AF_INET, addr.As4()
		setPort(&s.Port, to.Port())
		return sizeInet4
	}
	return 0
}

// name reads the socket address that the kernel wrote.
func (r *reader) name(sa *unix.RawSockaddrInet6) netip.AddrPort {
	if sa.Family == unix.AF_INET {
		s := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), port(&s.Port))
	}
	return netip.AddrPortFrom(r.zones.apply(netip.AddrFrom16(sa.Addr).Unmap(), sa.Scope_id), port(&sa.Port))
}

// told is what the kernel says of a datagram beside its bytes and where it came from.
type told struct {
	to netip.AddrPort // the address that it was sent to, or the bound one
	at int64          // when it came, in ns since 1970; 0: not known
}

// told reads the control messages of a datagram, which are the first size bytes of c.
func (r *reader) told(c *control, size int) told {
	t := told{to: r.local}
	for at := 0; at+unix.CmsgLen(0) <= size; {
		h := (*unix.Cmsghdr)(unsafe.Add(unsafe.Pointer(c), at))
		n := int(h.Len) - unix.CmsgLen(0)
		if n < 0 || at+unix.CmsgLen(n) > size {
			break
		}
		value := unsafe.Add(unsafe.Pointer(h), unix.CmsgLen(0))
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && n >= int(unsafe.Sizeof(unix.Timespec{})):
			t.at = (*unix.Timespec)(value).Nano()
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && n >= unix.SizeofInet6Pktinfo:
			p := (*unix.Inet6Pktinfo)(value)
			t.to = netip.AddrPortFrom(r.zones.apply(netip.AddrFrom16(p.Addr).Unmap(), p.Ifindex), r.local.Port())
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && n >= unix.SizeofInet4Pktinfo:
			p := (*unix.Inet4Pktinfo)(value)
			t.to = netip.AddrPortFrom(netip.AddrFrom4(p.Spec_dst), r.local.Port())
		}
		at += unix.CmsgSpace(n)
	}
	return t
}

// setControl writes the control messages for a datagram from local and, where segment is not 0, to be cut every segment bytes.
// It returns their size.
func setControl(c *control, local netip.Addr, segment int, v4 bool) int {
	at := 0
	if local.IsValid() && !local.IsUnspecified() {
		if v4 {
			p := (*unix.Inet4Pktinfo)(setHeader(c, at, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo))
			*p = unix.Inet4Pktinfo{Spec_dst: local.As4()}
			at += unix.CmsgSpace(unix.SizeofInet4Pktinfo)
		} else {
			p := (*unix.Inet6Pktinfo)(setHeader(c, at, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo))
			*p = unix.Inet6Pktinfo{Addr: local.As16(), Ifindex: zoneIndex(local)}
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
func setHeader(c *control, at int, level, kind int32, size int) unsafe.Pointer {
	h := (*unix.Cmsghdr)(unsafe.Add(unsafe.Pointer(c), at))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(size))
	return unsafe.Add(unsafe.Pointer(h), unix.CmsgLen(0))
}

// zones turns interface numbers into address zones. The zone is the number in decimal, so that no look-up is needed on the
// way back. It remembers what it has made: an address with a zone would be allocated otherwise.
type zones map[uint32]netip.Addr

// apply gives link-local addresses their zone; all others stay as they are.
func (z zones) apply(a netip.Addr, index uint32) netip.Addr {
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

// zoneIndex returns the interface number of an address with a zone, else 0.
func zoneIndex(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	n, _ := strconv.ParseUint(a.Zone(), 10, 32)
	return uint32(n)
}
