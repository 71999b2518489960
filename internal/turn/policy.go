package turn

import (
	"net/netip"
)

// Policy says what peers clients may reach, besides what is globally routable. The longest prefix decides; of two alike, Deny.
type Policy struct {
	Allow, Deny []netip.Prefix
	// Closed: what no rule has may not be reached, though it is globally routable.
	Closed bool
}

// own reports whether an address is one of this machine. A wrapped one is not: whatever unwraps it is elsewhere.
func (s *Server) own(addr netip.Addr) bool { return !addr.Is4In6() && s.cfg.Own.IsOwn(addr) }

// reach tells where a datagram to or from a peer goes, and whether it may: own addresses first, then what outside said of the others.
func (s *Server) reach(peer netip.AddrPort, outside bool) (Place, bool) {
	if peer.Port() == 0 || peer.Addr().Is4In6() {
		return Elsewhere, false
	}
	p := s.cfg.Own.PlaceOf(peer)
	return p, p == Relayed || p == Media || p == Elsewhere && outside
}

// outside reports whether clients may reach an address that is not an own one: it and all that is wrapped in it.
func (s *Server) outside(addr netip.Addr) bool {
	if !s.cfg.Policy.allows(addr) {
		return false
	}
	var inner [2]netip.Addr
	for _, in := range unwrap(inner[:0], addr) {
		if s.cfg.Own.IsOwn(in) || !s.cfg.Policy.allows(in) {
			return false
		}
	}
	return true
}

// allows reports whether an address may be reached for itself.
func (p *Policy) allows(addr netip.Addr) bool {
	allow, deny := longest(p.Allow, addr), longest(p.Deny, addr)
	if allow >= 0 || deny >= 0 {
		return allow > deny
	}
	return !p.Closed && GloballyRoutable(addr)
}

// longest returns the length of the longest prefix that has an address; -1: none.
func longest(prefixes []netip.Prefix, addr netip.Addr) int {
	n := -1
	for _, p := range prefixes {
		if p.Bits() > n && p.Contains(addr) {
			n = p.Bits()
		}
	}
	return n
}
