package turn_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

// What an Allocate may ask for, and what it is told (RFC 8656 §7.2).
func TestAllocate(t *testing.T) {
	family := func(t stun.Attr, f byte) attr { return value(t, f, 0, 0, 0) }
	for _, c := range []struct {
		name  string
		attrs []attr
		lacks [2]bool
		want  stun.Code
	}{
		{name: "UDP", attrs: []attr{udp}},
		// "If the REQUESTED-TRANSPORT attribute is not included or is malformed, the server rejects the request with a 400"
		{name: "no transport", want: stun.BadRequest},
		{name: "a transport of one byte", attrs: []attr{value(stun.RequestedTransport, 17)}, want: stun.BadRequest},
		{name: "SCTP", attrs: []attr{transport(132)}, want: stun.UnsupportedTransport},
		{name: "IPv6", attrs: []attr{udp, family(stun.RequestedAddressFamily, 2)}},
		{name: "no family", attrs: []attr{udp, family(stun.RequestedAddressFamily, 3)}, want: stun.BadRequest},
		{
			name: "IPv6 where there is none", attrs: []attr{udp, family(stun.RequestedAddressFamily, 2)},
			lacks: [2]bool{false, true}, want: stun.FamilyNotSupported,
		},
		// "If the REQUESTED-ADDRESS-FAMILY attribute is absent and the server does not support the IPv4 address family": 440
		{name: "IPv4 where there is none", attrs: []attr{udp}, lacks: [2]bool{true, false}, want: stun.FamilyNotSupported},
		{
			name: "both where there is none", attrs: []attr{udp, family(stun.AdditionalAddressFamily, 2)},
			lacks: [2]bool{true, true}, want: stun.FamilyNotSupported,
		},
		// "The server checks if the request contains both REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY attributes": 400
		{
			name:  "both family attributes",
			attrs: []attr{udp, family(stun.RequestedAddressFamily, 1), family(stun.AdditionalAddressFamily, 2)}, want: stun.BadRequest,
		},
		// §7.2: the additional one can only be IPv6, since IPv4 is what there is anyway.
		{name: "IPv4 as the additional one", attrs: []attr{udp, family(stun.AdditionalAddressFamily, 1)}, want: stun.BadRequest},
		{name: "a lifetime of three bytes", attrs: []attr{udp, value(stun.Lifetime, 1, 2, 3)}, want: stun.BadRequest},
		{name: "an EVEN-PORT of two bytes", attrs: []attr{udp, value(stun.EvenPort, 0, 0)}, want: stun.BadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := newScene(t)
			sc.m.lacks = c.lacks
			ann := sc.client(4000)
			r := ann.want(c.want, stun.Allocate, c.attrs...)
			if (len(sc.m.live) == 1) != (c.want == 0) {
				t.Errorf("%d relayed addresses", len(sc.m.live))
			}
			if c.want == 0 && (r.addr(stun.XORMappedAddress) != ann.pair.Remote || r.seconds() != 600) {
				t.Errorf("reflexive %v, %d s", r.addr(stun.XORMappedAddress), r.seconds())
			}
		})
	}
}

// Where the runtime has no address left the client is told 508, and nothing remains of its request.
func TestNoAddressLeft(t *testing.T) {
	sc := newScene(t, func(c *turn.Config) { c.Limits.PerUser = 1 })
	sc.m.full = true
	ann := sc.client(4000)
	for range 3 {
		ann.want(stun.InsufficientCapacity, stun.Allocate, udp)
	}
	sc.m.full = false
	ann.allocate()
}

// While addresses are being opened, a copy of the request is nothing new, and the answer comes once.
func TestAllocateAgainWhileItIsOpened(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.learn(ann.once(stun.Allocate, udp))
	b := ann.message(stun.TypeOf(stun.Allocate, stun.Request), udp)
	sc.reset()
	if r := sc.s.Handle(sc.now, ann.pair, b, &sc.out); r != drop.None || len(sc.out.Commands) != 1 || len(sc.out.Clients) != 0 {
		t.Fatalf("%v: %+v", r, sc.out)
	}
	if r := sc.s.Handle(sc.now, ann.pair, b, &sc.out); r != drop.TurnPending || len(sc.out.Commands) != 1 {
		t.Fatalf("again: %v, %d commands", r, len(sc.out.Commands))
	}
	sc.work()
	if len(sc.out.Clients) != 1 || len(sc.m.live) != 1 {
		t.Fatalf("%d answers, %d addresses", len(sc.out.Clients), len(sc.m.live))
	}
	sc.s.Opened(sc.now, turn.Opened{Token: 1, Relay: 7, Address: peer}, &sc.out) // nobody waits for it
	if len(sc.out.Clients) != 1 {
		t.Error("answered twice")
	}
}

// RFC 8656 §7.2: at most the server's maximum, at least its default, of 10 minutes (§3.2).
func TestLifetimes(t *testing.T) {
	for _, c := range []struct{ asked, want time.Duration }{
		{0, 10 * time.Minute},
		{time.Second, 10 * time.Minute},
		{20 * time.Minute, 20 * time.Minute},
		{time.Hour, time.Hour},
		{2 * time.Hour, time.Hour},
		{1<<32*time.Second - time.Second, time.Hour},
	} {
		sc := newScene(t)
		ann := sc.client(4000)
		attrs := []attr{udp}
		if c.asked > 0 {
			attrs = append(attrs, lifetime(c.asked))
		}
		r := ann.want(0, stun.Allocate, attrs...)
		if r.seconds() != int(c.want/time.Second) {
			t.Errorf("asked for %v: %d s", c.asked, r.seconds())
		}
		sc.pass(c.want - time.Millisecond)
		if len(sc.m.live) != 1 {
			t.Errorf("asked for %v: over too early", c.asked)
		}
		sc.pass(time.Millisecond)
		if len(sc.m.live) != 0 || !sc.s.Next().IsZero() {
			t.Errorf("asked for %v: not over", c.asked)
		}
	}
}

// Refresh prolongs; with a lifetime of 0 it ends the allocation, after which there is none: 437 (RFC 8656 §8.2).
func TestRefresh(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.want(stun.AllocationMismatch, stun.Refresh)
	ann.allocate()
	for range 5 {
		sc.pass(9 * time.Minute)
		if r := ann.want(0, stun.Refresh); r.seconds() != 600 {
			t.Errorf("%d s", r.seconds())
		}
	}
	if r := ann.want(0, stun.Refresh, lifetime(40*time.Minute)); r.seconds() != 2400 {
		t.Errorf("%d s", r.seconds())
	}
	sc.pass(39 * time.Minute)
	if r := ann.want(0, stun.Refresh, lifetime(0)); r.seconds() != 0 || len(sc.m.live) != 0 {
		t.Errorf("%d s, %d addresses", r.seconds(), len(sc.m.live))
	}
	for _, m := range []stun.Method{stun.Refresh, stun.CreatePermission, stun.ChannelBind} {
		ann.want(stun.AllocationMismatch, m)
	}
	ann.want(stun.AllocationMismatch, stun.Refresh, value(stun.Lifetime, 1))
	ann.allocate()
	ann.want(stun.BadRequest, stun.Refresh, value(stun.Lifetime, 1))
}

// An allocation may have an address of each family, which live and end by themselves (RFC 8656 §7.2, §8.2).
func TestTwoFamilies(t *testing.T) {
	six := value(stun.RequestedAddressFamily, stun.IPv6, 0, 0, 0)
	sc := newScene(t)
	ann := sc.client(4000)
	r := ann.want(0, stun.Allocate, udp, value(stun.AdditionalAddressFamily, stun.IPv6, 0, 0, 0))
	var got []netip.AddrPort
	for a := r.Attributes(); a.Next(); {
		if a.Type == stun.XORRelayedAddress {
			addr, _ := stun.Address(a.Value, r.ID())
			got = append(got, addr)
		}
	}
	if len(got) != 2 || got[0].Addr() != own4 || got[1].Addr() != own6 {
		t.Fatalf("relayed: %v", got)
	}
	if _, ok := r.Find(stun.AddressErrorCode); ok {
		t.Error("an error where there is none")
	}
	ann.permit(peer, peer6)
	for i, p := range []netip.AddrPort{peer, peer6} {
		if d, r := ann.send(p, []byte("x")); r != drop.None || sc.m.live[d.Relay] != got[i] {
			t.Errorf("to %v: %v", p, r)
		}
	}
	ann.want(0, stun.Refresh, six, lifetime(20*time.Minute))
	sc.pass(10 * time.Minute)
	if len(sc.m.live) != 1 {
		t.Fatalf("%d addresses", len(sc.m.live))
	}
	ann.permit(peer6)
	if _, r := ann.send(peer, []byte("x")); r != drop.TurnFamily {
		t.Errorf("to IPv4: %v", r)
	}
	ann.want(stun.PeerFamilyMismatch, stun.Refresh, value(stun.RequestedAddressFamily, stun.IPv4, 0, 0, 0))
	ann.want(0, stun.Refresh, six, lifetime(0))
	ann.want(stun.AllocationMismatch, stun.Refresh)
}

// Of two families one may fail: the answer is a success, and ADDRESS-ERROR-CODE says what failed (RFC 8656 §7.2).
func TestOneOfTwoFamilies(t *testing.T) {
	for _, c := range []struct {
		name  string
		lacks [2]bool
		want  uint32
	}{
		{"no IPv6", [2]bool{false, true}, 0x02000428},
		{"no IPv4", [2]bool{true, false}, 0x01000428},
	} {
		sc := newScene(t)
		sc.m.lacks = c.lacks
		r := sc.client(4000).want(0, stun.Allocate, udp, value(stun.AdditionalAddressFamily, stun.IPv6, 0, 0, 0))
		v, _ := r.Find(stun.AddressErrorCode)
		if len(v) != 4 || binary.BigEndian.Uint32(v) != c.want || len(sc.m.live) != 1 {
			t.Errorf("%s: %x, %d addresses", c.name, v, len(sc.m.live))
		}
	}
}

// RFC 8656 §9: "The Permission Lifetime MUST be 300 seconds". It goes by address, not by port, and datagrams do not prolong it.
func TestPermissions(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	relay := ann.allocate(lifetime(time.Hour))
	otherPort := netip.AddrPortFrom(peer.Addr(), 1)
	stranger := netip.MustParseAddrPort("20.9.9.10:5000")
	both := func(p netip.AddrPort, want drop.Reason) {
		t.Helper()
		if _, r := ann.send(p, []byte("x")); r != want {
			t.Errorf("to %v: %v, want %v", p, r, want)
		}
		if _, r := sc.from(relay, p, []byte("x")); r != want {
			t.Errorf("from %v: %v, want %v", p, r, want)
		}
	}
	both(peer, drop.TurnNoPermission)
	ann.permit(peer)
	both(peer, drop.None)
	both(otherPort, drop.None)
	both(stranger, drop.TurnNoPermission)
	sc.pass(300*time.Second - 1)
	both(peer, drop.None)
	sc.pass(1)
	both(peer, drop.TurnNoPermission)
	ann.permit(peer)
	sc.pass(299 * time.Second)
	ann.permit(peer)
	sc.pass(299 * time.Second)
	both(peer, drop.None)
}

// CreatePermission is all or nothing (RFC 8656 §10.2).
func TestCreatePermission(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.allocate()
	other := netip.MustParseAddrPort("20.9.9.10:1")
	ann.want(stun.BadRequest, stun.CreatePermission)
	ann.want(stun.BadRequest, stun.CreatePermission, toward(other), value(stun.XORPeerAddress, 1, 2, 3))
	ann.want(stun.Forbidden, stun.CreatePermission, toward(other), toward(netip.MustParseAddrPort("10.0.0.1:1")))
	ann.want(stun.PeerFamilyMismatch, stun.CreatePermission, toward(other), toward(peer6))
	if _, r := ann.send(other, []byte("x")); r != drop.TurnNoPermission {
		t.Errorf("a refused request has made a permission: %v", r)
	}
	var many []attr
	for i := range 33 {
		many = append(many, toward(netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, 1, 1, byte(i)}), 1)))
	}
	ann.want(stun.InsufficientCapacity, stun.CreatePermission, many...)
	ann.want(0, stun.CreatePermission, many[:32]...)
}

// What a ChannelBind may ask for (RFC 8656 §12.2).
func TestChannelBind(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.allocate()
	other := netip.AddrPortFrom(peer.Addr(), 1)
	ann.want(stun.BadRequest, stun.ChannelBind, toward(peer))
	ann.want(stun.BadRequest, stun.ChannelBind, number(0x4000))
	ann.want(stun.BadRequest, stun.ChannelBind, value(stun.ChannelNumber, 0x40, 0), toward(peer))
	ann.want(stun.BadRequest, stun.ChannelBind, number(0x3fff), toward(peer))
	ann.want(stun.BadRequest, stun.ChannelBind, number(0x8000), toward(peer))
	ann.bind(0x4000, peer)
	ann.bind(0x4000, peer)
	// "The channel number is not currently bound to a different transport address (same transport address is OK)"
	ann.want(stun.BadRequest, stun.ChannelBind, number(0x4000), toward(other))
	// "The transport address is not currently bound to a different channel number"
	ann.want(stun.BadRequest, stun.ChannelBind, number(0x4001), toward(peer))
	ann.bind(0x7fff, other)
	if d, r := ann.channel(0x7fff, []byte("x")); r != drop.None || d.Peer != other {
		t.Errorf("%v %+v", r, d)
	}
	if _, r := ann.channel(0x4001, []byte("x")); r != drop.TurnNoChannel {
		t.Error(r)
	}
}

// RFC 8656 §12: a channel lasts 10 minutes and its permission 5. What goes by the channel needs both; and a number or peer whose time is over
// is free again.
func TestChannelLifetime(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	relay := ann.allocate(lifetime(time.Hour))
	ann.bind(0x4000, peer)
	up := func(want drop.Reason) {
		t.Helper()
		if _, r := ann.channel(0x4000, []byte("x")); r != want {
			t.Errorf("up: %v, want %v", r, want)
		}
	}
	sc.pass(300*time.Second - 1)
	up(drop.None)
	sc.pass(1)
	up(drop.TurnNoPermission)
	if _, r := sc.from(relay, peer, []byte("x")); r != drop.TurnNoPermission {
		t.Errorf("down: %v", r)
	}
	ann.permit(peer) // a permission is one, whatever has made it
	up(drop.None)
	sc.pass(299 * time.Second)
	up(drop.None)
	ann.permit(peer)
	sc.pass(time.Second)
	up(drop.TurnNoChannel)
	if b, r := sc.from(relay, peer, []byte("x")); r != drop.None || b[0] != 0 {
		t.Errorf("down, without a channel: %v %x", r, b)
	}
	other := netip.AddrPortFrom(peer.Addr(), 1)
	ann.bind(0x4000, other)
	ann.bind(0x4001, peer)
	if d, _ := ann.channel(0x4000, []byte("x")); d.Peer != other {
		t.Errorf("%+v", d)
	}
}

// ChannelData that is shorter than it says is nothing; what follows it is padding (RFC 8656 §12.5).
func TestChannelDataLength(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.allocate()
	ann.bind(0x4000, peer)
	for _, c := range []struct {
		b    string
		want drop.Reason
		data string
	}{
		{"\x40", drop.TurnMalformed, ""},
		{"\x40\x00\x00", drop.TurnMalformed, ""},
		{"\x40\x00\x00\x02x", drop.TurnMalformed, ""},
		{"\x40\x00\x00\x00", drop.None, ""},
		{"\x40\x00\x00\x01x\x00\x00\x00", drop.None, "x"},
		{"\x41\x00\x00\x01x", drop.TurnNoChannel, ""},
	} {
		d, r := ann.relayed([]byte(c.b))
		if r != c.want || r == drop.None && string(d.B) != c.data {
			t.Errorf("%q: %v, want %v", c.b, r, c.want)
		}
	}
	if _, r := sc.client(9).relayed([]byte("\x40\x00\x00\x00")); r != drop.TurnNoAllocation {
		t.Error(r)
	}
}

// What is no message for a server is dropped by name, and not answered.
func TestNotForUs(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	none := newScene(t, func(c *turn.Config) { c.Credentials = nil }).client(4000)
	for _, c := range []struct {
		name string
		c    *client
		b    []byte
		want drop.Reason
	}{
		{"nothing", ann, nil, drop.StunMalformed},
		{"a keepalive", ann, ann.message(stun.TypeOf(stun.Binding, stun.Indication)), drop.None},
		{"an answer", ann, ann.message(stun.TypeOf(stun.Binding, stun.Success)), drop.StunMethod},
		{"an unknown method", ann, ann.message(stun.TypeOf(0xf, stun.Request)), drop.StunMethod},
		{"a Data indication", ann, ann.message(stun.TypeOf(stun.Data, stun.Indication)), drop.StunMethod},
		{"a Send without an allocation", ann, ann.message(stun.TypeOf(stun.Send, stun.Indication)), drop.TurnNoAllocation},
		{"an Allocate where nothing is relayed", none, none.message(stun.TypeOf(stun.Allocate, stun.Request), udp), drop.StunMethod},
	} {
		if answer, r := c.c.raw(c.b); r != c.want || answer != nil {
			t.Errorf("%s: %v, want %v", c.name, r, c.want)
		}
	}
	if r := none.once(stun.Binding); r.addr(stun.XORMappedAddress) != none.pair.Remote {
		t.Error("Binding")
	}
	ann.allocate()
	ann.permit(peer)
	for name, attrs := range map[string][]attr{
		"no peer":              {value(stun.DataValue, 1)},
		"no data":              {toward(peer)},
		"a peer of no address": {value(stun.XORPeerAddress, 1), value(stun.DataValue, 1)},
		// RFC 8489 §6.3.2: an indication with an unknown attribute that must be understood is discarded.
		"an unknown attribute": {toward(peer), value(stun.DataValue, 1), value(0x7001)},
	} {
		if _, r := ann.relayed(ann.message(stun.TypeOf(stun.Send, stun.Indication), attrs...)); r != drop.TurnMalformed {
			t.Errorf("Send, %s: %v", name, r)
		}
	}
	if r := sc.s.FromPeer(sc.now, 99, peer, []byte("x"), &sc.out); r != drop.TurnNoAllocation {
		t.Error(r)
	}
	if r := sc.s.FromPeer(sc.now, -1, peer, []byte("x"), &sc.out); r != drop.TurnNoAllocation {
		t.Error(r)
	}
}

// With a client's stream its allocation ends; another client's does not.
func TestStreamCloses(t *testing.T) {
	sc := newScene(t)
	ann, bob := sc.streamClient(4000), sc.streamClient(4001)
	ann.allocate()
	bob.allocate()
	sc.reset()
	sc.s.Closed(sc.now, ann.pair, &sc.out)
	sc.work()
	if len(sc.m.live) != 1 {
		t.Fatalf("%d addresses", len(sc.m.live))
	}
	sc.s.Closed(sc.now, ann.pair, &sc.out)
	bob.want(0, stun.Refresh)
	ann.want(stun.AllocationMismatch, stun.Refresh)
}
