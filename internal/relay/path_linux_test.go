package relay_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"
	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/relay"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

// read reads one datagram.
func read(t testing.TB, c *net.UDPConn) (string, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 1<<16)
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n]), netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

// bindingRequest is one without attributes.
func bindingRequest() []byte {
	w := stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Request), []byte("transaction."))
	return w.Message()
}

// RFC 8656 §3.1, RFC 8489 §6.3: an answer comes from the address and port that was asked, also where a listener serves all addresses of a machine; IPv4
// and IPv6 may have listeners of their own on one port, or one together.
func TestAnswersComeFromWhereAsked(t *testing.T) {
	for _, listen := range [][]string{{"0.0.0.0:0"}, {"[::]:0"}, {"0.0.0.0:0", "[::]:SAME"}} {
		cfg := config(t)
		cfg.UDP = []netip.AddrPort{netip.MustParseAddrPort(listen[0])}
		if len(listen) == 2 {
			free := listenPacket(t, "127.0.0.1:0")
			number := free.LocalAddr().(*net.UDPAddr).Port
			free.Close()
			cfg.UDP = []netip.AddrPort{
				netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(number)), netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(number)),
			}
		}
		r := open(t, cfg)
		number := r.UDP()[0].Port()
		for _, at := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
			if at == "::1" && listen[0] == "0.0.0.0:0" && len(listen) == 1 {
				continue
			}
			to := netip.AddrPortFrom(netip.MustParseAddr(at), number)
			c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(at)})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.WriteToUDPAddrPort(bindingRequest(), to); err != nil {
				t.Fatal(err)
			}
			answer, from := read(t, c)
			var m stun.Message
			if m.Parse([]byte(answer)) != drop.None || from != to {
				t.Errorf("%v: asked at %v, answered from %v", listen, to, from)
			}
			value, _ := m.Find(stun.XORMappedAddress)
			if mapped, _ := stun.Address(value, m.ID()); mapped.String() != c.LocalAddr().String() {
				t.Errorf("%v: %v is told that it is %v", listen, c.LocalAddr(), mapped)
			}
		}
	}
}

// A burst that arrives by receive offload leaves by segmentation offload: to the peer one message, in order, each datagram as long as it was.
func TestBurstIsOneMessage(t *testing.T) {
	r := open(t, config(t))
	peer := listenPacket(t, "127.0.0.1:0").(*net.UDPConn)
	b := newBare(t)
	relayed := b.allocate(r.UDP()[0], peer.LocalAddr().(*net.UDPAddr).AddrPort())
	before := r.Stats()
	var burst []byte
	sizes := []int{1000, 1000, 1000, 1000, 700}
	payload := func(i, n int) string { return strings.Repeat(string(rune('a'+i)), n) }
	for i, n := range sizes {
		burst = append(burst, 0x40, 0, byte(n>>8), byte(n))
		burst = append(burst, payload(i, n)...)
	}
	sendSegments(t, b.conn, burst, 1004, r.UDP()[0])
	for i, n := range sizes {
		if got, from := read(t, peer); got != payload(i, n) || from != relayed {
			t.Fatalf("%d: %d bytes %.3s from %v", i, len(got), got, from)
		}
	}
	var back []byte
	for i, n := range sizes {
		back = append(back, payload(i, n)...)
	}
	sendSegments(t, peer, back, 1000, relayed)
	for i, n := range sizes {
		if got, _ := read(t, b.conn); got != fmt.Sprintf("\x40\x00%c%c", n>>8, n&0xff)+payload(i, n) && got[4:] != payload(i, n) {
			t.Fatalf("%d: %d bytes %.7q", i, len(got), got)
		}
	}
	s := r.Stats()
	if sent, messages := s.Sent-before.Sent, s.Messages-before.Messages; sent != 10 || messages != 2 {
		t.Errorf("%d datagrams in %d messages", sent, messages)
	}
}

// sendSegments sends b in datagrams of size bytes with segmentation offload.
func sendSegments(t *testing.T, c *net.UDPConn, b []byte, size int, to netip.AddrPort) {
	t.Helper()
	oob := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	oob[unix.CmsgLen(0)], oob[unix.CmsgLen(0)+1] = byte(size), byte(size>>8)
	if _, _, err := c.WriteMsgUDPAddrPort(b, oob, to); err != nil {
		t.Skipf("no segmentation offload: %v", err)
	}
}

// owner is this process's media: it returns what it is given to where it came from.
type owner struct {
	port *port.Port
	got  chan datagram.Datagram
}

func (o *owner) Batch(b *datagram.Batch) bool {
	e := datagram.NewEgress(4096)
	for i := range b.N {
		o.got <- datagram.Datagram{Pair: b.D[i].Pair, B: bytes.Clone(b.D[i].B)}
		e.Append(b.D[i].Pair, b.D[i].B)
	}
	o.port.Send(e)
	o.port.Recycle(b)
	return true
}

func (o *owner) Strangers(b *datagram.Batch) bool { return o.Batch(b) }

// On the one port a client allocates by UDP, and reaches this process's own media by a relayed address without a rule that lets it, though nothing
// else of this machine; the media's answers come back. None of it goes through the kernel.
func TestOwnMediaByTheOnePort(t *testing.T) {
	p, err := port.Open(port.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t)
	cfg.Turn.Policy.Allow = nil
	cfg.UDP, cfg.Port = nil, p
	cfg.Media = func(a netip.AddrPort) bool { return a == p.Local() }
	r := open(t, cfg)
	p.SetRelay(r)
	media := &owner{port: p, got: make(chan datagram.Datagram, 10)}
	p.Start(media)
	t.Cleanup(func() { p.Close() })

	b := newBare(t)
	relayed := b.allocate(p.Local(), p.Local())
	w := stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Request), []byte("transaction."))
	w.Text(stun.Username, string(ice.ShardLetter(0))+"ufrag:them")
	check := string(w.Message())
	frame := append([]byte{0x40, 0, 0, byte(len(check))}, check...)
	if _, err := b.conn.WriteToUDPAddrPort(frame, p.Local()); err != nil {
		t.Fatal(err)
	}
	want := datagram.Pair{Local: p.Local(), Remote: relayed, Proto: datagram.Relayed}
	if d := <-media.got; d.Pair != want || string(d.B) != check {
		t.Errorf("%v %q, want %v", d.Pair, d.B, want)
	}
	if got, from := read(t, b.conn); got != string(frame) || from != p.Local() {
		t.Errorf("%q from %v", got, from)
	}
	if s := r.Stats(); s.Received != 0 || s.Sent != 0 {
		t.Errorf("%d datagrams received and %d sent by sockets of the relay", s.Received, s.Sent)
	}
}

// Where a router translates addresses one to one, relayed addresses are told as peers see them, and one of them reaches another though the kernel has
// no way there.
func TestAdvertisedAddress(t *testing.T) {
	public := netip.MustParseAddr("198.51.100.7")
	cfg := config(t)
	cfg.Turn.Policy.Allow = nil
	cfg.Relays = []relay.Address{{Bind: netip.MustParseAddr("127.0.0.1"), Advertise: public}}
	r := open(t, cfg)
	one, two := newBare(t), newBare(t)
	first, second := one.relayed(r.UDP()[0]), two.relayed(r.UDP()[0])
	one.ask(r.UDP()[0], stun.CreatePermission, func(w *stun.Builder) { w.Address(stun.XORPeerAddress, second) })
	two.bind(r.UDP()[0], first)
	if first.Addr() != public || second.Addr() != public {
		t.Fatalf("relayed addresses %v, %v", first, second)
	}
	if _, err := two.conn.WriteToUDPAddrPort([]byte("\x40\x00\x00\x04here"), r.UDP()[0]); err != nil {
		t.Fatal(err)
	}
	got, _ := read(t, one.conn)
	var m stun.Message
	if m.Parse([]byte(got)) != drop.None {
		t.Fatalf("%q", got)
	}
	value, _ := m.Find(stun.XORPeerAddress)
	peer, _ := stun.Address(value, m.ID())
	payload, _ := m.Find(stun.DataValue)
	if peer != second || string(payload) != "here" {
		t.Errorf("%q from %v, want it from %v", payload, peer, second)
	}
}

// RFC 8656 §11.5: what ICMP tells of a peer, the client hears.
func TestUnreachablePeer(t *testing.T) {
	r := open(t, config(t))
	b := newBare(t)
	gone := listenPacket(t, "127.0.0.1:0")
	peer := gone.LocalAddr().(*net.UDPAddr).AddrPort()
	gone.Close()
	b.allocate(r.UDP()[0], peer)
	if _, err := b.conn.WriteToUDPAddrPort([]byte("\x40\x00\x00\x05hello"), r.UDP()[0]); err != nil {
		t.Fatal(err)
	}
	got, _ := read(t, b.conn)
	var m stun.Message
	if m.Parse([]byte(got)) != drop.None || m.Type != stun.TypeOf(stun.Data, stun.Indication) {
		t.Fatalf("%q", got)
	}
	value, ok := m.Find(stun.ICMP)
	if want := []byte{0, 0, 3 << 1, 3, 0, 0, 0, 0}; !ok || !bytes.Equal(value, want) {
		t.Errorf("ICMP %x, want %x: destination unreachable, port unreachable", value, want)
	}
}

// RFC 8656 §7.2: an even port with the one above it reserved; the reservation is another allocation's, and then both relay.
func TestReservedPort(t *testing.T) {
	r := open(t, config(t))
	server := r.UDP()[0]
	udp := []byte{17, 0, 0, 0}
	one := newBare(t)
	m := one.ask(server, stun.Allocate, func(w *stun.Builder) {
		w.Bytes(stun.RequestedTransport, udp)
		w.Bytes(stun.EvenPort, []byte{0x80})
	})
	value, _ := m.Find(stun.XORRelayedAddress)
	even, _ := stun.Address(value, m.ID())
	token, ok := m.Find(stun.ReservationToken)
	if !ok || even.Port()%2 != 0 {
		t.Fatalf("%v, token %x", even, token)
	}
	token = bytes.Clone(token)
	two := newBare(t)
	m = two.ask(server, stun.Allocate, func(w *stun.Builder) {
		w.Bytes(stun.RequestedTransport, udp)
		w.Bytes(stun.ReservationToken, token)
	})
	value, _ = m.Find(stun.XORRelayedAddress)
	odd, _ := stun.Address(value, m.ID())
	if odd != netip.AddrPortFrom(even.Addr(), even.Port()+1) {
		t.Errorf("reserved above %v: %v", even, odd)
	}
	peer := listenPacket(t, "127.0.0.1:0").(*net.UDPConn)
	two.ask(server, stun.CreatePermission, func(w *stun.Builder) {
		w.Address(stun.XORPeerAddress, peer.LocalAddr().(*net.UDPAddr).AddrPort())
	})
	if _, err := peer.WriteToUDPAddrPort([]byte("to the odd one"), odd); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(t, two.conn); !strings.Contains(got, "to the odd one") {
		t.Errorf("%q", got)
	}
}

// Whoever has not come back with our cookie is not remembered: a flood of first ClientHellos makes no association, and each is answered with less
// than was sent.
func TestHelloFlood(t *testing.T) {
	cfg := config(t)
	cfg.DTLS = []netip.AddrPort{loopback}
	cfg.Certificate = func() *tls.Config { panic("a handshake has begun") }
	r := open(t, cfg)
	hello := clientHello()
	before := r.Stats()
	for range 100 {
		c := listenPacket(t, "127.0.0.1:0").(*net.UDPConn)
		if _, err := c.WriteToUDPAddrPort(hello, r.DTLS()[0]); err != nil {
			t.Fatal(err)
		}
		if got, _ := read(t, c); len(got) > len(hello) || got[0] != 22 || got[13] != 3 {
			t.Fatalf("%x", got)
		}
	}
	if s := r.Stats(); s.Received-before.Received != 100 || s.Sent-before.Sent != 100 || s.Streams != 0 || s.Drops.String() != "" {
		t.Errorf("%+v", s)
	}
}

// A client that has lost its association without a farewell gets another one from the same port (RFC 6347 §4.2.8).
func TestClientBeginsAnew(t *testing.T) {
	cfg := config(t)
	cfg.DTLS = []netip.AddrPort{loopback}
	cert := certificate(t)
	cfg.Certificate = func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	r := open(t, cfg)
	at := "127.0.0.1:0"
	for i := range 2 {
		here := listenPacket(t, at)
		at = here.LocalAddr().String()
		c, err := dtls.ClientWithOptions(here, net.UDPAddrFromAddrPort(r.DTLS()[0]), dtls.WithInsecureSkipVerify(true))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := c.HandshakeContext(ctx); err != nil {
			t.Errorf("handshake %d: %v", i, err)
		}
		here.Close() // the program has been killed
		c.Close()
	}
}

// clientHello is the first one of pion's client.
func clientHello() []byte {
	here, there := net.Pipe()
	defer there.Close()
	first := make(chan []byte)
	go func() {
		b := make([]byte, 2048)
		n, _ := there.Read(b)
		here.Close()
		first <- b[:n]
	}()
	if c, err := dtls.ClientWithOptions(dtlsnet.PacketConnFromConn(here), here.RemoteAddr(), dtls.WithInsecureSkipVerify(true)); err == nil {
		_ = c.Handshake()
		c.Close()
	}
	return <-first
}

// faulty knows the user of the tests, and breaks when it is asked for another.
type faulty struct{ turn.Credentials }

func (f faulty) Key(dst []byte, now time.Time, username []byte, sha256 bool) ([]byte, string, bool) {
	if string(username) != user {
		panic("a broken invariant")
	}
	return f.Credentials.Key(dst, now, username, sha256)
}

// A broken invariant costs the datagram that has met it and nothing else.
func TestFaultCostsOneDatagram(t *testing.T) {
	cfg := config(t)
	cfg.Turn.Credentials = faulty{cfg.Turn.Credentials}
	r := open(t, cfg)
	server := r.UDP()[0]
	b := newBare(t)
	b.relayed(server)
	b.user = "bob"
	b.request(server, stun.Refresh, func(*stun.Builder) {})
	b.user = user
	b.bind(server, netip.MustParseAddrPort("127.0.0.1:9"))
	if s := r.Stats(); s.Panics != 1 || s.Relays != 1 {
		t.Errorf("%+v", s)
	}
}
