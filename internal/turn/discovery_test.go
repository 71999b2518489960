package turn_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

// discovering is a server with two addresses of each family and two ports; the IPv4 ones are known to clients by others.
func discovering(t *testing.T) *scene {
	addr := netip.MustParseAddr
	return newScene(t, func(c *turn.Config) {
		c.Alternates = []turn.Alternate{
			{
				Local:  [2]netip.Addr{server.Addr(), addr("198.51.100.2")},
				Public: [2]netip.Addr{addr("20.3.3.1"), addr("20.3.3.2")},
				Ports:  [2]uint16{3478, 3479},
			},
			{Local: [2]netip.Addr{addr("2a00:1::1"), addr("2a00:1::2")}, Ports: [2]uint16{3478, 3479}},
		}
	})
}

// discover sends a Binding request and returns the datagram that answers it.
func (c *client) discover(t *testing.T, attrs ...attr) (turn.ToClient, *reply, drop.Reason) {
	t.Helper()
	c.sc.reset()
	b := c.message(stun.TypeOf(stun.Binding, stun.Request), attrs...)
	r := c.sc.s.Handle(c.sc.now, c.pair, b, &c.sc.out)
	if len(c.sc.out.Clients) == 0 {
		return turn.ToClient{}, nil, r
	}
	d := c.sc.out.Clients[0]
	m := &reply{}
	if m.Parse(d.Head) != drop.None {
		t.Fatalf("%x", d.Head)
	}
	if len(d.Head) > 3*len(b) {
		t.Errorf("%d bytes for %d", len(d.Head), len(b))
	}
	if v, ok := m.Find(stun.ErrorCode); ok {
		m.code = stun.CodeIn(v)
	}
	return d, m, r
}

func (r *reply) plain(t stun.Attr) string {
	v, ok := r.Find(t)
	if !ok {
		return ""
	}
	a, _ := stun.PlainAddress(v)
	return a.String()
}

// CHANGE-REQUEST has the answer come from the other address, the other port, or both; RESPONSE-ORIGIN says from where, and OTHER-ADDRESS which the
// others are (RFC 5780 §6.1, §7.2 to §7.4).
func TestChangeRequest(t *testing.T) {
	for _, c := range []struct {
		to            string
		flags         byte
		from          string
		origin, other string
	}{
		{"198.51.100.1:3478", 0, "198.51.100.1:3478", "20.3.3.1:3478", "20.3.3.2:3479"},
		{"198.51.100.1:3478", 2, "198.51.100.1:3479", "20.3.3.1:3479", "20.3.3.2:3479"},
		{"198.51.100.1:3478", 4, "198.51.100.2:3478", "20.3.3.2:3478", "20.3.3.2:3479"},
		{"198.51.100.1:3478", 6, "198.51.100.2:3479", "20.3.3.2:3479", "20.3.3.2:3479"},
		{"198.51.100.2:3479", 6, "198.51.100.1:3478", "20.3.3.1:3478", "20.3.3.1:3478"},
		{"[2a00:1::1]:3479", 4, "[2a00:1::2]:3479", "[2a00:1::2]:3479", "[2a00:1::2]:3478"},
	} {
		sc := discovering(t)
		ann := sc.client(4000)
		ann.pair.Local = netip.MustParseAddrPort(c.to)
		if ann.pair.Local.Addr().Is6() {
			ann.pair.Remote = netip.MustParseAddrPort("[2a00:5::7]:4000")
		}
		d, r, _ := ann.discover(t, value(stun.ChangeRequest, 0, 0, 0, c.flags), value(stun.Software, make([]byte, 16)...))
		if r == nil || d.Pair.Local.String() != c.from || d.Pair.Remote != ann.pair.Remote || r.addr(stun.XORMappedAddress) != ann.pair.Remote {
			t.Errorf("to %s, flags %d: %+v", c.to, c.flags, d)
			continue
		}
		if r.plain(stun.MappedAddress) != ann.pair.Remote.String() {
			t.Errorf("to %s: MAPPED-ADDRESS %s", c.to, r.plain(stun.MappedAddress))
		}
		if r.plain(stun.ResponseOrigin) != c.origin || r.plain(stun.OtherAddress) != c.other {
			t.Errorf("to %s, flags %d: origin %s, other %s", c.to, c.flags, r.plain(stun.ResponseOrigin), r.plain(stun.OtherAddress))
		}
	}
}

// Where there is no other address, or over TCP, what asks for one is not understood (RFC 5780 §6.1: 420).
func TestNothingToDiscover(t *testing.T) {
	sc := discovering(t)
	elsewhere, stream, plain := sc.client(4000), sc.streamClient(4000), newScene(t).client(4000)
	elsewhere.pair.Local = netip.MustParseAddrPort("198.51.100.1:5349")
	for _, c := range []*client{elsewhere, stream, plain} {
		for _, a := range []attr{value(stun.ChangeRequest, 0, 0, 0, 6), value(stun.ResponsePort, 1, 1, 0, 0), value(stun.Padding, 0, 0, 0, 0)} {
			if r := c.once(stun.Binding, a); r.code != stun.UnknownAttribute {
				t.Errorf("%v, %#x: %d", c.pair.Local, a.t, r.code)
			}
		}
		if r := c.once(stun.Binding); r.code != 0 || r.plain(stun.OtherAddress) != "" {
			t.Errorf("%v: %d %s", c.pair.Local, r.code, r.plain(stun.OtherAddress))
		}
	}
}

// A client who asks with 20 bytes over IPv6 is told its address only: more would be more than 3 times as much.
func TestDiscoveryDoesNotAmplify(t *testing.T) {
	sc := discovering(t)
	ann := sc.client(4000)
	ann.pair = datagram.Pair{Local: netip.MustParseAddrPort("[2a00:1::1]:3478"), Remote: netip.MustParseAddrPort("[2a00:5::7]:4000")}
	if _, r, _ := ann.discover(t); r == nil || len(r.Raw) != 44 || r.plain(stun.OtherAddress) != "" {
		t.Errorf("%+v", r)
	}
	v4 := sc.client(4000)
	if _, r, _ := v4.discover(t); r == nil || len(r.Raw) != 56 || r.plain(stun.OtherAddress) == "" {
		t.Errorf("%+v", r)
	}
}

// RESPONSE-PORT (RFC 5780 §7.5): another port may be somebody else's, so it gets an address and nothing more, 10 times a second.
func TestResponsePort(t *testing.T) {
	sc := discovering(t)
	ann := sc.client(4000)
	port := value(stun.ResponsePort, 0x13, 0x88, 0, 0)
	d, r, _ := ann.discover(t, port)
	if r == nil || d.Pair.Remote != netip.AddrPortFrom(ann.pair.Remote.Addr(), 5000) || d.Pair.Local != server || len(d.Head) != 32 ||
		r.addr(stun.XORMappedAddress) != ann.pair.Remote {
		t.Fatalf("%+v", d)
	}
	answered := 1
	for range 100 {
		if _, r, reason := ann.discover(t, port); r != nil {
			answered++
		} else if reason != drop.TurnUnproven {
			t.Fatal(reason)
		}
	}
	if answered != 10 {
		t.Errorf("%d answers", answered)
	}
	if _, r, _ := ann.discover(t); r == nil {
		t.Error("who asks for himself is not hindered")
	}
	sc.pass(time.Minute)
	for _, attrs := range [][]attr{
		{value(stun.ResponsePort, 0, 0, 0, 0)},
		{value(stun.ResponsePort, 1)},
		{value(stun.ChangeRequest, 1)},
		{port, value(stun.Padding, make([]byte, 64)...)}, // §7.6: the two do not go together
	} {
		if d, r, _ := ann.discover(t, attrs...); r == nil || r.code != stun.BadRequest || d.Pair != ann.pair {
			t.Errorf("%#x: %+v", attrs[0].t, r)
		}
	}
}

// A request that came in fragments is answered, by no more than a datagram may have here.
func TestLongPadding(t *testing.T) {
	ann := discovering(t).client(4000)
	if _, r, _ := ann.discover(t, value(stun.Padding, make([]byte, 3000)...)); r == nil || len(r.Raw) > len(ann.last) || len(r.Raw) < datagram.MaxBytes {
		t.Errorf("%+v", r)
	}
}

// PADDING in a request is in its answer, which is as long as the request and no longer (RFC 5780 §6.1, §7.6).
func TestPadding(t *testing.T) {
	for _, n := range []int{0, 4, 64, 1500, 1900} {
		for _, print := range []bool{false, true} {
			sc := discovering(t)
			ann := sc.client(4000)
			ann.print = print
			_, r, _ := ann.discover(t, value(stun.Padding, make([]byte, n)...))
			if r == nil {
				t.Fatalf("%d bytes: no answer", n)
			}
			v, ok := r.Find(stun.Padding)
			if want := len(ann.last); !ok || n >= 64 && (len(r.Raw) > want || len(r.Raw) < want-3) || n < 64 && len(v) > 0 {
				t.Errorf("%d bytes: an answer of %d for %d", n, len(r.Raw), want)
			}
		}
	}
}
