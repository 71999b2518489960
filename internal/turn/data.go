package turn

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

const channelHeaderLen = 4

var padding [3]byte

// channelData relays what a client sends on a channel (RFC 8656 §12.6).
func (s *Server) channelData(now instant, pair datagram.Pair, b []byte, out *Out) drop.Reason {
	if len(b) < channelHeaderLen {
		return drop.TurnMalformed
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b)-channelHeaderLen {
		return drop.TurnMalformed
	}
	a := s.find(pair)
	if a == nil {
		return drop.TurnNoAllocation
	}
	c := a.channels.numbered(binary.BigEndian.Uint16(b))
	if c == nil || now >= c.until {
		return drop.TurnNoChannel
	}
	return s.toPeer(now, a, ToPeer{Peer: c.peer, B: b[channelHeaderLen : channelHeaderLen+n]}, c.permitted, c.outside, out)
}

// send relays what a client sends in a Send indication (RFC 8656 §11.2). It is not authenticated; the permission was.
func (s *Server) send(q *request) drop.Reason {
	a := s.find(q.pair)
	if a == nil || a.tcp {
		return drop.TurnNoAllocation
	}
	value, ok1 := q.Find(stun.XORPeerAddress)
	b, ok2 := q.Find(stun.DataValue)
	peer, ok3 := stun.Address(value, q.ID())
	if !ok1 || !ok2 || !ok3 || s.unknown(q) > 0 {
		return drop.TurnMalformed
	}
	p := a.permitted(peer.Addr())
	if p == nil {
		return drop.TurnNoPermission
	}
	_, df := q.Find(stun.DontFragment)
	return s.toPeer(q.at, a, ToPeer{Peer: peer, B: b, DontFragment: df}, p.until, p.outside, q.out)
}

// toPeer sends a datagram from the relayed address of the peer's family, if the peer may be reached now.
func (s *Server) toPeer(now instant, a *allocation, d ToPeer, permitted instant, outside bool, out *Out) drop.Reason {
	r := &a.relays[family(d.Peer.Addr())]
	if !r.there() {
		return drop.TurnFamily
	}
	if now >= permitted {
		return drop.TurnNoPermission
	}
	place, ok := s.reach(d.Peer, outside)
	if !ok {
		return drop.TurnForbidden
	}
	if !s.mayRelay(now, a, fromClient, len(d.B)) {
		return drop.TurnRate
	}
	d.Relay, d.Place = r.id, place
	s.stats.ToPeers.add(len(d.B))
	out.Peers = append(out.Peers, d)
	return drop.None
}

// FromPeer takes a datagram that came to a relayed address (RFC 8656 §11.3, §12.7).
func (s *Server) FromPeer(now time.Time, relay RelayID, from netip.AddrPort, b []byte, out *Out) drop.Reason {
	a := s.relayedBy(relay)
	if a == nil {
		return drop.TurnNoAllocation
	}
	at := s.at(now)
	c := a.channels.to(from)
	if c != nil && at >= c.until {
		c = nil
	}
	permitted, outside := instant(0), false
	if c != nil {
		permitted, outside = c.permitted, c.outside
	} else if p := a.permitted(from.Addr()); p != nil {
		permitted, outside = p.until, p.outside
	}
	if at >= permitted {
		return drop.TurnNoPermission
	}
	if _, ok := s.reach(from, outside); !ok {
		return drop.TurnForbidden
	}
	if len(b) > maxPayload {
		return drop.Oversized
	}
	if !s.mayRelay(at, a, fromPeers, len(b)) {
		return drop.TurnRate
	}
	s.stats.ToClients.add(len(b))
	d := ToClient{Pair: a.pair, B: b}
	if c != nil {
		d.Head = out.channelHead(c.number, len(b))
	} else {
		d.Head = s.dataHead(from, len(b), out)
	}
	if c == nil || a.pair.Proto == datagram.TCP { // §12.5: over TCP a ChannelData is padded to four bytes; attributes always are
		d.Tail = padding[:-len(b)&3]
	}
	out.Clients = append(out.Clients, d)
	return drop.None
}

// relayedBy returns the allocation of a relayed address whose client can be told; nil: there is none.
func (s *Server) relayedBy(relay RelayID) *allocation {
	if relay < 0 || int(relay) >= len(s.relays) {
		return nil
	}
	if a := s.relays[relay]; a != nil && (a.mobile == nil || !a.mobile.detached) {
		return a
	}
	return nil
}

func (o *Out) channelHead(number uint16, n int) []byte {
	at := o.room(channelHeaderLen)
	at = binary.BigEndian.AppendUint16(at, number)
	o.buf = binary.BigEndian.AppendUint16(at, uint16(n))
	return o.buf[len(o.buf)-channelHeaderLen : len(o.buf) : len(o.buf)]
}

// dataHead is a Data indication up to the n bytes of its payload, which is its last attribute (RFC 8656 §11.3).
func (s *Server) dataHead(from netip.AddrPort, n int, o *Out) []byte {
	id := s.indicationID()
	w := stun.Begin(o.room(maxAnswer), stun.TypeOf(stun.Data, stun.Indication), id[:])
	w.Address(stun.XORPeerAddress, from)
	w.Header(stun.DataValue, n)
	o.buf = w.B
	return w.Message()
}

// indicationID makes a transaction id. Nobody answers an indication: it is no secret.
func (s *Server) indicationID() (id [stun.IDLen]byte) {
	s.ids++
	binary.BigEndian.PutUint64(id[4:], s.ids*0x9E3779B97F4A7C15)
	return id
}
