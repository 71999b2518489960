package turn

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// refresh prolongs an allocation, or ends it, or one of its two addresses (RFC 8656 §8.2).
func (s *Server) refresh(q *request, a *allocation) drop.Reason {
	lifetime, ok1 := q.lifetime()
	only, one, ok2 := q.family(stun.RequestedAddressFamily)
	if !ok1 || !ok2 {
		return q.refuse(s, stun.BadRequest)
	}
	if one && !a.relays[only].there() {
		return q.refuse(s, stun.PeerFamilyMismatch)
	}
	for f := range a.relays {
		r := &a.relays[f]
		switch {
		case one && f != only || !r.there():
		case lifetime == 0:
			s.closeRelay(a, f, q.out)
		default:
			r.until = q.at + lifetime
		}
	}
	s.endOrSchedule(a, q.out)
	w := q.answer(stun.Success)
	w.Uint32(stun.Lifetime, uint32(lifetime/time.Second))
	if a.mobile != nil && lifetime != 0 {
		w.Bytes(stun.MobilityTicket, a.mobile.ticket[:])
	}
	return w.end(s)
}

// createPermission makes permissions for all the addresses, or for none (RFC 8656 §10.2).
func (s *Server) createPermission(q *request, a *allocation) drop.Reason {
	var addrs [maxPermissionsAtOnce]netip.Addr
	n := 0
	for at := q.Attributes(); at.Next(); {
		if at.Type != stun.XORPeerAddress {
			continue
		}
		peer, ok := stun.Address(at.Value, q.ID())
		if !ok {
			return q.refuse(s, stun.BadRequest)
		}
		if n == len(addrs) {
			return q.refuse(s, stun.InsufficientCapacity)
		}
		addrs[n] = peer.Addr()
		n++
	}
	if n == 0 {
		return q.refuse(s, stun.BadRequest)
	}
	for _, addr := range addrs[:n] {
		if !a.relays[family(addr)].there() {
			return q.refuse(s, stun.PeerFamilyMismatch)
		}
		// A permission says nothing of ports. For an own address it is granted, and each datagram's port looked at.
		if !s.outside(addr) && !s.own(addr) {
			return q.refuse(s, stun.Forbidden)
		}
	}
	if !a.hasRoom(q.at, addrs[:n], s.limits.Permissions) {
		return q.refuse(s, stun.InsufficientCapacity)
	}
	for _, addr := range addrs[:n] {
		a.permit(q.at, addr, s.outside(addr), s.limits.Permissions)
	}
	w := q.answer(stun.Success)
	return w.end(s)
}

// channelBind binds a channel, or prolongs it, and with it the permission (RFC 8656 §12.2).
func (s *Server) channelBind(q *request, a *allocation) drop.Reason {
	value, ok1 := q.Find(stun.ChannelNumber)
	peerValue, ok2 := q.Find(stun.XORPeerAddress)
	if !ok1 || !ok2 || len(value) != 4 {
		return q.refuse(s, stun.BadRequest)
	}
	number := binary.BigEndian.Uint16(value)
	peer, ok := stun.Address(peerValue, q.ID())
	if !ok || number < minChannel || number > maxChannel || a.tcp {
		return q.refuse(s, stun.BadRequest)
	}
	c, other := a.channels.numbered(number), a.channels.to(peer)
	if c != nil && c.peer != peer && q.at < c.until || other != nil && other.number != number && q.at < other.until {
		return q.refuse(s, stun.BadRequest)
	}
	if !a.relays[family(peer.Addr())].there() {
		return q.refuse(s, stun.PeerFamilyMismatch)
	}
	outside := s.outside(peer.Addr())
	if _, ok := s.reach(peer, outside); !ok {
		return q.refuse(s, stun.Forbidden)
	}
	if !a.bind(q.at, number, peer, outside, s.limits) {
		return q.refuse(s, stun.InsufficientCapacity)
	}
	w := q.answer(stun.Success)
	return w.end(s)
}

// bind makes or prolongs a channel and its permission. A channel in force is never replaced by another: the caller has looked.
func (a *allocation) bind(now instant, number uint16, peer netip.AddrPort, outside bool, l Limits) bool {
	c := a.channels.numbered(number)
	if c == nil || c.peer != peer {
		if c = a.channels.bind(now, number, peer, l.Channels); c == nil {
			return false
		}
	}
	if !a.permit(now, peer.Addr(), outside, l.Permissions) {
		return false
	}
	c.until, c.outside, c.permitted = now+ChannelLifetime, outside, now+PermissionLifetime
	return true
}
