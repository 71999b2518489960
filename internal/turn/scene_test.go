package turn_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

const (
	realm    = "parley"
	password = "password of ann"
)

var (
	start  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	server = netip.MustParseAddrPort("198.51.100.1:3478")
	peer   = netip.MustParseAddrPort("20.9.9.9:5000")
	peer6  = netip.MustParseAddrPort("[2a00:9::9]:5000")
)

// own4 and own6 are the addresses of the machine, on which relayed ones are.
var (
	own4 = netip.MustParseAddr("20.8.8.1")
	own6 = netip.MustParseAddr("2a00:1::1")
)

// machine is the runtime as the core sees it: it opens what it is told to and knows its addresses.
type machine struct {
	live  map[turn.RelayID]netip.AddrPort
	free  []turn.RelayID
	next  turn.RelayID
	ports uint16
	full  bool    // no more addresses
	lacks [2]bool // IPv4, IPv6
}

func (m *machine) IsOwn(a netip.Addr) bool { return a == own4 || a == own6 }

func (m *machine) HasFamily(local netip.Addr, v6 bool) bool {
	return local == server.Addr() && !(v6 && m.lacks[1]) && !(!v6 && m.lacks[0])
}

var media = netip.AddrPortFrom(own4, 8443)

func (m *machine) PlaceOf(a netip.AddrPort) turn.Place {
	if !m.IsOwn(a.Addr()) {
		return turn.Elsewhere
	}
	for _, live := range m.live {
		if live == a {
			return turn.Relayed
		}
	}
	if a == media {
		return turn.Media
	}
	return turn.Own
}

func (m *machine) open(o turn.Open) turn.Opened {
	if m.full {
		return turn.Opened{Token: o.Token, Failed: true}
	}
	addr := own4
	if o.IPv6 {
		addr = own6
	}
	m.ports += 2
	port := 50000 + m.ports
	if !o.Even {
		port++
	}
	r := turn.Opened{Token: o.Token, Relay: m.put(netip.AddrPortFrom(addr, port))}
	r.Address = m.live[r.Relay]
	if o.Next {
		r.Reserved = m.put(netip.AddrPortFrom(addr, port+1))
	}
	return r
}

func (m *machine) put(a netip.AddrPort) turn.RelayID {
	id := m.next
	if n := len(m.free); n > 0 {
		id, m.free = m.free[n-1], m.free[:n-1]
	} else {
		m.next++
	}
	m.live[id] = a
	return id
}

// keys knows ann, bob and their passwords, and "names" made by the test.
type keys struct {
	asked int
	over  bool            // there are no keys any more for who has no allocation
	gone  map[string]bool // whose do not hold any more
	// looked is of whom it was asked whether they hold
	looked []string
}

func (k *keys) Holds(_ time.Time, username []byte) bool {
	k.looked = append(k.looked, string(username))
	return !k.gone[string(username)]
}

func (k *keys) Key(dst []byte, _ time.Time, username []byte, sha256 bool) ([]byte, string, bool) {
	k.asked++
	name := string(username)
	if k.over || k.gone[name] || name != "ann" && name != "bob" && !bytes.HasPrefix(username, []byte("user")) {
		return nil, "", false
	}
	alg := stun.MD5
	if sha256 {
		alg = stun.SHA256
	}
	return stun.AppendLongTermKey(dst, alg, name, realm, password), name, true
}

// tester is what a scene needs of a test, also of one of rapid's.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// scene is a Server with the time that it is told and the machine that it runs on.
type scene struct {
	t    tester
	s    *turn.Server
	m    *machine
	keys *keys
	now  time.Time
	out  turn.Out
	ids  uint64
}

func newScene(t tester, change ...func(*turn.Config)) *scene {
	t.Helper()
	sc := &scene{t: t, m: &machine{live: map[turn.RelayID]netip.AddrPort{}}, keys: &keys{}, now: start}
	cfg := turn.Config{Realm: realm, Secret: []byte("a secret of 24 bytes ...."), Credentials: sc.keys, Own: sc.m}
	for _, f := range change {
		f(&cfg)
	}
	s, err := turn.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	sc.s = s
	return sc
}

// work carries out the commands that wait, and returns those that were carried out.
func (sc *scene) work() []turn.Command {
	var done []turn.Command
	for len(sc.out.Commands) > 0 {
		c := sc.out.Commands[0]
		sc.out.Commands = sc.out.Commands[1:]
		done = append(done, c)
		switch c.Do {
		case turn.OpenRelay:
			sc.s.Opened(sc.now, sc.m.open(c.Open), &sc.out)
		case turn.CloseRelay:
			if _, ok := sc.m.live[c.Relay]; !ok {
				sc.t.Fatalf("relay %d closed, which is not open", c.Relay)
			}
			delete(sc.m.live, c.Relay)
			sc.m.free = append(sc.m.free, c.Relay)
		}
	}
	sc.out.Commands = nil
	return done
}

// pass lets time pass, with the timeouts that fall into it.
func (sc *scene) pass(d time.Duration) {
	sc.t.Helper()
	end := sc.now.Add(d)
	for range 100000 {
		next := sc.s.Next()
		if next.IsZero() || next.After(end) {
			sc.now = end
			return
		}
		if next.After(sc.now) {
			sc.now = next
		}
		sc.s.Timeout(sc.now, &sc.out)
		sc.work()
		if n := sc.s.Next(); !n.IsZero() && !n.After(sc.now) {
			sc.t.Fatal("a timeout leaves something due")
		}
	}
	sc.t.Fatal("timeouts without end")
}

func (sc *scene) reset() { sc.out.Reset() }

// client is one 5-tuple of somebody with a password.
type client struct {
	sc       *scene
	pair     datagram.Pair
	username string
	password string
	sha256   bool // takes the better algorithm, with MESSAGE-INTEGRITY-SHA256
	print    bool // adds FINGERPRINT
	nonce    []byte
	realm    string
	offered  []byte // PASSWORD-ALGORITHMS
	last     []byte // the last request
}

func (sc *scene) client(port uint16) *client {
	pair := datagram.Pair{Local: server, Remote: netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), port)}
	return &client{sc: sc, pair: pair, username: "ann", password: password}
}

func (sc *scene) streamClient(port uint16) *client {
	c := sc.client(port)
	c.pair.Proto = datagram.TCP
	return c
}

// attr is an attribute that a test adds; an address is XORed with the transaction id.
type attr struct {
	t    stun.Attr
	v    []byte
	addr netip.AddrPort
}

func lifetime(d time.Duration) attr {
	return attr{t: stun.Lifetime, v: binary.BigEndian.AppendUint32(nil, uint32(d/time.Second))}
}

func transport(proto byte) attr { return attr{t: stun.RequestedTransport, v: []byte{proto, 0, 0, 0}} }

func number(n uint16) attr {
	return attr{t: stun.ChannelNumber, v: []byte{byte(n >> 8), byte(n), 0, 0}}
}
func toward(a netip.AddrPort) attr { return attr{t: stun.XORPeerAddress, addr: a} }
func value(t stun.Attr, v ...byte) attr {
	return attr{t: t, v: v}
}

var udp = transport(17)

func (sc *scene) id() []byte {
	sc.ids++
	return binary.BigEndian.AppendUint64([]byte("test"), sc.ids)
}

func (c *client) mac() (key []byte) {
	alg := stun.MD5
	if c.sha256 {
		alg = stun.SHA256
	}
	return stun.AppendLongTermKey(nil, alg, c.username, c.realm, c.password)
}

// message builds a message; a request is authenticated where the client has a nonce.
func (c *client) message(t stun.Type, attrs ...attr) []byte {
	id := c.sc.id()
	w := stun.Begin(nil, t, id)
	for _, a := range attrs {
		if a.addr.IsValid() {
			if a.addr.Addr().Is4In6() { // the Builder would unmap it
				v := []byte{0, stun.IPv6, byte(a.addr.Port()>>8) ^ 0x21, byte(a.addr.Port()) ^ 0x12}
				key := append([]byte{0x21, 0x12, 0xa4, 0x42}, id...)
				for i, x := range a.addr.Addr().As16() {
					v = append(v, x^key[i])
				}
				w.Bytes(a.t, v)
				continue
			}
			w.Address(a.t, a.addr)
			continue
		}
		w.Bytes(a.t, a.v)
	}
	if t.Class() == stun.Request && c.nonce != nil {
		w.Text(stun.Username, c.username)
		w.Text(stun.Realm, c.realm)
		w.Bytes(stun.Nonce, c.nonce)
		if c.sha256 {
			w.Bytes(stun.PasswordAlgorithms, c.offered)
			w.Bytes(stun.PasswordAlgorithm, stun.SHA256.Append(nil))
			w.IntegritySHA256(hmac.New(sha256.New, c.mac()))
		} else {
			w.Integrity(hmac.New(sha1.New, c.mac()))
		}
	}
	if c.print {
		w.Fingerprint()
	}
	c.last = w.Message()
	return c.last
}

// reply is an answer as the client sees it.
type reply struct {
	stun.Message
	code stun.Code // 0: success
}

func (r *reply) addr(t stun.Attr) netip.AddrPort {
	v, _ := r.Find(t)
	a, _ := stun.Address(v, r.ID())
	return a
}

func (r *reply) seconds() int {
	v, ok := r.Find(stun.Lifetime)
	if !ok {
		return -1
	}
	return int(binary.BigEndian.Uint32(v))
}

// raw sends bytes and returns the answer, and why there is none.
func (c *client) raw(b []byte) (*reply, drop.Reason) {
	c.sc.t.Helper()
	c.sc.reset()
	reason := c.sc.s.Handle(c.sc.now, c.pair, b, &c.sc.out)
	c.sc.work()
	if len(c.sc.out.Clients) == 0 {
		return nil, reason
	}
	d := c.sc.out.Clients[0]
	if len(c.sc.out.Clients) > 1 || d.Pair != c.pair {
		c.sc.t.Fatalf("%d datagrams, to %v", len(c.sc.out.Clients), d.Pair)
	}
	r := &reply{}
	if got := r.Parse(bytes.Clone(d.Head)); got != drop.None || !bytes.Equal(r.ID(), b[8:20]) {
		c.sc.t.Fatalf("answer %x: %v", d.Head, got)
	}
	if v, ok := r.Find(stun.ErrorCode); ok {
		r.code = stun.CodeIn(v)
	}
	if r.Fingerprint != c.print {
		c.sc.t.Fatalf("the request has a FINGERPRINT: %v; its answer: %v", c.print, r.Fingerprint)
	}
	return r, reason
}

// once sends a request and returns the answer.
func (c *client) once(m stun.Method, attrs ...attr) *reply {
	c.sc.t.Helper()
	r, reason := c.raw(c.message(stun.TypeOf(m, stun.Request), attrs...))
	if r == nil {
		c.sc.t.Fatalf("no answer: %v", reason)
	}
	return r
}

// do sends a request, with what a challenge asks for, and returns the answer, which must be protected.
func (c *client) do(m stun.Method, attrs ...attr) *reply {
	c.sc.t.Helper()
	if c.nonce == nil { // a request of its own: the first of any other kind may be too short to be answered
		c.learn(c.once(stun.Allocate, udp))
	}
	r := c.once(m, attrs...)
	for try := 0; try < 2 && (r.code == stun.Unauthenticated || r.code == stun.StaleNonce); try++ {
		c.learn(r)
		r = c.once(m, attrs...)
	}
	if r.code != stun.Unauthenticated && r.code != stun.StaleNonce && !c.protected(r) {
		c.sc.t.Fatalf("%v %d without integrity", r.Type, r.code)
	}
	return r
}

func (c *client) learn(r *reply) {
	nonce, _ := r.Find(stun.Nonce)
	realm, _ := r.Find(stun.Realm)
	c.nonce, c.realm = nonce, string(realm)
	c.offered, _ = r.Find(stun.PasswordAlgorithms)
}

func (c *client) protected(r *reply) bool {
	if c.sha256 {
		return r.AuthenticSHA256(hmac.New(sha256.New, c.mac()))
	}
	return r.Authentic(hmac.New(sha1.New, c.mac()))
}

// allocate makes an allocation and returns its relayed address.
func (c *client) allocate(attrs ...attr) netip.AddrPort {
	c.sc.t.Helper()
	r := c.do(stun.Allocate, append([]attr{udp}, attrs...)...)
	if r.code != 0 {
		c.sc.t.Fatalf("allocate: %d", r.code)
	}
	return r.addr(stun.XORRelayedAddress)
}

func (c *client) permit(peers ...netip.AddrPort) {
	c.sc.t.Helper()
	var attrs []attr
	for _, p := range peers {
		attrs = append(attrs, toward(p))
	}
	c.want(0, stun.CreatePermission, attrs...)
}

func (c *client) bind(n uint16, p netip.AddrPort) {
	c.sc.t.Helper()
	c.want(0, stun.ChannelBind, number(n), toward(p))
}

// want sends a request and compares the code of its answer.
func (c *client) want(code stun.Code, m stun.Method, attrs ...attr) *reply {
	c.sc.t.Helper()
	r := c.do(m, attrs...)
	if r.code != code {
		c.sc.t.Fatalf("method %#x: %d, want %d", m, r.code, code)
	}
	return r
}

// send sends a Send indication; channel a ChannelData.
func (c *client) send(p netip.AddrPort, b []byte, more ...attr) (*turn.ToPeer, drop.Reason) {
	c.sc.t.Helper()
	attrs := append([]attr{toward(p), {t: stun.DataValue, v: b}}, more...)
	return c.relayed(c.message(stun.TypeOf(stun.Send, stun.Indication), attrs...))
}

func (c *client) channel(n uint16, b []byte) (*turn.ToPeer, drop.Reason) {
	c.sc.t.Helper()
	m := binary.BigEndian.AppendUint16(nil, n)
	m = binary.BigEndian.AppendUint16(m, uint16(len(b)))
	return c.relayed(append(m, b...))
}

func (c *client) relayed(b []byte) (*turn.ToPeer, drop.Reason) {
	c.sc.t.Helper()
	c.sc.reset()
	r := c.sc.s.Handle(c.sc.now, c.pair, b, &c.sc.out)
	if len(c.sc.out.Clients)+len(c.sc.out.Commands) > 0 {
		c.sc.t.Fatal("data are answered")
	}
	if len(c.sc.out.Peers) == 0 {
		return nil, r
	}
	return &c.sc.out.Peers[0], r
}

// from lets a peer send to a relayed address and returns what the client gets, whole.
func (sc *scene) from(relay netip.AddrPort, p netip.AddrPort, b []byte) ([]byte, drop.Reason) {
	sc.t.Helper()
	sc.reset()
	for id, live := range sc.m.live {
		if live == relay {
			r := sc.s.FromPeer(sc.now, id, p, b, &sc.out)
			if len(sc.out.Clients) == 0 {
				return nil, r
			}
			d := sc.out.Clients[0]
			return append(append(bytes.Clone(d.Head), d.B...), d.Tail...), r
		}
	}
	sc.t.Fatal(fmt.Sprint("no relay ", relay))
	return nil, drop.None
}
