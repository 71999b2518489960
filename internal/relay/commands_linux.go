package relay

import (
	"errors"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/turn"
)

// obey does what the core asks for. Answers may ask for more.
func (l *loop) obey() {
	for i := 0; i < len(l.out.Commands); i++ {
		c := l.out.Commands[i]
		switch c.Do {
		case turn.OpenRelay:
			l.core.Opened(l.now, l.open(&c.Open), &l.out)
		case turn.CloseRelay:
			l.close(c.Relay)
		case turn.Dial:
			l.dial(&c)
		case turn.JoinConn:
			l.join(&c)
		case turn.CloseConn:
			l.hangUp(c.Conn)
		case turn.CloseClient:
			l.hangUpClient(c.Pair)
		}
	}
	l.out.Commands = l.out.Commands[:0]
}

// portsOf is what has ports of its own.
type portsOf struct {
	addr netip.Addr
	tcp  bool
}

// open opens a relayed address.
func (l *loop) open(o *turn.Open) turn.Opened {
	refused := turn.Opened{Token: o.Token, Failed: true}
	at, ok := l.own.relayedOn(o.Local, o.IPv6)
	if !ok {
		return refused
	}
	of := portsOf{at.Bind, o.TCP}
	p := l.ports[of]
	if p == nil {
		p = newPorts(int(l.cfg.FirstPort), int(l.cfg.LastPort))
		l.ports[of] = p
	}
	for range maxBinds {
		number := p.choose(rand.Uint64(), o.Even, o.Next)
		if number == 0 {
			return refused
		}
		opened, err := l.bind(o, at, uint16(number))
		if err == nil {
			return opened
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			if l.now.Sub(l.warned) >= faultsEvery { // a client can ask for it at any rate
				l.warned = l.now
				l.cfg.Log.Warn("a relayed address could not be opened", "error", err)
			}
			return refused
		}
		// Another program has it: then another one.
	}
	return refused
}

// bind opens the relayed address of a port, and the one above it where that is to be reserved.
func (l *loop) bind(o *turn.Open, at Address, number uint16) (turn.Opened, error) {
	open := l.relay
	if o.TCP {
		open = l.relayTCP
	}
	s, err := open(at, number)
	if err != nil {
		return turn.Opened{}, err
	}
	opened := turn.Opened{Token: o.Token, Relay: s.id, Address: s.address}
	if o.Next {
		above, err := l.relay(at, number+1)
		if err != nil {
			l.close(s.id)
			return turn.Opened{}, err
		}
		opened.Reserved = above.id
	}
	return opened, nil
}

func (l *loop) relay(at Address, number uint16) (*socket, error) {
	s, err := openUDP(netip.AddrPortFrom(at.Bind, number), true, false)
	if err != nil {
		return nil, err
	}
	if err := l.add(s); err != nil {
		unix.Close(s.fd)
		return nil, err
	}
	l.opened(s, at)
	return s, nil
}

// opened notes a relayed address.
func (l *loop) opened(s *socket, at Address) {
	s.address = s.local
	if at.Advertise.IsValid() {
		s.address = netip.AddrPortFrom(at.Advertise, s.local.Port())
	}
	l.own.add(s)
	l.ports[portsOf{at.Bind, s.listener != nil}].take(int(s.local.Port()))
}

// close ends a relayed address. What is to leave it in this turn still does, so its place is free only after that.
func (l *loop) close(id turn.RelayID) {
	if s := l.sockets[id]; s != nil && !s.closed {
		s.closed = true
		l.own.remove(s)
		l.closing = append(l.closing, s)
	}
}

// forget closes the socket of a relayed address.
func (l *loop) forget(s *socket) {
	if s.listener != nil {
		_ = s.listener.Close()
	} else {
		l.stats.KernelDrops += uint64(s.kernelDrops() - s.dropped)
		unix.Close(s.fd)
	}
	l.ports[portsOf{s.local.Addr(), s.listener != nil}].release(int(s.local.Port()))
	l.sockets[s.id] = nil
	l.free = append(l.free, s.id)
}
