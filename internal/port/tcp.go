package port

import (
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/udp"
)

// acceptLoop admits TCP connections. Where the process has no descriptor left it waits for one, a little longer each time.
func (p *Port) acceptLoop() {
	wait := acceptPause
	for {
		c, err := p.listener.Accept()
		switch {
		case err == nil:
			wait = acceptPause
			p.admit(newConn(c, &p.gate))
		case errors.Is(err, net.ErrClosed):
			return
		default:
			if !p.pause(wait) {
				return
			}
			wait = min(2*wait, maxAcceptPause)
		}
	}
}

func (p *Port) admit(c *conn) {
	p.accepted.Add(1)
	if !p.gate.enter(c) {
		c.Close()
		return
	}
	p.running.Add(1)
	go func() {
		defer p.running.Done()
		p.serve(c)
	}()
}

// serve finds out what c is and sees it to its owner.
func (p *Port) serve(c *conn) {
	head, k := sniff(c)
	switch k {
	case classTLS:
		c.head = head
		p.serveTLS(c)
	case classHTTP:
		c.head = head
		p.toHTTP(c, c)
	case classStream:
		p.serveStream(c, c, head)
	case classTURN:
		c.head = head
		p.serveTURN(c, c)
	default:
		p.unclassified.Add(1)
		c.Close()
	}
}

// serveTLS shakes hands, then goes by ALPN. Clients that negotiate HTTP say what they are; only others are looked at again.
func (p *Port) serveTLS(c *conn) {
	var cfg *tls.Config
	if p.cfg.TLS != nil {
		cfg = p.cfg.TLS()
	}
	if cfg == nil {
		p.insecure.Add(1)
		c.Close()
		return
	}
	t := tls.Server(c, cfg)
	_ = c.SetDeadline(time.Now().Add(HandshakeTimeout))
	if err := t.Handshake(); err != nil {
		p.insecure.Add(1)
		c.Close()
		return
	}
	_ = c.SetDeadline(time.Time{})
	switch t.ConnectionState().NegotiatedProtocol {
	case "h2":
		p.toHTTP(c, t) // net/http serves HTTP/2 on a *tls.Conn only
		return
	case "http/1.1":
		p.toHTTP(c, t)
		return
	}
	switch head, k := sniff(t); k {
	case classHTTP:
		p.toHTTP(c, &secureConn{Conn: t, head: head})
	case classStream:
		p.serveStream(c, t, head)
	case classTURN:
		p.serveTURN(c, &secureConn{Conn: t, head: head})
	default:
		// Not HTTP: also ACME's challenge (RFC 8737), for which the handshake is all.
		p.unclassified.Add(1)
		t.Close()
	}
}

// toHTTP hands a connection, which is c or runs inside it, to the HTTP listener.
func (p *Port) toHTTP(c *conn, outer net.Conn) {
	if !p.gate.known(c, ordinary) || !p.http.deliver(outer) {
		c.Close()
	}
}

// serveTURN runs a connection to the STUN and TURN server, which is c or runs inside it, until it ends.
func (p *Port) serveTURN(c *conn, outer net.Conn) {
	defer c.Close()
	switch {
	case p.relay == nil:
		p.unclassified.Add(1)
	case p.gate.known(c, turn):
		p.relay.Serve(outer, c.pair())
	}
}

// serveStream runs an ICE-TCP connection, which is c or runs inside it, until it ends.
func (p *Port) serveStream(c *conn, outer net.Conn, head []byte) {
	pair := c.pair()
	if !p.gate.known(c, iceTCP) {
		c.Close()
		return
	}
	s := &stream{StreamConn: udp.NewStreamConn(outer, pair, head, p), below: c}
	p.mu.Lock()
	p.streams[pair] = s
	p.mu.Unlock()
	s.Serve()
	c.Close()
	_, oversized := s.Dropped()
	p.drops[drop.Oversized].Add(oversized)
	p.mu.Lock()
	current := p.streams[pair] == s // not so when the client has connected again from the same port meanwhile
	if current {
		delete(p.streams, pair)
	}
	p.mu.Unlock()
	if current && p.cfg.StreamClosed != nil {
		p.cfg.StreamClosed(pair)
	}
}

// CloseStream ends the ICE-TCP connection of a pair, if there is one. It does not wait; StreamClosed follows.
func (p *Port) CloseStream(pair datagram.Pair) {
	if s := p.stream(pair); s != nil {
		s.below.Close()
	}
}

// stream is an ICE-TCP connection with the TCP connection below it, which closes without a farewell that could block.
type stream struct {
	*udp.StreamConn
	below *conn
}

// stream returns the connection of a pair, or nil.
func (p *Port) stream(pair datagram.Pair) *stream {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.streams[pair]
}
