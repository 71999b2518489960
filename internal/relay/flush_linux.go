package relay

import (
	"net/netip"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/turn"
)

// flush sends all that the core has made of this turn. Then the buffers that it was received in are free again.
func (l *loop) flush() {
	l.send()
	l.rd.used = 0
	for _, s := range l.closing {
		l.forget(s)
	}
	l.closing = l.closing[:0]
	for _, b := range l.batches {
		l.cfg.Port.Recycle(b)
	}
	l.batches = l.batches[:0]
	for _, c := range l.served {
		c.free <- struct{}{} // has room: a client waits for it
	}
	l.served = l.served[:0]
}

// send sends all that the core has made, and leaves the buffers that it was received in.
func (l *loop) send() {
	l.toPeers()
	l.toClients()
	l.out.Reset()
}

// toPeers sends what leaves relayed addresses, socket by socket: what goes to one peer is then next to each other, whichever way it came in.
// What goes to relayed addresses of this process becomes part of Out.Clients, and what goes to its media goes through memory.
func (l *loop) toPeers() {
	peers := l.out.Peers
	if cap(l.next) < len(peers) {
		l.next = make([]int32, 2*len(peers))
	}
	l.next = l.next[:cap(l.next)]
	for i := range peers {
		p := &peers[i]
		s := l.sockets[p.Relay]
		switch {
		case s == nil || s.listener != nil:
			l.drops.Add(drop.UnknownSource)
		case p.Place == turn.Elsewhere:
			l.chain(s, int32(i))
		case p.Place == turn.Relayed:
			l.across(s, p)
		case p.Place == turn.Media:
			l.toMedia(s, p)
		}
	}
	for s := l.touched; s != nil; {
		for i := s.first; i >= 0; i = l.next[i] {
			l.toPeer(s, &peers[i])
		}
		s.first, s.last = -1, -1
		s, s.next = s.next, nil
	}
	l.touched = nil
	l.wr.flush()
	l.endMedia()
}

// chain appends the i-th of Out.Peers to those of a socket.
func (l *loop) chain(s *socket, i int32) {
	l.next[i] = -1
	if s.first < 0 {
		s.first = i
		s.next, l.touched = l.touched, s
	} else {
		l.next[s.last] = i
	}
	s.last = i
}

// toPeer sends one datagram from a relayed address. The few that must not be fragmented go alone.
func (l *loop) toPeer(s *socket, p *turn.ToPeer) {
	if !p.DontFragment {
		l.wr.add(s, netip.AddrPort{}, p.Peer, nil, p.B, nil)
		return
	}
	l.wr.flush()
	s.fragment(false)
	l.wr.add(s, netip.AddrPort{}, p.Peer, nil, p.B, nil)
	l.wr.flush()
	s.fragment(true)
}

// across gives a datagram from one relayed address to another of this process. It makes nothing but datagrams to clients, so it ends here.
func (l *loop) across(s *socket, p *turn.ToPeer) {
	to := l.own.relayed(p.Peer)
	if to == nil || to.closed {
		l.drops.Add(drop.UnknownSource)
		return
	}
	l.fromPeer(to, s.address, p.B)
}

// toMedia gives a datagram to this process's own media, as if it had come to the port.
func (l *loop) toMedia(s *socket, p *turn.ToPeer) {
	if l.cfg.Port == nil || len(p.B) == 0 || len(p.B) > datagram.MaxBytes {
		l.drops.Add(drop.Oversized)
		return
	}
	if l.media != nil && l.media.N == datagram.BatchSize {
		l.endMedia()
	}
	if l.media == nil {
		l.media = l.cfg.Port.Take()
	}
	l.media.Append(datagram.Pair{Local: p.Peer, Remote: s.address, Proto: datagram.Relayed}, p.B)
}

// endMedia hands over what toMedia has gathered.
func (l *loop) endMedia() {
	if l.media != nil {
		l.cfg.Port.Give(l.media)
		l.media = nil
	}
}

// toClients sends what goes to clients, in order: by a listener, a connection, or the port.
func (l *loop) toClients() {
	for i := range l.out.Clients {
		c := &l.out.Clients[i]
		if c.Pair.Proto == datagram.UDP {
			if s := l.listener(c.Pair.Local); s != nil {
				l.wr.add(s, c.Pair.Local, c.Pair.Remote, c.Head, c.B, c.Tail)
				continue
			}
		}
		l.byOthers(c)
	}
	l.wr.flush()
	if l.egress.Len() > 0 {
		l.cfg.Port.Send(l.egress)
		l.egress.Reset()
	}
}

// byOthers sends what does not leave by a listener.
func (l *loop) byOthers(c *turn.ToClient) {
	if client := l.clients[c.Pair]; client != nil {
		l.drops[drop.EgressFull] += uint64(client.push(c.Head, c.B, c.Tail))
		return
	}
	size := len(c.Head) + len(c.B) + len(c.Tail)
	if l.cfg.Port == nil || c.Pair.Proto != datagram.UDP || size > egressBytes {
		l.drops.Add(drop.UnknownSource)
		return
	}
	b := l.egress.Reserve(size)
	if b == nil {
		l.cfg.Port.Send(l.egress)
		l.egress.Reset()
		b = l.egress.Reserve(size)
	}
	n := copy(b, c.Head)
	n += copy(b[n:], c.B)
	n += copy(b[n:], c.Tail)
	l.egress.Commit(c.Pair, n)
}

// listener returns the socket that a local address is one of; nil: none.
func (l *loop) listener(local netip.AddrPort) *socket {
	if l.last != nil && l.last.serves(local) {
		return l.last
	}
	for _, s := range l.listeners {
		if s.serves(local) {
			l.last = s
			return s
		}
	}
	return nil
}

// serves reports whether a listener's datagrams come to and leave from local.
func (s *socket) serves(local netip.AddrPort) bool {
	if s.local == local {
		return true
	}
	return s.local.Port() == local.Port() && s.local.Addr().IsUnspecified() && (s.v4 == local.Addr().Is4() || !s.v4 && s.dual)
}
