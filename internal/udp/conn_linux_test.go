package udp_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/udp"
)

// open listens and closes with the test.
func open(t testing.TB, cfg udp.Config) udp.Conn {
	t.Helper()
	c, err := udp.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// at returns c's port on addr.
func at(c udp.Conn, addr string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), c.Local().Port())
}

// egress holds the texts as datagrams for one pair.
func egress(local, remote netip.AddrPort, texts ...string) *datagram.Egress {
	e := datagram.NewEgress(1 << 20)
	for _, s := range texts {
		e.Append(datagram.Pair{Local: local, Remote: remote}, []byte(s))
	}
	return e
}

// read reads until n datagrams have come.
func read(t testing.TB, c udp.Conn, n int) (all []datagram.Datagram) {
	t.Helper()
	b := datagram.NewBatch()
	for len(all) < n {
		if err := c.ReadBatch(b); err != nil {
			t.Fatal(err)
		}
		for _, d := range b.D[:b.N] {
			d.B = bytes.Clone(d.B)
			all = append(all, d)
		}
	}
	return all
}

// A datagram carries the address it was sent to and the one it came from, IPv4 as such also on a dual-stack socket; and an
// answer leaves from the address that was asked, also where the socket listens on all of them.
func TestAddressesBothWays(t *testing.T) {
	for _, c := range []struct {
		listen, to, client string
		plain              bool
	}{
		{"127.0.0.1:0", "127.0.0.1", "127.0.0.1:0", false},
		{"0.0.0.0:0", "127.0.0.2", "127.0.0.1:0", false},
		{"[::1]:0", "::1", "[::1]:0", false},
		{":0", "::1", "[::1]:0", false},
		{":0", "127.0.0.3", "127.0.0.1:0", false},
		{"[::]:0", "127.0.0.3", "127.0.0.1:0", false},
		{"127.0.0.1:0", "127.0.0.1", "127.0.0.1:0", true},
		{"[::1]:0", "::1", "[::1]:0", true},
	} {
		t.Run(fmt.Sprintf("%s by %s plain=%v", c.listen, c.to, c.plain), func(t *testing.T) {
			server := open(t, udp.Config{Listen: c.listen, Plain: c.plain})
			client := open(t, udp.Config{Listen: c.client, Plain: c.plain})
			to := at(server, c.to)
			if d := client.Send(egress(client.Local(), to, "ask")); d != 0 {
				t.Fatalf("%d dropped", d)
			}
			asked := read(t, server, 1)[0]
			if want := (datagram.Pair{Local: to, Remote: client.Local()}); asked.Pair != want || string(asked.B) != "ask" {
				t.Fatalf("got %q on %+v, want %+v", asked.B, asked.Pair, want)
			}
			server.Send(egress(asked.Pair.Local, asked.Pair.Remote, "answer"))
			if got := read(t, client, 1)[0]; got.Pair.Remote != to || string(got.B) != "answer" {
				t.Errorf("answer %q from %v, want it from %v", got.B, got.Pair.Remote, to)
			}
		})
	}
}

// Without PKTINFO a socket on all addresses names them all alike, in the client's family, and still answers.
func TestPlainOnAllAddresses(t *testing.T) {
	server := open(t, udp.Config{Listen: ":0", Plain: true})
	client := open(t, udp.Config{Listen: "127.0.0.1:0", Plain: true})
	client.Send(egress(client.Local(), at(server, "127.0.0.1"), "ask"))
	asked := read(t, server, 1)[0].Pair
	if want := at(server, "0.0.0.0"); asked.Local != want {
		t.Errorf("local %v, want %v", asked.Local, want)
	}
	server.Send(egress(asked.Local, asked.Remote, "answer"))
	read(t, client, 1)
}

// Runs arrive as their datagrams, in order; 0.0.0.0 is IPv4 only; no limit of a system call loses any.
func TestRunsArriveWhole(t *testing.T) {
	for _, c := range []struct{ listen, to string }{{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {":0", "127.0.0.1"}} {
		for _, plain := range []bool{false, true} {
			t.Run(fmt.Sprint(c.listen, plain), func(t *testing.T) {
				server := open(t, udp.Config{Listen: c.listen, Plain: plain})
				client := open(t, udp.Config{Listen: c.listen, Plain: plain})
				e := datagram.NewEgress(1 << 20)
				pair := datagram.Pair{Local: at(client, c.to), Remote: at(server, c.to)}
				var want [][]byte
				put := func(size int) {
					b := bytes.Repeat([]byte{byte(len(want))}, size)
					want = append(want, b)
					e.Append(pair, b)
				}
				for range 51 { // more than one message
					put(1200)
				}
				put(7) // the last may be shorter
				for size := range 150 {
					put(100 + size) // growing: each a run of its own, more than one call
				}
				e.Append(datagram.Pair{Remote: pair.Remote, Proto: datagram.TCP}, []byte("not for UDP"))
				if d := client.Send(e); d != 0 {
					t.Fatalf("%d dropped", d)
				}
				for i, d := range read(t, server, len(want)) {
					if !bytes.Equal(d.B, want[i]) {
						t.Fatalf("datagram %d: %d bytes of %d, want %d of %d", i, len(d.B), d.B[0], len(want[i]), want[i][0])
					}
				}
				s, r := client.Stats(), server.Stats()
				if s.Sent != uint64(len(want)) || r.Received != s.Sent || r.ReceivedBytes != s.SentBytes {
					t.Errorf("sent %+v, received %+v", s, r)
				}
				if messages := map[bool]uint64{false: 152, true: uint64(len(want))}[plain]; s.Messages != messages {
					t.Errorf("%d messages, want %d", s.Messages, messages)
				}
			})
		}
	}
}

// Datagrams without bytes and those that are too long are left out and counted; their neighbours are not lost.
func TestEmptyAndOversized(t *testing.T) {
	for _, plain := range []bool{false, true} {
		server := open(t, udp.Config{Listen: "127.0.0.1:0", Plain: plain})
		client, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server.Local()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for _, b := range [][]byte{{}, make([]byte, datagram.MaxBytes+1), []byte("one"), {}, []byte("two")} {
			client.Write(b)
		}
		got := read(t, server, 2)
		if string(got[0].B) != "one" || string(got[1].B) != "two" {
			t.Errorf("got %q, %q", got[0].B, got[1].B)
		}
		if s := server.Stats(); s.Empty != 2 || s.Oversized != 1 || s.Received != 2 {
			t.Errorf("plain=%v: %+v", plain, s)
		}
	}
}

// Close ends a read that waits, may be called again, and nothing can be sent afterwards.
func TestClose(t *testing.T) {
	for _, plain := range []bool{false, true} {
		c := open(t, udp.Config{Listen: "127.0.0.1:0", Plain: plain})
		ended := make(chan error)
		go func() { ended <- c.ReadBatch(datagram.NewBatch()) }()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("plain=%v: read ended with %v", plain, err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if d := c.Send(egress(c.Local(), c.Local(), "a", "b")); d != 2 || c.Stats().SendFailed != 2 {
			t.Errorf("plain=%v: %d dropped of 2", plain, d)
		}
	}
}

// An address that cannot be bound is an error that names it.
func TestListenErrors(t *testing.T) {
	c := open(t, udp.Config{Listen: "127.0.0.1:0"})
	for _, listen := range []string{c.Local().String(), "127.0.0.1", "192.0.2.77:1"} {
		if again, err := udp.Listen(udp.Config{Listen: listen}); err == nil {
			again.Close()
			t.Errorf("%s: no error", listen)
		} else if !bytes.Contains([]byte(err.Error()), []byte(listen)) {
			t.Errorf("%s: %v", listen, err)
		}
	}
}
