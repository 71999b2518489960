package turn_test

import (
	"net/netip"
	"testing"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

func cidrs(all ...string) (p []netip.Prefix) {
	for _, s := range all {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// By default a client reaches what is globally routable and nothing else, however it is written: neither by a permission, nor by a channel, nor
// over an allocation of the other family.
func TestPeersByDefault(t *testing.T) {
	for _, c := range []struct {
		name, ip string
		open     bool
	}{
		{"public v4", "20.9.9.9", true},
		{"public v6", "2a00:9::9", true},
		{"loopback", "127.0.0.1", false},
		{"loopback end", "127.255.255.254", false},
		{"this host", "0.0.0.0", false},
		{"0/8", "0.1.2.3", false},
		{"10/8", "10.0.0.1", false},
		{"172.16/12", "172.31.255.1", false},
		{"192.168/16", "192.168.1.1", false},
		{"shared 100.64/10", "100.64.0.1", false},
		{"link local", "169.254.1.1", false},
		{"cloud metadata", "169.254.169.254", false},
		{"192.0.0/24", "192.0.0.8", false},
		{"TEST-NET-1", "192.0.2.1", false},
		{"benchmarking", "198.18.0.1", false},
		{"multicast", "224.0.0.251", false},
		{"reserved 240/4", "240.0.0.1", false},
		{"broadcast", "255.255.255.255", false},
		{"v6 loopback", "::1", false},
		{"v6 unspecified", "::", false},
		{"mapped loopback", "::ffff:127.0.0.1", false},
		{"mapped 10/8", "::ffff:10.0.0.1", false},
		{"mapped 0.0.0.0", "::ffff:0.0.0.0", false},
		{"mapped metadata", "::ffff:169.254.169.254", false},
		{"v4-compatible", "::7f00:1", false},
		{"NAT64 of 10/8", "64:ff9b::a00:1", false},
		{"NAT64 of loopback", "64:ff9b::7f00:1", false},
		{"6to4 of 10/8", "2002:a00:1::1", false},
		{"Teredo by 10/8", "2001:0:a00:1::1", false},
		{"ULA", "fd00::1", false},
		{"v6 link local", "fe80::1", false},
		{"site local", "fec0::1", false},
		{"v6 multicast", "ff02::1", false},
		{"v6 documentation", "2001:db8::1", false},
		{"metadata v6", "fd00:ec2::254", false},
		{"discard-only", "100::1", false},
		{"own, a port that is nothing", own4.String(), false},
		{"own v6", own6.String(), false},

		{"mapped public", "::ffff:20.9.9.9", false},
		{"NAT64 of a public one", "64:ff9b::1409:909", true},
		{"NAT64 of an own one", "64:ff9b::1408:801", false},
		{"6to4 of a public one", "2002:1409:909::1", true},
		{"Teredo of an own one", "2001:0:1409:909::ebf7:f7fe", false},
		{"6to4 of an own one", "2002:1408:801::1", false},
		{"local NAT64", "64:ff9b:1::1409:909", false},
		{"Teredo of public ones", "2001:0:1409:909::ebf6:f6f6", true},
		{"Teredo of 10.0.0.1", "2001:0:1409:909::f5ff:fffe", false},
		{"ISATAP of 10/8", "2a00:9::5efe:a00:1", false},
		{"ISATAP, universal, of 10/8", "2a00:9::200:5efe:a00:1", false},
		{"ISATAP of a public one", "2a00:9::5efe:1409:909", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := netip.AddrPortFrom(netip.MustParseAddr(c.ip), 22)
			sc := newScene(t)
			ann := sc.client(4000)
			ann.allocate(value(stun.AdditionalAddressFamily, stun.IPv6, 0, 0, 0))
			forbidden := stun.Forbidden
			if c.open {
				forbidden = 0
			}
			ann.want(forbidden, stun.ChannelBind, number(0x4000), toward(p))
			if sc.m.IsOwn(p.Addr()) {
				// "a permission says nothing of ports": it is granted, and empty.
				ann.permit(p)
			} else {
				ann.want(forbidden, stun.CreatePermission, toward(p))
			}
			if d, r := ann.send(p, []byte("x")); (d != nil) != c.open {
				t.Errorf("Send: %v", r)
			}
		})
	}
}

// An allocation reaches no peers of a family of which it has no address: 443 (RFC 8656 §10.2, §12.2).
func TestPeersOfAnotherFamily(t *testing.T) {
	sc := newScene(t)
	ann, bob := sc.client(4000), sc.client(4001)
	ann.allocate()
	bob.allocate(value(stun.RequestedAddressFamily, stun.IPv6, 0, 0, 0))
	for i, c := range []struct {
		c    *client
		to   netip.AddrPort
		code stun.Code
	}{{ann, peer, 0}, {ann, peer6, stun.PeerFamilyMismatch}, {bob, peer, stun.PeerFamilyMismatch}, {bob, peer6, 0}} {
		c.c.want(c.code, stun.CreatePermission, toward(c.to))
		c.c.want(c.code, stun.ChannelBind, number(uint16(0x4000+i)), toward(c.to))
	}
}

// Own addresses come first: relayed addresses that live and the media candidates are reached, by memory, and no rule changes that; all other
// ports are not, and no rule changes that.
func TestOwnAddressesComeFirst(t *testing.T) {
	for name, policy := range map[string]turn.Policy{
		"no rules": {}, "all denied": {Deny: cidrs("0.0.0.0/0", "::/0")}, "all allowed": {Allow: cidrs("0.0.0.0/0", "20.8.8.1/32")},
		"closed": {Closed: true},
	} {
		t.Run(name, func(t *testing.T) {
			sc := newScene(t, func(c *turn.Config) { c.Policy = policy })
			ann, bob := sc.client(4000), sc.client(4001)
			annRelay, bobRelay := ann.allocate(), bob.allocate()
			ssh := netip.AddrPortFrom(own4, 22)
			ann.permit(ssh)
			for i, c := range []struct {
				to   netip.AddrPort
				want turn.Place
				code stun.Code
			}{{bobRelay, turn.Relayed, 0}, {media, turn.Media, 0}, {ssh, turn.Own, stun.Forbidden}} {
				number := number(uint16(0x4000 + i))
				ann.want(c.code, stun.ChannelBind, number, toward(c.to))
				d, r := ann.send(c.to, []byte("x"))
				if c.code == 0 && (r != drop.None || d.Place != c.want) || c.code != 0 && r != drop.TurnForbidden {
					t.Errorf("Send to %v: %v %+v", c.to, r, d)
				}
				if d, r = ann.channel(uint16(0x4000+i), []byte("x")); c.code == 0 && (r != drop.None || d.Place != c.want) || c.code != 0 && d != nil {
					t.Errorf("ChannelData to %v: %v %+v", c.to, r, d)
				}
				if _, r := sc.from(annRelay, c.to, []byte("x")); (r == drop.None) != (c.code == 0) {
					t.Errorf("from %v: %v", c.to, r)
				}
			}
			// It is asked for each packet: what has ended is another port of an own address from then on.
			bob.want(0, stun.Refresh, lifetime(0))
			if _, r := ann.channel(0x4000, []byte("x")); r != drop.TurnForbidden {
				t.Errorf("to a relayed address that is no more: %v", r)
			}
		})
	}
}

// Where the policy is closed, only what a rule allows is reached beside own addresses, and nothing that is wrapped in it; what denies still does.
func TestClosed(t *testing.T) {
	sc := newScene(t, func(c *turn.Config) {
		c.Policy = turn.Policy{Closed: true, Allow: cidrs("20.1.0.0/16", "64:ff9b::/96"), Deny: cidrs("20.1.1.0/24")}
	})
	ann := sc.client(4000)
	ann.allocate(value(stun.AdditionalAddressFamily, stun.IPv6, 0, 0, 0))
	for ip, want := range map[string]stun.Code{
		"20.9.9.9": stun.Forbidden, "2a00:9::9": stun.Forbidden, "10.0.0.1": stun.Forbidden,
		"20.1.0.1": 0, "20.1.1.1": stun.Forbidden, "64:ff9b::1401:1": 0, "64:ff9b::1409:909": stun.Forbidden,
	} {
		ann.want(want, stun.CreatePermission, toward(netip.AddrPortFrom(netip.MustParseAddr(ip), 5000)))
	}
}

// The longest prefix decides; of two alike, deny. What no rule has is as it would be without.
func TestRules(t *testing.T) {
	policy := turn.Policy{
		Allow: cidrs("10.0.0.0/8", "192.168.1.0/24", "172.16.0.0/12", "20.1.1.1/32", "fd00::/8", "127.0.0.1/32"),
		Deny:  cidrs("10.1.0.0/16", "192.168.1.0/24", "20.1.0.0/16", "2a00:666::/32"),
	}
	sc := newScene(t, func(c *turn.Config) { c.Policy = policy })
	ann := sc.client(4000)
	ann.allocate(value(stun.AdditionalAddressFamily, stun.IPv6, 0, 0, 0))
	for ip, want := range map[string]bool{
		"10.0.0.1": true, "10.1.0.1": false, "192.168.1.1": false, "192.168.2.1": false, "172.31.0.1": true, "20.1.1.1": true, "20.1.1.2": false,
		"20.2.0.1": true, "fd00::1": true, "2a00:666::1": false, "2a00:667::1": true, "127.0.0.1": true, "127.0.0.2": false,
		"64:ff9b::a00:1": true, "64:ff9b::a01:1": false, "64:ff9b::1401:102": false, "::ffff:10.0.0.1": false,
	} {
		code := stun.Forbidden
		if want {
			code = 0
		}
		ann.want(code, stun.CreatePermission, toward(netip.AddrPortFrom(netip.MustParseAddr(ip), 1)))
	}
}

// Nobody listens on port 0, and to bind a channel to it is refused; a permission does not look at the port (RFC 8656 §10.2).
func TestPortZero(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.allocate()
	zero := netip.AddrPortFrom(peer.Addr(), 0)
	ann.permit(zero)
	ann.want(stun.Forbidden, stun.ChannelBind, number(0x4000), toward(zero))
	if _, r := ann.send(zero, []byte("x")); r != drop.TurnForbidden {
		t.Errorf("Send: %v", r)
	}
}

// The edges of the registries: the first and last address of a block, and their neighbours outside.
func TestGloballyRoutable(t *testing.T) {
	for _, c := range []struct {
		before, first, last, after string
		outside, inside            bool
	}{
		{"", "0.0.0.0", "0.255.255.255", "1.0.0.0", true, false},
		{"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", true, false},
		{"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", true, false},
		{"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", true, false},
		{"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0", true, false},
		{"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", true, false},
		{"191.255.255.255", "192.0.0.0", "192.0.0.8", "", true, false},
		{"192.0.0.8", "192.0.0.9", "192.0.0.10", "192.0.0.11", false, true},
		{"", "192.0.0.11", "192.0.0.255", "192.0.1.0", true, false},
		{"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0", true, false},
		{"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0", true, false},
		{"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0", true, false},
		{"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0", true, false},
		{"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0", true, false},
		{"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", true, false},
		{"223.255.255.255", "224.0.0.0", "255.255.255.255", "", true, false},
		{"", "::", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::", true, false},
		{"", "64:ff9b::", "64:ff9b::ffff:ffff", "64:ff9b::1:0:0", false, true},
		{"", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "", true, false},
		{"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", false, true},
		{"2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "2001:1::", "2001:1::", "2001:1::1", true, false},
		{"2001:1::", "2001:1::1", "2001:1::3", "2001:1::4", false, true},
		{"2001:2:ffff:ffff:ffff:ffff:ffff:ffff", "2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", "2001:4::", false, true},
		{"2001:4:111:ffff:ffff:ffff:ffff:ffff", "2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", "2001:4:113::", false, true},
		{"", "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:20::", true, false},
		{"2001:1f:ffff::", "2001:20::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:40::", false, true},
		{"", "2001:40::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::", true, false},
		{"2001:db7:ffff::", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", true, false},
		{"3ffe:ffff::", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::", true, false},
		{"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", true, false},
	} {
		for _, in := range []string{c.first, c.last} {
			if got := turn.GloballyRoutable(netip.MustParseAddr(in)); got != c.inside {
				t.Errorf("%s: %v", in, got)
			}
		}
		for _, out := range []string{c.before, c.after} {
			if out != "" && turn.GloballyRoutable(netip.MustParseAddr(out)) != c.outside {
				t.Errorf("%s, beside %s: %v", out, c.first, !c.outside)
			}
		}
	}
}
