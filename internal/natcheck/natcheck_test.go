package natcheck_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/natcheck"
	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/internal/stun"
)

var (
	client  = netip.MustParseAddr("10.0.0.2")
	outside = netip.MustParseAddr("20.0.0.1")
	primary = netip.MustParseAddrPort("30.0.0.1:3478")
	second  = netip.MustParseAddrPort("30.0.0.2:3479")
)

// quirk is how a server differs from what RFC 5780 asks for.
type quirk struct {
	alone   bool      // it has one address, and says nothing of another
	mute    bool      // nothing comes from its other endpoints
	stays   bool      // it answers from where it was asked, whatever CHANGE-REQUEST says
	refuses stun.Code // to every request
	unknown bool      // it refuses CHANGE-REQUEST (420)
	plain   bool      // MAPPED-ADDRESS alone, as before RFC 5389
}

// serve answers Binding requests at the four endpoints of a server until the network is closed.
func serve(t *testing.T, n *sim.Network, q quirk, work *sync.WaitGroup) {
	var conns [2][2]*sim.PacketConn
	at := [2][2]netip.AddrPort{
		{primary, netip.AddrPortFrom(primary.Addr(), second.Port())},
		{netip.AddrPortFrom(second.Addr(), primary.Port()), second},
	}
	for a := range at {
		for p := range at[a] {
			c, err := n.ListenPacket(at[a][p])
			if err != nil {
				t.Fatal(err)
			}
			conns[a][p] = c
		}
	}
	for a := range conns {
		for p, c := range conns[a] {
			work.Go(func() {
				b := make([]byte, 1500)
				for {
					k, from, err := c.ReadFromAddrPort(b)
					if err != nil {
						return
					}
					answer, change := q.answer(b[:k], from)
					out := conns[(a+change>>2&1)%2][(p+change>>1&1)%2]
					if q.stays {
						out = c
					}
					if answer != nil && !(q.mute && out != conns[0][0]) {
						_, _ = out.WriteToAddrPort(answer, from)
					}
				}
			})
		}
	}
}

// answer is the response to a request, and from where it is to be sent.
func (q quirk) answer(b []byte, from netip.AddrPort) (answer []byte, change int) {
	var m stun.Message
	if m.Parse(b) != drop.None || m.Type != stun.TypeOf(stun.Binding, stun.Request) {
		return nil, 0
	}
	refuse := q.refuses
	if v, ok := m.Find(stun.ChangeRequest); ok {
		change = int(v[3])
		if q.unknown {
			refuse, change = stun.UnknownAttribute, 0
		}
	}
	if refuse != 0 {
		w := stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Error), m.ID())
		w.ErrorCode(refuse)
		return w.B, change
	}
	w := stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Success), m.ID())
	if q.plain {
		w.PlainAddress(stun.MappedAddress, from)
	} else {
		w.Address(stun.XORMappedAddress, from)
	}
	if !q.alone {
		w.PlainAddress(stun.OtherAddress, second)
	}
	w.Fingerprint()
	return w.B, change
}

// examine runs a Check on the client's sockets to its end, and tells how long it took.
func examine(t *testing.T, n *sim.Network) (natcheck.Result, time.Duration) {
	t.Helper()
	type arrival struct {
		socket natcheck.Socket
		from   netip.AddrPort
		b      []byte
	}
	arrivals := make(chan arrival, 100)
	cfg := natcheck.Config{Server: primary, Random: rand.NewChaCha8([32]byte{1})}
	var conns [natcheck.Sockets]*sim.PacketConn
	var work sync.WaitGroup
	for i := range conns {
		c, err := n.ListenPacket(netip.AddrPortFrom(client, uint16(7000+i)))
		if err != nil {
			t.Fatal(err)
		}
		conns[i], cfg.Local[i] = c, netip.AddrPortFrom(client, uint16(7000+i))
		work.Go(func() {
			for {
				b := make([]byte, 1500)
				k, from, err := c.ReadFromAddrPort(b)
				if err != nil {
					return
				}
				arrivals <- arrival{natcheck.Socket(i), from, b[:k]}
			}
		})
	}
	begun := time.Now()
	c, err := natcheck.New(begun, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var out natcheck.Out
	for next := c.Next(); !next.IsZero(); next = c.Next() {
		out.Reset()
		select {
		case a := <-arrivals:
			c.Handle(time.Now(), a.socket, a.from, a.b, &out)
		case <-time.After(time.Until(next)):
			c.Timeout(time.Now(), &out)
		}
		for _, d := range out.Datagrams {
			_, _ = conns[d.Socket].WriteToAddrPort(d.B, d.To)
		}
	}
	took := time.Since(begun)
	for _, c := range conns {
		c.Close()
	}
	work.Wait()
	return c.Result(), took
}

// scene examines a NAT in front of the client; nil: there is none.
func scene(t *testing.T, cfg sim.Config, nat *sim.NAT, q quirk) (r natcheck.Result, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := sim.New(cfg)
		var work sync.WaitGroup
		serve(t, n, q, &work)
		if nat != nil {
			n.SetNAT(outside, *nat, client)
		}
		r, took = examine(t, n)
		n.Close()
		work.Wait()
	})
	return r, took
}

// across is a network with 20 ms from end to end.
var across = sim.Config{Link: sim.Link{Delay: 20 * time.Millisecond}}

// behaviours are those of the simulated NAT, as they are to be told.
var behaviours = map[sim.Dependence]natcheck.Behaviour{
	sim.EndpointIndependent:     natcheck.EndpointIndependent,
	sim.AddressDependent:        natcheck.AddressDependent,
	sim.AddressAndPortDependent: natcheck.AddressAndPortDependent,
}

var names = map[[2]sim.Dependence]string{
	{sim.EndpointIndependent, sim.EndpointIndependent}:     "full cone",
	{sim.EndpointIndependent, sim.AddressDependent}:        "address-restricted cone",
	{sim.EndpointIndependent, sim.AddressAndPortDependent}: "port-restricted cone",
}

// Every combination of mapping and filtering behaviour is told for what it is, with port preservation and hairpinning, within 3 s.
func TestEveryNAT(t *testing.T) {
	for mapping, wantMapping := range behaviours {
		for filtering, wantFiltering := range behaviours {
			for _, more := range []bool{false, true} {
				nat := sim.NAT{Mapping: mapping, Filtering: filtering, PreservesPorts: more, Hairpins: more}
				t.Run(fmt.Sprintf("%v, %v, %v", mapping, filtering, more), func(t *testing.T) {
					r, took := scene(t, across, &nat, quirk{})
					if r.Fault != natcheck.Complete || r.Mapping != wantMapping || r.Filtering != wantFiltering {
						t.Errorf("fault %v, %v mapping, %v filtering", r.Fault, r.Mapping, r.Filtering)
					}
					name, known := names[[2]sim.Dependence{mapping, filtering}]
					if !known {
						name = "symmetric"
					}
					if r.Name() != name {
						t.Errorf("called %q, want %q", r.Name(), name)
					}
					if r.Mapped.Addr() != outside || (r.PreservesPorts == natcheck.Yes) != more {
						t.Errorf("seen at %v; preserves ports: %v", r.Mapped, r.PreservesPorts)
					}
					hairpins := map[bool]natcheck.Answer{false: natcheck.No, true: natcheck.Yes}[more]
					if mapping == sim.EndpointIndependent && r.Hairpins != hairpins || !more && r.Hairpins == natcheck.Yes {
						t.Errorf("hairpins: %v", r.Hairpins)
					}
					if r.RTT != 40*time.Millisecond || r.Other != second || took > 3*time.Second {
						t.Errorf("RTT %v, other address %v, took %v", r.RTT, r.Other, took)
					}
				})
			}
		}
	}
}

// Without a NAT the machine's own address is seen: in the open everybody gets in, behind a firewall who was sent to.
func TestNoNAT(t *testing.T) {
	r, took := scene(t, across, nil, quirk{})
	if r.Fault != natcheck.Complete || r.Name() != "open" || r.Mapping != natcheck.None || r.Filtering != natcheck.EndpointIndependent {
		t.Errorf("%+v", r)
	}
	if took != 80*time.Millisecond { // two round trips: nothing is waited for
		t.Errorf("took %v", took)
	}
	for filtering, want := range map[sim.Dependence]natcheck.Behaviour{
		sim.AddressDependent: natcheck.AddressDependent, sim.AddressAndPortDependent: natcheck.AddressAndPortDependent,
	} {
		synctest.Test(t, func(t *testing.T) {
			n := sim.New(across)
			var work sync.WaitGroup
			serve(t, n, quirk{}, &work)
			n.SetNAT(client, sim.NAT{Filtering: filtering, PreservesPorts: true}, client)
			if r, _ := examine(t, n); r.Fault != natcheck.Complete || r.Name() != "no NAT, but a firewall" || r.Mapping != natcheck.None || r.Filtering != want {
				t.Errorf("%+v", r)
			}
			n.Close()
			work.Wait()
		})
	}
}

// RFC 8489 §6.2.1: a request is repeated after RTO, then after twice the time of before, and given up Rm times RTO after the last.
func TestNoAnswer(t *testing.T) {
	var sent []time.Duration
	begun := time.Time{}
	cfg := sim.Config{Watch: func(from, _ netip.AddrPort, _ []byte, _ bool) {
		if begun.IsZero() {
			begun = time.Now()
		}
		if from.Port() == 7000 {
			sent = append(sent, time.Since(begun))
		}
	}}
	r, took := scene(t, cfg, &sim.NAT{BlocksUDP: true}, quirk{})
	if r.Fault != natcheck.NoAnswer || r.Name() != "no answer" || r.Mapping != natcheck.Unknown {
		t.Errorf("%+v", r)
	}
	if got := fmt.Sprint(sent, took); got != "[0s 500ms 1.5s 3.5s] 5.5s" {
		t.Error(got)
	}
}

// Where every tenth datagram is lost the right name is found nevertheless.
func TestLoss(t *testing.T) {
	for seed := range uint64(20) {
		cfg := sim.Config{Seed: seed, Link: sim.Link{Delay: 20 * time.Millisecond, Loss: 0.1}}
		r, _ := scene(t, cfg, &sim.NAT{Filtering: sim.AddressDependent}, quirk{})
		if r.Fault != natcheck.Complete || r.Name() != "address-restricted cone" {
			t.Errorf("seed %d: %+v", seed, r)
		}
	}
}

// A server that lacks what RFC 5780 asks for is found out; of the NAT is told what can be known, and nothing else.
func TestFaultsOfServers(t *testing.T) {
	cone := &sim.NAT{}
	for _, c := range []struct {
		name      string
		nat       *sim.NAT
		quirk     quirk
		fault     natcheck.Fault
		code      stun.Code
		mapping   natcheck.Behaviour
		filtering natcheck.Behaviour
		called    string
	}{
		{"one address", cone, quirk{alone: true}, natcheck.NoOther, 0, natcheck.Unknown, natcheck.Unknown, "unknown"},
		{"one address and no NAT", nil, quirk{alone: true}, natcheck.NoOther, 0, natcheck.None, natcheck.Unknown, "no NAT"},
		{"other address dead", cone, quirk{mute: true}, natcheck.OtherSilent, 0, natcheck.Unknown, natcheck.Unknown, "unknown"},
		{"CHANGE-REQUEST ignored", cone, quirk{stays: true}, natcheck.NotChanged, 0, natcheck.EndpointIndependent, natcheck.Unknown, "cone"},
		{"CHANGE-REQUEST refused", cone, quirk{unknown: true}, natcheck.NotChanged, 0, natcheck.EndpointIndependent, natcheck.Unknown, "cone"},
		{"credentials wanted", cone, quirk{refuses: stun.Unauthenticated}, natcheck.Refused, stun.Unauthenticated, natcheck.Unknown, natcheck.Unknown, "unknown"},
		{"from before RFC 5389", cone, quirk{plain: true}, natcheck.Complete, 0, natcheck.EndpointIndependent, natcheck.EndpointIndependent, "full cone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := scene(t, across, c.nat, c.quirk)
			if r.Fault != c.fault || r.Code != c.code || r.Mapping != c.mapping || r.Filtering != c.filtering || r.Name() != c.called {
				t.Errorf("%+v, called %q", r, r.Name())
			}
		})
	}
}

// Who answers is asked once, and silence costs no more than maxSends: nobody is flooded.
func TestFewRequests(t *testing.T) {
	requests := 0
	cfg := across
	cfg.Watch = func(_, to netip.AddrPort, _ []byte, _ bool) {
		if to.Addr() == primary.Addr() || to.Addr() == second.Addr() {
			requests++
		}
	}
	scene(t, cfg, &sim.NAT{Filtering: sim.AddressAndPortDependent}, quirk{})
	if want := 5 + 2*4; requests != want { // five that are answered, two behind a filter
		t.Errorf("%d requests reached the server, want %d", requests, want)
	}
}

// Nothing that comes from elsewhere, to the wrong socket, or unasked changes anything.
func TestStrangersAreIgnored(t *testing.T) {
	now := time.Unix(0, 0)
	local := netip.MustParseAddrPort("10.0.0.2:7000")
	c, err := natcheck.New(now, natcheck.Config{
		Server: primary, Random: rand.NewChaCha8([32]byte{1}), Local: [natcheck.Sockets]netip.AddrPort{local, netip.MustParseAddrPort("10.0.0.2:7001")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out natcheck.Out
	c.Timeout(now, &out)
	request := out.Datagrams[natcheck.MappingSocket].B
	answer, _ := quirk{}.answer(request, local)
	w := stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Success), make([]byte, stun.IDLen))
	w.Address(stun.XORMappedAddress, local)
	for _, x := range []struct {
		name   string
		socket natcheck.Socket
		from   netip.AddrPort
		b      []byte
		want   drop.Reason
	}{
		{"garbage", natcheck.MappingSocket, primary, []byte("hello"), drop.StunMalformed},
		{"from elsewhere", natcheck.MappingSocket, second, answer, drop.StunUnasked},
		{"to the other socket", natcheck.FilteringSocket, primary, answer, drop.StunUnasked},
		{"its own request", natcheck.FilteringSocket, primary, request, drop.StunUnasked},
		{"of nobody's transaction", natcheck.MappingSocket, primary, w.B, drop.StunUnasked},
	} {
		if got := c.Handle(now, x.socket, x.from, x.b, &out); got != x.want {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
	if r := c.Result(); r.Fault != natcheck.NoAnswer || len(out.Datagrams) != 2 {
		t.Errorf("%+v, %d datagrams", r, len(out.Datagrams))
	}
	if got := c.Handle(now, natcheck.MappingSocket, primary, answer, &out); got != drop.None {
		t.Error(got)
	}
	if got := c.Handle(now, natcheck.MappingSocket, primary, answer, &out); got != drop.StunUnasked {
		t.Errorf("the same answer again: %v", got)
	}
}

// Whatever comes in, the Check survives it and never sends more than it is asked for.
func FuzzHandle(f *testing.F) {
	local := netip.MustParseAddrPort("10.0.0.2:7000")
	w := stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Success), make([]byte, stun.IDLen))
	w.Address(stun.XORMappedAddress, local)
	w.PlainAddress(stun.OtherAddress, second)
	f.Add(w.B, uint8(0))
	w = stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Error), make([]byte, stun.IDLen))
	w.ErrorCode(stun.UnknownAttribute)
	f.Add(w.B, uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, socket uint8) {
		now := time.Unix(0, 0)
		// All transaction ids are zero: what is well-formed is an answer.
		c, err := natcheck.New(now, natcheck.Config{Server: primary, Random: zeros{}, Local: [natcheck.Sockets]netip.AddrPort{local, local}})
		if err != nil {
			t.Fatal(err)
		}
		var out natcheck.Out
		c.Timeout(now, &out)
		c.Handle(now, natcheck.Socket(socket%2), primary, b, &out)
		for next := c.Next(); !next.IsZero(); next = c.Next() {
			c.Timeout(next, &out)
		}
		if len(out.Datagrams) > 9*4 {
			t.Errorf("%d datagrams", len(out.Datagrams))
		}
		_ = c.Result().Name()
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
