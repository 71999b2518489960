package sim

import (
	"net/netip"
	"time"
)

// Dependence is how much of a destination a NAT distinguishes (RFC 4787 §4.1 of mappings, §5 of filters).
type Dependence uint8

// Dependences.
const (
	EndpointIndependent Dependence = iota
	AddressDependent
	AddressAndPortDependent
)

// String returns the words of RFC 4787.
func (d Dependence) String() string {
	return [...]string{"endpoint-independent", "address-dependent", "address-and-port-dependent"}[d]
}

// of returns what of a remote endpoint is distinguished.
func (d Dependence) of(a netip.AddrPort) netip.AddrPort {
	switch d {
	case EndpointIndependent:
		return netip.AddrPort{}
	case AddressDependent:
		return netip.AddrPortFrom(a.Addr(), 0)
	}
	return a
}

// NAT is how a NAT behaves, in the words of RFC 4787.
type NAT struct {
	Mapping   Dependence // which destinations see the same address and port of an endpoint
	Filtering Dependence // whom an endpoint must have sent to before something from there comes in
	// PreservesPorts: the port outside is that inside where it is free (§4.2.1); otherwise, and always without it, the next free one.
	PreservesPorts bool
	// Hairpins: nodes behind it reach one another by the addresses outside, and are seen there as such (§6, REQ-9).
	Hairpins bool
	// Lifetime is how long after the last datagram from inside a mapping and its filter are kept (§4.3); 0 means for ever.
	Lifetime time.Duration
	// BlocksUDP: nothing passes, as through a firewall that lets TCP out alone.
	BlocksUDP bool
}

// SetNAT puts nodes behind a NAT with an address of its own. What the NAT at this address had for other nodes, and all that it knew, is
// forgotten. Nodes behind one NAT reach one another directly. A node may be behind its own address: then the NAT, which should preserve ports,
// is a firewall. Links and Watch go by the nodes' own addresses.
func (n *Network) SetNAT(outside netip.Addr, b NAT, nodes ...netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old := n.natsOutside[outside]; old != nil {
		for node, t := range n.nats {
			if t == old {
				delete(n.nats, node)
			}
		}
	}
	t := &nat{NAT: b, outside: outside, next: firstNATPort, mappings: map[natKey]*mapping{}, ports: map[uint16]*mapping{}, sent: map[natKey]time.Time{}}
	n.natsOutside[outside] = t
	for _, node := range nodes {
		n.nats[node] = t
	}
}

// translate returns what a receiver sees of a sender, to whom what is sent comes, and whether it gets through. Called with mu held.
func (n *Network) translate(now time.Time, from, to netip.AddrPort) (seen, node netip.AddrPort, passes bool) {
	mine, theirs := n.nats[from.Addr()], n.natsOutside[to.Addr()]
	if target := n.nats[to.Addr()]; target != nil && theirs == nil {
		return from, to, target == mine // addresses inside mean nothing elsewhere
	}
	seen, node = from, to
	if mine != nil {
		if seen, passes = mine.leave(now, from, to); !passes {
			return from, to, false
		}
	}
	if theirs == nil {
		return seen, node, true
	}
	if theirs == mine && !mine.Hairpins {
		return seen, node, false
	}
	if inside, ok := theirs.enter(now, seen, to.Port()); ok {
		return seen, inside, true
	}
	return seen, node, false
}

// nat is the state of a NAT. Its network's lock guards it.
type nat struct {
	NAT
	outside  netip.Addr
	next     uint16
	mappings map[natKey]*mapping
	ports    map[uint16]*mapping
	sent     map[natKey]time.Time // what filters go by: when an endpoint has sent where, last
}

// natKey is an endpoint inside, and as much of one outside as is distinguished.
type natKey struct{ inside, outside netip.AddrPort }

// mapping is a port outside.
type mapping struct {
	key  natKey
	port uint16
	used time.Time // last, from inside
}

// leave takes a datagram from inside and returns what it seems to come from.
func (t *nat) leave(now time.Time, from, to netip.AddrPort) (netip.AddrPort, bool) {
	if t.BlocksUDP {
		return netip.AddrPort{}, false
	}
	key, filter := natKey{from, t.Mapping.of(to)}, natKey{from, t.Filtering.of(to)}
	m := t.mappings[key]
	if m != nil && t.over(now, m.used) {
		t.forget(m)
		m = nil
	}
	if _, known := t.sent[filter]; m == nil || !known {
		t.sweep(now)
		if len(t.sent) >= MaxNATMappings && !known || m == nil && len(t.mappings) >= MaxNATMappings {
			return netip.AddrPort{}, false
		}
	}
	if m == nil {
		m = &mapping{key: key, port: t.port(from.Port())}
		t.mappings[key], t.ports[m.port] = m, m
	}
	m.used, t.sent[filter] = now, now
	return netip.AddrPortFrom(t.outside, m.port), true
}

// enter takes a datagram from outside and returns to whom it goes, if it may.
func (t *nat) enter(now time.Time, from netip.AddrPort, port uint16) (netip.AddrPort, bool) {
	m := t.ports[port]
	if m == nil || t.over(now, m.used) {
		return netip.AddrPort{}, false
	}
	at, sent := t.sent[natKey{m.key.inside, t.Filtering.of(from)}]
	return m.key.inside, sent && !t.over(now, at)
}

// port chooses a port outside for one inside. There are more of them than mappings.
func (t *nat) port(inside uint16) uint16 {
	if t.PreservesPorts && t.ports[inside] == nil {
		return inside
	}
	for {
		port := t.next
		if t.next++; t.next == 0 {
			t.next = firstNATPort
		}
		if t.ports[port] == nil {
			return port
		}
	}
}

// over reports whether something that was last used at a time is forgotten.
func (t *nat) over(now, used time.Time) bool { return t.Lifetime > 0 && now.Sub(used) > t.Lifetime }

func (t *nat) forget(m *mapping) {
	delete(t.mappings, m.key)
	delete(t.ports, m.port)
}

// sweep makes room where there is none.
func (t *nat) sweep(now time.Time) {
	if len(t.mappings) < MaxNATMappings && len(t.sent) < MaxNATMappings {
		return
	}
	for _, m := range t.mappings {
		if t.over(now, m.used) {
			t.forget(m)
		}
	}
	for key, at := range t.sent {
		if t.over(now, at) {
			delete(t.sent, key)
		}
	}
}
