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

// What a script of FuzzAuthentic chooses from, each by one byte.
var (
	scriptMethods = []stun.Method{stun.Allocate, stun.Refresh, stun.CreatePermission, stun.ChannelBind, stun.Connect, stun.ConnectionBind}
	scriptAttrs   = []stun.Attr{
		stun.RequestedTransport, stun.Lifetime, stun.XORPeerAddress, stun.ChannelNumber, stun.EvenPort, stun.ReservationToken, stun.RequestedAddressFamily,
		stun.AdditionalAddressFamily, stun.DontFragment, stun.MobilityTicket, stun.ConnectionID, stun.DataValue, 0x7001, 0x8777,
	}
	scriptPeers = []netip.AddrPort{
		peer, peer6, netip.MustParseAddrPort("20.9.9.10:1"), netip.AddrPortFrom(own4, 22), media, netip.AddrPortFrom(own6, 22),
		netip.MustParseAddrPort("127.0.0.1:22"), netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("[64:ff9b::a00:1]:1"), server,
	}
)

// script is a game of some who have passwords, played as bytes say: steps of who does what, a length, and so many bytes.
type script struct {
	*scene
	clients [4]*client
	told    map[stun.Attr][]byte // the last of what answers name, for those who come back with it
	relayed []netip.AddrPort
	dialed  []turn.ConnID
}

func newScript(t *testing.T) *script {
	sc := newScene(t, func(c *turn.Config) {
		c.Limits = turn.Limits{
			Allocations: 9, PerUser: 5, PerSource: 8, Permissions: 4, Channels: 4, Connections: 3, UserConnections: 4, AllConnections: 5, Challenges: 1e6,
			AllocationRate: 4000, UserRate: 6000,
		}
	})
	s := &script{scene: sc, clients: [4]*client{sc.client(4000), sc.client(4001), sc.streamClient(4002), sc.streamClient(4003)}, told: map[stun.Attr][]byte{}}
	s.clients[1].username, s.clients[3].sha256 = "bob", true
	for _, c := range s.clients {
		c.learn(c.once(stun.Allocate, udp))
	}
	return s
}

// attrs reads attributes: which, how long, and a value; one byte is a choice where a value has to be known.
func (s *script) attrs(b []byte) (all []attr) {
	for len(b) >= 2 && len(all) < 12 {
		t, n := scriptAttrs[int(b[0])%len(scriptAttrs)], min(int(b[1]), len(b)-2)
		v := b[2 : 2+n]
		b = b[2+n:]
		known, isKnown := s.told[t]
		switch {
		case n == 1 && t == stun.XORPeerAddress && v[0] >= 128 && len(s.relayed) > 0:
			all = append(all, toward(s.relayed[int(v[0])%len(s.relayed)]))
		case n == 1 && t == stun.XORPeerAddress:
			all = append(all, toward(scriptPeers[int(v[0])%len(scriptPeers)]))
		case n == 1 && isKnown:
			all = append(all, attr{t: t, v: known})
		default:
			all = append(all, attr{t: t, v: v})
		}
	}
	return all
}

// step plays one.
func (s *script) step(who, what byte, b []byte) {
	c := s.clients[int(who)%len(s.clients)]
	s.reset()
	switch n := int(what) % 12; {
	case n < len(scriptMethods):
		s.ask(c, c.message(stun.TypeOf(scriptMethods[n], stun.Request), s.attrs(b)...))
	case n == 6:
		s.s.Handle(s.now, c.pair, c.message(stun.TypeOf(stun.Send, stun.Indication), s.attrs(b)...), &s.out)
	case n == 7:
		s.s.Handle(s.now, c.pair, b, &s.out)
	case n == 8 && len(b) > 1:
		id, from := turn.RelayID(who%9), scriptPeers[int(b[0])%len(scriptPeers)]
		s.s.FromPeer(s.now, id, from, b[1:], &s.out)
		s.s.Accepted(s.now, id, from, &s.out)
		s.s.ICMP(s.now, id, from, b[1], who, uint32(what), &s.out)
	case n == 9 && len(s.dialed) > 0:
		s.s.Dialed(s.now, turn.Dialed{Conn: s.dialed[0], Failed: who >= 128}, &s.out)
		s.dialed = s.dialed[1:]
	case n == 10:
		s.s.Closed(s.now, c.pair, &s.out)
	case n == 11 && len(b) > 0:
		s.carryOut()
		s.pass(time.Duration(b[0]) * 10 * time.Second)
	}
	s.carryOut()
}

// ask sends a request, and another nonce where it is told one.
func (s *script) ask(c *client, b []byte) {
	s.s.Handle(s.now, c.pair, b, &s.out)
	for _, d := range s.out.Clients {
		r := &reply{}
		if r.Parse(append([]byte(nil), d.Head...)) != drop.None || d.Pair != c.pair {
			continue
		}
		if v, ok := r.Find(stun.ErrorCode); ok && (stun.CodeIn(v) == stun.StaleNonce || stun.CodeIn(v) == stun.Unauthenticated) {
			c.learn(r)
		}
	}
}

// carryOut carries out commands, and notes what answers name.
func (s *script) carryOut() {
	for _, c := range s.work() {
		if c.Do == turn.Dial {
			s.dialed = append(s.dialed, c.Conn)
			s.told[stun.ConnectionID] = binary.BigEndian.AppendUint32(nil, uint32(c.Conn))
		}
	}
	for _, d := range s.out.Clients {
		r := &reply{}
		if r.Parse(append([]byte(nil), d.Head...)) != drop.None {
			continue
		}
		for _, t := range []stun.Attr{stun.MobilityTicket, stun.ReservationToken, stun.ConnectionID} {
			if v, ok := r.Find(t); ok {
				s.told[t] = append([]byte(nil), v...)
			}
		}
		if a := r.addr(stun.XORRelayedAddress); a.IsValid() && len(s.relayed) < 32 {
			s.relayed = append(s.relayed, a)
		}
	}
}

// check fails the test where something is not as it must be, whatever was asked.
func (s *script) check(t *testing.T) {
	st := s.s.Stats()
	if st.Allocations != len(s.m.live) {
		t.Fatalf("%d addresses are counted and %d open", st.Allocations, len(s.m.live))
	}
	if st.Allocations > 9 || st.Connections > 5 {
		t.Fatalf("%d addresses, %d connections: beyond the limits", st.Allocations, st.Connections)
	}
	for _, p := range s.out.Peers {
		if p.Place == turn.Own || p.Place == turn.Elsewhere && !turn.GloballyRoutable(p.Peer.Addr()) || s.m.PlaceOf(p.Peer) != p.Place {
			t.Fatalf("a datagram to %v, place %d", p.Peer, p.Place)
		}
		if _, ok := s.m.live[p.Relay]; !ok {
			t.Fatalf("a datagram leaves relay %d, which is closed", p.Relay)
		}
	}
}

// FuzzAuthentic: whatever those ask who have passwords, in whatever order and at whatever times, and whatever peers, ICMP and the runtime tell meanwhile: nothing
// panics, what is counted is what is open, no limit is exceeded, and nothing leaves for where clients may not go. FuzzHandle's inputs hardly pass authentication.
func FuzzAuthentic(f *testing.F) {
	step := func(who, what byte, b ...byte) []byte { return append([]byte{who, what, byte(len(b))}, b...) }
	add := func(steps ...[]byte) {
		var all []byte
		for _, s := range steps {
			all = append(all, s...)
		}
		f.Add(all)
	}
	const allocate, refresh, permit, bind, connect, join, send, raw, peers, answer, closed, pass = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	datagrams, streams := []byte{0, 4, 17, 0, 0, 0}, []byte{0, 4, 6, 0, 0, 0}
	add(step(0, allocate, datagrams...), step(0, permit, 2, 1, 0), step(0, send, 2, 1, 0, 11, 2, 'h', 'i'), step(0, bind, 2, 1, 0, 3, 4, 0x40, 0, 0, 0),
		step(0, raw, 0x40, 0, 0, 2, 'h', 'i', 0, 0), step(0, peers, 0, 'h', 'i'), step(0, pass, 60), step(0, refresh, 1, 4, 0, 0, 0, 0))
	add(step(0, allocate, append(datagrams, 4, 1, 0x80)...), step(0, allocate, append(datagrams, 5, 1, 0)...), step(1, allocate, append(datagrams, 5, 1, 0)...), step(0, pass, 4))
	add(step(0, allocate, append(datagrams, 9, 0)...), step(1, refresh, 9, 1, 0), step(2, refresh, 9, 1, 0), step(2, closed), step(0, refresh, 9, 1, 0), step(0, pass, 255))
	add(step(2, allocate, streams...), step(2, permit, 2, 1, 0), step(2, connect, 2, 1, 0), step(2, answer), step(2, peers, 0, 1), step(3, join, 10, 1, 0), step(2, closed))
	add(step(0, allocate, append(datagrams, 7, 4, 2, 0, 0, 0)...), step(1, allocate, datagrams...), step(0, permit, 2, 1, 1, 2, 1, 129), step(0, send, 2, 1, 129, 11, 1, 'x'))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newScript(t)
		for steps := 0; len(b) >= 3 && steps < 64; steps++ {
			n := min(int(b[2]), len(b)-3)
			s.step(b[0], b[1], b[3:3+n])
			s.check(t)
			b = b[3+n:]
		}
	})
}
