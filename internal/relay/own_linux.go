package relay

import (
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/parley-rtc/parley/internal/turn"
)

// own knows this process's addresses. It implements turn.OwnAddresses.
type own struct {
	// static after construction
	fixed  []netip.Addr // relayed addresses as peers see them, and those under which a router makes this machine reachable
	chosen []Address    // where relayed addresses are
	media  func(netip.AddrPort) bool

	// owned by the loop
	relays   map[netip.AddrPort]*socket
	tcp      map[netip.AddrPort]*socket
	bound    map[netip.AddrPort]*socket // the same by where they are bound, which is elsewhere where a router translates addresses
	loopback map[netip.Addr]int         // allocations on loopback addresses

	// atomic
	addrs atomic.Pointer[map[netip.Addr]struct{}]
}

func newOwn(cfg *Config) *own {
	o := &own{
		fixed: append([]netip.Addr(nil), cfg.Own...), chosen: cfg.Relays, media: cfg.Media,
		relays: map[netip.AddrPort]*socket{}, tcp: map[netip.AddrPort]*socket{}, bound: map[netip.AddrPort]*socket{}, loopback: map[netip.Addr]int{},
	}
	for _, a := range cfg.Relays {
		o.fixed = append(o.fixed, a.Bind)
		if a.Advertise.IsValid() {
			o.fixed = append(o.fixed, a.Advertise)
		}
	}
	o.look()
	return o
}

// look reads this machine's addresses. Where it cannot, the ones it knew stay.
func (o *own) look() {
	interfaces, err := net.InterfaceAddrs()
	if err != nil && o.addrs.Load() != nil {
		return
	}
	all := make(map[netip.Addr]struct{}, len(interfaces)+len(o.fixed))
	for _, a := range o.fixed {
		all[a.Unmap()] = struct{}{}
	}
	for _, a := range interfaces {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all[p.Addr().Unmap().WithZone("")] = struct{}{}
		}
	}
	o.addrs.Store(&all)
}

// IsOwn implements turn.OwnAddresses. It is for the loop. A loopback address is one only while an allocation is on it: it is refused by what
// clients may reach, and where that was asked for, it may be reached like any other.
func (o *own) IsOwn(a netip.Addr) bool {
	if a.IsLoopback() {
		return o.loopback[a] > 0
	}
	return o.here(a)
}

// here reports whether an address is one of this machine's, to any goroutine.
func (o *own) here(a netip.Addr) bool {
	if a.Is6() {
		a = a.WithZone("")
	}
	_, ok := (*o.addrs.Load())[a]
	return ok
}

// HasFamily implements turn.OwnAddresses.
func (o *own) HasFamily(local netip.Addr, v6 bool) bool {
	_, ok := o.relayedOn(local, v6)
	return ok
}

// relayedOn returns the address that an allocation is made on: a configured one, the client's own if there are several; or the one that the client has
// come to.
func (o *own) relayedOn(local netip.Addr, v6 bool) (at Address, ok bool) {
	for _, a := range o.chosen {
		if a.Bind.Is6() != v6 {
			continue
		}
		if a.Bind == local || a.Advertise == local {
			return a, true
		}
		if !ok {
			at, ok = a, true
		}
	}
	local = local.WithZone("")
	if !ok && local.IsValid() && !local.IsUnspecified() && local.Is6() == v6 && !local.IsLinkLocalUnicast() {
		return Address{Bind: local}, true
	}
	if !ok {
		at.Bind, ok = o.any(v6, local.IsLoopback())
	}
	return at, ok
}

// any returns an address of this machine of a family: a loopback one for clients on loopback, for others one that others can reach, rather a
// public than another one.
func (o *own) any(v6, loopback bool) (best netip.Addr, ok bool) {
	for a := range *o.addrs.Load() {
		if a.Is6() != v6 || a.IsLoopback() != loopback || a.IsLinkLocalUnicast() {
			continue
		}
		public, than := turn.GloballyRoutable(a), ok && turn.GloballyRoutable(best)
		if !ok || public && !than || public == than && a.Less(best) {
			best, ok = a, true
		}
	}
	return best, ok
}

// PlaceOf implements turn.OwnAddresses. It is for the loop.
func (o *own) PlaceOf(a netip.AddrPort) turn.Place {
	here := o.here(a.Addr()) || a.Addr().IsLoopback()
	switch {
	case !here && a.Addr().IsUnspecified(): // the kernel would take it for this machine
		return turn.Own
	case !here:
		return turn.Elsewhere
	case o.relays[a] != nil, o.tcp[a] != nil:
		return turn.Relayed
	case o.media != nil && o.media(a):
		return turn.Media
	case a.Addr().IsLoopback():
		return turn.Elsewhere
	}
	return turn.Own
}

// relayed returns the socket of a relayed address; nil: there is none. It is for the loop.
func (o *own) relayed(a netip.AddrPort) *socket { return o.relays[a] }

// reached returns where to connect to for a peer: to a relayed TCP address of this process where that is bound, since routers seldom lead back what is
// sent to their own outer address.
func (o *own) reached(peer netip.AddrPort) netip.AddrPort {
	if s := o.tcp[peer]; s != nil {
		return s.local
	}
	return peer
}

// seen returns as whom clients know a peer that has connected from an address: a relayed TCP address of this process by what others see of it.
func (o *own) seen(from netip.AddrPort) netip.AddrPort {
	if s := o.bound[from]; s != nil {
		return s.address
	}
	return from
}

// of returns where a relayed address is noted.
func (o *own) of(s *socket) map[netip.AddrPort]*socket {
	if s.listener != nil {
		return o.tcp
	}
	return o.relays
}

func (o *own) add(s *socket) {
	o.of(s)[s.address] = s
	if s.listener != nil {
		o.bound[s.local] = s
	}
	if a := s.address.Addr(); a.IsLoopback() {
		o.loopback[a]++
	}
}

func (o *own) remove(s *socket) {
	delete(o.of(s), s.address)
	if s.listener != nil {
		delete(o.bound, s.local)
	}
	if a := s.address.Addr(); a.IsLoopback() {
		o.loopback[a]--
	}
}
