package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/mmsg"
	"github.com/parley-rtc/parley/internal/rtp"
)

// reader fills batches by recvmmsg.
type reader struct {
	// static after construction
	conn  *batched
	local netip.AddrPort
	step  func(fd uintptr) bool // a stored method value: RawConn would allocate a fresh one for each call
	wait  unix.Timespec

	// owned by the goroutine in ReadBatch
	batch *datagram.Batch
	used  int // buffers of the batch that the kernel has filled
	errno unix.Errno
	zones mmsg.Zones
	aside aside
	msgs  [datagram.BatchSize]mmsg.Header
	iovs  [datagram.BatchSize]unix.Iovec
	names [datagram.BatchSize]unix.RawSockaddrInet6
	ctrls [datagram.BatchSize]mmsg.Control
}

func newReader(c *batched) *reader {
	r := &reader{conn: c, local: c.local, zones: mmsg.Zones{}, wait: unix.NsecToTimespec(int64(coalesceWait))}
	r.step = r.fill
	for i := range r.msgs {
		h := &r.msgs[i].Hdr
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Control = (*byte)(unsafe.Pointer(&r.ctrls[i]))
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
	}
	return r
}

func (r *reader) readBatch(b *datagram.Batch) error {
	r.batch = b
	for {
		b.Reset()
		r.used, r.errno = 0, 0
		r.prepare()
		switch err := r.conn.raw.Read(r.step); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			r.aside.owed = true
			r.rearm()
			continue
		case err != nil:
			return net.ErrClosed // a socket fails to wait only when it is closed
		case r.errno != 0:
			return fmt.Errorf("receive: %w", r.errno)
		}
		if b.N > 0 {
			return nil
		}
	}
}

// fill is called when the socket may be readable; false means that it is not.
func (r *reader) fill(fd uintptr) bool {
	got := r.receiveAll(fd)
	if a := &r.aside; a.steers || a.reports > 0 {
		r.weigh(int(fd), time.Now())
	}
	return got
}

// receiveAll takes what there is, and reports whether there was anything. Where the last datagram is in the middle of a video frame, it
// waits for more of it: the wake-up otherwise cuts each burst after its first packet, and what does not arrive in one batch does not leave
// as one GSO message.
func (r *reader) receiveAll(fd uintptr) bool {
	owed := r.aside.owed && r.receiveAside(asideShare)
	if !r.receive(fd, datagram.BatchSize) {
		return r.errno != 0 || owed
	}
	for range coalesceTries {
		if !r.inFrame() {
			break
		}
		// Go's timers round up to 1 ms, and by default the kernel adds 50 µs of slack, which is per thread. The raw calls keep
		// this thread and its P for the time: giving them away would cost more than the wait.
		unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1, 0)
		unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&r.wait)), 0, 0)
		if !r.receive(fd, datagram.BatchSize) {
			r.errno = 0 // the next ReadBatch meets it again
			break
		}
	}
	if r.aside.steers {
		r.receiveAside(datagram.BatchSize)
	}
	return true
}

// receiveAside takes what waits aside into the buffers up to that one, and reports whether there was anything.
func (r *reader) receiveAside(upTo int) bool {
	got := r.used < upTo && r.receive(uintptr(r.aside.fd.Load()), upTo)
	r.errno = 0
	r.aside.owed = r.used >= upTo // there may be more
	return got
}

// receive takes what there is, into the buffers up to that one, and reports whether there was anything.
func (r *reader) receive(fd uintptr, upTo int) bool {
	for {
		n, errno := mmsg.Receive(int(fd), r.msgs[r.used:upTo], 0)
		switch errno {
		case 0:
			r.take(n)
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			r.errno = errno
			return false
		}
	}
}

// prepare lets the messages point into the batch.
func (r *reader) prepare() {
	for i := range r.msgs {
		r.iovs[i].Base = &r.batch.Storage(i)[0]
		r.iovs[i].SetLen(datagram.MaxBytes)
		h := &r.msgs[i].Hdr
		h.Namelen, h.Flags = mmsg.SizeInet6, 0
		h.SetControllen(mmsg.SizeControl)
	}
}

// take adds the next n messages to the batch.
func (r *reader) take(n int) {
	b, bytes, before := r.batch, 0, r.batch.N
	for i := r.used; i < r.used+n; i++ {
		m := &r.msgs[i]
		switch {
		case m.Hdr.Flags&unix.MSG_TRUNC != 0:
			r.conn.oversized.Add(1)
		case m.N == 0:
			r.conn.empty.Add(1)
		default:
			told := r.zones.Told(&r.ctrls[i], int(m.Hdr.Controllen))
			pair := datagram.Pair{Local: r.local, Remote: r.zones.Name(&r.names[i])}
			if told.To.IsValid() {
				pair.Local = netip.AddrPortFrom(told.To, r.local.Port())
			}
			b.D[b.N] = datagram.Datagram{Pair: pair, B: b.Storage(i)[:m.N], At: told.At}
			if r.aside.patience > 0 && rtp.TellsArrivals(b.D[b.N].B) {
				r.aside.reports++
			}
			b.N++
			bytes += int(m.N)
		}
	}
	r.used += n
	r.conn.received.Add(uint64(b.N - before))
	r.conn.receivedBytes.Add(uint64(bytes))
}

// inFrame reports whether the last datagram looks like RTP in the middle of a video frame: large, and without the marker,
// which is readable in SRTP too. (RTCP's second byte is 192 to 223, RFC 5761: the same bit keeps it out.)
func (r *reader) inFrame() bool {
	if r.batch.N == 0 || r.used == datagram.BatchSize {
		return false
	}
	d := r.batch.D[r.batch.N-1].B
	return len(d) > coalesceBytes && d[0]&0xc0 == 0x80 && d[1]&0x80 == 0
}
