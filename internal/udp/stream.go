package udp

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
)

// Inbox is where the datagrams of a StreamConn go.
type Inbox interface {
	// Take returns an empty batch.
	Take() *datagram.Batch
	// Give hands a batch over. It never blocks; it is not the caller's any more, whether or not there was room for it.
	Give(b *datagram.Batch)
}

// StreamConn carries datagrams over a TCP connection, framed as in RFC 4571. Any goroutine may Send; what waits is bounded, and
// a client that does not read loses the oldest media first, whole packets only, and holds up nobody.
type StreamConn struct {
	// static after construction
	conn  net.Conn
	pair  datagram.Pair
	inbox Inbox
	wake  chan struct{} // something waits for the writer
	stop  chan struct{} // closed by Close
	done  chan struct{} // closed when Serve has ended

	// owned by the goroutine in Serve
	head []byte

	// guarded by mu
	mu      sync.Mutex
	media   datagram.Ring // RTP and RTCP: when full, the oldest goes
	control datagram.Ring // STUN and DTLS: sent first; when full, the newest is refused, and both of them retransmit
	closed  bool

	// atomic
	answered  atomic.Bool
	dropped   atomic.Uint64
	oversized atomic.Uint64
}

// NewStreamConn returns a StreamConn on c; head is what has been read from it already. Nothing happens until Serve.
func NewStreamConn(c net.Conn, pair datagram.Pair, head []byte, inbox Inbox) *StreamConn {
	for inner := c; inner != nil; {
		switch v := inner.(type) {
		case *net.TCPConn:
			tune(v)
			inner = nil
		case interface{ NetConn() net.Conn }:
			inner = v.NetConn()
		default:
			inner = nil
		}
	}
	return &StreamConn{
		conn: c, pair: pair, inbox: inbox, head: append([]byte(nil), head...),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		media: datagram.NewRing(MediaRingBytes, ringStart, frameSize), control: datagram.NewRing(ControlRingBytes, ringStart, frameSize),
	}
}

// Pair returns the addresses that the datagrams carry.
func (s *StreamConn) Pair() datagram.Pair { return s.pair }

// Serve reads and writes until the connection ends or Close. It is called once; nothing of it runs any more when it returns.
func (s *StreamConn) Serve() {
	written := make(chan struct{})
	go func() {
		defer close(written)
		s.writeLoop()
		s.Close()
	}()
	s.readLoop()
	s.Close()
	<-written
	close(s.done)
}

// Done is closed when Serve has ended.
func (s *StreamConn) Done() <-chan struct{} { return s.done }

// Close ends the connection. What waits to be sent is discarded. Where the connection is TLS, it may wait for the farewell to
// be written, but holds up no Send meanwhile.
func (s *StreamConn) Close() {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if !closed {
		close(s.stop)
		_ = s.conn.Close()
	}
}

// Dropped returns how many datagrams to the client have been dropped, and how many from it were longer than
// datagram.MaxBytes.
func (s *StreamConn) Dropped() (sent, oversized uint64) { return s.dropped.Load(), s.oversized.Load() }

// Send queues the datagrams of a run and returns how many were dropped for it, older ones included. It does not wait for the
// network and keeps nothing of r.
func (s *StreamConn) Send(r datagram.Run) (dropped int) {
	s.mu.Lock()
	for at := 0; at < len(r.B); at += r.Size {
		dropped += s.queue(r.B[at:min(at+r.Size, len(r.B))])
	}
	s.mu.Unlock()
	s.answered.Store(true)
	if dropped > 0 {
		s.dropped.Add(uint64(dropped))
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return dropped
}

// queue puts one datagram into its ring and returns how many were dropped for it.
func (s *StreamConn) queue(b []byte) (dropped int) {
	switch {
	case s.closed || len(b) == 0 || len(b) > MaxFrameBytes:
		return 1
	case b[0]&0xc0 != 0x80: // not RTP or RTCP (RFC 7983 section 7)
		if !s.control.Push(frameHead(b), b, nil) {
			return 1
		}
		return 0
	}
	for !s.media.Push(frameHead(b), b, nil) {
		s.media.DropFirst()
		dropped++
	}
	return dropped
}

// frameHead is what stands before a datagram on TCP (RFC 4571 §2): its length.
func frameHead(b []byte) []byte { return []byte{byte(len(b) >> 8), byte(len(b))} }

// frameSize is how long the frame is that begins so.
func frameSize(head [datagram.RingHead]byte) int { return 2 + int(head[0])<<8 + int(head[1]) }

// take moves what is to be written next to dst.
func (s *StreamConn) take(dst []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.media.Take(s.control.Take(dst))
}

func (s *StreamConn) writeLoop() {
	buf := make([]byte, 0, chunkBytes)
	for {
		chunk := s.take(buf)
		if len(chunk) == 0 {
			select {
			case <-s.wake:
				continue
			case <-s.stop:
				return
			}
		}
		if !s.write(chunk) {
			return
		}
	}
}

// write writes b to its end, for a cut frame would take the framing with it, unless the client takes longer than StallTimeout.
// Single bytes that it takes meanwhile are no progress: kernels make room for some when they tidy up a full receive buffer.
func (s *StreamConn) write(b []byte) bool {
	_ = s.conn.SetWriteDeadline(time.Now().Add(StallTimeout))
	_, err := s.conn.Write(b)
	return err == nil
}

// readLoop reads until the connection ends, or one of its times is over.
func (s *StreamConn) readLoop() {
	f := framer{buf: make([]byte, streamReadBytes)}
	f.have = copy(f.buf, s.head)
	answer := time.Now().Add(AnswerTimeout)
	idle := time.Now().Add(IdleTimeout)
	for {
		if s.deliver(&f) {
			idle = time.Now().Add(IdleTimeout)
		}
		if !s.read(&f, answer, idle) {
			return
		}
	}
}

// read reads once. It reports false when the connection has ended, or should.
func (s *StreamConn) read(f *framer, answer, idle time.Time) bool {
	for {
		answered := s.answered.Load()
		deadline := idle
		if !answered {
			deadline = answer
		}
		_ = s.conn.SetReadDeadline(deadline)
		n, err := s.conn.Read(f.buf[f.have:])
		f.have += n
		switch {
		case n > 0:
			return true
		case errors.Is(err, os.ErrDeadlineExceeded) && !answered && s.answered.Load():
			// The answer came while it waited: from now on the other limit counts.
		case err != nil:
			return false
		}
	}
}

// deliver gives the datagrams that have arrived to the inbox, those that came together in one batch, and reports whether
// there were any.
func (s *StreamConn) deliver(f *framer) bool {
	var batch *datagram.Batch
	for {
		b, tooLong := f.next()
		if tooLong {
			s.oversized.Add(1)
			continue
		}
		if b == nil {
			break
		}
		if batch == nil {
			batch = s.inbox.Take()
		}
		if batch.Append(s.pair, b); batch.N == datagram.BatchSize {
			s.inbox.Give(batch)
			batch = s.inbox.Take()
		}
	}
	f.compact()
	if batch == nil {
		return false
	}
	s.inbox.Give(batch)
	return true
}

// framer cuts the bytes of a connection into RFC 4571 frames.
type framer struct {
	buf      []byte
	at, have int // buf[at:have] has been read and not yet cut
	skip     int // bytes of a frame that is too long, still to be ignored
}

// next returns the next datagram, which is valid until compact. tooLong reports that one is being left out. Empty frames are
// passed over.
func (f *framer) next() (b []byte, tooLong bool) {
	for {
		n := min(f.skip, f.have-f.at)
		f.at, f.skip = f.at+n, f.skip-n
		if f.skip > 0 || f.have-f.at < 2 {
			return nil, false
		}
		size := int(f.buf[f.at])<<8 | int(f.buf[f.at+1])
		if size > datagram.MaxBytes {
			f.at, f.skip = f.at+2, size
			return nil, true
		}
		if f.have-f.at < 2+size {
			return nil, false
		}
		b = f.buf[f.at+2 : f.at+2+size]
		if f.at += 2 + size; size > 0 {
			return b, false
		}
	}
}

// compact makes room behind what has not been cut.
func (f *framer) compact() {
	f.have = copy(f.buf, f.buf[f.at:f.have])
	f.at = 0
}
