package relay

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

// machine is own addresses as a test has them.
func machine(media netip.AddrPort, addrs ...string) *own {
	o := &own{
		relays: map[netip.AddrPort]*socket{}, tcp: map[netip.AddrPort]*socket{}, bound: map[netip.AddrPort]*socket{}, loopback: map[netip.Addr]int{},
		media: func(a netip.AddrPort) bool { return a == media },
	}
	all := map[netip.Addr]struct{}{}
	for _, a := range addrs {
		all[netip.MustParseAddr(a)] = struct{}{}
	}
	o.addrs.Store(&all)
	return o
}

// Of this machine clients reach live relayed addresses and exactly its media, and nothing else; a loopback address is one like any other, which
// only a rule opens, while nothing is relayed on it.
func TestPlaces(t *testing.T) {
	media := netip.MustParseAddrPort("192.0.2.1:8443")
	o := machine(media, "127.0.0.1", "192.0.2.1", "2001:db8::1")
	relayed := []*socket{{address: netip.MustParseAddrPort("192.0.2.1:50000")}, {address: netip.MustParseAddrPort("127.0.0.1:50000")}}
	for _, s := range relayed {
		o.add(s)
	}
	check := func(at string, place turn.Place, isOwn bool) {
		t.Helper()
		a := netip.MustParseAddrPort(at)
		if got := o.PlaceOf(a); got != place || o.IsOwn(a.Addr()) != isOwn {
			t.Errorf("%s: place %d, own %v; want %d, %v", at, got, o.IsOwn(a.Addr()), place, isOwn)
		}
	}
	check("192.0.2.1:50000", turn.Relayed, true)
	check("192.0.2.1:50001", turn.Own, true)
	check("192.0.2.1:8443", turn.Media, true)
	check("[2001:db8::1]:8443", turn.Own, true)
	check("192.0.2.2:8443", turn.Elsewhere, false)
	check("127.0.0.1:50000", turn.Relayed, true)
	check("127.0.0.1:22", turn.Elsewhere, true)
	check("127.0.0.2:22", turn.Elsewhere, false)
	check("0.0.0.0:22", turn.Own, false)
	check("[::]:22", turn.Own, false)
	for _, s := range relayed {
		o.remove(s)
	}
	check("192.0.2.1:50000", turn.Own, true)
	check("127.0.0.1:50000", turn.Elsewhere, false)
}

// Behind a router a relayed TCP address is reached where it is bound, and known by its outer address, as long as it lives; a UDP one at the same number is
// another one.
func TestRelayedTCPBehindRouter(t *testing.T) {
	o := machine(netip.AddrPort{})
	inner, outer := netip.MustParseAddrPort("10.0.0.5:50000"), netip.MustParseAddrPort("198.51.100.7:50000")
	stream, datagrams := &socket{listener: &net.TCPListener{}, local: inner, address: outer}, &socket{local: inner, address: outer}
	o.add(stream)
	o.add(datagrams)
	o.remove(datagrams)
	if o.reached(outer) != inner || o.seen(inner) != outer {
		t.Errorf("reached at %v, seen as %v", o.reached(outer), o.seen(inner))
	}
	o.remove(stream)
	if o.reached(outer) != outer || o.seen(inner) != inner {
		t.Errorf("after its end: reached at %v, seen as %v", o.reached(outer), o.seen(inner))
	}
}

// An allocation is on a configured address, rather the one that the client has come to; else on that; and of another family on one that others can
// reach.
func TestRelayedOn(t *testing.T) {
	a := netip.MustParseAddr
	for _, c := range []struct {
		name   string
		relays []Address
		local  string
		v6     bool
		want   string
		seen   string
	}{
		{"where the client has come to", nil, "20.8.8.1", false, "20.8.8.1", ""},
		{"of the other family", nil, "20.8.8.1", true, "2a00:1::1", ""},
		{"of the other family, rather public", nil, "2a00:1::1", false, "20.8.8.1", ""},
		{"on loopback", nil, "127.0.0.1", true, "::1", ""},
		{"configured", []Address{{Bind: a("10.0.0.5"), Advertise: a("198.51.100.7")}}, "20.8.8.1", false, "10.0.0.5", "198.51.100.7"},
		{"configured, of several", []Address{{Bind: a("10.0.0.5")}, {Bind: a("20.8.8.1")}}, "20.8.8.1", false, "20.8.8.1", ""},
		{"configured for the other family", []Address{{Bind: a("10.0.0.5")}}, "2a00:1::1", true, "2a00:1::1", ""},
	} {
		o := machine(netip.AddrPort{}, "127.0.0.1", "::1", "10.0.0.5", "100.64.0.9", "20.8.8.1", "2a00:1::1", "fe80::1")
		o.chosen = c.relays
		at, ok := o.relayedOn(a(c.local), c.v6)
		if !ok || at.Bind != a(c.want) || at.Advertise.IsValid() != (c.seen != "") || c.seen != "" && at.Advertise != a(c.seen) {
			t.Errorf("%s: %v, %v", c.name, at, ok)
		}
	}
	if at, ok := machine(netip.AddrPort{}, "127.0.0.1", "::1", "192.0.2.1", "fe80::1").relayedOn(a("192.0.2.1"), true); ok {
		t.Errorf("on a machine without IPv6: %v", at)
	}
}

// RFC 8656 §7.2: who asks for a family that this machine has no address of is told 440; who asks for it beside the other gets that, and is told 440 in
// ADDRESS-ERROR-CODE; and when the machine has such an address, it is had.
func TestFamilyOfTheMachine(t *testing.T) {
	l, ann := serving(t)
	only := func(addrs ...string) { l.own.addrs.Store(machine(netip.AddrPort{}, addrs...).addrs.Load()) }
	six := func(attr stun.Attr) func(*stun.Builder) {
		return func(w *stun.Builder) {
			w.Bytes(stun.RequestedTransport, []byte{17, 0, 0, 0})
			w.Bytes(attr, []byte{stun.IPv6, 0, 0, 0})
		}
	}
	only("127.0.0.1")
	if _, code := ann.ask(stun.Allocate, six(stun.RequestedAddressFamily)); code != stun.FamilyNotSupported {
		t.Errorf("IPv6: %d", code)
	}
	answer, code := ann.ask(stun.Allocate, six(stun.AdditionalAddressFamily))
	failed, _ := answer.Find(stun.AddressErrorCode)
	if code != 0 || !bytes.Equal(failed, []byte{stun.IPv6, 0, 4, 40}) {
		t.Errorf("IPv6 beside IPv4: %d, failed %x", code, failed)
	}
	only("127.0.0.1", "::1")
	bob := &member{t: t, l: l, pair: ann.pair}
	bob.pair.Remote = netip.MustParseAddrPort("127.0.0.1:4001")
	if answer, code = bob.ask(stun.Allocate, six(stun.RequestedAddressFamily)); code != 0 {
		t.Errorf("IPv6 where there is some: %d", code)
	}
}
