package relay

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/mmsg"
)

// reader holds the buffers of one turn of the loop. They are the loop's and not the sockets': a message that is read stays where it is until
// it has been sent.
type reader struct {
	buf   []byte
	used  int // slots with messages of this turn
	msgs  [slots]mmsg.Header
	iovs  [slots]unix.Iovec
	names [slots]unix.RawSockaddrInet6
	ctrls [slots]mmsg.Control
}

func newReader() *reader {
	r := &reader{buf: make([]byte, slots*slotStride)}
	for i := range r.msgs {
		h := &r.msgs[i].Hdr
		r.iovs[i].Base = &r.buf[i*slotStride]
		r.iovs[i].SetLen(slotBytes)
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&r.ctrls[i]))
	}
	return r
}

// receive takes messages from a socket into the next slots and returns how many. Where it returns fewer than it asked for, the socket is empty.
func (r *reader) receive(s *socket) (from, n, asked int) {
	from, asked = r.used, min(maxRead, slots-r.used)
	msgs := r.msgs[from : from+asked]
	for i := range msgs {
		h := &msgs[i].Hdr
		h.Namelen, h.Flags = mmsg.SizeInet6, 0
		h.SetControllen(mmsg.SizeControl)
	}
	for range maxRefusals {
		n, errno := mmsg.Receive(s.fd, msgs, 0)
		switch errno {
		case 0:
			r.used += n
			return from, n, asked
		case unix.EAGAIN:
			return from, 0, asked
		}
		// EINTR; or an error that ICMP has left, which is in the error queue as well.
	}
	return from, 0, asked
}

// read takes what a socket has, as far as it is its turn, and reports whether there may be more.
func (l *loop) read(s *socket) (more bool) {
	if l.rd.used == slots {
		l.flush()
	}
	from, n, asked := l.rd.receive(s)
	for i := from; i < from+n && !s.closed; i++ {
		m := &l.rd.msgs[i]
		at := i * slotStride
		b := l.rd.buf[at : at+int(m.N)]
		t := l.zones.Told(&l.rd.ctrls[i], int(m.Hdr.Controllen))
		if t.Dropped != 0 {
			l.stats.KernelDrops += uint64(t.Dropped - s.dropped)
			s.dropped = t.Dropped
		}
		if m.Hdr.Flags&unix.MSG_TRUNC != 0 {
			l.drops.Add(drop.Oversized)
			continue
		}
		l.split(s, i, b, t)
	}
	return n == asked
}

// split gives the core the datagrams of one message.
func (l *loop) split(s *socket, slot int, b []byte, t mmsg.Told) {
	remote := l.zones.Name(&l.rd.names[slot])
	size := len(b)
	if t.Segment > 0 {
		size = t.Segment
	}
	l.gathering.size = size
	for first := true; first || len(b) > 0; first = false {
		d := b[:min(size, len(b))]
		b = b[len(d):]
		l.stats.Received++
		l.stats.ReceivedBytes += uint64(len(d))
		if s.relayed {
			l.fromPeer(s, remote, d)
			continue
		}
		pair := datagram.Pair{Local: s.local, Remote: remote}
		if t.To.IsValid() {
			pair.Local = netip.AddrPortFrom(t.To, s.local.Port())
		}
		l.handle(pair, d)
	}
}

// errors reads what ICMP has told about datagrams that s has sent.
func (l *loop) errors(s *socket) {
	for range maxErrors {
		if !l.errorOf(s) {
			return
		}
	}
}

func (l *loop) errorOf(s *socket) bool {
	var (
		name unix.RawSockaddrInet6
		ctrl [32]uint64
		iov  unix.Iovec
		msgs [1]mmsg.Header
		some [8]byte
	)
	iov.Base = &some[0]
	iov.SetLen(len(some))
	h := &msgs[0].Hdr
	h.Name, h.Namelen, h.Iov = (*byte)(unsafe.Pointer(&name)), mmsg.SizeInet6, &iov
	h.SetIovlen(1)
	h.Control = (*byte)(unsafe.Pointer(&ctrl))
	h.SetControllen(int(unsafe.Sizeof(ctrl)))
	if n, errno := mmsg.Receive(s.fd, msgs[:], unix.MSG_ERRQUEUE); n != 1 || errno != 0 {
		return false
	}
	if e, ok := extendedError(unsafe.Pointer(&ctrl), int(h.Controllen)); ok {
		l.icmp(s, l.zones.Name(&name), &e)
	}
	return true
}

// icmp gives the core what ICMP has told of a datagram to a peer.
func (l *loop) icmp(s *socket, peer netip.AddrPort, e *unix.SockExtendedErr) {
	defer l.recover()
	l.drops.Add(l.core.ICMP(l.now, s.id, peer, e.Type, e.Code, e.Info, &l.out))
}

// extendedError finds struct sock_extended_err (ip(7)) among control messages, where it comes from ICMP.
func extendedError(c unsafe.Pointer, size int) (e unix.SockExtendedErr, ok bool) {
	for at := 0; at+unix.SizeofCmsghdr <= size; {
		h := (*unix.Cmsghdr)(unsafe.Add(c, at))
		if h.Level == unix.IPPROTO_IP && h.Type == unix.IP_RECVERR || h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_RECVERR {
			e = *(*unix.SockExtendedErr)(unsafe.Add(unsafe.Pointer(h), unix.CmsgLen(0)))
			return e, e.Origin == unix.SO_EE_ORIGIN_ICMP || e.Origin == unix.SO_EE_ORIGIN_ICMP6
		}
		at += unix.CmsgSpace(int(h.Len) - unix.CmsgLen(0))
	}
	return e, false
}
