package sim_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/sim"
)

var (
	outside = netip.MustParseAddr("20.0.0.1")
	// remotes are two addresses with two ports each.
	remotes = []netip.AddrPort{
		netip.MustParseAddrPort("30.0.0.1:1"), netip.MustParseAddrPort("30.0.0.1:2"),
		netip.MustParseAddrPort("30.0.0.2:1"), netip.MustParseAddrPort("30.0.0.2:2"),
	}
)

// next returns what arrives at c within a second, as "from text", or nothing.
func next(c *sim.PacketConn) string {
	b := make([]byte, 100)
	c.SetReadDeadline(time.Now().Add(time.Second))
	n, from, err := c.ReadFromAddrPort(b)
	if err != nil {
		return ""
	}
	return fmt.Sprint(from, " ", string(b[:n]))
}

// say sends text.
func say(c *sim.PacketConn, to netip.AddrPort, text string) {
	_, _ = c.WriteToAddrPort([]byte(text), to)
}

// listenAll opens sockets at all of these addresses.
func listenAll(t *testing.T, n *sim.Network, at ...netip.AddrPort) (all []*sim.PacketConn) {
	t.Helper()
	for _, a := range at {
		c, err := n.ListenPacket(a)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// What is seen of an endpoint changes with as much of the destination as the mapping depends on (RFC 4787 §4.1), and who may send to it is
// who it has sent to, as far as the filter distinguishes (§5).
func TestNATMappingAndFiltering(t *testing.T) {
	mappings := map[sim.Dependence]string{ // which of the remotes see the same endpoint
		sim.EndpointIndependent: "0 0 0 0", sim.AddressDependent: "0 0 1 1", sim.AddressAndPortDependent: "0 1 2 3",
	}
	filters := map[sim.Dependence]string{ // who gets through once the first has been sent to
		sim.EndpointIndependent: "0 1 2 3", sim.AddressDependent: "0 1", sim.AddressAndPortDependent: "0",
	}
	for mapping, groups := range mappings {
		for filtering, through := range filters {
			t.Run(mapping.String()+", "+filtering.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := sim.New(sim.Config{})
					defer n.Close()
					n.SetNAT(outside, sim.NAT{Mapping: mapping, Filtering: filtering}, addrA)
					inside := listenAll(t, n, portA)[0]
					far := listenAll(t, n, remotes...)
					say(inside, remotes[0], "first")
					seen := strings.Fields(next(far[0]))[0]
					first := netip.MustParseAddrPort(seen)
					if first.Addr() != outside || first.Port() == portA.Port() {
						t.Errorf("seen at %v", first)
					}
					var passed []string
					for i, c := range far {
						say(c, first, fmt.Sprint(i))
						if got := next(inside); got != "" {
							passed = append(passed, fmt.Sprint(i))
							if want := fmt.Sprint(remotes[i], " ", i); got != want {
								t.Errorf("got %q, want %q", got, want)
							}
						}
					}
					if got := strings.Join(passed, " "); got != through {
						t.Errorf("%s got through, want %s", got, through)
					}
					numbers, distinct := []string{}, map[string]int{}
					for i, c := range far {
						say(inside, remotes[i], "again")
						at := strings.Fields(next(c))[0]
						if _, known := distinct[at]; !known {
							distinct[at] = len(distinct)
						}
						numbers = append(numbers, fmt.Sprint(distinct[at]))
					}
					if got := strings.Join(numbers, " "); got != groups {
						t.Errorf("mappings %s, want %s", got, groups)
					}
				})
			})
		}
	}
}

// A NAT that preserves ports gives the one inside to the first who asks, and the next another one (RFC 4787 §4.2.1).
func TestNATPreservesPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sim.New(sim.Config{})
		defer n.Close()
		n.SetNAT(outside, sim.NAT{PreservesPorts: true}, addrA, addrB)
		inside := listenAll(t, n, portA, portB)
		far := listenAll(t, n, remotes[0])[0]
		say(inside[0], remotes[0], "a")
		if got, want := next(far), fmt.Sprint(netip.AddrPortFrom(outside, portA.Port()), " a"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		say(inside[1], remotes[0], "b")
		if got := next(far); strings.HasPrefix(got, fmt.Sprint(netip.AddrPortFrom(outside, portA.Port()))) || !strings.HasSuffix(got, " b") {
			t.Errorf("got %q: one port for two", got)
		}
	})
}

// Two nodes behind one NAT reach one another directly, by the addresses outside only where it hairpins (RFC 4787 §6), and from elsewhere
// nobody reaches them by those inside.
func TestNATHairpinsOrNot(t *testing.T) {
	for _, hairpins := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := sim.New(sim.Config{})
			defer n.Close()
			n.SetNAT(outside, sim.NAT{PreservesPorts: true, Hairpins: hairpins}, addrA, addrB)
			inside := listenAll(t, n, portA, netip.AddrPortFrom(addrB, 6000))
			far := listenAll(t, n, remotes[0])[0]
			say(inside[1], remotes[0], "open")
			next(far)
			say(inside[0], netip.AddrPortFrom(outside, 6000), "around")
			want := ""
			if hairpins {
				want = fmt.Sprint(netip.AddrPortFrom(outside, portA.Port()), " around") // REQ-9a: as outside
			}
			if got := next(inside[1]); got != want {
				t.Errorf("hairpins %v: got %q, want %q", hairpins, got, want)
			}
			say(inside[0], netip.AddrPortFrom(addrB, 6000), "direct")
			if got, want := next(inside[1]), fmt.Sprint(portA, " direct"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			say(far, netip.AddrPortFrom(addrB, 6000), "stranger")
			if got := next(inside[1]); got != "" {
				t.Errorf("got %q from outside by an address inside", got)
			}
		})
	}
}

// A mapping that nothing has left by for its lifetime is gone, and a firewall against UDP lets nothing out.
func TestNATForgetsAndBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sim.New(sim.Config{})
		defer n.Close()
		n.SetNAT(outside, sim.NAT{PreservesPorts: true, Lifetime: time.Minute}, addrA)
		inside, far := listenAll(t, n, portA)[0], listenAll(t, n, remotes[0])[0]
		back := netip.AddrPortFrom(outside, portA.Port())
		say(inside, remotes[0], "open")
		time.Sleep(50 * time.Second)
		say(far, back, "in time")
		time.Sleep(50 * time.Second) // what comes in keeps nothing open
		say(far, back, "late")
		if got, want := next(inside), fmt.Sprint(remotes[0], " in time"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := next(inside); got != "" {
			t.Errorf("got %q after the end of its mapping", got)
		}
		n.SetNAT(outside, sim.NAT{BlocksUDP: true}, addrA)
		next(far)
		say(inside, remotes[0], "blocked")
		if got := next(far); got != "" {
			t.Errorf("got %q through a firewall", got)
		}
	})
}

// A NAT maps so many ports and no more; what has expired makes room.
func TestNATLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passed := 0
		n := sim.New(sim.Config{Watch: func(_, _ netip.AddrPort, _ []byte, delivered bool) {
			if delivered {
				passed++
			}
		}})
		defer n.Close()
		n.SetNAT(outside, sim.NAT{Mapping: sim.AddressAndPortDependent, Lifetime: time.Minute}, addrA)
		inside := listenAll(t, n, portA)[0]
		for port := range uint16(sim.MaxNATMappings + 10) {
			say(inside, netip.AddrPortFrom(addrB, 1+port), "x")
		}
		if passed != sim.MaxNATMappings {
			t.Errorf("%d passed", passed)
		}
		time.Sleep(2 * time.Minute)
		say(inside, netip.AddrPortFrom(addrB, 60000), "x")
		if passed != sim.MaxNATMappings+1 {
			t.Error("what has expired makes no room")
		}
	})
}
