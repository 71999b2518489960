package turn_test

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
	"pgregory.net/rapid"
)

// What a Server has done is counted.
func TestStats(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	relay := ann.allocate()
	ann.want(stun.AllocationMismatch, stun.Allocate, udp)
	ann.bind(0x4000, peer)
	for range 3 {
		ann.channel(0x4000, []byte("four"))
	}
	ann.send(peer, []byte("five!"))
	sc.from(relay, peer, []byte("sixsix"))
	sc.from(relay, netip.MustParseAddrPort("20.9.9.10:1"), []byte("dropped"))
	st := sc.s.Stats()
	up, down := turn.Traffic{Packets: 4, Bytes: 17}, turn.Traffic{Packets: 1, Bytes: 6}
	if st.Allocations != 1 || st.Allocated != 1 || st.ToPeers != up || st.ToClients != down {
		t.Errorf("%+v", st)
	}
	if len(st.Refused) != 2 || st.Refused[stun.Unauthenticated] != 1 || st.Refused[stun.AllocationMismatch] != 1 {
		t.Errorf("%v", st.Refused)
	}
	st.Refused[stun.Unauthenticated] = 7
	ann.want(0, stun.Refresh, lifetime(0))
	if st := sc.s.Stats(); st.Allocations != 0 || st.Allocated != 1 || st.Refused[stun.Unauthenticated] != 1 {
		t.Errorf("%+v", st)
	}
}

// Next is the earliest end of any allocation, in whatever order they begin, are prolonged and end.
func TestNextIsTheEarliest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := newScene(t, func(c *turn.Config) { c.Limits.Challenges = 1e6 })
		ends := map[*client]time.Time{}
		var all []*client
		lifetimes := rapid.IntRange(600, 3600)
		for i := range 40 {
			all = append(all, sc.client(uint16(4000+i)))
			d := time.Duration(lifetimes.Draw(t, "lifetime")) * time.Second
			all[i].allocate(lifetime(d))
			ends[all[i]] = sc.now.Add(d)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c := rapid.SampledFrom(all).Draw(t, "client")
			d := time.Duration(lifetimes.Draw(t, "lifetime")) * time.Second
			switch _, there := ends[c]; {
			case !there:
				c.allocate(lifetime(d))
				ends[c] = sc.now.Add(d)
			case rapid.Bool().Draw(t, "end"):
				c.want(0, stun.Refresh, lifetime(0))
				delete(ends, c)
			default:
				c.want(0, stun.Refresh, lifetime(d))
				ends[c] = sc.now.Add(d)
			}
			if next := sc.s.Next(); !next.Equal(earliest(ends)) {
				t.Fatalf("%v, the earliest is %v", next, earliest(ends))
			}
		}
		for len(ends) > 0 {
			now := earliest(ends)
			if next := sc.s.Next(); !next.Equal(now) {
				t.Fatalf("%v, the earliest is %v", next, now)
			}
			sc.pass(now.Sub(sc.now))
			maps.DeleteFunc(ends, func(_ *client, end time.Time) bool { return end.Equal(now) })
			if len(sc.m.live) != len(ends) {
				t.Fatalf("%d addresses, want %d", len(sc.m.live), len(ends))
			}
		}
	})
}

// earliest is zero where there is none.
func earliest(ends map[*client]time.Time) (first time.Time) {
	for _, end := range ends {
		if first.IsZero() || end.Before(first) {
			first = end
		}
	}
	return first
}

// An allocation with a permission and a channel takes less than 2 KiB.
func TestMemoryOfAnAllocation(t *testing.T) {
	const n = 2000
	sc := newScene(t, func(c *turn.Config) { c.Limits.PerUser, c.Limits.PerSource, c.Limits.Challenges = n, n, 1e6 })
	heap := func() uint64 {
		sc.out = turn.Out{}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range n {
		ann := sc.client(uint16(1000 + i))
		ann.allocate()
		ann.bind(0x4000, peer)
	}
	if each := (heap() - before) / n; each > 2048 {
		t.Errorf("%d bytes", each)
	} else {
		t.Logf("%d bytes", each)
	}
	runtime.KeepAlive(sc)
}

// One datagram each way by a channel, of one client after another: what a relayed packet costs here.
func BenchmarkChannel(b *testing.B) {
	sc := newScene(b, func(c *turn.Config) { c.Limits.Challenges = 100 })
	var pairs []datagram.Pair
	for i := range 20 {
		ann := sc.client(uint16(4000 + i))
		ann.allocate()
		ann.bind(0x4000, peer)
		pairs = append(pairs, ann.pair)
	}
	up := append([]byte{0x40, 0, 0x04, 0xB0}, make([]byte, 1200)...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%16 == 0 {
			sc.reset()
		}
		if sc.s.Handle(sc.now, pairs[i%20], up, &sc.out) != drop.None || sc.s.FromPeer(sc.now, turn.RelayID(i%20), peer, up[4:], &sc.out) != drop.None {
			b.Fatal("not relayed")
		}
	}
}

// Out's bytes stay where they are while it is filled, however much that is, and its memory is used again.
func TestOutKeepsItsBytes(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.allocate()
	ann.permit(peer)
	sc.reset()
	for i := range 1000 {
		from := netip.AddrPortFrom(peer.Addr(), uint16(i+1))
		sc.s.FromPeer(sc.now, 0, from, []byte("x"), &sc.out)
	}
	for i, d := range sc.out.Clients {
		var m stun.Message
		whole := append(append(append([]byte(nil), d.Head...), d.B...), d.Tail...)
		if r := m.Parse(whole); r != drop.None {
			t.Fatalf("%d: %v", i, r)
		}
		v, _ := m.Find(stun.XORPeerAddress)
		if a, _ := stun.Address(v, m.ID()); a.Port() != uint16(i+1) {
			t.Fatalf("%d: from %v", i, a)
		}
	}
	x := []byte("x")
	work := func() {
		sc.reset()
		for range 100 {
			sc.s.FromPeer(sc.now, 0, peer, x, &sc.out)
		}
	}
	work()
	if n := testing.AllocsPerRun(100, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever clients ask for in whatever order, the addresses that the runtime has open are those of the allocations, the counts are right, and in
// the end nothing is left.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sc := newScene(t, func(c *turn.Config) {
			c.Limits = turn.Limits{PerUser: 3, Allocations: 5, Permissions: 3, Channels: 2, Connections: 2, Challenges: 1e6}
		})
		clients := []*client{sc.client(1), sc.client(2), sc.streamClient(3), sc.streamClient(4), sc.streamClient(5), sc.streamClient(6)}
		peers := []netip.AddrPort{peer, netip.AddrPortFrom(peer.Addr(), 7), peer6, media, netip.MustParseAddrPort("10.0.0.1:1")}
		bob := []int{1, 3}
		for _, i := range bob {
			clients[i].username = "bob"
		}
		var tickets, tokens [][]byte
		var conns []turn.ConnID
		methods := []stun.Method{stun.Allocate, stun.Allocate, stun.Refresh, stun.CreatePermission, stun.ChannelBind, stun.Connect, stun.ConnectionBind}
		optional := func(attrs []attr, a attr) []attr {
			if rapid.Bool().Draw(t, "there") {
				return append(attrs, a)
			}
			return attrs
		}
		pick := func(all [][]byte) []byte {
			if len(all) == 0 {
				return nil
			}
			return rapid.SampledFrom(all).Draw(t, "one")
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c := rapid.SampledFrom(clients).Draw(t, "client")
			p := rapid.SampledFrom(peers).Draw(t, "peer")
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				sc.pass(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
			case 1:
				sc.m.full = !sc.m.full
			case 2:
				sc.s.Closed(sc.now, c.pair, &sc.out)
				sc.work()
			case 3:
				c.channel(uint16(0x4000+rapid.IntRange(0, 3).Draw(t, "number")), []byte("x"))
				for id := range sc.m.live {
					sc.reset()
					sc.s.FromPeer(sc.now, id, p, []byte("x"), &sc.out)
					sc.s.ICMP(sc.now, id, p, 3, 3, 0, &sc.out)
					if conn, _ := sc.s.Accepted(sc.now, id, p, &sc.out); conn != 0 {
						conns = append(conns, conn)
					}
					break
				}
			case 4:
				if len(conns) > 0 {
					conn := rapid.SampledFrom(conns).Draw(t, "connection")
					if rapid.Bool().Draw(t, "ended") {
						sc.s.Ended(sc.now, conn)
					} else {
						sc.s.Dialed(sc.now, turn.Dialed{Conn: conn, Failed: rapid.Bool().Draw(t, "failed")}, &sc.out)
					}
				}
			default:
				m := rapid.SampledFrom(methods).Draw(t, "method")
				attrs := optional(nil, transport(rapid.SampledFrom([]byte{6, 17, 17}).Draw(t, "transport")))
				attrs = optional(attrs, toward(p))
				attrs = optional(attrs, number(uint16(0x4000+rapid.IntRange(0, 3).Draw(t, "number"))))
				if m == stun.Allocate || m == stun.Refresh {
					attrs = optional(attrs, lifetime(time.Duration(rapid.SampledFrom([]int{0, 600, 5000}).Draw(t, "lifetime"))*time.Second))
					attrs = optional(attrs, value(stun.MobilityTicket, pick(tickets)...))
					if rapid.Bool().Draw(t, "ports") {
						attrs = optional(attrs, value(stun.EvenPort, rapid.SampledFrom([]byte{0, 0x80}).Draw(t, "next")))
						attrs = optional(attrs, value(stun.ReservationToken, pick(tokens)...))
					}
					attrs = optional(attrs, value(stun.AdditionalAddressFamily, 2, 0, 0, 0))
				}
				if len(conns) > 0 {
					conn := rapid.SampledFrom(conns).Draw(t, "connection")
					attrs = append(attrs, connectionID(binary.BigEndian.AppendUint32(nil, uint32(conn))))
				}
				if c.nonce == nil {
					c.learn(c.once(stun.Allocate, udp))
				}
				sc.reset()
				sc.s.Handle(sc.now, c.pair, c.message(stun.TypeOf(m, stun.Request), attrs...), &sc.out)
				for _, did := range sc.work() {
					if did.Do == turn.Dial {
						conns = append(conns, did.Conn)
					}
				}
				for _, d := range sc.out.Clients {
					var r reply
					if r.Parse(d.Head) != drop.None {
						t.Fatalf("%x", d.Head)
					}
					if v := r.ticket().v; len(v) > 0 {
						tickets = append(tickets, v)
					}
					if v, ok := r.Find(stun.ReservationToken); ok {
						tokens = append(tokens, append([]byte(nil), v...))
					}
					if v, _ := r.Find(stun.ErrorCode); stun.CodeIn(v) == stun.StaleNonce {
						c.learn(&r)
					}
				}
			}
			if st := sc.s.Stats(); st.Allocations > 5 || len(sc.m.live) < st.Allocations || len(sc.m.live) > 2*st.Allocations || st.Connections > 10 {
				t.Fatalf("%d addresses open: %+v", len(sc.m.live), st)
			}
		}
		sc.pass(2 * time.Hour)
		if st := sc.s.Stats(); st.Allocations != 0 || len(sc.m.live) != 0 || st.Connections != 0 || !sc.s.Next().IsZero() {
			t.Fatalf("%d addresses are left open: %+v, next %v", len(sc.m.live), st, sc.s.Next())
		}
	})
}

// FuzzHandle: whatever comes from a client that has an allocation, or from a stranger, nothing panics, nothing is larger than it may be, and what goes to
// the peer was in what came.
func FuzzHandle(f *testing.F) {
	seed := newScene(f)
	ann := seed.client(4000)
	ann.allocate()
	f.Add(ann.last)
	ann.bind(0x4000, peer)
	f.Add(ann.last)
	ann.permit(peer)
	f.Add(ann.last)
	f.Add(ann.message(stun.TypeOf(stun.Send, stun.Indication), toward(peer), value(stun.DataValue, 1, 2, 3)))
	f.Add(ann.message(stun.TypeOf(stun.Binding, stun.Request), value(stun.ChangeRequest, 0, 0, 0, 6)))
	f.Add(seed.client(1).message(stun.TypeOf(stun.Allocate, stun.Request), udp, evenNext, askTicket))
	f.Add([]byte("\x40\x00\x00\x01x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		sc := discovering(t)
		ann := sc.client(4000)
		ann.allocate()
		ann.bind(0x4000, peer)
		stranger := datagram.Pair{Local: server, Remote: netip.MustParseAddrPort("20.1.1.1:1")}
		for _, pair := range []datagram.Pair{ann.pair, stranger} {
			sc.reset()
			sc.s.Handle(sc.now, pair, b, &sc.out)
			for _, d := range sc.out.Clients {
				if n := len(d.Head) + len(d.B) + len(d.Tail); pair == stranger && n > 3*len(b) {
					t.Errorf("%d bytes for %d", n, len(b))
				}
			}
			for _, d := range sc.out.Peers {
				if pair == stranger || d.Peer.Addr() != peer.Addr() || len(d.B) > len(b) {
					t.Errorf("%d bytes to %v", len(d.B), d.Peer)
				}
			}
			sc.work()
		}
	})
}

// FuzzFromPeer: whatever a peer sends arrives whole, as what it was.
func FuzzFromPeer(f *testing.F) {
	f.Add([]byte(""), uint16(5000), true)
	f.Add([]byte("hello"), uint16(1), false)
	f.Fuzz(func(t *testing.T, b []byte, port uint16, stream bool) {
		sc := newScene(t)
		ann := sc.client(4000)
		if stream {
			ann = sc.streamClient(4000)
		}
		relay := ann.allocate()
		ann.bind(0x4000, peer)
		from := netip.AddrPortFrom(peer.Addr(), port)
		got, r := sc.from(relay, from, b)
		if port == 0 || len(b) > 65000 {
			return
		}
		if r != drop.None {
			t.Fatal(r)
		}
		if stream && len(got)%4 != 0 {
			t.Error("not padded")
		}
		if from == peer {
			if string(got[4:4+len(b)]) != string(b) || int(binary.BigEndian.Uint16(got[2:])) != len(b) {
				t.Errorf("%x became %x", b, got)
			}
			return
		}
		var m stun.Message
		if m.Parse(got) != drop.None {
			t.Fatalf("%x", got)
		}
		if v, _ := m.Find(stun.DataValue); string(v) != string(b) {
			t.Errorf("%x became %x", b, v)
		}
	})
}
