package udp

import (
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/mmsg"
)

func openBatched(t testing.TB, cfg Config) *batched {
	t.Helper()
	c, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*batched)
}

// loop returns a socket, its own pair, and an Egress.
func loop(t testing.TB) (*batched, datagram.Pair, *datagram.Egress) {
	c := openBatched(t, Config{Listen: "127.0.0.1:0"})
	return c, datagram.Pair{Local: c.local, Remote: c.local}, datagram.NewEgress(1 << 20)
}

// count reads until n datagrams have come.
func count(t testing.TB, c *batched, n int) {
	t.Helper()
	for b := datagram.NewBatch(); n > 0; n -= b.N {
		if err := c.ReadBatch(b); err != nil {
			t.Fatal(err)
		}
	}
}

// Reading and sending allocate nothing, for both families, for runs and for single datagrams.
func TestNoAllocation(t *testing.T) {
	for _, c := range []struct{ listen, addr string }{{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {":0", "127.0.0.1"}} {
		conn := openBatched(t, Config{Listen: c.listen, Patience: time.Second})
		steer(t, conn)
		self := netip.AddrPortFrom(netip.MustParseAddr(c.addr), conn.local.Port())
		pair := datagram.Pair{Local: self, Remote: self}
		e, b, media := datagram.NewEgress(1<<16), datagram.NewBatch(), make([]byte, 1200)
		media[0], media[1] = 0x80, 0x80|96
		aside := datagram.NewEgress(100)
		aside.Append(pair, feedback)
		work := func() {
			e.Reset()
			for i := range 20 {
				e.Append(pair, media[:1200-i/10])
			}
			e.Append(pair, media[:1200])
			if d := conn.Send(aside) + conn.Send(e); d != 0 {
				t.Fatalf("%d dropped", d)
			}
			for n := 22; n > 0; n -= b.N {
				if err := conn.ReadBatch(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		work()
		if n := testing.AllocsPerRun(50, work); n != 0 {
			t.Errorf("%s: %v allocations", c.listen, n)
		}
	}
}

// Where the kernel refuses a run as one message (here: no checksums, EINVAL), its datagrams are sent one by one, the address is
// remembered, and all of it is counted.
func TestGSOFallback(t *testing.T) {
	c, pair, e := loop(t)
	if !c.gso {
		t.Fatal("this kernel has no GSO")
	}
	if err := c.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) }); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		e.Append(pair, make([]byte, 1000))
	}
	for range 2 {
		if d := c.Send(e); d != 0 {
			t.Errorf("%d dropped", d)
		}
		count(t, c, 5)
	}
	s := c.Stats()
	if s.GSOFallbacks != 1 || s.Sent != 10 || s.Messages != 10 || s.SendFailed != 0 {
		t.Errorf("stats %+v", s)
	}
	if !c.fallbacks.has(pair.Remote.Addr()) || c.fallbacks.has(netip.MustParseAddr("192.0.2.1")) {
		t.Error("remembers the wrong address")
	}
}

// A run that fails also one by one does not condemn its address.
func TestRefusedRunIsNoFallback(t *testing.T) {
	c, pair, e := loop(t)
	s := newSender(c)
	s.write = func(int, []mmsg.Header) (int, unix.Errno) { return 0, unix.EIO }
	e.Append(pair, []byte("a"))
	e.Append(pair, []byte("b"))
	if d := s.send(e.Runs()); d != 2 || c.fallbacks.n.Load() != 0 || c.Stats().SendFailed != 2 {
		t.Errorf("%d dropped, stats %+v", d, c.Stats())
	}
}

// sendmmsg stops at a message that cannot be sent. It is left out and counted; those before and behind it are sent.
func TestBadMessagesAreLeftOut(t *testing.T) {
	c, pair, e := loop(t)
	foreignSource, wrongFamily, wrongSource, noPort := pair, pair, pair, pair
	foreignSource.Local = netip.MustParseAddrPort("198.51.100.77:9") // EINVAL
	wrongFamily.Remote = netip.MustParseAddrPort("[::1]:9")
	wrongSource.Local = netip.MustParseAddrPort("[::1]:9")
	noPort.Remote = netip.AddrPortFrom(pair.Remote.Addr(), 0)
	for _, bad := range []datagram.Pair{foreignSource, wrongFamily, wrongSource, noPort, foreignSource, foreignSource} {
		e.Append(pair, []byte("good"))
		e.Append(bad, []byte("bad"))
	}
	e.Append(pair, make([]byte, 65508)) // EMSGSIZE
	e.Append(pair, []byte("good"))
	if d := c.Send(e); d != 7 {
		t.Errorf("%d dropped, want 7", d)
	}
	count(t, c, 7)
	if s := c.Stats(); s.SendFailed != 7 || s.Sent != 7 {
		t.Errorf("stats %+v", s)
	}
}

// A full socket is never waited for: what is left of the Egress is dropped and counted exactly; an interrupted call is repeated.
func TestFullSocketDropsTheRest(t *testing.T) {
	c, pair, e := loop(t)
	foreign := pair
	foreign.Proto = datagram.TCP
	for i := range 200 { // growing sizes: 200 runs, four calls
		e.Append(pair, make([]byte, i+1))
	}
	for range 3 { // one run
		e.Append(pair, make([]byte, 100))
	}
	e.Append(foreign, []byte("not for UDP"))
	calls := 0
	s := newSender(c)
	s.write = func(fd int, msgs []mmsg.Header) (int, unix.Errno) {
		switch calls++; calls {
		case 1:
			return 0, unix.EINTR
		case 4:
			return 0, unix.EAGAIN
		case 5:
			t.Error("tried again")
		}
		return min(len(msgs), 40), 0
	}
	if d := s.send(e.Runs()); d != 203-64 || calls != 4 {
		t.Errorf("%d dropped after %d calls", d, calls)
	}
	if st := c.Stats(); st.SendFull != 203-64 || st.Sent != 64 || st.SendFailed != 0 {
		t.Errorf("stats %+v", st)
	}
}

// The table of addresses without GSO is bounded.
func TestFallbackLimit(t *testing.T) {
	var f fallbacks
	for i := range maxFallbacks + 100 {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if f.add(a); !f.has(a) {
			t.Fatalf("%v is not remembered", a)
		}
	}
	if n := len(f.addrs); n != maxFallbacks || int(f.n.Load()) != n {
		t.Errorf("%d remembered, %d counted", n, f.n.Load())
	}
}

// What the kernel drops because nobody reads is visible, also when nothing arrives any more; the buffers' sizes are, too.
func TestKernelDrops(t *testing.T) {
	c := openBatched(t, Config{Listen: "127.0.0.1:0", ReceiveBuffer: 16 << 10, SendBuffer: 64 << 10})
	e := datagram.NewEgress(1 << 20)
	for range 300 {
		e.Append(datagram.Pair{Remote: c.local}, make([]byte, 1000))
	}
	c.Send(e)
	s := c.Stats()
	if s.KernelDrops == 0 || s.KernelDrops >= 300 {
		t.Fatalf("stats %+v", s)
	}
	count(t, c, 300-int(s.KernelDrops))
	if got := c.Stats(); got.Received+got.KernelDrops != 300 || got.ReceiveBuffer != 16<<10 || got.SendBuffer != 64<<10 {
		t.Errorf("stats %+v", got)
	}
}

// The receive buffer is what was asked for, beyond the system's maximum, where the process may force it (CAP_NET_ADMIN), and the
// maximum where it may not. Stats tell which it was.
func TestReceiveBufferIsForcedWhereAllowed(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	wanted := max(DefaultReceiveBuffer, most+4096)
	check := func(may bool) {
		c, err := Listen(Config{Listen: "127.0.0.1:0", ReceiveBuffer: wanted})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if got, want := c.Stats().ReceiveBuffer, map[bool]int{true: wanted, false: most}[may]; got != want {
			t.Errorf("%d bytes granted of %d, want %d (may force: %v)", got, wanted, want, may)
		}
	}
	check(mayForce(t))
	done := make(chan struct{})
	go func() { // on a thread that may not, and that ends with its goroutine
		defer close(done)
		runtime.LockOSThread()
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var d [2]unix.CapUserData
		err := unix.Capget(&h, &d[0])
		if err == nil {
			d[0].Effective &^= 1 << unix.CAP_NET_ADMIN
			err = unix.Capset(&h, &d[0])
		}
		if err != nil || mayForce(t) {
			t.Errorf("gave up CAP_NET_ADMIN: %v", err)
		}
		check(false)
	}()
	<-done
}

// mayForce asks the kernel.
func mayForce(t *testing.T) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Error(err)
		return false
	}
	defer unix.Close(fd)
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4096) == nil
}

// Senders are kept for those that send at the same time, and no more of them than a limit.
func TestIdleSenderLimit(t *testing.T) {
	c, pair, _ := loop(t)
	for range maxIdleSenders {
		c.idle <- newSender(c)
	}
	done := make(chan int)
	for range maxIdleSenders * 2 {
		go func() {
			e := datagram.NewEgress(2000)
			e.Append(pair, []byte("x"))
			done <- c.Send(e)
		}()
	}
	for range maxIdleSenders * 2 {
		if d := <-done; d != 0 {
			t.Errorf("%d dropped", d)
		}
	}
	if len(c.idle) > maxIdleSenders {
		t.Errorf("%d kept", len(c.idle))
	}
}

// The reader waits for more only in the middle of a video frame: after a large RTP packet without marker, and with room left.
func TestCoalescingIsForFrames(t *testing.T) {
	c, pair, _ := loop(t)
	packet := func(first, second byte, size int) []byte {
		b := make([]byte, size)
		b[0], b[1] = first, second
		return b
	}
	for _, x := range []struct {
		name string
		b    []byte
		used int
		want bool
	}{
		{"video", packet(0x90, 96, 1200), 1, true},
		{"end of frame", packet(0x90, 0x80|96, 1200), 1, false},
		{"audio", packet(0x90, 111, 160), 1, false},
		{"at the limit", packet(0x80, 96, coalesceBytes), 1, false},
		{"sender report", packet(0x80, 200, 1200), 1, false},
		{"DTLS", packet(22, 254, 1200), 1, false},
		{"STUN", packet(0, 1, 1200), 1, false},
		{"no room", packet(0x90, 96, 1200), datagram.BatchSize, false},
	} {
		c.rd.batch, c.rd.used = datagram.NewBatch(), x.used
		if c.rd.inFrame() {
			t.Error("waits with an empty batch")
		}
		c.rd.batch.Append(pair, x.b)
		if got := c.rd.inFrame(); got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

// Each datagram has the time at which the kernel got it, whenever it is read.
func TestArrivalsAreTheKernels(t *testing.T) {
	c, pair, e := loop(t)
	var sent [3]int64
	for i := range sent {
		e.Reset()
		e.Append(pair, []byte("arrives"))
		c.Send(e)
		sent[i] = time.Now().UnixNano()
	}
	b, before := datagram.NewBatch(), int64(0)
	for n := 0; n < len(sent); n += b.N {
		if err := c.ReadBatch(b); err != nil {
			t.Fatal(err)
		}
		for i := range b.N {
			at := b.D[i].At
			if at <= before || at > sent[n+i] {
				t.Errorf("datagram %d came at %d, and was sent between %d and %d", n+i, at, before, sent[n+i])
			}
			before = sent[n+i]
		}
	}
}
