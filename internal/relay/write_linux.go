package relay

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/mmsg"
)

// writer gathers datagrams for one socket into messages, and sends them by one call for maxMessages of them.
type writer struct {
	loop *loop
	s    *socket
	n    int // messages
	np   int // pieces
	nd   int // datagrams

	msgs   [maxMessages]mmsg.Header
	names  [maxMessages]unix.RawSockaddrInet6
	ctrls  [maxMessages]mmsg.Control
	runs   [maxMessages]run
	firsts [maxMessages]int // of each run in datagrams
	pieces [maxPieces]unix.Iovec
	// datagrams are where each begins among the pieces, and how many it has.
	datagrams [maxPieces]struct{ piece, n int16 }
	// write is sendmmsg; tests put other answers in its place.
	write func(fd int, msgs []mmsg.Header) (int, unix.Errno)
}

func newWriter(l *loop) *writer {
	w := &writer{loop: l, write: mmsg.Send}
	for i := range w.msgs {
		w.msgs[i].Hdr.Name = (*byte)(unsafe.Pointer(&w.names[i]))
	}
	return w
}

// add takes a datagram for s, whose parts must stay as they are until the next flush. From is a listener's address that it is to come from.
func (w *writer) add(s *socket, from, to netip.AddrPort, head, b, tail []byte) {
	if w.s != s || w.np+3 > maxPieces || w.nd == len(w.datagrams) { // an empty datagram has no piece
		w.flush()
		w.s = s
	}
	size := len(head) + len(b) + len(tail)
	if !w.join(from, to, size) {
		if w.n == maxMessages {
			w.flush()
		}
		w.runs[w.n].begin(to, from, size)
		w.firsts[w.n] = w.nd
		w.n++
	}
	d := &w.datagrams[w.nd]
	w.nd++
	d.piece = int16(w.np)
	w.piece(head)
	w.piece(b)
	w.piece(tail)
	d.n = int16(w.np) - d.piece
}

// join reports whether the datagram is part of the last message now.
func (w *writer) join(from, to netip.AddrPort, size int) bool {
	return w.n > 0 && w.loop.gso && !w.loop.fallbacks.has(to.Addr()) && w.runs[w.n-1].join(to, from, size)
}

func (w *writer) piece(b []byte) {
	if len(b) > 0 {
		w.pieces[w.np].Base = &b[0]
		w.pieces[w.np].SetLen(len(b))
		w.np++
	}
}

// flush sends all there is.
func (w *writer) flush() {
	for i := range w.n {
		w.message(i)
	}
	for at := 0; at < w.n; {
		at += w.push(at)
	}
	w.n, w.np, w.nd = 0, 0, 0
}

// push sends the messages from the at-th on, and returns how many of them are dealt with: at least one.
func (w *writer) push(at int) int {
	for tries := 0; ; tries++ {
		done, errno := w.write(w.s.fd, w.msgs[at:w.n])
		switch {
		case done > 0 && errno == 0:
			for i := range done {
				w.account(&w.runs[at+i])
			}
			return done
		case errno == unix.EAGAIN || errno == unix.ENOBUFS:
			// Never wait: the loop would stand still and the delay would only move.
			for i := at; i < w.n; i++ {
				w.loop.stats.SendFull += uint64(w.runs[i].segments)
			}
			return w.n - at
		case w.runs[at].segments > 1 && (errno == unix.EIO || errno == unix.EINVAL || errno == unix.EMSGSIZE):
			w.singly(at)
			return 1
		case tries < maxRefusals && pending(errno):
			// Of an earlier datagram: ICMP has left it, and it is cleared by telling us.
		default:
			w.loop.stats.SendFailed += uint64(w.runs[at].segments)
			return 1
		}
	}
}

// pending reports whether an error can be that of an earlier datagram (IP_RECVERR), or of a signal.
func pending(errno unix.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENOPROTOOPT, unix.EPROTO, unix.EACCES, unix.EMSGSIZE, unix.EINTR,
		unix.EHOSTDOWN, unix.ENONET, unix.EOPNOTSUPP:
		return true
	}
	return false
}

// singly sends the datagrams of a message that the kernel refuses one by one. If that works, the destination is remembered as one that
// segmentation offload does not reach: its device cannot checksum, or its MTU is smaller than a segment.
func (w *writer) singly(at int) {
	r, first, worked := w.runs[at], w.firsts[at], false
	for i := range r.segments {
		one, d := &w.runs[at], &w.datagrams[first+i]
		one.begin(r.to, r.from, min(r.size, r.bytes-i*r.size))
		w.compose(at, int(d.piece), int(d.n))
		for tries := 0; ; tries++ {
			done, errno := w.write(w.s.fd, w.msgs[at:at+1])
			if done == 1 && errno == 0 {
				w.account(one)
				worked = true
				break
			}
			if tries == maxRefusals || !pending(errno) || errno == unix.EMSGSIZE {
				w.loop.stats.SendFailed++
				break
			}
		}
	}
	if worked {
		w.loop.stats.GSOFallbacks++
		w.loop.fallbacks.add(r.to.Addr())
	}
}

// message writes the message of run i.
func (w *writer) message(i int) {
	first, last := w.firsts[i], w.nd
	if i+1 < w.n {
		last = w.firsts[i+1]
	}
	begin := int(w.datagrams[first].piece)
	end := int(w.datagrams[last-1].piece) + int(w.datagrams[last-1].n)
	w.compose(i, begin, end-begin)
}

// compose writes message i for what w.runs[i] says, of n pieces.
func (w *writer) compose(i, piece, n int) {
	r, h := &w.runs[i], &w.msgs[i].Hdr
	h.Namelen = mmsg.SetName(&w.names[i], r.to, w.s.v4)
	h.Iov = nil
	if n > 0 {
		h.Iov = &w.pieces[piece]
	}
	h.SetIovlen(n)
	segment := 0
	if r.segments > 1 {
		segment = r.size
	}
	var from netip.Addr
	if w.s.local.Addr().IsUnspecified() {
		from = r.from.Addr()
	}
	h.Control = nil
	size := 0
	if segment != 0 || from.IsValid() {
		if size = mmsg.SetControl(&w.ctrls[i], from, segment, w.s.v4); size > 0 {
			h.Control = (*byte)(unsafe.Pointer(&w.ctrls[i]))
		}
	}
	h.SetControllen(size)
}

// account counts a message that has been sent.
func (w *writer) account(r *run) {
	st := &w.loop.stats
	st.Messages++
	st.Joined += uint64(r.segments - 1)
	st.Sent += uint64(r.segments)
	st.SentBytes += uint64(r.bytes)
}

// fallbacks are the addresses that segmentation offload does not reach.
type fallbacks map[netip.Addr]struct{}

func (f fallbacks) has(a netip.Addr) bool {
	if len(f) == 0 {
		return false
	}
	_, ok := f[a]
	return ok
}

// add remembers a. When it is full it forgets any other: at worst that one is refused and learned again.
func (f fallbacks) add(a netip.Addr) {
	for other := range f {
		if len(f) < maxFallbacks {
			break
		}
		delete(f, other)
	}
	f[a] = struct{}{}
}
