package turn

import "net/netip"

// What addresses are not globally routable: the special-purpose registries of IANA (RFC 6890, RFC 8190) as of 2026, multicast (RFC 5771, RFC 4291
// §2.7), and of IPv6 whatever is outside 2000::/3, the only part of it that is given out as global unicast (RFC 4291 §4). The longest
// prefix decides. Where a registry says "N/A" the address leads where what is wrapped in it leads, and that decides.

// special is a block of addresses, and whether it is globally reachable.
type special struct {
	prefix netip.Prefix
	global bool
}

func block(prefix string, global bool) special { return special{netip.MustParsePrefix(prefix), global} }

var specials4 = []special{
	block("0.0.0.0/8", false),          // this network (RFC 791 §3.2)
	block("10.0.0.0/8", false),         // private use (RFC 1918)
	block("100.64.0.0/10", false),      // shared address space (RFC 6598)
	block("127.0.0.0/8", false),        // loopback (RFC 1122 §3.2.1.3)
	block("168.63.129.16/32", false),   // not IANA's: where Azure's machines find their host
	block("169.254.0.0/16", false),     // link local (RFC 3927)
	block("172.16.0.0/12", false),      // private use (RFC 1918)
	block("192.0.0.0/24", false),       // IETF protocol assignments (RFC 6890 §2.1)
	block("192.0.0.9/32", true),        // port control protocol anycast (RFC 7723)
	block("192.0.0.10/32", true),       // TURN anycast (RFC 8155)
	block("192.0.2.0/24", false),       // documentation (RFC 5737)
	block("192.31.196.0/24", true),     // AS112-v4 (RFC 7535)
	block("192.52.193.0/24", true),     // AMT (RFC 7450)
	block("192.88.99.0/24", false),     // deprecated 6to4 relay anycast (RFC 7526)
	block("192.168.0.0/16", false),     // private use (RFC 1918)
	block("192.175.48.0/24", true),     // direct delegation AS112 service (RFC 7534)
	block("198.18.0.0/15", false),      // benchmarking (RFC 2544)
	block("198.51.100.0/24", false),    // documentation (RFC 5737)
	block("203.0.113.0/24", false),     // documentation (RFC 5737)
	block("224.0.0.0/4", false),        // multicast (RFC 5771)
	block("240.0.0.0/4", false),        // reserved (RFC 1112 §4), limited broadcast (RFC 8190) among it
	block("255.255.255.255/32", false), // limited broadcast
}

var specials6 = []special{
	block("::/0", false),             // not given out (RFC 4291 §4): ::/128, ::1/128, v4-compatible, ULA, link local, site local, multicast among it
	block("2000::/3", true),          // global unicast
	block("64:ff9b::/96", true),      // NAT64 (RFC 6052)
	block("2001::/23", false),        // IETF protocol assignments (RFC 2928), benchmarking and ORCHID (RFC 5180, RFC 4843) among it
	block("2001::/32", true),         // Teredo (RFC 4380): N/A
	block("2001:1::1/128", true),     // port control protocol anycast (RFC 7723)
	block("2001:1::2/128", true),     // TURN anycast (RFC 8155)
	block("2001:1::3/128", true),     // DNS-SD SRP anycast (RFC 9665)
	block("2001:3::/32", true),       // AMT (RFC 7450)
	block("2001:4:112::/48", true),   // AS112-v6 (RFC 7535)
	block("2001:20::/28", true),      // ORCHIDv2 (RFC 7343)
	block("2001:30::/28", true),      // drone remote ID (RFC 9374)
	block("2001:db8::/32", false),    // documentation (RFC 3849)
	block("2002::/16", true),         // 6to4 (RFC 3056): N/A
	block("2620:4f:8000::/48", true), // direct delegation AS112 service (RFC 7534)
	block("3fff::/20", false),        // documentation (RFC 9637)
	block("5f00::/16", false),        // segment routing SIDs (RFC 9602)
}

// GloballyRoutable reports whether an address by itself leads somewhere in the Internet. What is wrapped in it is not looked at.
func GloballyRoutable(addr netip.Addr) bool {
	table := specials6
	if addr.Is4() {
		table = specials4
	}
	global, bits := addr.Is4(), -1
	for i := range table {
		if b := &table[i]; b.prefix.Bits() > bits && b.prefix.Contains(addr) {
			global, bits = b.global, b.prefix.Bits()
		}
	}
	return global
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour  = netip.MustParsePrefix("2002::/16")
	teredo     = netip.MustParsePrefix("2001::/32")
	compatible = netip.MustParsePrefix("::/96")
)

// unwrap appends the IPv4 addresses that an IPv6 address holds and by which something on the way may send: v4-mapped and v4-compatible (RFC 4291
// §2.5.5), NAT64 (RFC 6052 §2.2: at the end of a /96, and around byte 8 of a /48), 6to4 (RFC 3056 §2), Teredo (RFC 4380 §4: the server's,
// and the client's with all bits turned), ISATAP (RFC 5214 §6.1).
func unwrap(dst []netip.Addr, addr netip.Addr) []netip.Addr {
	if addr.Is4() || addr.IsLoopback() || addr.IsUnspecified() { // ::1 and :: would be IPv4-compatible
		return dst
	}
	b := addr.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case addr.Is4In6(), compatible.Contains(addr), nat64.Contains(addr):
		return append(dst, last)
	case localNAT64.Contains(addr):
		return append(dst, netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]}), last)
	case sixToFour.Contains(addr):
		dst = append(dst, netip.AddrFrom4([4]byte(b[2:])))
	case teredo.Contains(addr):
		return append(dst, netip.AddrFrom4([4]byte(b[4:])), netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}))
	}
	if b[8]&^3 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		dst = append(dst, last)
	}
	return dst
}
