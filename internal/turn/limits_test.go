package turn_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

// As many allocations as a user, a source and the server may have, and for one more 486 (RFC 8656 §7.2); what ends makes room.
func TestAllocationQuotas(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit turn.Limits
		who   func(sc *scene, i int) *client
	}{
		{"user", turn.Limits{PerUser: 3}, func(sc *scene, i int) *client {
			ann := sc.client(4000)
			ann.pair.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, 1, 1, byte(i)}), 1)
			return ann
		}},
		{"source", turn.Limits{PerSource: 3}, func(sc *scene, i int) *client {
			ann := sc.client(uint16(4000 + i))
			ann.username = fmt.Sprint("user", i)
			return ann
		}},
		{"source of a customer with a /64", turn.Limits{PerSource: 3}, func(sc *scene, i int) *client {
			ann := sc.client(4000)
			ann.pair.Remote = netip.MustParseAddrPort(fmt.Sprintf("[2a00:1:2:3::%d]:1", i))
			ann.username = fmt.Sprint("user", i)
			return ann
		}},
		{"all", turn.Limits{Allocations: 3}, func(sc *scene, i int) *client {
			ann := sc.client(4000)
			ann.pair.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, 1, 1, byte(i)}), 1)
			ann.username = fmt.Sprint("user", i)
			return ann
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := newScene(t, func(cfg *turn.Config) { cfg.Limits = c.limit })
			var all []*client
			for i := range 3 {
				all = append(all, c.who(sc, i))
				all[i].allocate()
			}
			one := c.who(sc, 3)
			one.want(stun.AllocationQuota, stun.Allocate, udp)
			all[1].want(0, stun.Refresh, lifetime(0))
			one.allocate()
			all[1].want(stun.AllocationQuota, stun.Allocate, udp)
			sc.pass(turn.DefaultLifetime)
			if len(sc.m.live) != 0 {
				t.Fatalf("%d addresses", len(sc.m.live))
			}
			for i := range 3 {
				all[i].allocate()
			}
		})
	}
}

// Another user is not hindered by who has as many as he may.
func TestQuotaIsOfOneUser(t *testing.T) {
	sc := newScene(t, func(c *turn.Config) { c.Limits.PerUser = 1 })
	sc.client(4000).allocate()
	bob := sc.client(4001)
	bob.username = "bob"
	bob.allocate()
	sc.client(4002).want(stun.AllocationQuota, stun.Allocate, udp)
}

// An allocation has so many permissions and channels and for one more 508 (RFC 8656 §10.2, §12.2); those that are over do not count.
func TestPermissionAndChannelLimits(t *testing.T) {
	at := func(i int) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, 1, 1, byte(i)}), 7) }
	sc := newScene(t, func(c *turn.Config) { c.Limits.Permissions, c.Limits.Channels = 5, 3 })
	ann := sc.client(4000)
	ann.allocate(lifetime(time.Hour))
	for i := range 5 {
		ann.permit(at(i))
	}
	ann.want(stun.InsufficientCapacity, stun.CreatePermission, toward(at(5)))
	ann.permit(at(4)) // has one
	sc.pass(turn.PermissionLifetime)
	for i := range 3 {
		ann.bind(uint16(0x4000+i), at(i))
	}
	ann.want(stun.InsufficientCapacity, stun.ChannelBind, number(0x4003), toward(at(3)))
	ann.bind(0x4002, at(2)) // is one
	for i := range 3 {
		if d, r := ann.channel(uint16(0x4000+i), []byte("x")); r != drop.None || d.Peer != at(i) {
			t.Errorf("channel %d: %v", i, r)
		}
	}
	sc.pass(turn.ChannelLifetime)
	ann.bind(0x4003, at(3))
	// A channel without room for its permission is none.
	few := newScene(t, func(c *turn.Config) { c.Limits.Permissions = 1 }).client(4000)
	few.allocate()
	few.permit(at(0))
	few.want(stun.InsufficientCapacity, stun.ChannelBind, number(0x4000), toward(at(1)))
	if _, r := few.channel(0x4000, []byte("x")); r != drop.TurnNoChannel {
		t.Error(r)
	}
	few.bind(0x4000, at(0))
	many := newScene(t, func(c *turn.Config) { c.Limits.Permissions, c.Limits.Channels = 1000, 1000 }).client(4000)
	many.allocate()
	for i := range 255 {
		many.bind(uint16(0x4000+64*i), netip.AddrPortFrom(peer.Addr(), uint16(1+i)))
	}
	many.want(stun.InsufficientCapacity, stun.ChannelBind, number(0x4001), toward(netip.AddrPortFrom(peer.Addr(), 1000)))
	for i := range 255 {
		if d, r := many.channel(uint16(0x4000+64*i), []byte("x")); r != drop.None || d.Peer.Port() != uint16(1+i) {
			t.Fatalf("channel %d: %v", i, r)
		}
	}
}

// RFC 8656 §10.2: a CreatePermission makes permissions for all its addresses or for none, whatever is wrong with one of them and wherever that stands;
// nor does one that is refused prolong what there is.
func TestPermissionsForAllOrNone(t *testing.T) {
	at := func(i byte) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, 1, 1, i}), 7) }
	private := netip.MustParseAddrPort("10.0.0.1:7")
	for _, c := range []struct {
		name string
		with attr
		want stun.Code
	}{
		{"forbidden", toward(private), stun.Forbidden},
		{"of a family that the allocation has not", toward(peer6), stun.PeerFamilyMismatch},
		{"no address", value(stun.XORPeerAddress, 0, 1, 2), stun.BadRequest},
		{"too many", toward(at(4)), stun.InsufficientCapacity},
	} {
		for place := range 3 {
			sc := newScene(t, func(cfg *turn.Config) { cfg.Limits.Permissions = 3 })
			ann := sc.client(4000)
			ann.allocate()
			ann.permit(at(1))
			sc.pass(turn.PermissionLifetime - time.Second)
			attrs := slices.Insert([]attr{toward(at(1)), toward(at(2))}, place, c.with)
			if c.want == stun.InsufficientCapacity {
				attrs = append(attrs, toward(at(3)))
			}
			ann.want(c.want, stun.CreatePermission, attrs...)
			for _, p := range []netip.AddrPort{at(2), at(3), at(4), private} {
				if _, r := ann.send(p, []byte("x")); r != drop.TurnNoPermission {
					t.Errorf("%s, place %d: to %v: %v", c.name, place, p, r)
				}
			}
			sc.pass(time.Second)
			if _, r := ann.send(at(1), []byte("x")); r != drop.TurnNoPermission {
				t.Errorf("%s, place %d: prolonged: %v", c.name, place, r)
			}
			ann.permit(at(1), at(2), at(3), at(2), at(1)) // as many as there may be
		}
	}
}

// A rate is held to a tenth, with 28 bytes of headers for each datagram, in each direction by itself, for one allocation and for all of a user, whatever
// is sent at it; what is slower is not touched.
func TestRates(t *testing.T) {
	const rate = 125000 // 1 Mbit/s
	for _, c := range []struct {
		name    string
		limits  turn.Limits
		clients int
		each    int // the rate each may have
	}{
		{"allocation", turn.Limits{AllocationRate: rate}, 2, rate},
		{"user", turn.Limits{UserRate: rate}, 2, rate / 2},
		{"the user's is the smaller", turn.Limits{AllocationRate: rate, UserRate: rate}, 2, rate / 2},
		{"none", turn.Limits{}, 2, 4 * rate},
	} {
		for _, size := range []int{160, 1200} {
			for _, burst := range []int{1, 5, 40} {
				t.Run(fmt.Sprintf("%s, %d times %d bytes", c.name, burst, size), func(t *testing.T) {
					sc := newScene(t, func(cfg *turn.Config) { cfg.Limits = c.limits })
					up, down := shaped(sc, c.clients, size, burst, 4*rate, 20*time.Second)
					all := c.each * c.clients
					if up < all*9/10 || up > all*11/10 || down < all*9/10 || down > all*11/10 {
						t.Errorf("%d up and %d down bytes/s, want %d", up, down, all)
					}
				})
			}
		}
	}
	sc := newScene(t, func(cfg *turn.Config) { cfg.Limits = turn.Limits{AllocationRate: rate, UserRate: rate} })
	if up, down := shaped(sc, 1, 1200, 5, rate*95/100, 20*time.Second); up < rate*94/100 || down < rate*94/100 {
		t.Errorf("%d up and %d down bytes/s of what is below the rate", up, down)
	}
}

// shaped lets each client and its peer send in bursts, and returns how many bytes a second came through in each direction.
func shaped(sc *scene, clients, size, burst, rate int, d time.Duration) (up, down int) {
	var pairs []datagram.Pair
	var relays []turn.RelayID
	for i := range clients {
		ann := sc.client(uint16(4000 + i))
		relay := ann.allocate()
		ann.bind(0x4000, peer)
		pairs = append(pairs, ann.pair)
		for id, live := range sc.m.live {
			if live == relay {
				relays = append(relays, id)
			}
		}
	}
	b := append([]byte{0x40, 0, byte(size >> 8), byte(size)}, make([]byte, size)...)
	size += 28
	every := time.Duration(size*burst) * time.Second / time.Duration(rate)
	for end := sc.now.Add(d); sc.now.Before(end); sc.now = sc.now.Add(every) {
		for i := range clients {
			for range burst {
				sc.reset()
				if r := sc.s.Handle(sc.now, pairs[i], b, &sc.out); r == drop.None {
					up += size
				} else if r != drop.TurnRate {
					sc.t.Fatal(r)
				}
				if r := sc.s.FromPeer(sc.now, relays[i], peer, b[4:], &sc.out); r == drop.None {
					down += size
				} else if r != drop.TurnRate {
					sc.t.Fatal(r)
				}
			}
		}
	}
	return up * int(time.Second) / int(d), down * int(time.Second) / int(d)
}

// joined makes a TCP allocation with so many joined connections, and returns them.
func (sc *scene) joined(port uint16, n int) (all []turn.ConnID) {
	sc.t.Helper()
	ann := sc.streamClient(port)
	ann.want(0, stun.Allocate, tcp)
	ann.permit(peer)
	relay := sc.m.next - 1
	for i := range n {
		sc.reset()
		id, _ := sc.s.Accepted(sc.now, relay, netip.AddrPortFrom(peer.Addr(), uint16(1+i)), &sc.out)
		ann.data(port+1000+uint16(i)).want(0, stun.ConnectionBind, connectionID(binary.BigEndian.AppendUint32(nil, uint32(id))))
		all = append(all, id)
	}
	return all
}

// paced lets each connection carry as much as it may for a time, as a runtime does that reads the next piece when it has written one, and calls each with
// the time in between. It returns the bytes a second of each that were written.
func (sc *scene) paced(conns []turn.ConnID, toPeer bool, d time.Duration, each func()) (rates []int) {
	sc.t.Helper()
	piece := sc.s.Piece()
	next := make([]time.Time, len(conns)) // when a connection has written its piece
	for i := range next {
		next[i] = sc.now
	}
	rates = make([]int, len(conns))
	read := make([]int, len(conns)) // what waits
	for end := sc.now.Add(d); sc.now.Before(end); sc.now = sc.now.Add(time.Millisecond) {
		for i, c := range conns {
			for range 1000 {
				if next[i].After(sc.now) {
					break
				}
				rates[i] += read[i]
				read[i], next[i] = piece, sc.now.Add(sc.s.Pace(sc.now, c, toPeer, piece))
			}
		}
		each()
	}
	for i := range rates {
		rates[i] = rates[i] * int(time.Second) / int(d)
	}
	return rates
}

func sum(all []int) (n int) {
	for _, x := range all {
		n += x
	}
	return n
}

// What goes by connections (RFC 6062) is held to the same rates, to a tenth, in each direction by itself, and by waiting: each connection gets on.
func TestRatesOfConnections(t *testing.T) {
	for _, rate := range []int{12500, 125000, 12500000} {
		for _, c := range []struct {
			name        string
			limits      turn.Limits
			allocations int
			want        int
		}{
			{"allocation", turn.Limits{AllocationRate: rate}, 2, 2 * rate},
			{"user", turn.Limits{UserRate: rate}, 2, rate},
			{"the user's is the smaller", turn.Limits{AllocationRate: 2 * rate, UserRate: rate}, 2, rate},
		} {
			for _, n := range []int{1, 4, 32} {
				for _, toPeer := range []bool{false, true} {
					sc := newScene(t, func(cfg *turn.Config) { cfg.Limits = c.limits })
					var conns []turn.ConnID
					for i := range c.allocations {
						conns = append(conns, sc.joined(uint16(4000+100*i), n)...)
					}
					rates := sc.paced(conns, toPeer, 20*time.Second, func() {})
					if got := sum(rates); got < c.want*9/10 || got > c.want*11/10 {
						t.Errorf("%s, %d bytes/s, %d connections, to the peer: %v: %d bytes/s, want %d", c.name, rate, len(conns), toPeer, got, c.want)
					}
					for _, got := range rates {
						if got < c.want/len(conns)*8/10 {
							t.Errorf("%s, %d bytes/s, %d connections: one has %d bytes/s", c.name, rate, len(conns), got)
						}
					}
				}
			}
		}
	}
	sc := newScene(t)
	if n := sc.s.Piece(); n != 0 {
		t.Errorf("without a rate: pieces of %d", n)
	}
	if d := sc.s.Pace(sc.now, 99, true, 1e6); d != 0 {
		t.Errorf("a connection that has ended waits %v", d)
	}
}

// Of a user's rate, connections and datagrams have half each when there is too much of both, however many connections there are and however long only one of
// the kinds was there, and one has what the other leaves.
func TestRateOfBothKinds(t *testing.T) {
	const rate, size = 125000, 1000
	for _, n := range []int{1, 32} {
		sc := newScene(t, func(cfg *turn.Config) { cfg.Limits = turn.Limits{UserRate: rate} })
		conns := sc.joined(4000, n)
		bob := sc.client(3000)
		bob.allocate()
		bob.bind(0x4000, peer)
		b := append([]byte{0x40, 0, byte(size >> 8), byte(size & 0xff)}, make([]byte, size)...)
		datagrams := 0
		send := func(every int) func() {
			at := 0
			return func() {
				if at++; at%every != 0 {
					return
				}
				sc.reset()
				if sc.s.Handle(sc.now, bob.pair, b, &sc.out) == drop.None {
					datagrams += size + 28
				}
			}
		}
		check := func(what string, streams, wantStreams, wantDatagrams int) {
			t.Helper()
			got := datagrams / 20
			if streams < wantStreams*9/10 || streams > wantStreams*11/10 || got < wantDatagrams*9/10 || got > wantDatagrams*11/10 {
				t.Errorf("%d connections, %s: %d bytes/s by them and %d by datagrams, want %d and %d", n, what, streams, got, wantStreams, wantDatagrams)
			}
			datagrams = 0
		}
		both := func() int { return sum(sc.paced(conns, true, 20*time.Second, send(2))) } // datagrams at four times the rate
		check("alone", sum(sc.paced(conns, true, 20*time.Second, func() {})), rate, 0)
		check("after connections alone", both(), rate/2, rate/2)
		sc.paced(nil, true, 20*time.Second, send(2))
		check("none", 0, 0, rate)
		check("after datagrams alone", both(), rate/2, rate/2)
		few := sum(sc.paced(conns, true, 20*time.Second, send(40))) // datagrams at a fifth of the rate
		check("few datagrams", few, rate-1028*25, 1028*25)
	}
}

// Datagrams without payload cost what their headers take, and one that is more than a rate's burst goes through when its time has come.
func TestRateOfExtremes(t *testing.T) {
	const rate = 2800
	sc := newScene(t, func(cfg *turn.Config) { cfg.Limits = turn.Limits{AllocationRate: rate} })
	if up, down := shaped(sc, 1, 0, 10, 10*rate, 20*time.Second); up > rate*11/10 || down > rate*11/10 || up < rate*9/10 || down < rate*9/10 {
		t.Errorf("empty: %d up and %d down bytes/s, want %d", up, down, rate)
	}
	sc = newScene(t, func(cfg *turn.Config) { cfg.Limits = turn.Limits{AllocationRate: rate} })
	if up, down := shaped(sc, 1, 1400, 1, 10*rate, 60*time.Second); up > rate*11/10 || down > rate*11/10 || up < rate*9/10 || down < rate*9/10 {
		t.Errorf("large: %d up and %d down bytes/s, want %d", up, down, rate)
	}
}

// What a peer sends in fragments may be more than a Data indication can carry.
func TestLargePayload(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	relay := ann.allocate()
	ann.permit(peer)
	for _, n := range []int{1400, 65504} {
		if b, r := sc.from(relay, peer, make([]byte, n)); r != drop.None || len(b)%4 != 0 || len(b)-20 > 65535 {
			t.Errorf("%d bytes: %d, %v", n, len(b), r)
		}
	}
	if b, r := sc.from(relay, peer, make([]byte, 65505)); r != drop.Oversized {
		t.Errorf("%d, %v", len(b), r)
	}
}

// A Server cannot be made without what it needs.
func TestNew(t *testing.T) {
	good := turn.Config{Realm: "r", Secret: make([]byte, turn.MinSecret), Credentials: &keys{}, Own: &machine{}}
	for name, change := range map[string]func(*turn.Config){
		"a short secret":   func(c *turn.Config) { c.Secret = c.Secret[1:] },
		"no realm":         func(c *turn.Config) { c.Realm = "" },
		"a long realm":     func(c *turn.Config) { c.Realm = string(make([]byte, turn.MaxRealm+1)) },
		"no own addresses": func(c *turn.Config) { c.Own = nil },
	} {
		c := good
		change(&c)
		if _, err := turn.New(c); err == nil {
			t.Error(name)
		}
	}
	if _, err := turn.New(good); err != nil {
		t.Error(err)
	}
}
