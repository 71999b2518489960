package turn_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

// A client allocates, binds a channel, and what it sends comes to the peer, and back, over UDP and over streams.
func TestChannelRelaysBothWays(t *testing.T) {
	for _, c := range []struct {
		name   string
		stream bool
		tail   string
	}{{"udp", false, ""}, {"tcp", true, "\x00\x00"}} {
		t.Run(c.name, func(t *testing.T) {
			sc := newScene(t)
			ann := sc.client(4000)
			if c.stream {
				ann = sc.streamClient(4000)
			}
			relay := ann.allocate()
			ann.bind(0x4001, peer)
			d, r := ann.channel(0x4001, []byte("hello"))
			if r != drop.None || string(d.B) != "hello" || d.Peer != peer || d.Place != turn.Elsewhere || sc.m.live[d.Relay] != relay {
				t.Fatalf("%v %+v", r, d)
			}
			got, r := sc.from(relay, peer, []byte("answer"))
			if want := "\x40\x01\x00\x06answer" + c.tail; r != drop.None || string(got) != want {
				t.Fatalf("%v %q, want %q", r, got, want)
			}
		})
	}
}

// Without a channel a client sends in Send indications and receives in Data indications (RFC 8656 §11).
func TestSendAndDataIndications(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	relay := ann.allocate()
	ann.permit(peer)
	d, r := ann.send(peer, []byte("hello"))
	if r != drop.None || string(d.B) != "hello" || d.Peer != peer || d.DontFragment {
		t.Fatalf("%v %+v", r, d)
	}
	if d, _ = ann.send(peer, []byte("hello"), attr{t: stun.DontFragment}); !d.DontFragment {
		t.Error("DONT-FRAGMENT is lost")
	}
	got, r := sc.from(relay, peer, []byte("hello"))
	var m stun.Message
	if r != drop.None || m.Parse(got) != drop.None || m.Type != stun.TypeOf(stun.Data, stun.Indication) {
		t.Fatalf("%v %x", r, got)
	}
	value, _ := m.Find(stun.DataValue)
	addr, _ := m.Find(stun.XORPeerAddress)
	if from, ok := stun.Address(addr, m.ID()); !ok || from != peer || string(value) != "hello" {
		t.Errorf("from %v: %q", from, value)
	}
}

// The path of data allocates nothing in either direction.
func TestDataAllocatesNothing(t *testing.T) {
	sc := newScene(t, func(c *turn.Config) { c.Limits.AllocationRate, c.Limits.UserRate = 1<<40, 1<<40 })
	ann := sc.client(4000)
	ann.allocate()
	ann.bind(0x4001, peer)
	up := append([]byte{0x40, 0x01, 0x04, 0xB0}, make([]byte, 1200)...)
	down := make([]byte, 1200)
	var out turn.Out
	work := func() {
		out.Reset()
		for range 32 {
			if sc.s.Handle(sc.now, ann.pair, up, &out) != drop.None || sc.s.FromPeer(sc.now, 0, peer, down, &out) != drop.None {
				t.Fatal("not relayed")
			}
		}
	}
	work()
	if n := testing.AllocsPerRun(100, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(out.Peers) != 32 || len(out.Clients) != 32 || !bytes.Equal(out.Clients[31].Head, []byte{0x40, 0x01, 0x04, 0xB0}) {
		t.Errorf("%d to the peer, %d to the client", len(out.Peers), len(out.Clients))
	}
}

// An Allocate that comes again is answered again; another one on the same 5-tuple is a mismatch (RFC 8656 §7.2).
func TestAllocateAgain(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	relay := ann.allocate()
	first := ann.last
	sc.pass(time.Second)
	r, _ := ann.raw(first)
	if r == nil || r.code != 0 || r.addr(stun.XORRelayedAddress) != relay || r.seconds() != 599 || len(sc.m.live) != 1 {
		t.Fatalf("%+v, %d relayed addresses", r, len(sc.m.live))
	}
	ann.want(stun.AllocationMismatch, stun.Allocate, udp)
}

// An Out that has been large gives its memory back.
func TestOutShrinks(t *testing.T) {
	var o turn.Out
	o.Peers = make([]turn.ToPeer, 10, 100_000)
	o.Clients = make([]turn.ToClient, 10, 100)
	if o.Reset(); cap(o.Peers) != 0 || cap(o.Clients) != 100 || o.Pending() {
		t.Errorf("%d and %d are kept", cap(o.Peers), cap(o.Clients))
	}
}
