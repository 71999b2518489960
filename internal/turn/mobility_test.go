package turn_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

var askTicket = attr{t: stun.MobilityTicket}

func (r *reply) ticket() attr {
	v, _ := r.Find(stun.MobilityTicket)
	return attr{t: stun.MobilityTicket, v: bytes.Clone(v)}
}

// at is the client at another address.
func (c *client) at(addr string) *client {
	moved := *c
	moved.pair.Remote, moved.nonce = netip.MustParseAddrPort(addr), nil
	return &moved
}

// A client takes its allocation, with permissions and channels, to another address by a ticket, and gets another one (RFC 8016 §3.2).
func TestMove(t *testing.T) {
	for _, stream := range []bool{false, true} {
		sc := newScene(t)
		ann := sc.client(4000)
		if stream {
			ann = sc.streamClient(4000)
		}
		r := ann.want(0, stun.Allocate, udp, askTicket)
		relay, ticket := r.addr(stun.XORRelayedAddress), r.ticket()
		ann.bind(0x4000, peer)
		if stream {
			sc.reset()
			sc.s.Closed(sc.now, ann.pair, &sc.out)
			sc.work()
			if _, r := sc.from(relay, peer, []byte("x")); r != drop.TurnNoAllocation {
				t.Fatal("to a client that is nowhere: ", r)
			}
		}
		away := ann.at("20.7.7.7:99")
		away.learn(away.once(stun.Allocate, udp))
		sc.reset()
		b := away.message(stun.TypeOf(stun.Refresh, stun.Request), ticket)
		sc.s.Handle(sc.now, away.pair, b, &sc.out)
		var closes []datagram.Pair
		for _, c := range sc.work() {
			if c.Do != turn.CloseClient {
				t.Fatalf("%+v", c)
			}
			closes = append(closes, c.Pair)
		}
		// A stream that has ended is not closed again: the address may be somebody else's now.
		if len(closes) > 1 || stream != (len(closes) == 0) || !stream && closes[0] != ann.pair {
			t.Fatalf("closes %v, moved from %v", closes, ann.pair)
		}
		again, _ := away.raw(b) // as when the answer is lost
		if again == nil || again.code != 0 || bytes.Equal(again.ticket().v, ticket.v) || len(again.ticket().v) == 0 {
			t.Fatalf("%+v", again)
		}
		if d, r := away.channel(0x4000, []byte("x")); r != drop.None || sc.m.live[d.Relay] != relay {
			t.Error(r)
		}
		sc.from(relay, peer, []byte("x"))
		if got := sc.out.Clients[0].Pair; got != away.pair {
			t.Errorf("to %v", got)
		}
		if _, r := ann.channel(0x4000, []byte("x")); r != drop.TurnNoAllocation {
			t.Errorf("from where it was: %v", r)
		}
		ann.at("20.7.7.8:1").want(stun.BadRequest, stun.Refresh, ticket) // has been used
		home := ann.at("20.7.7.9:1")
		home.want(0, stun.Refresh, again.ticket(), lifetime(0))
		if len(sc.m.live) != 0 || !sc.s.Next().IsZero() {
			t.Errorf("%d addresses", len(sc.m.live))
		}
		ann.at("20.7.7.10:1").want(stun.BadRequest, stun.Refresh, again.ticket())
	}
}

// Who may not move, and by what.
func TestMoveRefused(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.want(stun.BadRequest, stun.Allocate, udp, value(stun.MobilityTicket, 1))
	ticket := ann.want(0, stun.Allocate, udp, askTicket).ticket()
	other := sc.client(4001)
	other.allocate()
	other.want(stun.AllocationMismatch, stun.Refresh, ticket) // has an allocation there
	bob := sc.client(4002)
	bob.username = "bob"
	bob.want(stun.WrongCredentials, stun.Refresh, ticket)
	bob.want(stun.BadRequest, stun.Refresh, value(stun.MobilityTicket, make([]byte, 16)...))
	bob.want(stun.BadRequest, stun.Refresh, value(stun.MobilityTicket, 1))
	ann.want(0, stun.Refresh, ticket) // is where it was
	newScene(t, func(c *turn.Config) { c.NoMobility = true }).client(1).want(stun.MobilityForbidden, stun.Allocate, udp, askTicket)
	sc.streamClient(4003).want(stun.MobilityForbidden, stun.Allocate, tcp, askTicket)
	if v := newScene(t).client(1).want(0, stun.Allocate, udp).ticket().v; len(v) > 0 {
		t.Error("a ticket for who did not ask")
	}
}

// Who has moved counts where it is: there is no room for one more at that source, and there is where it was.
func TestMoveCountsBySource(t *testing.T) {
	sc := newScene(t, func(c *turn.Config) { c.Limits.PerSource = 2 })
	one, two := sc.client(4000), sc.client(4001)
	first, second := one.want(0, stun.Allocate, udp, askTicket).ticket(), two.want(0, stun.Allocate, udp, askTicket).ticket()
	sc.client(4002).want(stun.AllocationQuota, stun.Allocate, udp)
	one.at("20.7.7.7:1").want(0, stun.Refresh, first)
	sc.client(4002).allocate()
	sc.client(4003).want(stun.AllocationQuota, stun.Allocate, udp)
	two.at("20.7.7.7:2").want(0, stun.Refresh, second)
	one.at("20.7.7.7:3").want(stun.AllocationQuota, stun.Allocate, udp)
}

// An allocation that nobody comes back for ends in its time; who has its old connection's addresses meanwhile is somebody else; and a source counts
// who is there.
func TestNobodyComesBack(t *testing.T) {
	sc := newScene(t, func(c *turn.Config) { c.Limits.PerSource = 1 })
	ann := sc.streamClient(4000)
	ticket := ann.want(0, stun.Allocate, udp, askTicket).ticket()
	sc.s.Closed(sc.now, ann.pair, &sc.out)
	away := ann.at("20.7.7.7:99")
	away.want(0, stun.Refresh, ticket)
	bob := sc.streamClient(4000)
	bob.username = "bob"
	bob.allocate() // the source where ann was has none
	sc.reset()
	sc.s.Closed(sc.now, away.pair, &sc.out)
	sc.pass(turn.DefaultLifetime - time.Second)
	bob.want(0, stun.Refresh)
	sc.pass(time.Second)
	if len(sc.m.live) != 1 {
		t.Errorf("%d addresses", len(sc.m.live))
	}
	bob.want(0, stun.Refresh)
	if st := sc.s.Stats(); st.Allocations != 1 {
		t.Errorf("%+v", st)
	}
}
