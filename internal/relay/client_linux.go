package relay

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
)

// client is a connection of a client: TCP, TLS, or a DTLS association.
type client struct {
	// static after construction
	loop     *loop
	conn     net.Conn
	pair     datagram.Pair
	stream   bool          // else what is read and written is datagrams
	together bool          // frames may be written at once
	wake     chan struct{} // something waits for the writer
	stop     chan struct{} // closed by close
	free     chan struct{} // the loop has done with buf

	// owned by the goroutine in serve, which lends it to the loop
	buf       []byte
	have      int
	used      int         // of have, by the loop: whole frames
	broken    bool        // by the loop: what comes is no frame
	allocated bool        // by the loop: it has an allocation
	joined    *connection // by the loop: from now on its bytes are those of a connection to a peer

	// guarded by itself
	writer sync.WaitGroup

	// guarded by mu
	mu      sync.Mutex
	payload datagram.Ring // of peers: when full, the oldest goes
	answers datagram.Ring // sent first
	serving bool          // serve has begun
	pushed  bool          // there has been something to write,
	carries bool          // and payload among it
	writes  bool          // there is a writer
	closed  bool
	ending  bool // the writer ends when it has written what waits
	overrun bool // it does not read its answers: the writer ends at once
}

func newClient(l *loop, conn net.Conn, pair datagram.Pair, stream bool) *client {
	_, secure := conn.(interface{ ConnectionState() tls.ConnectionState })
	if below, ok := innermost(conn).(*net.TCPConn); ok {
		tune(below)
	}
	return &client{
		loop: l, conn: conn, pair: pair, stream: stream, together: stream && !secure,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), free: make(chan struct{}, 1),
		payload: datagram.NewRing(dataRingBytes, ringStart, frameOf), answers: datagram.NewRing(answerRingBytes, answerStart, frameOf),
	}
}

// serve reads and writes until the connection ends or close. It is called once.
func (c *client) serve() {
	if !c.loop.call(func() { c.loop.came(c) }) {
		c.close()
		return
	}
	c.mu.Lock()
	c.serving = true
	c.startWriter()
	c.mu.Unlock()
	c.buf = make([]byte, strangerBytes)
	c.readLoop()
	if c.joined != nil {
		c.end()
		c.writer.Wait()
		c.joined.splice(c)
	}
	c.close()
	c.writer.Wait()
	c.loop.call(func() { c.loop.left(c) })
}

// startWriter starts the writer where there is something to write for the first time: whoever only connects costs one goroutine. It ends with the connection, and
// nothing starts one after that. The caller holds mu.
func (c *client) startWriter() {
	if !c.serving || !c.pushed || c.writes {
		return
	}
	c.writes = true
	c.writer.Go(func() {
		if !c.writeLoop() {
			c.close()
		}
	})
}

// readLoop hands what it reads to the loop, until the connection ends, or is one to a peer.
func (c *client) readLoop() {
	since := time.Now() // when it began, or had an allocation last
	deadline := since.Add(FirstTimeout)
	for {
		if c.have > 0 {
			had := c.allocated
			if !c.hand() || c.broken || c.joined != nil {
				return
			}
			if c.used > 0 {
				if now := time.Now(); had || c.allocated {
					since = now
				}
				deadline = since.Add(c.patience())
				c.have = copy(c.buf, c.buf[c.used:c.have])
			}
		}
		if !c.grow() {
			return
		}
		_ = c.conn.SetReadDeadline(deadline)
		n, err := c.conn.Read(c.buf[c.have:])
		if c.have += n; err != nil && n == 0 {
			return
		}
	}
}

func (c *client) patience() time.Duration {
	if c.allocated {
		return IdleTimeout
	}
	return StrangerTimeout
}

// hand lets the loop take the frames that are whole. It waits for that, so a client is read no faster than its frames are relayed.
func (c *client) hand() bool {
	c.used = 0
	if n := frame(c.buf[:c.have]); c.stream && (n == 0 || n > c.have) {
		return true // not one of them is
	}
	ok := c.loop.post(func(w *waiting) bool {
		w.clients = append(w.clients, c)
		return true
	})
	if !ok {
		return false
	}
	select {
	case <-c.free:
		return true
	case <-c.loop.done:
		return false
	}
}

// grow makes room for the frame that has begun.
func (c *client) grow() bool {
	need := datagram.MaxBytes
	if c.stream {
		need = max(c.have+1, frame(c.buf[:c.have]))
	}
	if c.allocated {
		need = max(need, streamReadBytes)
	}
	if need > maxFrameBytes || need > streamReadBytes && !c.allocated { // a request is short, and who has no allocation sends nothing else
		return false
	}
	if need > len(c.buf) {
		size := len(c.buf)
		for size < need {
			size *= 2
		}
		c.buf = append(make([]byte, 0, size), c.buf[:c.have]...)[:size]
	}
	return true
}

// push queues a frame for the client and returns how many were dropped for it. A client that does not even read its answers is closed.
func (c *client) push(head, b, tail []byte) (dropped int) {
	if !c.stream { // the rings tell frames apart by their padded length
		tail = padding[:-(len(head)+len(b))&3]
	}
	c.mu.Lock()
	switch {
	case c.closed || c.ending || c.overrun || len(head) < 4 || len(head)+len(b)+len(tail) > maxFrameBytes:
		dropped = 1
	case !isPayload(head):
		if !c.answers.Push(head, b, tail) {
			dropped = 1
			c.overrun = true // the writer sees to the rest, at the latest when its write is over
		}
	default:
		c.carries = true
		for !c.payload.Push(head, b, tail) {
			dropped++
			if !c.payload.DropFirst() {
				break
			}
		}
	}
	if !c.closed && !c.ending {
		c.pushed = true
		c.startWriter()
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return dropped
}

var padding [3]byte

// take moves what is to be written next to dst. Where there is nothing, more reports whether there may be later.
func (c *client) take(dst []byte) (chunk []byte, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.overrun {
		return nil, false
	}
	if c.carries && cap(dst) < chunkBytes {
		dst = make([]byte, 0, chunkBytes)
	}
	chunk = c.answers.Take(dst)
	if len(chunk) < chunkBytes {
		chunk = c.payload.Take(chunk)
	}
	return chunk, !c.ending
}

// writeLoop writes until the connection ends, or until everything is written that there will be: then it reports true.
func (c *client) writeLoop() bool {
	buf := make([]byte, 0, answerStart)
	for {
		chunk, more := c.take(buf)
		if cap(chunk) == chunkBytes {
			buf = chunk[:0] // there is payload now
		}
		if len(chunk) > 0 && !c.write(chunk) {
			return false
		}
		if len(chunk) > 0 {
			continue
		}
		if !more {
			return !c.overrun // which nobody changes any more
		}
		select {
		case <-c.wake:
		case <-c.stop:
			return false
		}
	}
}

// write writes frames to their end, for a cut one would take the framing with it, unless the client takes longer than StallTimeout. On TCP they
// go together. In TLS each is a record of its own: coturn's client takes what it reads at once for one message.
func (c *client) write(b []byte) bool {
	_ = c.conn.SetWriteDeadline(time.Now().Add(StallTimeout))
	if c.together {
		_, err := c.conn.Write(b)
		return err == nil
	}
	for len(b) > 0 {
		n := frame(b)
		one := b[:n]
		if !c.stream {
			one = b[:exact(b)]
		}
		if _, err := c.conn.Write(one); err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

// end lets the writer write what waits, and then end.
func (c *client) end() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// close ends the connection. Any goroutine may call it. Where it is TLS it may wait for its farewell to be written, but holds up nothing else.
func (c *client) close() {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	if !closed {
		close(c.stop)
		_ = c.conn.Close()
	}
}

// abort ends the connection without a farewell, which could block.
func (c *client) abort() {
	if c.stream {
		_ = innermost(c.conn).Close()
	}
	c.close()
}

// innermost returns the connection that carries the others.
func innermost(c net.Conn) net.Conn {
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = outer.NetConn()
	}
}

// tune keeps what waits for a client in its rings, where the oldest can be dropped, instead of in the kernel.
func tune(c *net.TCPConn) {
	_ = c.SetWriteBuffer(streamSendBuffer)
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, streamUnsent)
		})
	}
}

// fromClient gives the core the frames that a client's reader has handed over. Its buffer is free at the next flush.
func (l *loop) fromClient(c *client) {
	defer l.recover()
	l.served = append(l.served, c)
	if l.clients[c.pair] != c {
		c.broken = true // another one has the same pair now
		return
	}
	for c.used < c.have && !c.broken && c.joined == nil {
		b := c.buf[c.used:c.have]
		n := len(b)
		if c.stream {
			n = frame(b)
		}
		if n < 0 {
			c.broken = true
		}
		if n <= 0 || n > len(b) {
			break
		}
		l.handle(c.pair, b[:n])
		c.used += n
	}
	c.allocated = l.core.Has(c.pair)
}

// came notes a client. Where another one has come from the same address before, whose end has not been told yet, that one is gone, and what it had is
// not who comes now.
func (l *loop) came(c *client) {
	if l.clients[c.pair] != nil {
		l.core.Closed(l.now, c.pair, &l.out)
		l.obey()
	}
	l.clients[c.pair] = c
}

// left notes that a client's connection has ended.
func (l *loop) left(c *client) {
	if l.clients[c.pair] == c {
		delete(l.clients, c.pair)
		l.core.Closed(l.now, c.pair, &l.out)
		l.obey()
	}
}
