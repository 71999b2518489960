package relay_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/relay"
	"github.com/parley-rtc/parley/internal/stun"
)

// bare is a client without goroutines, so that thousands of them tell what the server takes. With several listeners one socket is as many clients.
type bare struct {
	t     testing.TB
	conn  *net.UDPConn
	ids   uint64
	user  string
	key   []byte
	nonce []byte
	buf   []byte
}

func newBare(t testing.TB) *bare {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &bare{t: t, conn: c, user: user, key: stun.AppendLongTermKey(nil, stun.MD5, user, realm, password), buf: make([]byte, 2048)}
}

// ask sends a request, with credentials once the server has told its nonce, and returns the answer.
func (b *bare) ask(server netip.AddrPort, method stun.Method, with func(*stun.Builder)) (m stun.Message) {
	b.t.Helper()
	for range 2 {
		b.request(server, method, with)
		_ = b.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := b.conn.Read(b.buf)
		if err != nil {
			b.t.Fatal(err)
		}
		if r := m.Parse(b.buf[:n]); r != drop.None {
			b.t.Fatalf("an answer is dropped as %v", r)
		}
		if m.Type.Class() == stun.Success {
			return m
		}
		nonce, _ := m.Find(stun.Nonce)
		b.nonce = slices.Clone(nonce)
	}
	code, _ := m.Find(stun.ErrorCode)
	b.t.Fatalf("method %d: %q", method, code)
	return m
}

// request sends one.
func (b *bare) request(server netip.AddrPort, method stun.Method, with func(*stun.Builder)) {
	b.t.Helper()
	b.ids++
	id := binary.BigEndian.AppendUint64([]byte("bare"), b.ids)
	w := stun.Begin(nil, stun.TypeOf(method, stun.Request), id)
	with(&w)
	if b.nonce != nil {
		w.Text(stun.Username, b.user)
		w.Text(stun.Realm, realm)
		w.Bytes(stun.Nonce, b.nonce)
		w.Integrity(hmac.New(sha1.New, b.key))
	}
	if _, err := b.conn.WriteToUDPAddrPort(w.Message(), server); err != nil {
		b.t.Fatal(err)
	}
}

// allocate makes an allocation with a channel to a peer, and returns its relayed address.
func (b *bare) allocate(server, peer netip.AddrPort) netip.AddrPort {
	b.t.Helper()
	relayed := b.relayed(server)
	b.bind(server, peer)
	return relayed
}

// relayed makes an allocation and returns its relayed address.
func (b *bare) relayed(server netip.AddrPort) netip.AddrPort {
	b.t.Helper()
	m := b.ask(server, stun.Allocate, func(w *stun.Builder) { w.Bytes(stun.RequestedTransport, []byte{17, 0, 0, 0}) })
	value, _ := m.Find(stun.XORRelayedAddress)
	relayed, ok := stun.Address(value, m.ID())
	if !ok {
		b.t.Fatal("no relayed address")
	}
	return relayed
}

// bind binds channel 0x4000 to a peer.
func (b *bare) bind(server, peer netip.AddrPort) {
	b.t.Helper()
	b.ask(server, stun.ChannelBind, func(w *stun.Builder) {
		w.Bytes(stun.ChannelNumber, []byte{0x40, 0, 0, 0})
		w.Address(stun.XORPeerAddress, peer)
	})
}

// descriptorsFor raises this process's limit, or skips the test.
func descriptorsFor(t testing.TB, n uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < n {
		t.Skipf("this process may have %d descriptors, not %d", limit.Max, n)
	}
	raised := limit
	raised.Cur = max(limit.Cur, n)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) })
}

// allocations makes n of them at a relay with listeners, each with a channel to peer, and returns how long each took.
func allocations(t testing.TB, r *relay.Relay, n int, peer netip.AddrPort, each func(b *bare, server, relayed netip.AddrPort)) (took []time.Duration) {
	t.Helper()
	for len(took) < n {
		b := newBare(t)
		for _, server := range r.UDP()[:min(len(r.UDP()), n-len(took))] {
			start := time.Now()
			relayed := b.allocate(server, peer)
			took = append(took, time.Since(start))
			each(b, server, relayed)
		}
	}
	slices.Sort(took)
	return took
}

// Ten thousand allocations at once are no error, and all of them relay. When the relay is closed none of their sockets is left.
func TestTenThousandAllocations(t *testing.T) {
	const n = 10000
	descriptorsFor(t, n+1000)
	cfg := config(t)
	for range 39 {
		cfg.UDP = append(cfg.UDP, loopback)
	}
	r := open(t, cfg)
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	seen := map[netip.AddrPort]bool{}
	buf := make([]byte, 100)
	allocations(t, r, n, peer.LocalAddr().(*net.UDPAddr).AddrPort(), func(b *bare, server, relayed netip.AddrPort) {
		seen[relayed] = true
		if _, err := b.conn.WriteToUDPAddrPort([]byte("\x40\x00\x00\x05there"), server); err != nil {
			t.Fatal(err)
		}
		_ = peer.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, from, err := peer.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "there" || from != relayed {
			t.Fatalf("%q from %v, %v; relayed address %v", buf[:n], from, err, relayed)
		}
		if _, err := peer.WriteToUDPAddrPort([]byte("back"), relayed); err != nil {
			t.Fatal(err)
		}
		if n, err := b.conn.Read(buf); err != nil || string(buf[:n]) != "\x40\x00\x00\x04back" {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	})
	if s := r.Stats(); len(seen) != n || s.Relays != n {
		t.Errorf("%d addresses, %d relays", len(seen), s.Relays)
	}
}

// resident returns the resident set of this process in bytes.
func resident(t testing.TB) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// What an allocation with a channel takes: of memory, its clients' 50 sockets included, and of time, from the first request to the last answer.
func BenchmarkAllocations(b *testing.B) {
	const n = 2000
	descriptorsFor(b, n+1000)
	cfg := config(b)
	for range 39 {
		cfg.UDP = append(cfg.UDP, loopback)
	}
	for b.Loop() {
		r, err := relay.Open(cfg)
		if err != nil {
			b.Fatal(err)
		}
		none := func(*bare, netip.AddrPort, netip.AddrPort) {}
		peer := netip.MustParseAddrPort("127.0.0.1:9")
		allocations(b, r, 20, peer, none)
		before := resident(b)
		took := allocations(b, r, n, peer, none)
		b.ReportMetric(float64(resident(b)-before)/1024/n, "KiB/allocation")
		b.ReportMetric(float64(took[n/2].Microseconds())/1000, "ms/allocation-p50")
		r.Close()
	}
}
