package turn_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

// The first answer is a challenge: 401 (Unauthenticated), REALM, NONCE with the nonce cookie, and PASSWORD-ALGORITHMS (RFC 8489
// §9.2.4). It is the same for every method.
func TestChallenge(t *testing.T) {
	for _, m := range []stun.Method{stun.Allocate, stun.Refresh, stun.CreatePermission, stun.ChannelBind} {
		sc := newScene(t)
		r := sc.client(4000).once(m, udp)
		nonce, _ := r.Find(stun.Nonce)
		got, _ := r.Find(stun.Realm)
		algorithms, _ := r.Find(stun.PasswordAlgorithms)
		if r.code != stun.Unauthenticated || string(got) != realm || !bytes.Equal(algorithms, []byte{0, 2, 0, 0, 0, 1, 0, 0}) || r.HasIntegrity() {
			t.Errorf("method %d: %d, realm %q, algorithms %x", m, r.code, got, algorithms)
		}
		// §9.2: the cookie is "obMatJos2" and 24 bits of features in base64, of which bit 0 is "Password algorithms" (§18.1). A NONCE has
		// fewer than 128 characters.
		if !bytes.HasPrefix(nonce, []byte("obMatJos2AAAB")) || len(nonce) >= 128 {
			t.Errorf("nonce %q", nonce)
		}
		if _, ok := r.Find(stun.Software); ok {
			t.Error("SOFTWARE tells strangers what runs here")
		}
	}
}

// A client authenticates by either algorithm, and its answers are protected by what its request was (RFC 8489 §9.2.4).
func TestBothAlgorithms(t *testing.T) {
	for _, strong := range []bool{false, true} {
		sc := newScene(t)
		ann := sc.client(4000)
		ann.sha256, ann.print = strong, true
		ann.allocate() // do verifies the answer
		r := ann.want(stun.BadRequest, stun.CreatePermission)
		if r.HasIntegritySHA256() != strong || r.HasIntegrity() == strong {
			t.Errorf("strong %v, answer %v", strong, r.HasIntegritySHA256())
		}
	}
}

// Who is not who he says gets another challenge; a message that lacks something is refused (RFC 8489 §9.2.4).
func TestNotAuthentic(t *testing.T) {
	ready := func(t *testing.T) *client {
		c := newScene(t).client(4000)
		c.learn(c.once(stun.Allocate, udp))
		return c
	}
	for _, c := range []struct {
		name   string
		change func(*client)
		want   stun.Code
	}{
		{"as it should be", func(*client) {}, 0},
		{"wrong password", func(c *client) { c.password = "another" }, stun.Unauthenticated},
		{"unknown user", func(c *client) { c.username = "eve" }, stun.Unauthenticated},
		{"a name that is too long", func(c *client) { c.username = "user" + strings.Repeat("x", turn.MaxUsername) }, stun.BadRequest},
		{"another realm", func(c *client) { c.realm = "elsewhere" }, stun.Unauthenticated},
		{"a nonce of nobody", func(c *client) { c.nonce = []byte("obMatJos2AAABAAAAAAAAAAA") }, stun.StaleNonce},
		{"a nonce of another form", func(c *client) { c.nonce = []byte("nonce") }, stun.StaleNonce},
		{"a nonce without its cookie", func(c *client) { c.nonce = bytes.TrimPrefix(c.nonce, []byte("obMatJos2AAAB")) }, stun.StaleNonce},
		{"another port's nonce", func(c *client) { c.pair.Remote = netip.AddrPortFrom(c.pair.Remote.Addr(), 4001) }, stun.StaleNonce},
		{"another address's nonce", func(c *client) { c.pair.Remote = netip.MustParseAddrPort("203.0.113.8:4000") }, stun.StaleNonce},
		{"a nonce from UDP", func(c *client) { c.pair.Proto = datagram.TCP }, stun.StaleNonce},
		{"a nonce of almost an hour", func(c *client) { c.sc.pass(turn.NonceLifetime - 32*time.Second) }, 0},
		{"a nonce of an hour", func(c *client) { c.sc.pass(turn.NonceLifetime) }, stun.StaleNonce},
		{"a nonce of 12 days, whose low bits are as now", func(c *client) { c.sc.pass(16 * time.Second << 16) }, stun.StaleNonce},
	} {
		t.Run(c.name, func(t *testing.T) {
			ann := ready(t)
			c.change(ann)
			r := ann.once(stun.Allocate, udp)
			if r.code != c.want {
				t.Errorf("%d, want %d", r.code, c.want)
			}
			_, challenged := r.Find(stun.Nonce)
			if want := c.want == stun.Unauthenticated || c.want == stun.StaleNonce; challenged != want || c.want != 0 && r.HasIntegrity() {
				t.Errorf("challenged: %v, want %v", challenged, want)
			}
			if live := len(ann.sc.m.live); (live == 1) != (c.want == 0) {
				t.Errorf("%d relayed addresses", live)
			}
		})
	}
}

// Without USERNAME, REALM or NONCE a protected request is bad (RFC 8489 §9.2.4: 400, without them and without integrity).
func TestIncomplete(t *testing.T) {
	for _, without := range []stun.Attr{stun.Username, stun.Realm, stun.Nonce} {
		sc := newScene(t)
		ann := sc.client(4000)
		ann.learn(ann.once(stun.Allocate, udp))
		nonce := ann.nonce
		ann.nonce = nil // so that message adds nothing
		attrs := []attr{udp}
		for _, a := range []attr{{t: stun.Username, v: []byte("ann")}, {t: stun.Realm, v: []byte(realm)}, {t: stun.Nonce, v: nonce}} {
			if a.t != without {
				attrs = append(attrs, a)
			}
		}
		attrs = append(attrs, attr{t: stun.MessageIntegrity, v: make([]byte, 20)})
		if r := ann.once(stun.Allocate, attrs...); r.code != stun.BadRequest || r.HasIntegrity() {
			t.Errorf("without %#x: %d", without, r.code)
		}
	}
}

// Bid-down attacks: the nonce says that algorithms were offered, so whoever uses one must tell which were (RFC 8489 §9.2.4): unless both
// attributes are there, the list is the one that came with the nonce, and the choice is of it, the request is a bad one: 400.
func TestBidDown(t *testing.T) {
	offered := []byte{0, 2, 0, 0, 0, 1, 0, 0}
	for _, c := range []struct {
		name      string
		list, one []byte
		want      stun.Code
	}{
		{"neither: as MD5", nil, nil, 0},
		{"MD5 of the list", offered, []byte{0, 1, 0, 0}, 0},
		{"the list alone", offered, nil, stun.BadRequest},
		{"the choice alone", nil, []byte{0, 1, 0, 0}, stun.BadRequest},
		{"a list cut short by somebody", []byte{0, 1, 0, 0}, []byte{0, 1, 0, 0}, stun.BadRequest},
		{"another order", []byte{0, 1, 0, 0, 0, 2, 0, 0}, []byte{0, 1, 0, 0}, stun.BadRequest},
		{"not of the list", offered, []byte{0, 3, 0, 0}, stun.BadRequest},
		{"the other one than the key", offered, []byte{0, 2, 0, 0}, stun.Unauthenticated},
	} {
		sc := newScene(t)
		ann := sc.client(4000)
		ann.learn(ann.once(stun.Allocate, udp))
		attrs := []attr{udp}
		if c.list != nil {
			attrs = append(attrs, attr{t: stun.PasswordAlgorithms, v: c.list})
		}
		if c.one != nil {
			attrs = append(attrs, attr{t: stun.PasswordAlgorithm, v: c.one})
		}
		if r := ann.once(stun.Allocate, attrs...); r.code != c.want {
			t.Errorf("%s: %d, want %d", c.name, r.code, c.want)
		}
	}
}

// RFC 8656 §5: requests on an allocation with another username than it was made with are 441 (Wrong Credentials).
func TestAnotherUser(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.allocate()
	bob := *ann
	bob.username = "bob"
	for _, m := range []stun.Method{stun.Allocate, stun.Refresh, stun.CreatePermission, stun.ChannelBind} {
		bob.want(stun.WrongCredentials, m, udp, toward(peer))
	}
}

// Who has an allocation keeps the key that he came with.
func TestKeyLivesWithTheAllocation(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	ann.allocate()
	asked := sc.keys.asked
	ann.permit(peer)
	if sc.keys.asked != asked {
		t.Error("the key was asked for again")
	}
	ann.sha256 = true // another key: it has to be asked for
	ann.permit(peer)
	if sc.keys.asked == asked {
		t.Error("a key by another algorithm was not asked for")
	}
}

// When a name's time is over, who has an allocation by it goes on with that, from another address too (RFC 8016), and with connections to its peers (RFC 6062);
// and gets no other.
func TestAllocationOutlastsTheName(t *testing.T) {
	sc := newScene(t)
	ann, mover := sc.tcpClient(), sc.client(4001)
	ticket := mover.want(0, stun.Allocate, udp, askTicket).ticket()
	ann.permit(peer)
	data, late := ann.data(5000), sc.client(4002)
	sc.keys.over = true
	sc.reset()
	conn, _ := sc.s.Accepted(sc.now, 0, peer, &sc.out)
	data.want(0, stun.ConnectionBind, connectionID(binary.BigEndian.AppendUint32(nil, uint32(conn))))
	mover.want(0, stun.Refresh)
	mover.permit(peer)
	away := mover.at("20.7.7.7:1")
	ticket = away.want(0, stun.Refresh, ticket).ticket()
	for i, c := range []*client{late, ann.data(5001), mover.at("20.7.7.8:1")} {
		c.learn(c.once(stun.Allocate, udp))
		attrs := [][]attr{{udp}, {connectionID([]byte{0, 0, 0, 99})}, {value(stun.MobilityTicket, make([]byte, 16)...)}}[i]
		if r := c.once([]stun.Method{stun.Allocate, stun.ConnectionBind, stun.Refresh}[i], attrs...); r.code != stun.Unauthenticated {
			t.Errorf("%d: %d", i, r.code)
		}
	}
	eve := away.at("20.7.7.9:1") // a ticket is no password
	eve.password = "another"
	eve.learn(eve.once(stun.Allocate, udp))
	if r := eve.once(stun.Refresh, ticket); r.code != stun.Unauthenticated {
		t.Errorf("a ticket without the password: %d", r.code)
	}
}

// Whose credentials do not hold any more is refused whatever it asks, and with the next Recheck it has nothing: neither of two addresses, nor what waits for it to
// come back, nor connections. Nobody else notices.
func TestCredentialsThatDoNotHold(t *testing.T) {
	for name, recheck := range map[string]func(sc *scene){
		"all":      func(sc *scene) { sc.s.RecheckAll(sc.now, 0, &sc.out) },
		"one user": func(sc *scene) { sc.s.Recheck(sc.now, "ann", &sc.out) },
	} {
		t.Run(name, func(t *testing.T) { credentialsThatDoNotHold(t, recheck) })
	}
}

func credentialsThatDoNotHold(t *testing.T, recheck func(sc *scene)) {
	sc := newScene(t)
	two, away, streams, bob := sc.client(4000), sc.streamClient(4001), sc.streamClient(4002), sc.client(4003)
	two.allocate(value(stun.AdditionalAddressFamily, stun.IPv6, 0, 0, 0))
	two.bind(0x4000, peer)
	away.want(0, stun.Allocate, udp, askTicket)
	sc.reset()
	sc.s.Closed(sc.now, away.pair, &sc.out)
	streams.want(0, stun.Allocate, tcp)
	conn := streams.request(stun.Connect, toward(peer))[0].Conn
	bob.username = "bob"
	bob.allocate()
	sc.keys.gone = map[string]bool{"ann": true}
	for _, m := range []stun.Method{stun.Refresh, stun.CreatePermission, stun.ChannelBind} {
		if r := two.once(m, toward(peer), number(0x4000)); r.code != stun.Unauthenticated {
			t.Errorf("method %#x: %d", m, r.code)
		}
	}
	sc.reset()
	recheck(sc)
	closed := 0
	for _, c := range sc.work() {
		if c.Do == turn.CloseConn && c.Conn == conn {
			closed++
		}
	}
	if st := sc.s.Stats(); len(sc.m.live) != 1 || st.Allocations != 1 || st.Connections != 0 || closed != 1 {
		t.Errorf("%d addresses, %+v, %d connections closed", len(sc.m.live), st, closed)
	}
	if _, r := two.channel(0x4000, []byte("x")); r != drop.TurnNoAllocation {
		t.Error(r)
	}
	bob.want(0, stun.Refresh)
	recheck(sc)
	bob.want(0, stun.Refresh)
}

// Limits: of all allocations no more than 512 are looked at in one portion, and in all portions each once; of one user's none but those are.
func TestRecheckIsBounded(t *testing.T) {
	const allocations, portion = 1200, 512
	sc := newScene(t, func(c *turn.Config) { c.Limits.Challenges, c.Limits.PerUser, c.Limits.PerSource = 1e6, 1e6, 1e6 })
	for i := range allocations {
		c := sc.client(uint16(1000 + i))
		if i%100 == 7 {
			c.username = "bob"
		}
		c.allocate()
	}
	sc.reset()
	sc.keys.looked = nil
	sc.keys.gone = map[string]bool{"bob": true}
	portions, next, more := 0, turn.RelayID(0), true
	for more {
		before := len(sc.keys.looked)
		next, more = sc.s.RecheckAll(sc.now, next, &sc.out)
		sc.work()
		if n := len(sc.keys.looked) - before; n > portion {
			t.Errorf("%d allocations are looked at at once", n)
		}
		portions++
	}
	if portions != 3 || len(sc.keys.looked) != allocations || len(sc.m.live) != allocations-12 {
		t.Errorf("%d looked at in %d portions, %d are left", len(sc.keys.looked), portions, len(sc.m.live))
	}
	bob := sc.client(999)
	sc.keys.gone = nil
	bob.username = "bob"
	bob.allocate()
	sc.reset()
	sc.keys.looked = nil
	sc.s.Recheck(sc.now, "bob", &sc.out)
	sc.s.Recheck(sc.now, "nobody", &sc.out)
	if !slices.Equal(sc.keys.looked, []string{"bob"}) || !sc.s.Has(bob.pair) {
		t.Errorf("looked at %v", sc.keys.looked)
	}
}

// An unknown attribute that must be understood is refused, with its name, where the rest is authentic (RFC 8489 §6.3.1); one that need not be
// is ignored.
func TestUnknownAttributes(t *testing.T) {
	sc := newScene(t)
	ann := sc.client(4000)
	r := ann.want(stun.UnknownAttribute, stun.Allocate, udp, value(0x7001, 1, 2, 3, 4), value(0x8777, 1), value(0x7002))
	if v, _ := r.Find(stun.UnknownAttributes); !bytes.Equal(v, []byte{0x70, 1, 0x70, 2}) {
		t.Errorf("unknown: %x", v)
	}
	if ann.once(stun.Binding, value(0x7001)).code != stun.UnknownAttribute {
		t.Error("Binding")
	}
	var many []attr
	for i := range stun.Attr(20) {
		many = append(many, value(0x7000+i))
	}
	r = ann.once(stun.Binding, many...)
	if v, _ := r.Find(stun.UnknownAttributes); len(v) != 2*16 || v[31] != 15 { // as many as are listed
		t.Errorf("of 20 unknown ones: %x", v)
	}
	sc2 := newScene(t, func(c *turn.Config) { c.NoDontFragment = true })
	// RFC 8656 §7.2: "treats the DONT-FRAGMENT attribute in the Allocate request as an unknown comprehension-required attribute."
	sc2.client(4000).want(stun.UnknownAttribute, stun.Allocate, udp, value(stun.DontFragment))
	sc.client(4001).want(0, stun.Allocate, udp, value(stun.DontFragment))
}

// Who has proved nothing gets no more than 3 times what he sent, over UDP, whatever he sends, and nothing at all where that is not enough.
func TestNoAmplification(t *testing.T) {
	v6 := netip.MustParseAddrPort("[2a00:5::7]:4000")
	long := strings.Repeat("r", turn.MaxRealm)
	for _, c := range []struct {
		name  string
		realm string
		attrs []attr
		m     stun.Method
		want  stun.Code
		r     drop.Reason
	}{
		{"Binding", realm, nil, stun.Binding, 0, drop.None},
		{"Binding, unknown attribute", realm, []attr{value(0x7001)}, stun.Binding, stun.UnknownAttribute, drop.None},
		{"the smallest Allocate", realm, []attr{udp}, stun.Allocate, stun.Unauthenticated, drop.None},
		{"the smallest Allocate, a long realm", long, []attr{udp}, stun.Allocate, stun.Unauthenticated, drop.None},
		{
			"a longer Allocate, a long realm", long,
			[]attr{udp, lifetime(time.Minute), value(stun.Software, []byte(long)...)},
			stun.Allocate, stun.Unauthenticated, drop.None,
		},
		{"an Allocate of nothing", realm, nil, stun.Allocate, 0, drop.TurnLarge},
		{"incomplete", realm, []attr{value(stun.MessageIntegrity, make([]byte, 20)...)}, stun.Allocate, stun.BadRequest, drop.None},
		{
			"stale", realm,
			[]attr{value(stun.Username, 'a'), value(stun.Realm, 'r'), value(stun.Nonce, 'n'), value(stun.MessageIntegrity, make([]byte, 20)...)},
			stun.Refresh, stun.StaleNonce, drop.None,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := newScene(t, func(cfg *turn.Config) { cfg.Realm = c.realm })
			ann := sc.client(4000)
			ann.pair.Remote = v6
			b := ann.message(stun.TypeOf(c.m, stun.Request), c.attrs...)
			r, reason := ann.raw(b)
			if reason != c.r {
				t.Fatalf("%v, want %v", reason, c.r)
			}
			if r == nil {
				return
			}
			if r.code != c.want || len(r.Raw) > 3*len(b) {
				t.Errorf("%d, %d bytes for %d", r.code, len(r.Raw), len(b))
			}
			_, full := r.Find(stun.PasswordAlgorithms)
			if c.want == stun.Unauthenticated && full != (len(b) > 28 || c.realm == realm) {
				t.Errorf("PASSWORD-ALGORITHMS: %v", full)
			}
			if full || c.want != stun.Unauthenticated {
				return
			}
			// The smaller challenge does as well.
			ann.learn(r)
			ann.password, ann.realm = password, realm // the key knows one realm only
			if got := ann.once(stun.Allocate, udp); got.code != 0 {
				t.Errorf("then: %d", got.code)
			}
		})
	}
}

// A source gets 10 answers a second before it proves anything, in whatever way it fails, and others are not hindered. Over a stream, where nobody
// pretends to be elsewhere, and from loopback addresses they are not counted.
func TestStrangersAreLimited(t *testing.T) {
	count := func(sc *scene, c *client, n int) (answered int) {
		for i := range n {
			c.pair.Remote = netip.AddrPortFrom(c.pair.Remote.Addr(), uint16(1000+i))
			attrs := []attr{udp}
			if i%2 == 0 {
				attrs = append(attrs, value(stun.MessageIntegrity, make([]byte, 20)...))
			}
			r, reason := c.raw(c.message(stun.TypeOf(stun.Allocate, stun.Request), attrs...))
			if r != nil {
				answered++
			} else if reason != drop.TurnUnproven {
				t.Fatal(reason)
			}
		}
		return answered
	}
	sc := newScene(t)
	eve := sc.client(0)
	if n := count(sc, eve, 100); n != 10 {
		t.Errorf("%d answers at once", n)
	}
	total := 0
	for range 50 {
		sc.pass(100 * time.Millisecond)
		total += count(sc, eve, 20)
	}
	if total != 50 {
		t.Errorf("%d answers in 5 s", total)
	}
	stream := sc.streamClient(0)
	if n := count(sc, stream, 100); n != 100 {
		t.Errorf("%d answers over a stream", n)
	}
	local := sc.client(0)
	local.pair.Remote = netip.MustParseAddrPort("127.0.0.1:1")
	if n := count(sc, local, 100); n != 100 {
		t.Errorf("%d answers to loopback", n)
	}
	others := 0
	for i := range 100 {
		bob := sc.client(0)
		bob.pair.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, 1, byte(i), 1}), 1)
		others += count(sc, bob, 1)
	}
	if others < 98 { // two may share a place of the table with eve or each other
		t.Errorf("%d of 100 others answered", others)
	}
}

// Clients of one source who do authenticate are not limited, however many they are: each gives back the answer that it had.
func TestThoseWhoAuthenticateAreNotLimited(t *testing.T) {
	sc := newScene(t)
	for i := range 50 {
		sc.client(uint16(1000 + i)).allocate()
	}
	eve := sc.client(999)
	answered := 0
	for range 100 {
		if r, _ := eve.raw(eve.message(stun.TypeOf(stun.Allocate, stun.Request), udp)); r != nil {
			answered++
		}
	}
	if answered != 10 {
		t.Errorf("and who does not gets %d answers", answered)
	}
}

// A flood from 64,000 sources leaves nothing behind: no allocation of memory, no more bytes out than 3 times those in.
func TestFloodOfStrangers(t *testing.T) {
	sc := newScene(t)
	eve := sc.client(0)
	b := eve.message(stun.TypeOf(stun.Allocate, stun.Request), udp)
	var out turn.Out
	in, back, i := 0, 0, uint32(0)
	flood := func() {
		for range 1000 {
			i++
			out.Reset()
			pair := eve.pair
			pair.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, byte(i >> 16), byte(i >> 8), byte(i)}), 99)
			sc.s.Handle(sc.now, pair, b, &out)
			in += len(b)
			for _, d := range out.Clients {
				back += len(d.Head)
			}
		}
	}
	flood()
	if n := testing.AllocsPerRun(63, flood); n != 0 {
		t.Errorf("%v allocations for 1000 strangers", n)
	}
	if i != 65000 || back == 0 || back > 3*in {
		t.Errorf("%d strangers sent %d bytes and got %d", i, in, back)
	}
}
