package host

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/sdp"
)

// netInterface is a network interface with its addresses.
type netInterface struct {
	name      string
	up        bool
	addresses []netip.Addr
}

// interfaces lists those of this machine.
func interfaces() ([]netInterface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var list []netInterface
	for _, i := range all {
		n := netInterface{name: i.Name, up: i.Flags&net.FlagUp != 0}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it has gone meanwhile
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				n.addresses = append(n.addresses, p.Addr().Unmap().WithZone(""))
			}
		}
		list = append(list, n)
	}
	return list, nil
}

// offer is an address and whether clients are told to use it, with the reason why, for people.
type offer struct {
	address netip.Addr
	place   string // interface, or advertised
	offered bool
	why     string
}

// advertised is the place of an offer that --advertise names.
const advertised = "--advertise"

var (
	// bridges lead to containers and virtual machines of this machine alone.
	bridges = regexp.MustCompile(`^(docker\d+|br-[0-9a-f]{12}|podman\d+|cni\d+|virbr\d+|lxcbr\d+|lxdbr\d+|vmnet\d+|vboxnet\d+)$`)
	tunnels = regexp.MustCompile(`^(tun|tap|wg|utun|tailscale|ppp|zt|nebula)`)
	cgnat   = netip.MustParsePrefix("100.64.0.0/10")
	// examples are for documentation and benchmarks (RFC 5737, RFC 3849, RFC 9637, RFC 2544): some laboratories have them.
	examples = []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("198.18.0.0/15"),
	}
)

// isPublic reports whether strangers may reach an address from the internet, as far as the address tells.
func isPublic(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !cgnat.Contains(a) && !isExample(a)
}

func isExample(a netip.Addr) bool {
	return slices.ContainsFunc(examples, func(p netip.Prefix) bool { return p.Contains(a) })
}

// chooseAddresses decides which addresses clients are offered. listen is the address that the port is bound to, perhaps
// unspecified; advertise comes on top.
func chooseAddresses(listen netip.Addr, list []netInterface, advertise []netip.Addr) []offer {
	var offers []offer
	seen := map[netip.Addr]bool{}
	for _, a := range advertise {
		a = a.Unmap()
		if !seen[a] {
			seen[a] = true
			offers = append(offers, offer{a, advertised, true, "you said so"})
		}
	}
	if !listen.IsUnspecified() {
		why := "--listen names it"
		if listen.IsLoopback() {
			why = "--listen names it: only browsers on this machine, and no Firefox, which does not use loopback addresses"
		}
		if seen[listen] {
			return offers
		}
		return append(offers, offer{listen, interfaceOf(listen, list), true, why})
	}
	var loopback []offer
	for _, i := range list {
		for _, a := range i.addresses {
			if seen[a] || !i.up || listen.Is4() && a.Is6() { // 0.0.0.0 is all of IPv4 only
				continue
			}
			seen[a] = true
			o := judge(a, i.name)
			if a.IsLoopback() {
				loopback = append(loopback, o)
				continue
			}
			offers = append(offers, o)
		}
	}
	return bound(rescue(offers, loopback))
}

// judge decides about one address of an interface.
func judge(a netip.Addr, name string) offer {
	o := offer{address: a, place: name, offered: true}
	switch {
	case a.IsLoopback():
		o.offered, o.why = false, "loopback: clients on this machine reach the others too"
	case a.IsLinkLocalUnicast() && a.Is6():
		o.offered, o.why = false, "link-local: browsers cannot use it"
	case a.IsLinkLocalUnicast():
		o.offered, o.why = false, "link-local: the network gave no address"
	case a.IsMulticast() || a.IsUnspecified():
		o.offered, o.why = false, "not an address of one machine"
	case bridges.MatchString(name):
		o.offered, o.why = false, "leads to containers of this machine only; --advertise it if they are clients"
	case tunnels.MatchString(name):
		o.why = "VPN: for clients in it"
	case cgnat.Contains(a):
		o.why = "shared address space of a provider or VPN: for clients in it"
	case a.IsPrivate():
		o.why = "private: for clients in this network; for others add --advertise PUBLIC-IP"
	case isExample(a):
		o.why = "reserved for documentation and tests: for clients in this network"
	default:
		o.why = "public"
	}
	return o
}

// rescue offers what else there is when nothing better exists: an offline laptop has only loopback, and a client there is
// still better served than not.
func rescue(offers, loopback []offer) []offer {
	if slices.ContainsFunc(offers, func(o offer) bool { return o.offered }) {
		return append(offers, loopback...)
	}
	for i := range offers {
		if offers[i].address.Is4() || !offers[i].address.IsLinkLocalUnicast() {
			offers[i].offered, offers[i].why = true, "there is nothing better; "+offers[i].why
		}
	}
	for i := range loopback {
		loopback[i].offered = true
		loopback[i].why = "there is no network: only browsers on this machine, and no Firefox, which does not use loopback addresses; Chromium needs " +
			"microphone or camera allowed, and may be slow to connect: it looks for a network first"
	}
	return append(offers, loopback...)
}

// bound keeps the number of offered addresses within the limit.
func bound(offers []offer) []offer {
	n := 0
	for i := range offers {
		if !offers[i].offered {
			continue
		}
		if n++; n > maxCandidates {
			offers[i].offered, offers[i].why = false, fmt.Sprintf("more than %d addresses", maxCandidates)
		}
	}
	return offers
}

func interfaceOf(a netip.Addr, list []netInterface) string {
	for _, i := range list {
		if slices.Contains(i.addresses, a) {
			return i.name
		}
	}
	return "--listen"
}

// candidates are the offered addresses as an answer lists them: UDP first, then TCP for networks without UDP (RFC 6544); IPv6
// before IPv4 among equals (RFC 8421), what was advertised before what was found.
func candidates(offers []offer, port uint16) []sdp.Candidate {
	var list []sdp.Candidate
	for _, proto := range []datagram.Proto{datagram.UDP, datagram.TCP} {
		local := uint32(0xffff)
		for _, six := range []bool{true, false} {
			for _, o := range offers {
				if !o.offered || o.address.Is6() != six {
					continue
				}
				list = append(list, sdp.Candidate{
					Foundation: foundation(o.address, proto),
					Priority:   priority(proto, local),
					Address:    o.address.String(),
					Port:       port,
					Proto:      proto,
				})
				local--
			}
		}
	}
	return list
}

// priority follows RFC 8445 §5.1.2.1 for a host candidate of component 1, and RFC 6544 §4.2: TCP gets a lower type preference
// and, in the local preference, the direction preference 4 of passive candidates.
func priority(proto datagram.Proto, local uint32) uint32 {
	preference := uint32(126)
	if proto == datagram.TCP {
		preference, local = 90, 4<<13|local&0x1fff
	}
	return preference<<24 | local<<8 | (256 - 1)
}

// foundation is the same for candidates of the same type, base and protocol (RFC 8445 §5.1.1.3).
func foundation(a netip.Addr, proto datagram.Proto) string {
	h := uint32(2166136261) // FNV-1a
	for _, b := range append(a.AsSlice(), byte(proto)) {
		h = (h ^ uint32(b)) * 16777619
	}
	return strconv.FormatUint(uint64(h), 10)
}

// names are what the private certificate is for: this machine's names and every address that could stand in a browser.
func ownNames(offers []offer) certNames {
	n := certNames{dns: machineNames(), addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}}
	for _, o := range offers {
		if !o.address.IsLinkLocalUnicast() && !slices.Contains(n.addresses, o.address) {
			n.addresses = append(n.addresses, o.address)
		}
	}
	return n
}

// machineNames are those by which this machine is known without anybody's doing.
func machineNames() []string {
	names := []string{"localhost"}
	if host, err := os.Hostname(); err == nil && validName.MatchString(host) && host != "localhost" {
		names = append(names, host)
		if !strings.Contains(host, ".") {
			names = append(names, host+".local")
		}
	}
	return names
}

var validName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$`)
