package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	pion "github.com/pion/turn/v5"
	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/relay"
	"github.com/parley-rtc/parley/internal/turn"
)

// allocation is pion's relayed TCP address.
type allocation interface {
	Dial(network, address string) (net.Conn, error)
	net.Listener
	SetDeadline(time.Time) error
}

// tcpAllocation is a client over TCP with a relayed TCP address.
func tcpAllocation(t *testing.T) (*relay.Relay, *pion.Client, allocation) {
	t.Helper()
	r := open(t, config(t))
	c, a := allocateTCP(t, r)
	return r, c, a
}

func allocateTCP(t *testing.T, r *relay.Relay) (*pion.Client, allocation) {
	t.Helper()
	conn, server := dial(t, r, "tcp", "127.0.0.1:0")
	c := client(t, conn, server)
	a, err := c.AllocateTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return c, a
}

// hearsEnd proves that an end of a relayed connection hears that the other has closed.
func hearsEnd(t *testing.T, of [2]net.Conn) {
	t.Helper()
	of[1].Close()
	if n, err := of[0].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the other end has closed: %d, %v", n, err)
	}
}

// both sends a megabyte each way between two ends of a relayed connection.
func both(t *testing.T, ends [2]net.Conn) {
	t.Helper()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	results := make(chan error, 2)
	for i := range ends {
		_ = ends[i].SetDeadline(time.Now().Add(20 * time.Second))
		go func() {
			_, err := ends[i].Write(sent)
			results <- err
		}()
	}
	for i := range ends {
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(ends[i], got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("end %d: %v, equal: %v", i, err, bytes.Equal(got, sent))
		}
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
}

// connected returns the ends of a connection from an allocation to a peer, the client's and the peer's, which last as long as the test.
func connected(t *testing.T, a allocation) (data, peer net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if data, err = a.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	if peer, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return data, peer
}

// RFC 6062 §4.3, §5.2: a client connects to a peer, and bytes go both ways.
func TestConnectToPeer(t *testing.T) {
	r, _, a := tcpAllocation(t)
	data, peer := connected(t, a)
	if peer.RemoteAddr().String() != a.Addr().String() {
		t.Errorf("from %v, the relayed address is %v", peer.RemoteAddr(), a.Addr())
	}
	if s := r.Stats(); s.Peers != 1 || s.Relays != 1 {
		t.Errorf("%+v", s)
	}
	both(t, [2]net.Conn{data, peer})
	hearsEnd(t, [2]net.Conn{data, peer})
}

// What a connection carries is held to the rate of its allocation each way, is counted, and arrives whole.
func TestConnectionIsHeldToTheRate(t *testing.T) {
	const rate = 4 << 20 // so that a megabyte does not go as one burst, of rate/4
	cfg := config(t)
	cfg.Turn.Limits.AllocationRate = rate
	r := open(t, cfg)
	_, a := allocateTCP(t, r)
	data, peer := connected(t, a)
	start := time.Now()
	both(t, [2]net.Conn{data, peer})
	both(t, [2]net.Conn{data, peer})
	const sent = 2 << 20
	if d, least := time.Since(start), time.Second*(sent-rate/4)/rate; d < least {
		t.Errorf("%d bytes each way in %v, not at least %v", sent, d, least)
	}
	if s := r.Stats(); s.CarriedToPeers != sent || s.CarriedToClients != sent {
		t.Errorf("%d bytes counted to the peer and %d back", s.CarriedToPeers, s.CarriedToClients)
	}
}

// RFC 6062 §4.4, §5.3: a peer with a permission connects to the relayed address, and one without is sent away.
func TestPeerConnects(t *testing.T) {
	r, c, a := tcpAllocation(t)
	stranger, err := net.Dial("tcp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	_ = stranger.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := stranger.Read(make([]byte, 1)); err == nil || n != 0 || isTimeout(err) {
		t.Errorf("without a permission: %d, %v", n, err)
	}
	if err := c.CreatePermission(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}); err != nil {
		t.Fatal(err)
	}
	peer, err := net.Dial("tcp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	_ = a.SetDeadline(time.Now().Add(5 * time.Second))
	data, err := a.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	both(t, [2]net.Conn{peer, data})
	hearsEnd(t, [2]net.Conn{peer, data})
	if s := r.Stats(); s.Drops.String() == "" {
		t.Error("nobody was sent away")
	}
}

// sharing listens at an address that others may listen at too, if they say so.
func sharing(at string) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(cerr, err)
	}}
	return lc.Listen(context.Background(), "tcp", at)
}

// A relayed TCP address is its client's alone, though connections leave from it: nobody else of the same user can listen there and be given the client's
// peers, and it is not one where somebody listens who would share it.
func TestRelayedTCPAddressIsNotShared(t *testing.T) {
	_, _, a := tcpAllocation(t)
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	for i := range 3 {
		if l, err := sharing(a.Addr().String()); !errors.Is(err, unix.EADDRINUSE) {
			l.Close()
			t.Errorf("after %d connections somebody else listens at the relayed address: %v", i, err)
		}
		data, err := a.Dial("tcp", peer.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer data.Close()
		if peer, err = net.Listen("tcp", "127.0.0.1:0"); err != nil { // one connection to each
			t.Fatal(err)
		}
		defer peer.Close()
	}
	theirs, err := sharing("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	cfg := config(t)
	cfg.FirstPort = uint16(theirs.Addr().(*net.TCPAddr).Port)
	cfg.LastPort = cfg.FirstPort
	conn, server := dial(t, open(t, cfg), "tcp", "127.0.0.1:0")
	if _, err := client(t, conn, server).AllocateTCP(); err == nil || !strings.Contains(err.Error(), "508") {
		t.Errorf("an allocation at the only port, which somebody else listens at: %v", err)
	}
}

// Where a router translates addresses, one relayed TCP address reaches another of the same process without it: it seldom leads back what is sent to its own
// outer address. Each is the other's peer under the address that others see.
func TestConnectToOwnRelayBehindRouter(t *testing.T) {
	cfg := config(t)
	outer := netip.MustParseAddr("127.0.0.77") // where nobody listens
	cfg.Relays = []relay.Address{{Bind: netip.MustParseAddr("127.0.0.1"), Advertise: outer}}
	cfg.Turn.Policy = turn.Policy{} // nothing but what is globally routable, and live relayed addresses
	r := open(t, cfg)
	_, caller := allocateTCP(t, r)
	c, called := allocateTCP(t, r)
	for _, a := range []allocation{caller, called} {
		if at := a.Addr().(*net.TCPAddr).AddrPort().Addr().Unmap(); at != outer {
			t.Fatalf("relayed on %v", at)
		}
	}
	if err := c.CreatePermission(caller.Addr()); err != nil {
		t.Fatal(err)
	}
	data, err := caller.Dial("tcp", called.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	_ = called.SetDeadline(time.Now().Add(5 * time.Second))
	other, err := called.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if from := other.RemoteAddr().String(); from != caller.Addr().String() {
		t.Errorf("from %s, the other is %v", from, caller.Addr())
	}
	both(t, [2]net.Conn{data, other})
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// RFC 6062 §5.2: a connection that a peer refuses is answered with 447.
func TestConnectRefused(t *testing.T) {
	r, _, a := tcpAllocation(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := a.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("connected to nobody")
	}
	if s := r.Stats(); s.Peers != 0 {
		t.Errorf("%+v", s)
	}
}
