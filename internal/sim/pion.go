package sim

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/pion/transport/v4"
)

// Net is one node of the network as pion wants it (webrtc.SettingEngine.SetNet, ice.AgentConfig.Net): an interface with the
// node's addresses, and UDP. There is no TCP, and no multicast: mDNS must be switched off.
type Net struct {
	// static after construction
	network *Network

	// guarded by mu
	mu    sync.Mutex
	addrs []netip.Addr
}

var (
	_ transport.Net     = (*Net)(nil)
	_ transport.UDPConn = (*PacketConn)(nil)
)

// Net returns a node with these addresses.
func (n *Network) Net(addrs ...netip.Addr) *Net {
	return &Net{network: n, addrs: addrs}
}

// Move gives the node other addresses, as when it joins another network. What listens on the old ones goes on; whether anything still
// reaches it there is up to the links.
func (m *Net) Move(addrs ...netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addrs = addrs
}

// card is the node's only interface.
func (m *Net) card() *transport.Interface {
	m.mu.Lock()
	defer m.mu.Unlock()
	card := transport.NewInterface(net.Interface{
		Index: 1, MTU: 1500, Name: "sim0", Flags: net.FlagUp | net.FlagRunning | net.FlagBroadcast,
	})
	for _, a := range m.addrs {
		card.AddAddress(&net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())})
	}
	return card
}

// ListenPacket implements transport.Net.
func (m *Net) ListenPacket(network, address string) (net.PacketConn, error) {
	addr, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, err
	}
	return m.listen(network, addr)
}

// ListenUDP implements transport.Net.
func (m *Net) ListenUDP(network string, addr *net.UDPAddr) (transport.UDPConn, error) {
	return m.listen(network, addr)
}

// listen opens a socket; where no address is given, at the node's first one of the family.
func (m *Net) listen(network string, addr *net.UDPAddr) (*PacketConn, error) {
	var port uint16
	if addr != nil {
		port = uint16(addr.Port)
	}
	given, ok := netip.Addr{}, false
	if addr != nil {
		given, ok = netip.AddrFromSlice(addr.IP)
	}
	if given = given.Unmap(); ok && !given.IsUnspecified() {
		return m.network.ListenPacket(netip.AddrPortFrom(given, port))
	}
	m.mu.Lock()
	addrs := m.addrs
	m.mu.Unlock()
	for _, a := range addrs {
		if network == "udp" || network == "udp4" && a.Is4() || network == "udp6" && a.Is6() {
			return m.network.ListenPacket(netip.AddrPortFrom(a, port))
		}
	}
	return nil, fmt.Errorf("listen on simulated %s: %w", network, transport.ErrNoAddressAssigned)
}

// Interfaces implements transport.Net.
func (m *Net) Interfaces() ([]*transport.Interface, error) {
	return []*transport.Interface{m.card()}, nil
}

// InterfaceByIndex implements transport.Net.
func (m *Net) InterfaceByIndex(index int) (*transport.Interface, error) {
	card := m.card()
	if index != card.Index {
		return nil, transport.ErrInterfaceNotFound
	}
	return card, nil
}

// InterfaceByName implements transport.Net.
func (m *Net) InterfaceByName(name string) (*transport.Interface, error) {
	card := m.card()
	if name != card.Name {
		return nil, transport.ErrInterfaceNotFound
	}
	return card, nil
}

// ResolveIPAddr implements transport.Net, for literal addresses as all Resolve methods: there are no names here.
func (m *Net) ResolveIPAddr(network, address string) (*net.IPAddr, error) {
	if _, err := netip.ParseAddr(address); err != nil {
		return nil, err
	}
	return net.ResolveIPAddr(network, address)
}

// ResolveUDPAddr implements transport.Net.
func (m *Net) ResolveUDPAddr(network, address string) (*net.UDPAddr, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, err
	}
	return net.ResolveUDPAddr(network, address)
}

// ResolveTCPAddr implements transport.Net.
func (m *Net) ResolveTCPAddr(network, address string) (*net.TCPAddr, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, err
	}
	return net.ResolveTCPAddr(network, address)
}

// Dial implements transport.Net. It is not supported: connected sockets are not simulated.
func (m *Net) Dial(string, string) (net.Conn, error) { return nil, transport.ErrNotSupported }

// DialUDP implements transport.Net; see Dial.
func (m *Net) DialUDP(string, *net.UDPAddr, *net.UDPAddr) (transport.UDPConn, error) {
	return nil, transport.ErrNotSupported
}

// DialTCP implements transport.Net; see Dial.
func (m *Net) DialTCP(string, *net.TCPAddr, *net.TCPAddr) (transport.TCPConn, error) {
	return nil, transport.ErrNotSupported
}

// ListenTCP implements transport.Net; see Dial.
func (m *Net) ListenTCP(string, *net.TCPAddr) (transport.TCPListener, error) {
	return nil, transport.ErrNotSupported
}

// CreateDialer implements transport.Net.
func (m *Net) CreateDialer(*net.Dialer) transport.Dialer { return m }

// CreateListenConfig implements transport.Net.
func (m *Net) CreateListenConfig(*net.ListenConfig) transport.ListenConfig { return listenConfig{m} }

// listenConfig is a Net as transport.ListenConfig.
type listenConfig struct{ net *Net }

func (l listenConfig) Listen(context.Context, string, string) (net.Listener, error) {
	return nil, transport.ErrNotSupported
}

func (l listenConfig) ListenPacket(_ context.Context, network, address string) (net.PacketConn, error) {
	return l.net.ListenPacket(network, address)
}
