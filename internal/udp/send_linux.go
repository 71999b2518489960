package udp

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/mmsg"
)

// sender writes the runs of one Egress by sendmmsg. It belongs to one Send at a time.
type sender struct {
	// static after construction
	conn *batched
	push func(fd uintptr) // a stored method value: RawConn would allocate a fresh one for each call
	// write is sendmmsg; tests put other answers in its place.
	write func(fd int, msgs []mmsg.Header) (int, unix.Errno)

	// owned by the goroutine in Send
	runs                  []datagram.Run
	run, seg              int // the next message starts with this segment of this run
	full, failed          int
	sent, bytes, messages int
	msgs                  [maxMessages + 1]mmsg.Header // the last one is for the segments of a refused message
	iovs                  [maxMessages + 1]unix.Iovec
	names                 [maxMessages + 1]unix.RawSockaddrInet6
	ctrls                 [maxMessages + 1]mmsg.Control
	parts                 [maxMessages]part
}

// part says which segments of which run a message carries.
type part struct{ run, from, n int }

func newSender(c *batched) *sender {
	s := &sender{conn: c, write: mmsg.Send}
	s.push = s.flush
	for i := range s.msgs {
		h := &s.msgs[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
		h.Iov = &s.iovs[i]
		h.SetIovlen(1)
	}
	return s
}

// Send implements Conn.
func (c *batched) Send(e *datagram.Egress) (dropped int) {
	runs := e.Runs()
	if len(runs) == 0 {
		return 0
	}
	var s *sender
	select {
	case s = <-c.idle:
	default:
		s = newSender(c)
	}
	dropped = s.send(runs)
	select {
	case c.idle <- s:
	default:
	}
	return dropped
}

func (s *sender) send(runs []datagram.Run) int {
	s.runs, s.run, s.seg = runs, 0, 0
	s.full, s.failed, s.sent, s.bytes, s.messages = 0, 0, 0, 0, 0
	// Control, not Write: it holds no lock, so that shards send at the same time, and it never waits.
	if s.conn.raw.Control(s.push) != nil {
		s.failed += s.rest()
	}
	s.runs = nil
	c := s.conn
	c.sent.Add(uint64(s.sent))
	c.sentBytes.Add(uint64(s.bytes))
	c.messages.Add(uint64(s.messages))
	c.sendFull.Add(uint64(s.full))
	c.sendFailed.Add(uint64(s.failed))
	return s.full + s.failed
}

// flush sends all runs, maxMessages per call.
func (s *sender) flush(fd uintptr) {
	for {
		n := s.compose()
		if n == 0 {
			return
		}
		for at := 0; at < n; {
			done, errno := s.write(int(fd), s.msgs[at:n])
			if done > 0 && errno == 0 {
				for i := at; i < at+done; i++ {
					s.account(s.parts[i])
				}
				at += done
				continue
			}
			// sendmmsg stopped at this message: leave it out, or it would stop there for ever.
			switch errno {
			case unix.EINTR:
			case unix.EAGAIN:
				// Never wait: the loop would stand still and the delay would only move. What is left is too late anyway.
				for _, p := range s.parts[at:n] {
					s.full += p.n
				}
				s.full += s.rest()
				return
			default:
				s.refused(fd, s.parts[at], errno)
				at++
			}
		}
	}
}

// compose makes messages of the next segments and returns how many.
func (s *sender) compose() int {
	n := 0
	for s.run < len(s.runs) && n < maxMessages {
		r := &s.runs[s.run]
		p := part{run: s.run, from: s.seg, n: 1}
		switch {
		case r.Pair.Proto != datagram.UDP:
			s.run, s.seg = s.run+1, 0
			continue
		case s.seg == 0 && r.Segments > 1 && s.conn.gso && !s.conn.fallbacks.has(r.Pair.Remote.Addr()):
			p.n = r.Segments
		}
		if s.seg += p.n; s.seg == r.Segments {
			s.run, s.seg = s.run+1, 0
		}
		if !s.message(n, p) {
			s.failed += p.n
			continue
		}
		s.parts[n] = p
		n++
	}
	return n
}

// message writes part p as message i. It reports false when this socket cannot reach the destination's family.
func (s *sender) message(i int, p part) bool {
	r := &s.runs[p.run]
	b := r.B[p.from*r.Size : min((p.from+p.n)*r.Size, len(r.B))]
	h := &s.msgs[i].Hdr
	h.Namelen = mmsg.SetName(&s.names[i], r.Pair.Remote, s.conn.v4)
	local := r.Pair.Local.Addr()
	if h.Namelen == 0 || len(b) == 0 || local.IsValid() && s.conn.v4 && !local.Is4() {
		return false
	}
	s.iovs[i].Base = &b[0]
	s.iovs[i].SetLen(len(b))
	segment := 0
	if p.n > 1 {
		segment = r.Size
	}
	size := mmsg.SetControl(&s.ctrls[i], local, segment, s.conn.v4)
	h.Control = nil
	if size > 0 {
		h.Control = (*byte)(unsafe.Pointer(&s.ctrls[i]))
	}
	h.SetControllen(size)
	return true
}

// refused deals with a part that the kernel refused: a run is sent again segment by segment, and if that works the address is
// remembered as one that GSO does not reach (its device cannot checksum, or its MTU is smaller than a segment).
func (s *sender) refused(fd uintptr, p part, errno unix.Errno) {
	if p.n == 1 || errno != unix.EIO && errno != unix.EINVAL && errno != unix.EMSGSIZE {
		s.failed += p.n
		return
	}
	worked := false
	for i := range p.n {
		one := part{run: p.run, from: p.from + i, n: 1}
		if !s.message(maxMessages, one) {
			s.failed++
			continue
		}
		done, errno := s.write(int(fd), s.msgs[maxMessages:])
		for errno == unix.EINTR {
			done, errno = s.write(int(fd), s.msgs[maxMessages:])
		}
		switch {
		case done == 1 && errno == 0:
			s.account(one)
			worked = true
		case errno == unix.EAGAIN:
			s.full++
		default:
			s.failed++
		}
	}
	if worked {
		s.conn.gsoFallbacks.Add(1)
		s.conn.fallbacks.add(s.runs[p.run].Pair.Remote.Addr())
	}
}

// account counts a message that has been sent.
func (s *sender) account(p part) {
	r := &s.runs[p.run]
	s.messages++
	s.sent += p.n
	s.bytes += min((p.from+p.n)*r.Size, len(r.B)) - p.from*r.Size
}

// rest returns how many datagrams no message has been made of.
func (s *sender) rest() int {
	n := -s.seg
	for i := s.run; i < len(s.runs); i++ {
		if s.runs[i].Pair.Proto == datagram.UDP {
			n += s.runs[i].Segments
		}
	}
	return n
}

// fallbacks are the addresses that GSO does not reach.
type fallbacks struct {
	// atomic
	n atomic.Int32

	// guarded by mu
	mu    sync.RWMutex
	addrs map[netip.Addr]struct{}
}

func (f *fallbacks) has(a netip.Addr) bool {
	if f.n.Load() == 0 {
		return false
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	_, ok := f.addrs[a]
	return ok
}

// add remembers a. When it is full it forgets any other: at worst that one is refused and learned again.
func (f *fallbacks) add(a netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.addrs == nil {
		f.addrs = make(map[netip.Addr]struct{})
	}
	for other := range f.addrs {
		if len(f.addrs) < maxFallbacks {
			break
		}
		delete(f.addrs, other)
	}
	f.addrs[a] = struct{}{}
	f.n.Store(int32(len(f.addrs)))
}
