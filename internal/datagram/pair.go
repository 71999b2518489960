package datagram

import "net/netip"

// Proto is the transport protocol of a candidate or pair.
type Proto uint8

// Protocols, the best way first.
const (
	UDP Proto = iota
	TCP
	Relayed // UDP to whoever is there, but from a relayed address of this process, and through memory to that
)

// String implements fmt.Stringer: "udp" or "tcp", as in candidate lines.
func (p Proto) String() string {
	if p == TCP {
		return "tcp"
	}
	return "udp"
}

// Pair is a local and a remote transport address: the way between this node and a client. It is comparable and the key by
// which a shard finds a Transport. Addresses are unmapped (no v4-in-v6) and carry no zone except link-local ones.
type Pair struct {
	Local, Remote netip.AddrPort
	Proto         Proto
}

// Source returns what counts as one source where strangers are limited: an IPv4 address, or an IPv6 /64, of which one customer has at
// least one.
func Source(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		p, _ := a.Prefix(64)
		return p.Addr()
	}
	return a
}
