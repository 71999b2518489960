package sim_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/internal/udp"
)

var (
	addrA = netip.MustParseAddr("10.0.0.1")
	addrB = netip.MustParseAddr("10.0.0.2")
	portA = netip.AddrPortFrom(addrA, 5000)
	portB = netip.AddrPortFrom(addrB, 5000)
)

// pair opens two sockets on a new network.
func pair(t *testing.T, cfg sim.Config) (n *sim.Network, a, b *sim.Conn) {
	t.Helper()
	n = sim.New(cfg)
	a, err := n.Listen(portA)
	if err != nil {
		t.Fatal(err)
	}
	b, err = n.Listen(portB)
	if err != nil {
		t.Fatal(err)
	}
	return n, a, b
}

// arrival is what a receiver notes.
type arrival struct {
	text string
	at   time.Duration
}

// receive notes all arrivals at c until it is closed.
func receive(c udp.Conn, start time.Time) <-chan []arrival {
	out := make(chan []arrival, 1)
	go func() {
		var all []arrival
		b := datagram.NewBatch()
		for c.ReadBatch(b) == nil {
			for _, d := range b.D[:b.N] {
				all = append(all, arrival{string(d.B), time.Since(start)})
			}
		}
		out <- all
	}()
	return out
}

// send sends one datagram from c.
func send(c udp.Conn, to netip.AddrPort, b string) int {
	e := datagram.NewEgress(2048)
	e.Append(datagram.Pair{Local: c.Local(), Remote: to}, []byte(b))
	return c.Send(e)
}

// Two endpoints exchange datagrams over 80 ms and 5 % loss: what arrives does so exactly 80 ms later and in order, about one
// in twenty is lost, and the same seed loses the same ones.
func TestDelayAndSeededLoss(t *testing.T) {
	const count = 2000
	run := func(seed uint64) (text string) {
		synctest.Test(t, func(t *testing.T) {
			n, a, b := pair(t, sim.Config{Seed: seed, Link: sim.Link{Delay: 80 * time.Millisecond, Loss: 0.05}})
			start := time.Now()
			atA, atB := receive(a, start), receive(b, start)
			for i := range count {
				send(a, portB, fmt.Sprint(i))
				send(b, portA, fmt.Sprint(i))
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Second)
			stats := n.Stats()
			n.Close()
			toA, toB := <-atA, <-atB
			for _, all := range [][]arrival{toA, toB} {
				last := -1
				for _, x := range all {
					var i int
					fmt.Sscan(x.text, &i)
					if want := time.Duration(i)*time.Millisecond + 80*time.Millisecond; x.at != want || i <= last {
						t.Fatalf("datagram %d after %d arrived at %v, want %v", i, last, x.at, want)
					}
					last = i
				}
				if lost := count - len(all); lost < count*3/100 || lost > count*7/100 {
					t.Errorf("%d of %d lost, want about 5 %%", lost, count)
				}
			}
			if want := uint64(len(toA) + len(toB)); stats.Delivered != want || stats.Lost != 2*count-want || stats.Sent != 2*count {
				t.Errorf("stats %+v, %d arrived", stats, want)
			}
			text = fmt.Sprint(toA, toB)
		})
		return text
	}
	one := run(1)
	if run(1) != one {
		t.Error("the same seed lost others")
	}
	if run(2) == one {
		t.Error("another seed lost the same")
	}
}

// A rate spaces datagrams by their size and headers; what its queue does not hold is dropped and counted.
func TestRateAndQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// (972+28) bytes at 80 kbit/s: one each 100 ms.
		n, a, b := pair(t, sim.Config{Link: sim.Link{Rate: 80_000, Queue: 3000}})
		got := receive(b, time.Now())
		for range 10 {
			send(a, portB, string(make([]byte, 972)))
		}
		time.Sleep(time.Minute)
		stats := n.Stats()
		n.Close()
		all := <-got
		if len(all) != 3 || stats.QueueDrops != 7 {
			t.Fatalf("%d arrived, stats %+v", len(all), stats)
		}
		for i, x := range all {
			if want := time.Duration(i+1) * 100 * time.Millisecond; x.at.Round(time.Millisecond) != want {
				t.Errorf("datagram %d at %v, want %v", i, x.at, want)
			}
		}
	})
}

// Jitter keeps the order, Reorder breaks it, Duplicate delivers twice; each is counted.
func TestJitterReorderDuplicate(t *testing.T) {
	for _, c := range []struct {
		name        string
		link        sim.Link
		ordered     bool
		least, most int
	}{
		{"jitter", sim.Link{Delay: time.Millisecond, Jitter: 50 * time.Millisecond}, true, 200, 200},
		{"reorder", sim.Link{Delay: time.Millisecond, Reorder: 0.2}, false, 200, 200},
		{"duplicate", sim.Link{Duplicate: 0.5}, true, 260, 340},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, a, b := pair(t, sim.Config{Seed: 7, Link: c.link})
				got := receive(b, time.Now())
				for i := range 200 {
					send(a, portB, fmt.Sprintf("%03d", i))
					time.Sleep(time.Millisecond)
				}
				time.Sleep(time.Second)
				stats := n.Stats()
				n.Close()
				all := <-got
				ordered := true
				for i := 1; i < len(all); i++ {
					ordered = ordered && all[i-1].text <= all[i].text
				}
				if ordered != c.ordered || len(all) < c.least || len(all) > c.most {
					t.Errorf("%d arrived, in order: %v", len(all), ordered)
				}
				if c.link.Reorder > 0 && stats.Reordered == 0 || int(stats.Duplicated) != len(all)-200 {
					t.Errorf("stats %+v", stats)
				}
			})
		})
	}
}

// A link is changed in one direction only, and only for what is sent afterwards.
func TestSetLinkIsOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, sim.Config{})
		n.SetLinks(addrA, addrB, sim.Link{Delay: time.Millisecond})
		start := time.Now()
		atA, atB := receive(a, start), receive(b, start)
		send(a, portB, "before")
		n.SetLink(addrA, addrB, sim.Link{Loss: 1})
		send(a, portB, "lost")
		send(b, portA, "back")
		time.Sleep(time.Second)
		n.Close()
		if got := fmt.Sprint(<-atB, <-atA); got != "[{before 1000000}] [{back 1000000}]" {
			t.Error(got)
		}
	})
}

// A node behind another address is seen there, is reached there, and nowhere else; its links stay.
func TestRebind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, sim.Config{Link: sim.Link{Delay: 10 * time.Millisecond}})
		defer n.Close()
		atB, atA := receive(b, time.Now()), receive(a, time.Now())
		first, second := netip.MustParseAddr("20.0.0.1"), netip.MustParseAddr("20.0.0.2")
		n.Rebind(addrA, first)
		send(b, portA, "to its own address")
		send(b, netip.AddrPortFrom(first, 5000), "to the first")
		n.Rebind(addrA, second)
		send(b, netip.AddrPortFrom(first, 5000), "to the first again")
		send(b, netip.AddrPortFrom(second, 5000), "to the second")
		send(a, portB, "from the second")
		time.Sleep(time.Second)
		a.Close()
		b.Close()
		if got, want := fmt.Sprint(<-atA), "[{to the first 10000000} {to the second 10000000}]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := fmt.Sprint(<-atB), "[{from the second 10000000}]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if s := n.Stats(); s.Unreachable != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// What arrives where nobody listens any more is seen, though the link has delivered it.
func TestMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		n, a, b := pair(t, sim.Config{
			Link: sim.Link{Delay: 10 * time.Millisecond},
			Watch: func(_, _ netip.AddrPort, b []byte, delivered bool) {
				seen = append(seen, fmt.Sprint(string(b), " delivered ", delivered))
			},
			Missed: func(from, to netip.AddrPort, b []byte) {
				seen = append(seen, fmt.Sprint(from, " to ", to, " missed ", string(b)))
			},
		})
		atB := receive(b, time.Now())
		send(a, portB, "in time")
		time.Sleep(20 * time.Millisecond)
		send(a, portB, "too late")
		b.Close()
		<-atB
		time.Sleep(20 * time.Millisecond)
		n.Close()
		if got, want := fmt.Sprint(seen), fmt.Sprintf("[in time delivered true too late delivered true %v to %v missed too late]", portA, portB); got != want {
			t.Errorf("seen %s, want %s", got, want)
		}
	})
}

// Nothing grows without limit: an endpoint that does not read loses what exceeds InboxSize, as a kernel socket would.
func TestInboxLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, sim.Config{})
		for range sim.InboxSize + 10 {
			send(a, portB, "x")
		}
		send(a, netip.AddrPortFrom(addrB, 1), "nobody")
		synctest.Wait()
		if s := n.Stats(); s.InboxDrops != 10 || s.Unreachable != 1 || b.Stats().KernelDrops != 10 {
			t.Errorf("stats %+v", s)
		}
		got := receive(b, time.Now())
		synctest.Wait()
		n.Close()
		if all := <-got; len(all) != sim.InboxSize {
			t.Errorf("%d read", len(all))
		}
	})
}

// A Conn behaves as the real one: what it cannot use is counted, foreign source addresses are refused, TCP runs left alone.
func TestConnCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := pair(t, sim.Config{})
		defer n.Close()
		long, err := n.ListenPacket(netip.AddrPortFrom(addrA, 0))
		if err != nil {
			t.Fatal(err)
		}
		long.WriteToAddrPort(make([]byte, datagram.MaxBytes+1), portB)
		long.WriteToAddrPort(nil, portB)
		e := datagram.NewEgress(2048)
		e.Append(datagram.Pair{Local: netip.AddrPortFrom(addrB, 5000), Remote: portB}, []byte("foreign"))
		e.Append(datagram.Pair{Local: portA, Remote: portB, Proto: datagram.TCP}, []byte("tcp"))
		e.Append(datagram.Pair{Local: portA, Remote: portB}, []byte("one"))
		e.Append(datagram.Pair{Local: portA, Remote: portB}, []byte("two"))
		if d := a.Send(e); d != 1 {
			t.Errorf("%d dropped, want the one from a foreign address", d)
		}
		batch := datagram.NewBatch()
		synctest.Wait()
		if err := b.ReadBatch(batch); err != nil || batch.N != 2 || string(batch.D[1].B) != "two" {
			t.Errorf("%v, %d datagrams", err, batch.N)
		}
		if p := batch.D[0].Pair; p.Local != portB || p.Remote != portA {
			t.Errorf("pair %+v", p)
		}
		if s := b.Stats(); s.Oversized != 1 || s.Empty != 1 || s.Received != 2 || s.ReceivedBytes != 6 {
			t.Errorf("stats %+v", s)
		}
		if s := a.Stats(); s.Sent != 2 || s.SentBytes != 6 || s.Messages != 1 || s.SendFailed != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// Addresses are taken once, freed by Close, and Close wakes whoever reads.
func TestListenAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, _ := pair(t, sim.Config{})
		if _, err := n.Listen(portA); err == nil {
			t.Error("one address twice")
		}
		if _, err := n.Listen(netip.MustParseAddrPort("0.0.0.0:1")); err == nil {
			t.Error("listens on all addresses")
		}
		done := receive(a, time.Now())
		synctest.Wait()
		a.Close()
		a.Close()
		<-done
		if d := send(a, portB, "late"); d != 1 {
			t.Error("a closed Conn sends")
		}
		again, err := n.Listen(portA)
		if err != nil {
			t.Fatal(err)
		}
		n.Close()
		n.Close()
		if err := again.ReadBatch(datagram.NewBatch()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the network's Close: %v", err)
		}
		if _, err := n.Listen(portB); err == nil {
			t.Error("listens on a closed network")
		}
	})
}

// A PacketConn's read deadline ends a read that is already waiting, and can be moved and taken away.
func TestPacketConnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sim.New(sim.Config{})
		defer n.Close()
		c, err := n.ListenPacket(portA)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		result := make(chan error)
		read := func() { _, _, err := c.ReadFrom(make([]byte, 10)); result <- err }
		go read()
		synctest.Wait()
		c.SetReadDeadline(start.Add(time.Second))
		c.SetReadDeadline(start.Add(2 * time.Second))
		if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		c.SetReadDeadline(time.Time{})
		go read()
		synctest.Wait()
		c.WriteTo([]byte("me"), c.LocalAddr())
		if err := <-result; err != nil {
			t.Error(err)
		}
		go read()
		synctest.Wait()
		c.Close()
		if err := <-result; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// The network listens only where it was told to; other uses of pion's Net are refused, not emulated.
func TestNetRefusesWhatIsNotSimulated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sim.New(sim.Config{})
		defer n.Close()
		m := n.Net(addrA)
		for name, err := range map[string]error{
			"dial":   second(m.Dial("udp", "10.0.0.2:1")),
			"tcp":    second(m.ListenTCP("tcp", nil)),
			"names":  second(m.ResolveUDPAddr("udp", "example.org:1")),
			"ipv6":   second(m.ListenPacket("udp6", "[::]:0")),
			"listen": second(m.CreateListenConfig(nil).Listen(context.Background(), "tcp", ":1")),
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		c, err := m.CreateListenConfig(nil).ListenPacket(context.Background(), "udp4", "0.0.0.0:0")
		if err != nil {
			t.Fatal(err)
		}
		if a := c.LocalAddr().(*net.UDPAddr).AddrPort(); a.Addr().Unmap() != addrA || a.Port() == 0 {
			t.Errorf("listens on %v", a)
		}
	})
}

func second[T any](_ T, err error) error { return err }
