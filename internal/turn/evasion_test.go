package turn_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

// Whoever ends allocations and makes new ones has the rate of one, over either rate, and is forgotten soon afterwards.
func TestAllocatingAnewEvadesNoRate(t *testing.T) {
	const rate = 125000
	for _, limits := range []turn.Limits{{UserRate: rate}, {AllocationRate: rate}} {
		sc := newScene(t, func(cfg *turn.Config) { cfg.Limits = limits })
		ann, relayed := sc.client(4000), 0
		for range 400 { // in 4 s
			ann.allocate()
			ann.permit(peer)
			for range 25 {
				if _, r := ann.send(peer, make([]byte, 1000)); r == drop.None {
					relayed += 1028
				}
			}
			ann.want(0, stun.Refresh, lifetime(0))
			sc.pass(10 * time.Millisecond)
		}
		if most := rate*4 + rate/4 + 1028; relayed > most || relayed < most*8/10 {
			t.Errorf("%+v: %d bytes in 4 s, at most %d", limits, relayed, most)
		}
		if sc.pass(time.Second); !sc.s.Next().IsZero() {
			t.Errorf("%+v: something is remembered of who has nothing", limits)
		}
	}
}

// One user has so many connections to peers over all of his allocations; another one has room.
func TestUserConnectionsLimit(t *testing.T) {
	sc := newScene(t, func(c *turn.Config) { c.Limits.UserConnections = 3 })
	at := func(port uint16) attr { return toward(netip.AddrPortFrom(peer.Addr(), port)) }
	ann, also := sc.tcpClient(), sc.streamClient(4001)
	also.want(0, stun.Allocate, tcp)
	ann.request(stun.Connect, at(1))
	ann.request(stun.Connect, at(2))
	also.request(stun.Connect, at(3))
	also.want(stun.InsufficientCapacity, stun.Connect, at(4))
	bob := sc.streamClient(4002)
	bob.username = "bob"
	bob.want(0, stun.Allocate, tcp)
	if did := bob.request(stun.Connect, at(5)); len(did) != 1 {
		t.Errorf("bob: %+v", did)
	}
	sc.reset()
	sc.s.Closed(sc.now, ann.pair, &sc.out)
	sc.work()
	if did := also.request(stun.Connect, at(6)); len(did) != 1 {
		t.Errorf("where two have ended: %+v", did)
	}
}

// An allocation with an address of each family counts as two, and as one when it has given one up or could not have it.
func TestQuotaCountsAddresses(t *testing.T) {
	both := value(stun.AdditionalAddressFamily, stun.IPv6, 0, 0, 0)
	sc := newScene(t, func(c *turn.Config) { c.Limits.PerUser = 3 })
	ann := sc.client(4000)
	ann.allocate(both)
	sc.client(4001).want(stun.AllocationQuota, stun.Allocate, udp, both)
	ann.want(0, stun.Refresh, value(stun.RequestedAddressFamily, stun.IPv6, 0, 0, 0), lifetime(0))
	other := sc.client(4002)
	other.allocate(both)
	if n := sc.s.Stats().Allocations; n != 3 {
		t.Errorf("%d addresses", n)
	}
	sc.client(4003).want(stun.AllocationQuota, stun.Allocate, udp)
	sc.m.full = true
	ann.want(0, stun.Refresh, lifetime(0))
	for range 3 {
		sc.client(4004).want(stun.InsufficientCapacity, stun.Allocate, udp)
	}
	if n := sc.s.Stats().Allocations; n != 2 {
		t.Errorf("%d addresses where none could be opened", n)
	}
}

// Nobody moves to where there are as many as there may be.
func TestMovingEvadesNoQuota(t *testing.T) {
	sc := newScene(t, func(c *turn.Config) { c.Limits.PerSource = 1 })
	ann, bob := sc.client(4000), sc.client(4001).at("20.7.7.7:1")
	ticket := ann.want(0, stun.Allocate, udp, askTicket).ticket()
	bob.username = "bob"
	bob.allocate()
	ann.at("20.7.7.7:2").want(stun.AllocationQuota, stun.Refresh, ticket)
	ann.at("203.0.113.7:4001").want(0, stun.Refresh, ticket) // the same source
}

// Strangers who write an address of somebody with an allocation on their datagrams do not keep him from the next nonce.
func TestStrangersDoNotUseUpWhoIsThere(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.allocate(lifetime(3 * time.Hour))
	sc.pass(turn.NonceLifetime - time.Minute)
	ann.want(0, stun.Refresh)
	sc.pass(2 * time.Minute) // its nonce is too old now
	eve := sc.client(4001)
	for range 100 {
		eve.raw(eve.message(stun.TypeOf(stun.Allocate, stun.Request), udp))
	}
	if r, reason := eve.raw(eve.message(stun.TypeOf(stun.Allocate, stun.Request), udp)); r != nil {
		t.Fatalf("the source is answered still: %v", reason)
	}
	ann.want(0, stun.Refresh)
	answered := 0
	for range 100 {
		nobody := &client{sc: sc, pair: ann.pair}
		if r, _ := nobody.raw(nobody.message(stun.TypeOf(stun.Refresh, stun.Request))); r != nil {
			answered++
		}
	}
	if answered > 10 {
		t.Errorf("%d answers to who pretends to be there", answered)
	}
}

// Of own addresses only relayed TCP addresses connect in, whatever the permission: a program on the machine is no peer.
func TestOwnPortsDoNotConnectIn(t *testing.T) {
	sc := newScene(t)
	ann, bob := sc.tcpClient(), sc.streamClient(4001)
	bobs := bob.want(0, stun.Allocate, tcp).addr(stun.XORRelayedAddress)
	ann.permit(netip.AddrPortFrom(own4, 1))
	for _, c := range []struct {
		from netip.AddrPort
		want drop.Reason
	}{{netip.AddrPortFrom(own4, 22), drop.TurnForbidden}, {media, drop.TurnForbidden}, {bobs, drop.None}} {
		sc.reset()
		if _, r := sc.s.Accepted(sc.now, 0, c.from, &sc.out); r != c.want {
			t.Errorf("%v: %v", c.from, r)
		}
	}
}
