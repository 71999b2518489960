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

var (
	evenPort = value(stun.EvenPort, 0)
	evenNext = value(stun.EvenPort, 0x80)
)

// EVEN-PORT with its bit set reserves the port above, and the RESERVATION-TOKEN of the answer gets an allocation there, for 30 s (RFC 8656 §7.2).
func TestReservation(t *testing.T) {
	sc := newScene(t)
	ann, again := sc.client(4000), sc.client(4001)
	if relay := sc.client(3999).allocate(evenPort); relay.Port()%2 != 0 || len(sc.m.live) != 1 {
		t.Fatalf("%v, %d addresses", relay, len(sc.m.live))
	}
	r := ann.want(0, stun.Allocate, udp, evenNext)
	token, _ := r.Find(stun.ReservationToken)
	first := r.addr(stun.XORRelayedAddress)
	if len(token) != 8 || first.Port()%2 != 0 || len(sc.m.live) != 3 {
		t.Fatalf("token %x for %v", token, first)
	}
	if r, _ := ann.raw(ann.last); r == nil || r.code != 0 {
		t.Error("again")
	} else if same, _ := r.Find(stun.ReservationToken); string(same) != string(token) {
		t.Errorf("again: token %x", same)
	}
	claim := value(stun.ReservationToken, token...)
	// "If yes, and the request also contains an EVEN-PORT or REQUESTED-ADDRESS-FAMILY or ADDITIONAL-ADDRESS-FAMILY attribute": 400
	for _, a := range []attr{evenPort, value(stun.RequestedAddressFamily, 1, 0, 0, 0), value(stun.AdditionalAddressFamily, 2, 0, 0, 0)} {
		again.want(stun.BadRequest, stun.Allocate, udp, claim, a)
	}
	again.want(stun.BadRequest, stun.Allocate, udp, value(stun.ReservationToken, 1, 2, 3))
	// "If the token is not valid for some reason, the server rejects the request with a 508"
	again.want(stun.InsufficientCapacity, stun.Allocate, udp, value(stun.ReservationToken, 1, 2, 3, 4, 5, 6, 7, 8))
	bob := sc.client(4002)
	bob.username = "bob"
	bob.want(stun.InsufficientCapacity, stun.Allocate, udp, claim)
	sc.pass(29 * time.Second)
	if second := again.allocate(claim); second != netip.AddrPortFrom(first.Addr(), first.Port()+1) {
		t.Errorf("claimed %v, beside %v", second, first)
	}
	again.permit(peer)
	if d, r := again.send(peer, []byte("x")); r != drop.None || sc.m.live[d.Relay].Port() != first.Port()+1 {
		t.Error(r)
	}
	sc.client(4003).want(stun.InsufficientCapacity, stun.Allocate, udp, claim)
	onlySix := newScene(t)
	onlySix.m.lacks[0] = true
	six := onlySix.client(4000).want(0, stun.Allocate, udp, evenNext, value(stun.RequestedAddressFamily, stun.IPv6, 0, 0, 0))
	token, _ = six.Find(stun.ReservationToken)
	onlySix.client(4001).want(0, stun.Allocate, udp, askTicket, value(stun.ReservationToken, token...))
	six = sc.client(4004).want(0, stun.Allocate, udp, evenNext, value(stun.RequestedAddressFamily, stun.IPv6, 0, 0, 0))
	token, _ = six.Find(stun.ReservationToken)
	if got := sc.client(4005).allocate(value(stun.ReservationToken, token...)); got.Addr() != own6 {
		t.Errorf("claimed %v, beside %v", got, six.addr(stun.XORRelayedAddress))
	}
	ann.want(0, stun.Refresh, lifetime(0))
	again.want(0, stun.Refresh)
}

// A reservation that nobody claims ends, and counts as an allocation until then.
func TestReservationEnds(t *testing.T) {
	sc := newScene(t, func(c *turn.Config) { c.Limits.PerUser = 2 })
	ann, again := sc.client(4000), sc.client(4001)
	r := ann.want(0, stun.Allocate, udp, evenNext)
	token, _ := r.Find(stun.ReservationToken)
	again.want(stun.AllocationQuota, stun.Allocate, udp)
	sc.pass(30 * time.Second)
	if len(sc.m.live) != 1 {
		t.Fatalf("%d addresses", len(sc.m.live))
	}
	again.want(stun.InsufficientCapacity, stun.Allocate, udp, value(stun.ReservationToken, token...))
	again.want(stun.AllocationQuota, stun.Allocate, udp, evenNext) // two more
	ann.want(0, stun.Refresh, lifetime(0))
	sc.m.full = true
	again.want(stun.InsufficientCapacity, stun.Allocate, udp, evenNext)
	sc.m.full = false
	again.allocate(evenNext)
	if _, ok := ann.want(stun.AllocationQuota, stun.Allocate, udp).Find(stun.ReservationToken); ok {
		t.Error("a token without a port")
	}
}

// RFC 8656 §7.2: an EVEN-PORT that reserves does not go with an address of each family.
func TestEvenPortOfTwoFamilies(t *testing.T) {
	two := value(stun.AdditionalAddressFamily, stun.IPv6, 0, 0, 0)
	newScene(t).client(4000).want(stun.BadRequest, stun.Allocate, udp, evenNext, two)
	newScene(t).client(4000).want(0, stun.Allocate, udp, evenPort, two)
}

// What ICMP tells of a peer goes to the client whose permission the peer has, in a Data indication without data (RFC 8656 §11.5).
func TestICMP(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.allocate(value(stun.AdditionalAddressFamily, stun.IPv6, 0, 0, 0))
	ann.permit(peer, peer6)
	for _, c := range []struct {
		peer      netip.AddrPort
		typ, code uint8
		data      uint32
		want      uint64
		r         drop.Reason
	}{
		{peer, 3, 3, 0, 3<<41 | 3<<32, drop.None},
		{peer, 3, 4, 1400, 3<<41 | 4<<32 | 1400, drop.None},
		{peer, 3, 3, 1400, 3<<41 | 3<<32, drop.None},
		{peer, 11, 0, 0, 11 << 41, drop.None},
		{peer, 5, 0, 0, 0, drop.TurnMalformed},
		{peer6, 1, 4, 0, 1<<41 | 4<<32, drop.None},
		{peer6, 2, 0, 1280, 2<<41 | 1280, drop.None},
		{peer6, 4, 0, 0, 0, drop.TurnMalformed},
		{netip.MustParseAddrPort("20.9.9.10:1"), 3, 3, 0, 0, drop.TurnNoPermission},
	} {
		sc.reset()
		if r := sc.s.ICMP(sc.now, 0, c.peer, c.typ, c.code, c.data, &sc.out); r != c.r {
			t.Errorf("%v, type %d: %v, want %v", c.peer, c.typ, r, c.r)
		}
		if c.r != drop.None {
			continue
		}
		var m stun.Message
		if m.Parse(sc.out.Clients[0].Head) != drop.None || m.Type != stun.TypeOf(stun.Data, stun.Indication) {
			t.Fatalf("%x", sc.out.Clients[0].Head)
		}
		v, _ := m.Find(stun.ICMP)
		from, _ := m.Find(stun.XORPeerAddress)
		if a, _ := stun.Address(from, m.ID()); a != c.peer || binary.BigEndian.Uint64(v) != c.want {
			t.Errorf("%v, type %d: of %v: %x", c.peer, c.typ, a, v)
		}
	}
	sc.pass(turn.PermissionLifetime)
	if r := sc.s.ICMP(sc.now, 0, peer, 3, 3, 0, &sc.out); r != drop.TurnNoPermission {
		t.Error(r)
	}
	if r := sc.s.ICMP(sc.now, 9, peer, 3, 3, 0, &sc.out); r != drop.TurnNoAllocation {
		t.Error(r)
	}
}
