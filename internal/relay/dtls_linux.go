package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/pion/transport/v5/deadline"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/udp"
)

// sessions are the DTLS associations of clients at one listener. Whoever has not shown by a cookie that he is where he seems to be is not
// remembered (RFC 6347 §4.2.1).
type sessions struct {
	// static after construction
	relay  *Relay
	conn   udp.Conn
	secret []byte

	// guarded by mu
	mu         sync.Mutex
	all        map[datagram.Pair]*session
	handshakes gate
	finished   gate
	drops      drop.Counts
}

// session is one of them: the net.PacketConn that the DTLS library reads and writes.
type session struct {
	// static after construction
	of       *sessions
	pair     datagram.Pair
	in       chan []byte
	closed   chan struct{}
	deadline *deadline.Deadline
	once     sync.Once // of Close
	second   []byte    // the ClientHello with our cookie
	conn     *dtls.Conn

	established atomic.Bool // it has shaken hands

	// owned by the library's goroutine that shakes hands
	primed bool // it has had its own exchange of cookies
}

// listenDTLS opens the listeners of DTLS.
func (r *Relay) listenDTLS() error {
	for _, at := range r.cfg.DTLS {
		conn, err := udp.Listen(udp.Config{Listen: at.String()})
		if err != nil {
			return err
		}
		s := &sessions{relay: r, conn: conn, secret: make([]byte, 32), all: map[datagram.Pair]*session{}}
		_, _ = rand.Read(s.secret) // never fails
		s.handshakes = gate{exempt: r.cfg.Exempt, all: maxHandshakes, perSource: maxHandshakesPerSource}
		s.finished = gate{exempt: r.cfg.Exempt, all: maxSessions, perSource: maxSessionsPerSource}
		r.dtls = append(r.dtls, s)
	}
	return nil
}

// readLoop hands over what arrives.
func (s *sessions) readLoop() {
	b := datagram.NewBatch()
	for {
		err := s.conn.ReadBatch(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			select {
			case <-time.After(acceptPause):
			case <-s.relay.ctx.Done():
				return
			}
		}
		now := time.Now()
		s.mu.Lock()
		for i := range b.N {
			s.drops.Add(s.take(now, b.D[i].Pair, b.D[i].B))
		}
		s.mu.Unlock()
	}
}

// take gives a datagram to its session, or answers who has none. Called with mu held.
func (s *sessions) take(now time.Time, pair datagram.Pair, b []byte) drop.Reason {
	at := s.all[pair]
	if h, ok := parseHello(b); ok && (at == nil || at.established.Load() || len(h.cookie) > 0) { // RFC 6347 §4.2.8: it may begin anew
		return s.hello(now, pair, &h, at)
	}
	if at == nil {
		return drop.UnknownSource
	}
	return at.put(append([]byte(nil), b...))
}

// hello begins a session for a ClientHello with our cookie, and answers others with one.
func (s *sessions) hello(now time.Time, pair datagram.Pair, h *hello, at *session) drop.Reason {
	if h.old() {
		s.answer(pair, h.refusal())
		return drop.DtlsMalformed
	}
	if !h.verified(s.secret, now, pair.Remote) {
		if at != nil && !at.established.Load() {
			return drop.DtlsMalformed // or a stranger could make the client's ClientHello one of another handshake
		}
		s.answer(pair, h.verifyRequest(s.secret, now, pair.Remote))
		return drop.None
	}
	whole := append([]byte(nil), h.b...)
	if at != nil && bytes.Equal(at.second[helloAt:sessionAt], whole[helloAt:sessionAt]) {
		return at.put(whole) // it comes again: the library answers again
	}
	if !s.handshakes.enter(pair.Remote.Addr()) {
		return drop.TurnRate
	}
	if at != nil { // the client has begun anew, from the same port
		_ = at.Close()
	}
	n := &session{
		of: s, pair: pair, in: make(chan []byte, sessionQueue), closed: make(chan struct{}), deadline: deadline.New(), second: whole,
	}
	s.all[pair] = n
	s.relay.start(n.serve)
	return n.put(h.first())
}

// answer sends one datagram.
func (s *sessions) answer(pair datagram.Pair, b []byte) {
	e := datagram.NewEgress(len(b))
	e.Append(pair, b)
	s.conn.Send(e)
}

// serve shakes hands and serves the client then.
func (n *session) serve() {
	r, source := n.of.relay, n.pair.Remote.Addr()
	ok := n.handshake()
	n.of.handshakes.leave(source)
	n.established.Store(ok)
	if ok && n.of.finished.enter(source) {
		r.serve(newClient(r.loop, n.conn, n.pair, false))
		n.of.finished.leave(source)
	}
	if n.conn != nil {
		_ = n.conn.Close()
	}
	_ = n.Close()
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	if n.of.all[n.pair] == n {
		delete(n.of.all, n.pair)
	}
}

func (n *session) handshake() bool {
	cfg := n.of.relay.cfg.Certificate()
	if cfg == nil {
		return false
	}
	options := []dtls.ServerOption{dtls.WithMTU(mtu), dtls.WithLoggerFactory(silent)}
	if cfg.GetCertificate != nil {
		options = append(options, dtls.WithGetCertificate(func(h *dtls.ClientHelloInfo) (*tls.Certificate, error) {
			return cfg.GetCertificate(&tls.ClientHelloInfo{ServerName: h.ServerName, SupportedVersions: []uint16{tls.VersionTLS12}})
		}))
	} else {
		options = append(options, dtls.WithCertificates(cfg.Certificates...))
	}
	var err error
	if n.conn, err = dtls.ServerWithOptions(n, net.UDPAddrFromAddrPort(n.pair.Remote), options...); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(n.of.relay.ctx, HandshakeTimeout)
	defer cancel()
	return n.conn.HandshakeContext(ctx) == nil
}

// setCookie makes ours the cookie that the library expects. It makes its own at random for each association, and has no other way to be told one;
// without an exchange of cookies its messages would not have the numbers that the client expects. A test shakes hands, so that it is
// noticed when this field is no more.
func setCookie(conn *dtls.Conn, cookie []byte) bool {
	v := reflect.ValueOf(conn).Elem().FieldByName("state").FieldByName("cookie")
	if v.Kind() != reflect.Slice || v.Len() != len(cookie) {
		return false
	}
	copy(unsafe.Slice((*byte)(v.UnsafePointer()), v.Len()), cookie)
	return true
}

// put gives the library a datagram, and keeps it.
func (n *session) put(b []byte) drop.Reason {
	select {
	case n.in <- b:
		return drop.None
	default:
		return drop.DtlsQueueFull
	}
}

// ReadFrom implements net.PacketConn.
func (n *session) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-n.closed:
		return 0, nil, net.ErrClosed
	case <-n.deadline.Done():
		return 0, nil, os.ErrDeadlineExceeded
	case d := <-n.in:
		return copy(b, d), net.UDPAddrFromAddrPort(n.pair.Remote), nil
	}
}

// WriteTo implements net.PacketConn. It never blocks. What the library says first is a HelloVerifyRequest, for a ClientHello that the client has
// not sent to it: it goes nowhere, and the library is told of our cookie and of the ClientHello that has it. This runs where the library
// reads the cookie next.
func (n *session) WriteTo(b []byte, _ net.Addr) (int, error) {
	select {
	case <-n.closed:
		return 0, net.ErrClosed
	default:
	}
	if !n.primed && len(b) > helloAt && b[0] == typeHandshake { // else it is an alert: the library refuses the client
		n.primed = true
		h, _ := parseHello(n.second)
		if !setCookie(n.conn, h.cookie) || n.put(n.second) != drop.None {
			return 0, net.ErrClosed
		}
		return len(b), nil
	}
	n.of.answer(n.pair, b)
	return len(b), nil
}

// Close implements net.PacketConn.
func (n *session) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

// LocalAddr implements net.PacketConn.
func (n *session) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(n.pair.Local) }

// SetReadDeadline implements net.PacketConn.
func (n *session) SetReadDeadline(t time.Time) error {
	n.deadline.Set(t)
	return nil
}

// SetDeadline implements net.PacketConn; writes have none, as they do not block.
func (n *session) SetDeadline(t time.Time) error { return n.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn.
func (n *session) SetWriteDeadline(time.Time) error { return nil }

// silent is for the library, which would write to standard output.
var silent = oneLogger{logging.NewDefaultLeveledLoggerForScope("", logging.LogLevelDisabled, io.Discard)}

type oneLogger struct{ logger logging.LeveledLogger }

// NewLogger implements logging.LoggerFactory.
func (l oneLogger) NewLogger(string) logging.LeveledLogger { return l.logger }

// add adds to what the relay has seen what came by DTLS. Clients that are served are among its Streams.
func (s *sessions) add(to *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to.Drops.Merge(&s.drops)
	u := s.conn.Stats()
	to.Received += u.Received
	to.ReceivedBytes += u.ReceivedBytes
	to.Sent += u.Sent
	to.SentBytes += u.SentBytes
	to.Messages += u.Messages
	to.SendFull += u.SendFull
	to.SendFailed += u.SendFailed
	to.KernelDrops += u.KernelDrops
	to.Refused += s.handshakes.refusals() + s.finished.refusals()
}
