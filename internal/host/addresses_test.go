package host

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/datagram"
)

func iface(name string, addresses ...string) netInterface {
	n := netInterface{name: name, up: true}
	for _, a := range addresses {
		n.addresses = append(n.addresses, netip.MustParseAddr(a))
	}
	return n
}

var loopback = iface("lo", "127.0.0.1", "::1")

// Clients are offered what they may reach, and the text says why of each address.
func TestChooseAddresses(t *testing.T) {
	down := iface("eth9", "10.9.9.9")
	down.up = false
	for _, c := range []struct {
		name      string
		listen    string
		list      []netInterface
		advertise []string
		want      string // "+" offered, "-" kept back
	}{
		{
			"home", "::",
			[]netInterface{loopback, iface("eth0", "192.168.1.20", "2001:db8::20", "fe80::1")},
			nil,
			"+192.168.1.20 +2001:db8::20 -fe80::1 -127.0.0.1 -::1",
		},
		{
			"containers and VPN", "::",
			[]netInterface{loopback, iface("eth0", "10.0.0.2"), iface("docker0", "172.17.0.1"), iface("br-0123456789ab", "172.18.0.1"), iface("tailscale0", "100.100.1.1")},
			nil,
			"+10.0.0.2 -172.17.0.1 -172.18.0.1 +100.100.1.1 -127.0.0.1 -::1",
		},
		{"a veth is an ordinary network", "::", []netInterface{loopback, iface("veth1", "10.77.0.1")}, nil, "+10.77.0.1 -127.0.0.1 -::1"},
		{
			"advertised on top", "::",
			[]netInterface{loopback, iface("eth0", "10.0.0.2")},
			[]string{"203.0.113.7", "10.0.0.2", "203.0.113.7"},
			"+203.0.113.7 +10.0.0.2 -127.0.0.1 -::1",
		},
		{"no network", "::", []netInterface{loopback}, nil, "+127.0.0.1 +::1"},
		{
			"only bridges", "::",
			[]netInterface{loopback, iface("docker0", "172.17.0.1"), iface("eth0", "fe80::1")},
			nil,
			"+172.17.0.1 -fe80::1 +127.0.0.1 +::1",
		},
		{"down", "::", []netInterface{loopback, iface("eth0", "10.0.0.2"), down}, nil, "+10.0.0.2 -127.0.0.1 -::1"},
		{"IPv4 only", "0.0.0.0", []netInterface{loopback, iface("eth0", "10.0.0.2", "2001:db8::20")}, nil, "+10.0.0.2 -127.0.0.1"},
		{"loopback", "127.0.0.1", []netInterface{loopback, iface("eth0", "10.0.0.2")}, nil, "+127.0.0.1"},
		{"loopback and advertised", "127.0.0.1", []netInterface{loopback}, []string{"203.0.113.7"}, "+203.0.113.7 +127.0.0.1"},
		{"one address", "10.0.0.2", []netInterface{loopback, iface("eth0", "10.0.0.2", "10.0.0.3")}, []string{"10.0.0.2"}, "+10.0.0.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var advertise []netip.Addr
			for _, a := range c.advertise {
				advertise = append(advertise, netip.MustParseAddr(a))
			}
			var got []string
			for _, o := range chooseAddresses(netip.MustParseAddr(c.listen), c.list, advertise) {
				got = append(got, map[bool]string{true: "+", false: "-"}[o.offered]+o.address.String())
				if o.why == "" || o.place == "" {
					t.Errorf("%v without a reason", o)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %s, want %s", strings.Join(got, " "), c.want)
			}
		})
	}
}

// No more than maxCandidates addresses are offered; the text shows what is left out.
func TestCandidateLimit(t *testing.T) {
	n := netInterface{name: "eth0", up: true}
	for i := range maxCandidates + 3 {
		n.addresses = append(n.addresses, netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}))
	}
	offers := chooseAddresses(netip.IPv6Unspecified(), []netInterface{n}, nil)
	if got := len(candidates(offers, 1)); len(offers) != maxCandidates+3 || got != 2*maxCandidates {
		t.Errorf("%d offers, %d candidates", len(offers), got)
	}
}

// Candidates come as RFC 8445 and RFC 6544 want them: priorities differ and fall, all UDP before all TCP, foundations differ by
// address and protocol.
func TestCandidates(t *testing.T) {
	offers := chooseAddresses(netip.IPv6Unspecified(), []netInterface{loopback, iface("eth0", "10.0.0.2", "10.0.0.3", "2001:db8::20")}, nil)
	list := candidates(offers, 8443)
	var got []string
	last, foundations := uint32(1<<31), map[string]bool{}
	for _, c := range list {
		got = append(got, fmt.Sprintf("%v %s", c.Proto, c.Address))
		if c.Priority >= last || c.Port != 8443 || foundations[c.Foundation] || len(c.Foundation) > 32 {
			t.Errorf("%+v after priority %d", c, last)
		}
		last, foundations[c.Foundation] = c.Priority, true
	}
	if want := "udp 2001:db8::20, udp 10.0.0.2, udp 10.0.0.3, tcp 2001:db8::20, tcp 10.0.0.2, tcp 10.0.0.3"; strings.Join(got, ", ") != want {
		t.Errorf("got %s", strings.Join(got, ", "))
	}
	if p := priority(datagram.UDP, 0xffff); p != 126<<24|0xffff<<8|255 {
		t.Errorf("priority %d", p)
	}
	if p := priority(datagram.TCP, 0xffff); p>>24 != 90 || p>>21&7 != 4 {
		t.Errorf("TCP priority %#x: type %d, direction %d, want 90 and 4 (passive)", p, p>>24, p>>21&7)
	}
}

// The private certificate names every address that could stand in a browser's address bar, and no link-local one.
func TestOwnNames(t *testing.T) {
	n := ownNames(chooseAddresses(netip.IPv6Unspecified(), []netInterface{loopback, iface("eth0", "10.0.0.2", "fe80::1"), iface("docker0", "172.17.0.1")}, nil))
	if got := fmt.Sprint(n.addresses); got != "[127.0.0.1 ::1 10.0.0.2 172.17.0.1]" || n.dns[0] != "localhost" {
		t.Error(got, n.dns)
	}
	if list, err := interfaces(); err != nil || len(list) == 0 {
		t.Error(list, err)
	}
}
