package turn

import (
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// ICMP takes what ICMP or ICMPv6 has told about a datagram that left a relayed address for a peer, and tells the client (RFC 8656 §11.5).
// Data is the MTU where the message has one.
func (s *Server) ICMP(now time.Time, relay RelayID, peer netip.AddrPort, typ, code uint8, data uint32, out *Out) drop.Reason {
	a := s.relayedBy(relay)
	if a == nil {
		return drop.TurnNoAllocation
	}
	// §11.5: "the type is either 3 or 11 for an ICMPv4 packet or either 1, 2, or 3 for an ICMPv6 packet"
	if v6 := peer.Addr().Is6(); v6 && (typ < 1 || typ > 3) || !v6 && typ != 3 && typ != 11 {
		return drop.TurnMalformed
	}
	if p := a.permitted(peer.Addr()); p == nil || s.at(now) >= p.until {
		return drop.TurnNoPermission
	}
	if v4 := peer.Addr().Is4(); v4 && (typ != 3 || code != 4) || !v4 && typ != 2 {
		data = 0 // §18.13: of these two it is the MTU, of all others it "MUST be set to zero"
	}
	id := s.indicationID()
	w := stun.Begin(out.room(maxAnswer), stun.TypeOf(stun.Data, stun.Indication), id[:])
	w.Address(stun.XORPeerAddress, peer)
	// §18.13: 16 bits reserved, 7 of type, 9 of code, 32 of data
	w.Uint64(stun.ICMP, uint64(typ)<<41|uint64(code)<<32|uint64(data))
	out.buf = w.B
	out.Clients = append(out.Clients, ToClient{Pair: a.pair, Head: w.Message()})
	return drop.None
}
