package ws

import (
	"bufio"
	"encoding/binary"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// readerBytes is what is read at once of requests that are short; what is longer is read past the buffer.
	readerBytes = 512
	// writerBytes is more than a control frame, which is all that is written through the buffer.
	writerBytes = 256
)

// taker takes the connection over for websocket.Accept, with buffers of their own: those of the HTTP server are four times as large.
type taker struct {
	http.ResponseWriter
	pipe *pipe
}

// Hijack implements http.Hijacker.
func (t *taker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		return nil, nil, err
	}
	t.pipe = &pipe{Conn: conn, early: append([]byte(nil), early...)}
	return t.pipe, bufio.NewReadWriter(bufio.NewReaderSize(t.pipe, readerBytes), bufio.NewWriterSize(t.pipe, writerBytes)), nil
}

// pipe is the connection below a WebSocket: what this package sends, and control frames, which websocket writes, one whole frame at a time.
type pipe struct {
	net.Conn

	// owned by who reads
	early []byte // came with the handshake

	// guarded by writing, which is held as long as a write takes
	writing sync.Mutex
	closed  bool // a close frame is on its way: nothing follows it (RFC 6455 §5.5.1)

	// guarded by mu
	mu   sync.Mutex
	last time.Time // when all shall be written; zero: that is not known
}

// Read implements net.Conn.
func (p *pipe) Read(b []byte) (int, error) {
	if len(p.early) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.early)
	if p.early = p.early[n:]; len(p.early) == 0 {
		p.early = nil
	}
	return n, nil
}

// Write implements net.Conn, for one control frame.
func (p *pipe) Write(b []byte) (int, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.closed = p.closed || len(b) > 0 && b[0] == finalClose
	p.limit()
	return p.Conn.Write(b)
}

// send writes frames of messages, and pings.
func (p *pipe) send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	p.limit()
	_, err := p.Conn.Write(b)
	return err
}

// limit says how long the next write may take.
func (p *pipe) limit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := time.Now().Add(writeTime)
	if !p.last.IsZero() && p.last.Before(until) {
		until = p.last
	}
	_ = p.Conn.SetWriteDeadline(until)
}

// hurry gives what is being written, and what is still to be written, no more than graceTime.
func (p *pipe) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now().Add(graceTime)
	_ = p.Conn.SetWriteDeadline(p.last)
}

// Bytes with which frames begin that are whole messages (RFC 6455 §5.2).
const (
	finalText  = 0x81
	finalClose = 0x88
	finalPing  = 0x89
)

// appendFrame appends a message as a frame, if take has one.
func appendFrame(b []byte, take func([]byte) ([]byte, bool)) ([]byte, bool) {
	const short, long = 4, 10 // header of most messages, and of those from 64 KiB
	at := len(b)
	b, ok := take(append(b, finalText, 0, 0, 0))
	if !ok {
		return b[:at], false
	}
	switch size := len(b) - at - short; {
	case size < 126:
		b[at+1] = byte(size)
		b = append(b[:at+2], b[at+short:]...)
	case size < 1<<16:
		b[at+1] = 126
		binary.BigEndian.PutUint16(b[at+2:], uint16(size))
	default:
		b = append(b, make([]byte, long-short)...)
		copy(b[at+long:], b[at+short:at+short+size])
		b[at+1] = 127
		binary.BigEndian.PutUint64(b[at+2:], uint64(size))
	}
	return b, true
}

// batches are for what goes into one write.
var batches = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}
