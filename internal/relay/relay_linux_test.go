package relay_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	pion "github.com/pion/turn/v5"
	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/relay"
	"github.com/parley-rtc/parley/internal/turn"
)

const (
	realm    = "test"
	user     = "ann"
	password = "secret of ann"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// config is a relay for clients and peers on loopback.
func config(t testing.TB) relay.Config {
	t.Helper()
	credentials, err := auth.NewTURN(realm, map[string]string{user: password}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return relay.Config{
		Turn: turn.Config{
			Realm: realm, Secret: bytes.Repeat([]byte("s"), turn.MinSecret), Credentials: credentials,
			Policy: turn.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
			Limits: turn.Limits{PerUser: 20000, PerSource: 20000},
		},
		UDP: []netip.AddrPort{loopback},
	}
}

// open opens a relay, and after the test proves that nothing is left of it.
func open(t testing.TB, cfg relay.Config) *relay.Relay {
	t.Helper()
	before := descriptors(t)
	r, err := relay.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%+v", r.Stats())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t, goleak.IgnoreCurrent())
		if after := descriptors(t); len(after) > len(before) {
			t.Errorf("descriptors before: %v, after: %v", before, after)
		}
	})
	return r
}

// descriptors lists what sockets and pollers this process has open. Go's own poller, which comes with the first socket, is left out.
func descriptors(t testing.TB) (open []string) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && (strings.HasPrefix(to, "socket:") || strings.HasPrefix(to, "anon_inode:")) {
			open = append(open, e.Name()+" "+to)
		}
	}
	return open
}

// client returns pion's client on a connection, and what ends it.
func client(t testing.TB, conn net.PacketConn, server string) *pion.Client {
	t.Helper()
	c, err := pion.NewClient(&pion.ClientConfig{
		STUNServerAddr: server, TURNServerAddr: server, Conn: conn, Username: user, Password: password, Realm: realm,
		LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		conn.Close()
	})
	return c
}

func listenPacket(t testing.TB, at string) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echo is a peer that returns what comes.
func echo(t testing.TB, at string) net.Addr {
	t.Helper()
	c := listenPacket(t, at)
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(b[:n], from)
		}
	}()
	return c.LocalAddr()
}

// exchange sends what is not empty to a peer that echoes, and waits for it.
func exchange(t testing.TB, relayed net.PacketConn, peer net.Addr, payloads ...string) {
	t.Helper()
	b := make([]byte, 1<<16)
	for _, p := range payloads {
		if _, err := relayed.WriteTo([]byte(p), peer); err != nil {
			t.Fatal(err)
		}
		_ = relayed.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, from, err := relayed.ReadFrom(b)
		if err != nil {
			t.Fatalf("%d bytes: %v", len(p), err)
		}
		if string(b[:n]) != p || from.String() != peer.String() {
			t.Fatalf("%d bytes from %v came back as %d from %v", len(p), peer, n, from)
		}
	}
}

// A client reaches a peer over UDP, TCP and TLS, by Send indications and by a channel, with datagrams of every length that fits, on IPv4 and IPv6.
func TestRelayedEcho(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		peer := echo(t, at)
		for _, carrier := range []string{"udp", "tcp", "tls", "dtls"} {
			t.Run(carrier+" "+at, func(t *testing.T) {
				cfg := config(t)
				where := netip.MustParseAddrPort(at)
				cfg.UDP, cfg.DTLS = []netip.AddrPort{where}, []netip.AddrPort{where}
				cert := certificate(t)
				cfg.Certificate = func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
				conn, server := dial(t, open(t, cfg), carrier, at)
				c := client(t, conn, server)
				relayed, err := c.Allocate()
				if err != nil {
					t.Fatal(err)
				}
				defer relayed.Close()
				var payloads []string
				for _, n := range []int{1, 2, 5, 6, 7, 160, 1200, 1473, 9000, 60000} {
					switch {
					case n < 5 && (carrier == "tcp" || carrier == "tls"):
						continue // pion's client waits for nine bytes before it takes a frame
					case n > 1473 && carrier == "dtls":
						continue // more than datagram.MaxBytes
					}
					payloads = append(payloads, strings.Repeat("x", n))
				}
				exchange(t, relayed, peer, payloads...)
				exchange(t, relayed, peer, payloads...) // by now there is a channel
			})
		}
	}
}

// certificate returns a self-signed one.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// dial returns a client's connection of a carrier.
func dial(t testing.TB, r *relay.Relay, carrier, at string) (net.PacketConn, string) {
	t.Helper()
	if carrier == "udp" {
		return listenPacket(t, at), r.UDP()[0].String()
	}
	if carrier == "dtls" {
		to := net.UDPAddrFromAddrPort(r.DTLS()[0])
		c, err := dtls.ClientWithOptions(listenPacket(t, at), to, dtls.WithInsecureSkipVerify(true))
		if err != nil {
			t.Fatal(err)
		}
		return datagrams{c}, to.String()
	}
	p := listenTCP(t, r, at)
	c, err := net.Dial("tcp", p.Local().String())
	if err != nil {
		t.Fatal(err)
	}
	if carrier == "tls" {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return pion.NewSTUNConn(c), p.Local().String()
}

// datagrams is a DTLS connection as pion's client wants it.
type datagrams struct{ net.Conn }

func (d datagrams) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := d.Read(b)
	return n, d.RemoteAddr(), err
}

func (d datagrams) WriteTo(b []byte, _ net.Addr) (int, error) { return d.Write(b) }

// listenTCP opens a port that gives connections to the relay.
func listenTCP(t testing.TB, r *relay.Relay, at string) *port.Port {
	t.Helper()
	cert := certificate(t)
	p, err := port.OpenTCP(port.Config{Listen: at, TLS: func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }})
	if err != nil {
		t.Fatal(err)
	}
	p.SetRelay(r)
	p.Start()
	t.Cleanup(func() { p.Close() })
	return p
}

// RFC 8656 §7.2 and RFC 6056: relayed ports are of the range that is configured, and when all are taken the client is told 508.
func TestPortRange(t *testing.T) {
	cfg := config(t)
	cfg.FirstPort = freePorts(t, 4)
	cfg.LastPort = cfg.FirstPort + 3
	r := open(t, cfg)
	seen := map[string]bool{}
	for range 4 {
		c := client(t, listenPacket(t, "127.0.0.1:0"), r.UDP()[0].String())
		relayed, err := c.Allocate()
		if err != nil {
			t.Fatal(err)
		}
		defer relayed.Close()
		seen[relayed.LocalAddr().String()] = true
	}
	for port := cfg.FirstPort; port <= cfg.LastPort; port++ {
		if !seen[fmt.Sprintf("127.0.0.1:%d", port)] {
			t.Errorf("%v: without %d", seen, port)
		}
	}
	_, err := client(t, listenPacket(t, "127.0.0.1:0"), r.UDP()[0].String()).Allocate()
	if err == nil || !strings.Contains(err.Error(), "508") {
		t.Errorf("a fifth allocation of four ports: %v", err)
	}
}

// freePorts is the first of so many ports in a row that nobody has, of those that nobody is given who does not ask for them: tests that run beside this one
// have thousands of the others.
func freePorts(t *testing.T, count int) uint16 {
	t.Helper()
	for first := 20000; first < 30000; first += count {
		free := 0
		for free < count {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: first + free})
			if err != nil {
				break
			}
			c.Close()
			free++
		}
		if free == count {
			return uint16(first)
		}
	}
	t.Fatalf("no %d ports in a row are free", count)
	return 0
}

// A datagram to another relayed address of this process does not go through the kernel, and arrives.
func TestBetweenAllocations(t *testing.T) {
	cfg := config(t)
	cfg.Turn.Policy = turn.Policy{} // nothing but what is globally routable, and live relayed addresses
	r := open(t, cfg)
	var relayed [2]net.PacketConn
	for i := range relayed {
		c := client(t, listenPacket(t, "127.0.0.1:0"), r.UDP()[0].String())
		var err error
		if relayed[i], err = c.Allocate(); err != nil {
			t.Fatal(err)
		}
		defer relayed[i].Close()
		if err := c.CreatePermission(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 100)
	for i, from := range []int{0, 1, 0, 1} {
		to := relayed[1-from]
		if _, err := relayed[from].WriteTo(fmt.Append(nil, "hello ", i), to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		_ = to.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, at, err := to.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		if string(b[:n]) != fmt.Sprint("hello ", i) || at.String() != relayed[from].LocalAddr().String() {
			t.Errorf("%q from %v", b[:n], at)
		}
	}
	before := r.Stats()
	if _, err := relayed[1].WriteTo([]byte("x"), relayed[0].LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := relayed[0].ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	if s := r.Stats(); s.Received-before.Received != 1 || s.Sent-before.Sent != 1 {
		t.Errorf("%d datagrams received and %d sent for one that is relayed twice", s.Received-before.Received, s.Sent-before.Sent)
	}
}
