package udp

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
)

// patientLoop returns a socket with one aside, and its own pair.
func patientLoop(t testing.TB, listen, addr string) (*batched, datagram.Pair) {
	t.Helper()
	c := openBatched(t, Config{Listen: listen, Patience: 5 * time.Millisecond})
	steer(t, c)
	if !c.rd.aside.steers {
		t.Fatal("this kernel takes no second socket")
	}
	self := netip.AddrPortFrom(netip.MustParseAddr(addr), c.local.Port())
	return c, datagram.Pair{Local: self, Remote: self}
}

// steer has feedback put aside, however little there is of it.
func steer(t testing.TB, c *batched) {
	t.Helper()
	c.rd.aside.since = time.Now().Add(time.Hour)
	if err := c.raw.Control(func(fd uintptr) { c.rd.steer(int(fd), true) }); err != nil {
		t.Fatal(err)
	}
}

// protected is an RTCP packet of so many words as SRTCP makes it, its first byte and type in the clear, with so much behind it.
func protected(first, kind byte, words, more int) []byte {
	b := make([]byte, 4*words+more)
	b[0], b[1] = first, kind
	binary.BigEndian.PutUint16(b[2:], uint16(words-1))
	return b
}

var (
	feedback = protected(0x8f, 205, 8, 20)
	audio    = append([]byte{0x80, 111}, make([]byte, 120)...)
)

// put sends datagrams, each as a message of its own: the kernel looks at messages.
func put(t *testing.T, c *batched, pair datagram.Pair, all ...[]byte) {
	t.Helper()
	e := datagram.NewEgress(4096)
	for _, b := range all {
		e.Reset()
		e.Append(pair, b)
		if c.Send(e) != 0 {
			t.Fatal("not sent")
		}
	}
}

// readable asks the kernel whether reading a socket would find anything, which is what wakes whoever waits for it.
func readable(t *testing.T, fd int) bool {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		switch _, err := unix.Poll(p, 0); err {
		case nil:
			return p[0].Revents != 0
		case unix.EINTR:
		default:
			t.Fatal(err)
		}
	}
}

func fdOf(t *testing.T, c syscall.RawConn) (fd int) {
	t.Helper()
	if err := c.Control(func(f uintptr) { fd = int(f) }); err != nil {
		t.Fatal(err)
	}
	return fd
}

// Only what is transport-wide feedback and nothing else wakes nobody, for both families. What has a request for repair, a report or
// anything else with it does, as all do that are no RTCP; so does what is cut off.
func TestOnlyFeedbackGoesAside(t *testing.T) {
	for _, x := range []struct{ listen, addr string }{{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {":0", "127.0.0.1"}, {":0", "::1"}, {"0.0.0.0:0", "127.0.0.2"}} {
		c, pair := patientLoop(t, x.listen, x.addr)
		for _, d := range []struct {
			name  string
			b     []byte
			aside bool
		}{
			{"feedback, GCM", feedback, true},
			{"feedback, AES-CM", protected(0x8f, 205, 8, 14), true},
			{"padded feedback", protected(0xaf, 205, 8, 20), true},
			{"much feedback", protected(0x8f, 205, 275, 20), true},
			{"feedback and a request for repair", protected(0x8f, 205, 8, 20+16), false},
			{"feedback and a picture loss", protected(0x8f, 205, 8, 14+12), false},
			{"less than it says", protected(0x8f, 205, 8, 19), false},
			{"request for repair", protected(0x81, 205, 4, 20), false},
			{"picture loss", protected(0x81, 206, 3, 20), false},
			{"application", protected(0x8f, 206, 5, 20), false},
			{"receiver report", protected(0x81, 201, 8, 20), false},
			{"sender report with 15 blocks", protected(0x8f, 200, 8, 20), false},
			{"another version", protected(0x4f, 205, 8, 20), false},
			{"audio", audio, false},
			{"STUN", append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...), false},
			{"two bytes", feedback[:2], false},
			{"three bytes", feedback[:3], false},
			{"one byte", feedback[:1], false},
		} {
			put(t, c, pair, d.b)
			if got := readable(t, int(c.rd.aside.fd.Load())); got != d.aside || readable(t, fdOf(t, c.raw)) == got {
				t.Errorf("%s to %s: %s is aside: %v", x.listen, x.addr, d.name, got)
			}
			count(t, c, 1)
		}
	}
}

// Feedback wakes the reader as long as there is little of it. Where there is much, it goes aside, until there is little again; then what
// is left there is read.
func TestMuchFeedbackGoesAside(t *testing.T) {
	c := openBatched(t, Config{Listen: "127.0.0.1:0", Patience: 5 * time.Millisecond})
	pair, fd, now := datagram.Pair{Remote: c.local}, fdOf(t, c.raw), time.Now().Add(time.Hour) // so that reading itself weighs nothing, however slow this machine is
	c.rd.weigh(fd, now)
	for _, x := range []struct {
		reports int
		aside   bool
	}{{0, false}, {asideFrom - 1, false}, {asideFrom, true}, {asideFrom / 2, true}, {asideFrom/2 - 1, false}, {asideFrom / 2, false}, {2 * asideFrom, true}, {0, false}} {
		for range x.reports {
			put(t, c, pair, feedback)
		}
		count(t, c, x.reports)
		put(t, c, pair, feedback, feedback)
		c.rd.weigh(fd, now.Add(asideSpan-1))
		now = now.Add(asideSpan)
		if c.rd.weigh(fd, now); c.rd.aside.steers != x.aside {
			t.Errorf("after %d in a second, aside: %v", x.reports, c.rd.aside.steers)
		}
		count(t, c, 2)
		c.rd.aside.reports = 0
		put(t, c, pair, feedback)
		if readable(t, fd) == x.aside {
			t.Errorf("after %d in a second, feedback wakes the reader: %v", x.reports, !x.aside)
		}
		count(t, c, 1)
		c.rd.aside.reports = 0
	}
}

// What went aside is read with what comes next, behind it; and by itself after a while, with the addresses that it went between.
func TestAsideIsRead(t *testing.T) {
	c, pair := patientLoop(t, ":0", "127.0.0.3")
	b := datagram.NewBatch()
	for _, x := range []struct {
		patience     time.Duration // longer than any machine takes to read, or over at once
		sent, wanted [][]byte
	}{
		{time.Hour, [][]byte{feedback, feedback, audio}, [][]byte{audio, feedback, feedback}},
		{5 * time.Millisecond, [][]byte{feedback, feedback}, [][]byte{feedback, feedback}},
		{5 * time.Millisecond, [][]byte{feedback}, [][]byte{feedback}},
	} {
		c.rd.aside.patience = x.patience
		c.rd.rearm()
		put(t, c, pair, x.sent...)
		if err := c.ReadBatch(b); err != nil || b.N != len(x.wanted) {
			t.Fatalf("%d datagrams, %v; want %d", b.N, err, len(x.wanted))
		}
		for i, d := range b.D[:b.N] {
			if !bytes.Equal(d.B, x.wanted[i]) || d.Pair != pair {
				t.Errorf("%d: %x between %+v", i, d.B, d.Pair)
			}
		}
	}
	if s := c.Stats(); s.Received != 6 {
		t.Errorf("%+v", s)
	}
}

// A flood of one kind does not keep the other from being read.
func TestAsideAndTheRestTakeTurns(t *testing.T) {
	for _, x := range []struct{ feedback, audio int }{{100, 1}, {1, 100}, {100, 100}} {
		c, pair := patientLoop(t, "127.0.0.1:0", "127.0.0.1")
		for range x.audio {
			put(t, c, pair, audio)
		}
		for range x.feedback {
			put(t, c, pair, feedback)
		}
		var got struct{ feedback, audio int }
		b := datagram.NewBatch()
		for reads := 1; got != x; reads++ {
			if err := c.ReadBatch(b); err != nil {
				t.Fatal(err)
			}
			for _, d := range b.D[:b.N] {
				if d.B[1] == 205 {
					got.feedback++
				} else {
					got.audio++
				}
			}
			if reads == 2 && (got.feedback < min(x.feedback, asideShare) || got.audio < min(x.audio, datagram.BatchSize)) {
				t.Errorf("of %+v, %+v in two batches", x, got)
			}
		}
	}
}

// An address stays its first user's: another server is refused, and a socket that may share it gets nothing.
func TestSharedAddressIsTaken(t *testing.T) {
	c, pair := patientLoop(t, "127.0.0.1:0", "127.0.0.1")
	if again, err := Listen(Config{Listen: c.local.String(), Patience: time.Millisecond}); err == nil {
		again.Close()
		t.Error("one address for two servers")
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	third, err := lc.ListenPacket(context.Background(), "udp4", c.local.String())
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	for range 20 { // from as many ports: without a filter, these would choose
		other := openBatched(t, Config{Listen: "127.0.0.1:0"})
		put(t, other, datagram.Pair{Local: other.local, Remote: pair.Remote}, audio, feedback)
	}
	raw, err := third.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if readable(t, fdOf(t, raw)) {
		t.Error("a third socket gets some")
	}
	count(t, c, 40)
}

// What the kernel dropped aside counts, and Close frees the address for the next server, to which it does nothing when it is called again.
func TestAsideEnds(t *testing.T) {
	c, pair := patientLoop(t, "127.0.0.1:0", "127.0.0.1")
	_ = unix.SetsockoptInt(int(c.rd.aside.fd.Load()), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10)
	for range 300 {
		put(t, c, pair, feedback)
	}
	s := c.Stats()
	if s.KernelDrops == 0 || s.KernelDrops >= 300 {
		t.Fatalf("%+v", s)
	}
	count(t, c, 300-int(s.KernelDrops))
	at := c.local.String()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	next := openBatched(t, Config{Listen: at, Patience: time.Millisecond})
	steer(t, next)
	if err := c.Close(); err != nil { // again: its descriptors are another's now
		t.Fatal(err)
	}
	put(t, next, datagram.Pair{Remote: next.local}, audio, feedback)
	count(t, next, 2)
}

// Where there can be no second socket, the first is as it was, and everything is read from it.
func TestAsideIsOptional(t *testing.T) {
	c := openBatched(t, Config{Listen: "127.0.0.1:0"})
	fd := fdOf(t, c.raw)
	second, err := openAside(fd, false) // of the wrong family
	if second != 0 || err == nil {
		t.Fatalf("socket %d, %v", second, err)
	}
	if shared, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT); err != nil || shared != 0 {
		t.Errorf("shared: %d, %v", shared, err)
	}
	put(t, c, datagram.Pair{Remote: c.local}, feedback)
	if !readable(t, fd) {
		t.Error("feedback does not wake the reader")
	}
	count(t, c, 1)
}
