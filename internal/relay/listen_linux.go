package relay

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
)

// listenTCP opens the listeners of TCP and TLS.
func (r *Relay) listenTCP() error {
	for _, at := range r.cfg.TCP {
		l, err := net.Listen(tcpNetwork(at, r.cfg.TCP), at.String())
		if err != nil {
			return err
		}
		r.listeners = append(r.listeners, l)
	}
	for _, at := range r.cfg.TLS {
		l, err := net.Listen(tcpNetwork(at, r.cfg.TLS), at.String())
		if err != nil {
			return err
		}
		r.listeners = append(r.listeners, secure{l})
	}
	return nil
}

// secure marks a listener of TLS.
type secure struct{ net.Listener }

func tcpNetwork(at netip.AddrPort, all []netip.AddrPort) string {
	switch {
	case at.Addr().Is4():
		return "tcp4"
	case dual(at, all):
		return "tcp"
	}
	return "tcp6"
}

// acceptLoop admits connections. Where the process has no descriptor left it waits for one, a little longer each time.
func (r *Relay) acceptLoop(l net.Listener) {
	wait := acceptPause
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			wait = acceptPause
			r.admit(l, c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			if !r.pause(wait) {
				return
			}
			wait = min(2*wait, maxAcceptPause)
		}
	}
}

// pause waits and reports false when the relay is closed meanwhile.
func (r *Relay) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.ctx.Done():
		return false
	}
}

func (r *Relay) admit(l net.Listener, c net.Conn) {
	pair := datagram.Pair{Local: unmapped(c.LocalAddr()), Remote: unmapped(c.RemoteAddr()), Proto: datagram.TCP}
	if !r.streams.enter(pair.Remote.Addr()) {
		c.Close()
		return
	}
	if _, ok := l.(secure); ok {
		c = tls.Server(c, r.cfg.Certificate())
	}
	r.start(func() {
		defer r.streams.leave(pair.Remote.Addr())
		r.Serve(c, pair)
	})
}

// unmapped returns a TCP address in our form.
func unmapped(a net.Addr) netip.AddrPort {
	at := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
