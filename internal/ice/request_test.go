package ice_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
	"github.com/pion/stun/v4"
)

var (
	start   = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	server  = ice.Credentials{Ufrag: "server12", Pwd: "server-password-of-24-ch"}
	client  = ice.Credentials{Ufrag: "clnt", Pwd: "client-password-of-24-ch"}
	server2 = ice.Credentials{Ufrag: "server99", Pwd: "another-password-24-char"}
	client2 = ice.Credentials{Ufrag: "cln2", Pwd: "client-password-number-2"}
)

const (
	attrPriority     = stun.AttrType(0x0024)
	attrUseCandidate = stun.AttrType(0x0025)
	attrControlled   = stun.AttrType(0x8029)
	attrControlling  = stun.AttrType(0x802A)
)

// udp is a pair over UDP whose client has the given port; tcp is one over TCP.
func udp(port uint16) datagram.Pair {
	return datagram.Pair{
		Local:  netip.MustParseAddrPort("192.0.2.1:3478"),
		Remote: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), port),
	}
}

func tcp(port uint16) datagram.Pair {
	p := udp(port)
	p.Proto = datagram.TCP
	return p
}

// relayed is a pair with a relayed address of this process.
func relayed(port uint16) datagram.Pair {
	p := udp(port)
	p.Proto = datagram.Relayed
	return p
}

// local is a pair over UDP with another address of the server.
func local(port uint16) datagram.Pair {
	p := udp(port)
	p.Local = netip.MustParseAddrPort("192.0.2.2:3478")
	return p
}

func u32(x uint32) []byte { return binary.BigEndian.AppendUint32(nil, x) }

// check is what a test says of a request; the zero check is a plain one from the client to the server.
type check struct {
	from, to ice.Credentials
	username string
	pwd      string
	nominate bool
	priority uint32
	role     stun.AttrType
	extra    []stun.AttrType
	plain    bool // without MESSAGE-INTEGRITY
}

func (c check) build(t testing.TB) []byte {
	t.Helper()
	from, to := c.from, c.to
	if from.Ufrag == "" {
		from, to = client, server
	}
	if c.username == "" {
		c.username = to.Ufrag + ":" + from.Ufrag
	}
	if c.pwd == "" {
		c.pwd = to.Pwd
	}
	if c.priority == 0 {
		c.priority = 1000
	}
	if c.role == 0 {
		c.role = attrControlling
	}
	set := []stun.Setter{
		stun.TransactionID, stun.BindingRequest,
		stun.RawAttribute{Type: stun.AttrUsername, Value: []byte(c.username)},
		stun.RawAttribute{Type: attrPriority, Value: u32(c.priority)},
		stun.RawAttribute{Type: c.role, Value: make([]byte, 8)},
	}
	if c.nominate {
		set = append(set, stun.RawAttribute{Type: attrUseCandidate})
	}
	for _, a := range c.extra {
		set = append(set, stun.RawAttribute{Type: a, Value: u32(1)})
	}
	if !c.plain {
		set = append(set, stun.NewShortTermIntegrity(c.pwd))
	}
	m, err := stun.Build(append(set, stun.Fingerprint)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

// scene is an agent with the time that it is told.
type scene struct {
	t   testing.TB
	a   *ice.Agent
	now time.Time
	out ice.Out
}

func newScene(t testing.TB) *scene {
	t.Helper()
	a, err := ice.New(ice.Config{Mode: ice.Lite, Local: server, Remote: client}, start)
	if err != nil {
		t.Fatal(err)
	}
	return &scene{t: t, a: a, now: start}
}

// send lets the agent handle a request and returns the response, if there is one.
func (s *scene) send(pair datagram.Pair, b []byte) (*stun.Message, drop.Reason) {
	s.t.Helper()
	had := len(s.out.Datagrams)
	r := s.a.Handle(s.now, pair, b, &s.out)
	if len(s.out.Datagrams) == had {
		return nil, r
	}
	d := s.out.Datagrams[had]
	if len(s.out.Datagrams) != had+1 || d.Pair != pair {
		s.t.Fatalf("answered %d times, on %v", len(s.out.Datagrams)-had, d.Pair)
	}
	if len(d.B) > 3*len(b) {
		s.t.Errorf("%d bytes for %d", len(d.B), len(b))
	}
	m := &stun.Message{Raw: append([]byte(nil), d.B...)}
	if err := m.Decode(); err != nil {
		s.t.Fatal(err)
	}
	if err := stun.Fingerprint.Check(m); err != nil {
		s.t.Fatal(err)
	}
	request := &stun.Message{Raw: append([]byte(nil), b...)}
	if request.Decode() == nil && request.TransactionID != m.TransactionID {
		s.t.Error("another transaction id")
	}
	return m, r
}

// checked sends an authentic check and fails the test unless it succeeds.
func (s *scene) checked(pair datagram.Pair, c check) {
	s.t.Helper()
	m, r := s.send(pair, c.build(s.t))
	if r != drop.None || m.Type != stun.BindingSuccess {
		s.t.Fatalf("check: %v %v", r, m)
	}
}

// pass lets time pass, with the timeouts that fall into it.
func (s *scene) pass(d time.Duration) {
	s.t.Helper()
	end := s.now.Add(d)
	for range 1000 {
		next := s.a.Next()
		if next.IsZero() || next.After(end) {
			s.now = end
			return
		}
		if next.After(s.now) {
			s.now = next
		}
		s.a.Timeout(s.now, &s.out)
		if n := s.a.Next(); !n.IsZero() && !n.After(s.now) {
			s.t.Fatal("a timeout leaves something due")
		}
	}
	s.t.Fatal("timeouts without end")
}

// want compares the events since the last call.
func (s *scene) want(kinds ...ice.Kind) {
	s.t.Helper()
	var got []ice.Kind
	for _, e := range s.out.Events {
		got = append(got, e.Kind)
	}
	s.out.Reset()
	if len(got) != len(kinds) {
		s.t.Fatalf("events %v, want %v", got, kinds)
	}
	for i := range got {
		if got[i] != kinds[i] {
			s.t.Fatalf("events %v, want %v", got, kinds)
		}
	}
}

func (s *scene) wantSelected(pair datagram.Pair) {
	s.t.Helper()
	if got, ok := s.a.Selected(); !ok || got != pair {
		s.t.Fatalf("selected %v %v, want %v", got, ok, pair)
	}
}
