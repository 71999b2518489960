package turn_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

var tcp = transport(6)

// request sends an authentic request that is answered later, and returns the commands that it makes.
func (c *client) request(m stun.Method, attrs ...attr) []turn.Command {
	c.sc.t.Helper()
	c.sc.reset()
	b := c.message(stun.TypeOf(m, stun.Request), attrs...)
	if r := c.sc.s.Handle(c.sc.now, c.pair, b, &c.sc.out); r != drop.None {
		c.sc.t.Fatal(r)
	}
	if len(c.sc.out.Clients) > 0 {
		c.sc.t.Fatal("answered at once")
	}
	return c.sc.work()
}

// dialed is the answer to a Connect, once the runtime has done with it.
func (c *client) dialed(d turn.Dialed) (id []byte, code stun.Code) {
	c.sc.t.Helper()
	c.sc.reset()
	c.sc.s.Dialed(c.sc.now, d, &c.sc.out)
	return c.told()
}

// told is the one answer that has come to the client.
func (c *client) told() (id []byte, code stun.Code) {
	c.sc.t.Helper()
	if len(c.sc.out.Clients) != 1 || c.sc.out.Clients[0].Pair != c.pair {
		c.sc.t.Fatalf("%d answers", len(c.sc.out.Clients))
	}
	var m reply
	if r := m.Parse(bytes.Clone(c.sc.out.Clients[0].Head)); r != drop.None || m.Type.Class() != stun.Indication && !c.protected(&m) {
		c.sc.t.Fatal("not authentic: ", r)
	}
	if v, ok := m.Find(stun.ErrorCode); ok {
		code = stun.CodeIn(v)
	}
	id, _ = m.Find(stun.ConnectionID)
	return id, code
}

func (sc *scene) tcpClient() *client {
	ann := sc.streamClient(4000)
	ann.want(0, stun.Allocate, tcp)
	return ann
}

// data is a further connection of a client.
func (c *client) data(port uint16) *client {
	d := c.sc.streamClient(port)
	d.learn(d.once(stun.Allocate, udp))
	return d
}

func connectionID(id []byte) attr { return attr{t: stun.ConnectionID, v: id} }

// A client connects to a peer and binds a connection of its own to that (RFC 6062 §5.2, §5.4).
func TestConnect(t *testing.T) {
	sc := newScene(t)
	ann := sc.tcpClient()
	did := ann.request(stun.Connect, toward(peer))
	if len(did) != 1 || did[0].Do != turn.Dial || did[0].Peer != peer || did[0].Conn == 0 || did[0].Relay != 0 {
		t.Fatalf("%+v", did)
	}
	conn := did[0].Conn
	if r, reason := ann.raw(ann.last); r != nil || reason != drop.TurnPending {
		t.Errorf("the same again: %v", reason)
	}
	ann.want(stun.ConnectionExists, stun.Connect, toward(peer)) // §5.2: 446
	data := ann.data(5000)
	id := connectionID(binary.BigEndian.AppendUint32(nil, uint32(conn)))
	data.want(stun.BadRequest, stun.ConnectionBind, id) // is not there yet
	got, code := ann.dialed(turn.Dialed{Conn: conn})
	if code != 0 || string(got) != string(id.v) {
		t.Fatalf("%d, connection %x", code, got)
	}
	sc.s.Dialed(sc.now, turn.Dialed{Conn: conn}, &sc.out) // nobody waits for it
	bob := ann.data(5001)
	bob.username = "bob"
	bob.want(stun.WrongCredentials, stun.ConnectionBind, id)
	sc.pass(29 * time.Second)
	sc.reset()
	b := data.message(stun.TypeOf(stun.ConnectionBind, stun.Request), id)
	sc.s.Handle(sc.now, data.pair, b, &sc.out)
	if d := sc.work(); len(d) != 1 || d[0].Do != turn.JoinConn || d[0].Conn != conn || d[0].Pair != data.pair {
		t.Fatalf("%+v", d)
	}
	if _, code := data.told(); code != 0 {
		t.Fatal(code)
	}
	ann.data(5002).want(stun.BadRequest, stun.ConnectionBind, id) // taken
	sc.pass(5 * time.Minute)
	ann.want(stun.ConnectionExists, stun.Connect, toward(peer))
	sc.s.Ended(sc.now, conn)
	if did = ann.request(stun.Connect, toward(peer)); len(did) != 1 || did[0].Conn == conn {
		t.Fatalf("%+v: an id is not used again", did)
	}
}

// RFC 6062 §5.2: what is not there in 30 s, or fails earlier, is 447; what is not bound in 30 s is closed.
func TestConnectTimeouts(t *testing.T) {
	sc := newScene(t)
	ann := sc.tcpClient()
	conn := ann.request(stun.Connect, toward(peer))[0].Conn
	if _, code := ann.dialed(turn.Dialed{Conn: conn, Failed: true}); code != stun.ConnectionTimeoutOrFailure {
		t.Error(code)
	}
	wait := func(want stun.Code) {
		t.Helper()
		sc.reset()
		sc.pass(30*time.Second - 1)
		if sc.out.Pending() {
			t.Fatal("too early")
		}
		sc.now = sc.now.Add(1)
		sc.s.Timeout(sc.now, &sc.out)
		if d := sc.work(); len(d) != 1 || d[0].Do != turn.CloseConn || d[0].Conn != conn {
			t.Fatalf("%+v", d)
		}
		if want == 0 && len(sc.out.Clients) > 0 {
			t.Error("the client is told")
		} else if want != 0 {
			if _, code := ann.told(); code != want {
				t.Error(code)
			}
		}
	}
	conn = ann.request(stun.Connect, toward(peer))[0].Conn
	wait(stun.ConnectionTimeoutOrFailure)
	conn = ann.request(stun.Connect, toward(peer))[0].Conn
	sc.pass(20 * time.Second)
	ann.dialed(turn.Dialed{Conn: conn})
	wait(0)
	ann.data(5000).want(stun.BadRequest, stun.ConnectionBind, connectionID(binary.BigEndian.AppendUint32(nil, uint32(conn))))
}

// A peer connects: with a permission for its address the client is told, and binds a connection to it (RFC 6062 §5.3).
func TestPeerConnects(t *testing.T) {
	sc := newScene(t)
	ann := sc.tcpClient()
	if id, r := sc.s.Accepted(sc.now, 0, peer, &sc.out); id != 0 || r != drop.TurnNoPermission {
		t.Errorf("%d %v", id, r)
	}
	ann.permit(peer)
	sc.reset()
	conn, r := sc.s.Accepted(sc.now, 0, peer, &sc.out)
	if conn == 0 || r != drop.None {
		t.Fatal(r)
	}
	id, _ := ann.told()
	if binary.BigEndian.Uint32(id) != uint32(conn) {
		t.Errorf("connection %x", id)
	}
	ann.data(5000).want(0, stun.ConnectionBind, connectionID(id))
	// Another one, that nobody binds.
	sc.reset()
	conn, _ = sc.s.Accepted(sc.now, 0, peer, &sc.out)
	sc.reset()
	sc.now = sc.now.Add(30 * time.Second)
	sc.s.Timeout(sc.now, &sc.out)
	if d := sc.work(); len(d) != 1 || d[0].Do != turn.CloseConn || d[0].Conn != conn {
		t.Errorf("%+v", d)
	}
	if id, r := sc.s.Accepted(sc.now, 9, peer, &sc.out); id != 0 || r != drop.TurnNoAllocation {
		t.Errorf("%d %v", id, r)
	}
}

// An allocation of two families loses, with the address of one, the connections of that one, those that are dialed with an answer, and no others:
// whether its client ends it (RFC 8656 §8.2), or its time is over.
func TestConnectionsOfOneFamily(t *testing.T) {
	four, six := value(stun.RequestedAddressFamily, stun.IPv4, 0, 0, 0), value(stun.RequestedAddressFamily, stun.IPv6, 0, 0, 0)
	other6 := netip.AddrPortFrom(peer6.Addr(), 1)
	for _, expires := range []bool{false, true} {
		sc := newScene(t)
		ann := sc.streamClient(4000)
		ann.want(0, stun.Allocate, tcp, value(stun.AdditionalAddressFamily, stun.IPv6, 0, 0, 0))
		ann.permit(peer, peer6)
		if expires {
			ann.want(0, stun.Refresh, four, lifetime(time.Hour))
			sc.pass(turn.DefaultLifetime - time.Second)
			ann.permit(peer, peer6)
		}
		var ids [2]turn.ConnID
		for i, from := range []netip.AddrPort{peer, peer6} {
			sc.reset()
			ids[i], _ = sc.s.Accepted(sc.now, turn.RelayID(i), from, &sc.out)
			id, _ := ann.told()
			ann.data(uint16(5000+i)).want(0, stun.ConnectionBind, connectionID(id))
		}
		dialed := ann.request(stun.Connect, toward(other6))[0].Conn
		sc.reset()
		if expires {
			sc.now = sc.now.Add(time.Second)
			sc.s.Timeout(sc.now, &sc.out)
		} else {
			sc.s.Handle(sc.now, ann.pair, ann.message(stun.TypeOf(stun.Refresh, stun.Request), six, lifetime(0)), &sc.out)
		}
		var refused reply
		if refused.Parse(bytes.Clone(sc.out.Clients[0].Head)) != drop.None || refused.Type != stun.TypeOf(stun.Connect, stun.Error) {
			t.Errorf("expires: %v: who waits for a connection is told %v", expires, refused.Type)
		}
		var closed []turn.ConnID
		for _, c := range sc.work() {
			if c.Do == turn.CloseConn {
				closed = append(closed, c.Conn)
			}
		}
		if !slices.Equal(closed, []turn.ConnID{ids[1], dialed}) || sc.s.Stats().Connections != 1 {
			t.Errorf("expires: %v: connections %v end, want %v", expires, closed, []turn.ConnID{ids[1], dialed})
		}
		ann.want(stun.PeerFamilyMismatch, stun.Refresh, six)
		ann.want(0, stun.Refresh, four, lifetime(0))
		if sc.s.Stats().Connections != 0 || len(sc.m.live) != 0 {
			t.Errorf("%+v, %d addresses", sc.s.Stats(), len(sc.m.live))
		}
	}
}

// What TCP allocations are not: over UDP, with ports of datagrams, or for datagrams (RFC 6062 §5.1).
func TestNotForTCP(t *testing.T) {
	sc := newScene(t)
	sc.client(4000).want(stun.BadRequest, stun.Allocate, tcp)
	ann := sc.streamClient(4000)
	for _, a := range []attr{value(stun.EvenPort, 0), value(stun.DontFragment), value(stun.ReservationToken, make([]byte, 8)...)} {
		ann.want(stun.BadRequest, stun.Allocate, tcp, a)
	}
	ann.want(0, stun.Allocate, tcp)
	ann.want(stun.BadRequest, stun.ChannelBind, number(0x4000), toward(peer))
	ann.permit(peer)
	if _, r := ann.send(peer, []byte("x")); r != drop.TurnNoAllocation {
		t.Error(r)
	}
	bob := sc.streamClient(4001)
	bob.allocate()
	bob.want(stun.AllocationMismatch, stun.Connect, toward(peer))
	if id, r := sc.s.Accepted(sc.now, 1, peer, &sc.out); id != 0 || r != drop.TurnNoAllocation {
		t.Errorf("%d %v", id, r)
	}
	newScene(t, func(c *turn.Config) { c.NoTCP = true }).streamClient(1).want(stun.UnsupportedTransport, stun.Allocate, tcp)
	for _, c := range []*client{ann, bob, sc.client(4002)} { // on a connection that has an allocation, without an id, over UDP
		c.want(stun.BadRequest, stun.ConnectionBind, value(stun.ConnectionID, 0, 0, 0, 1))
	}
	ann.data(5000).want(stun.BadRequest, stun.ConnectionBind)
}

// Where Connect leads: what Send reaches, but of own addresses only to relayed ones of TCP, since elsewhere something else may listen for TCP.
func TestMayConnect(t *testing.T) {
	sc := newScene(t)
	ann := sc.tcpClient()
	udpRelay := sc.client(4001).allocate()
	other := sc.streamClient(4002)
	tcpRelay := other.want(0, stun.Allocate, tcp).addr(stun.XORRelayedAddress)
	ann.want(stun.BadRequest, stun.Connect)
	ann.want(stun.PeerFamilyMismatch, stun.Connect, toward(peer6))
	for _, p := range []netip.AddrPort{
		netip.MustParseAddrPort("10.0.0.1:80"), netip.AddrPortFrom(own4, 22), media, udpRelay, netip.AddrPortFrom(peer.Addr(), 0),
	} {
		ann.want(stun.Forbidden, stun.Connect, toward(p))
	}
	if did := ann.request(stun.Connect, toward(tcpRelay)); len(did) != 1 || did[0].Do != turn.Dial {
		t.Errorf("%+v", did)
	}
}

// All allocations together have so many connections.
func TestAllConnectionsLimit(t *testing.T) {
	sc := newScene(t, func(c *turn.Config) { c.Limits.AllConnections = 2 })
	ann, bob := sc.tcpClient(), sc.streamClient(4001)
	bob.want(0, stun.Allocate, tcp)
	at := func(port uint16) attr { return toward(netip.AddrPortFrom(peer.Addr(), port)) }
	ann.request(stun.Connect, at(1))
	bob.request(stun.Connect, at(2))
	ann.want(stun.InsufficientCapacity, stun.Connect, at(3))
	sc.reset()
	sc.s.Closed(sc.now, bob.pair, &sc.out)
	sc.work()
	if did := ann.request(stun.Connect, at(3)); len(did) != 1 || did[0].Do != turn.Dial {
		t.Errorf("where one has ended: %+v", did)
	}
}

// An allocation has so many connections, of either kind; they end with it.
func TestConnectionLimit(t *testing.T) {
	sc := newScene(t, func(c *turn.Config) { c.Limits.Connections = 2 })
	ann := sc.tcpClient()
	ann.permit(peer)
	at := func(port uint16) attr { return toward(netip.AddrPortFrom(peer.Addr(), port)) }
	ann.request(stun.Connect, at(1))
	sc.s.Accepted(sc.now, 0, peer, &sc.out)
	ann.want(stun.InsufficientCapacity, stun.Connect, at(2))
	if id, r := sc.s.Accepted(sc.now, 0, peer, &sc.out); id != 0 || r != drop.TurnRate {
		t.Errorf("%d %v", id, r)
	}
	sc.reset()
	sc.s.Closed(sc.now, ann.pair, &sc.out)
	var closed []turn.Do
	for _, d := range sc.work() {
		closed = append(closed, d.Do)
	}
	if len(closed) != 3 || closed[0] != turn.CloseConn || closed[1] != turn.CloseConn || closed[2] != turn.CloseRelay || !sc.s.Next().IsZero() {
		t.Errorf("%v", closed)
	}
	sc.s.Dialed(sc.now, turn.Dialed{Conn: 1}, &sc.out)
	sc.s.Ended(sc.now, 2)
}
