package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	dialTimeout  = 20 * time.Second
	readerBytes  = 4 << 10
	maxFrame     = 1 << 20
	opText       = 1
	opClose      = 8
	opPing       = 9
	opPong       = 10
	finalAndText = 0x80 | opText
)

// socket is a WebSocket (RFC 6455) of a client that costs little, so that the load is not what is measured: what it reads is looked at in
// place, and what it sends is masked with the key 0. One goroutine reads, any may write.
type socket struct {
	// static after construction
	conn net.Conn
	in   *bufio.Reader

	// owned by the goroutine that reads
	skip int    // bytes of the last message that are still in the buffer
	long []byte // the last message, where it is longer than the buffer

	// guarded by mu
	mu  sync.Mutex
	out []byte
}

// dial opens a socket from an address of this machine. One address may have 768 connections to a server.
func dial(address string, source net.IP, secure bool) (*socket, error) {
	d := net.Dialer{Timeout: dialTimeout, LocalAddr: &net.TCPAddr{IP: source}}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the server is this machine's, and its certificate its own
	}
	s := &socket{conn: conn, in: bufio.NewReaderSize(conn, readerBytes)}
	if err := s.upgrade(address); err != nil {
		return nil, errors.Join(fmt.Errorf("open a WebSocket: %w", err), conn.Close())
	}
	return s, nil
}

func (s *socket) upgrade(host string) error {
	_ = s.conn.SetDeadline(time.Now().Add(dialTimeout))
	_, err := fmt.Fprintf(s.conn, "GET /v1/session HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", host)
	if err != nil {
		return err
	}
	a, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusSwitchingProtocols {
		b, _ := io.ReadAll(io.LimitReader(a.Body, readerBytes))
		return fmt.Errorf("%s %s", a.Status, b)
	}
	return s.conn.SetDeadline(time.Time{})
}

// next returns the next message, until the next call. It answers pings.
func (s *socket) next() ([]byte, error) {
	for {
		op, b, err := s.frame()
		switch {
		case err != nil:
			return nil, err
		case op == finalAndText:
			return b, nil
		case op == 0x80|opPing:
			if err := s.write(0x80|opPong, b); err != nil {
				return nil, err
			}
		case op == 0x80|opClose:
			return nil, fmt.Errorf("the server has closed the socket: %q", b[min(len(b), 2):])
		default:
			return nil, fmt.Errorf("a frame that begins with %#x", op)
		}
	}
}

// frame returns the first byte of the next frame, and its payload.
func (s *socket) frame() (byte, []byte, error) {
	_, _ = s.in.Discard(s.skip) // it is there
	s.skip = 0
	h, err := s.in.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	op, size, header := h[0], int(h[1]), 2
	if size >= 126 {
		header = map[int]int{126: 4, 127: 10}[size]
		if h, err = s.in.Peek(header); err != nil {
			return 0, nil, err
		}
		if header == 4 {
			size = int(binary.BigEndian.Uint16(h[2:]))
		} else {
			size = int(binary.BigEndian.Uint64(h[2:]))
		}
	}
	if size < 0 || size > maxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes", size)
	}
	if header+size <= s.in.Size() {
		b, err := s.in.Peek(header + size)
		if err != nil {
			return 0, nil, err
		}
		s.skip = header + size
		return op, b[header:], nil
	}
	_, _ = s.in.Discard(header)
	s.long = make([]byte, size)
	_, err = io.ReadFull(s.in, s.long)
	return op, s.long, err
}

// send sends a message.
func (s *socket) send(b []byte) error { return s.write(finalAndText, b) }

func (s *socket) write(op byte, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = append(s.out[:0], op)
	if len(b) < 126 {
		s.out = append(s.out, 0x80|byte(len(b)))
	} else {
		s.out = binary.BigEndian.AppendUint16(append(s.out, 0x80|126), uint16(len(b)))
	}
	s.out = append(append(s.out, 0, 0, 0, 0), b...)
	_, err := s.conn.Write(s.out)
	return err
}

// typeOf returns the type of a wire.Message, as the server writes them.
func typeOf(m []byte) string {
	_, after, _ := bytes.Cut(m, []byte(`"type":"`))
	typ, _, _ := bytes.Cut(after, []byte{'"'})
	return string(typ)
}

// number returns the first number behind some text; -1: there is none.
func number(m []byte, before string) int64 {
	at := bytes.Index(m, []byte(before))
	if at < 0 {
		return -1
	}
	n, digits := int64(0), 0
	for _, c := range m[at+len(before):] {
		if c < '0' || c > '9' {
			break
		}
		n, digits = 10*n+int64(c-'0'), digits+1
	}
	if digits == 0 {
		return -1
	}
	return n
}
