package relay

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/mmsg"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

// A socket that has more than its turn takes lets the others have theirs first, and is read to its end after that.
func TestBusySocketIsFair(t *testing.T) {
	l := stopped(t)
	var err error
	if l.core, err = turn.New(turn.Config{Secret: bytes.Repeat([]byte("s"), turn.MinSecret)}); err != nil {
		t.Fatal(err)
	}
	var clients [2]*net.UDPConn
	var servers [2]netip.AddrPort
	for i := range clients {
		if servers[i], err = l.listen(netip.MustParseAddrPort("127.0.0.1:0"), false); err != nil {
			t.Fatal(err)
		}
		if clients[i], err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		defer clients[i].Close()
	}
	w := stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Request), []byte("transaction."))
	const many = 3*maxRead + 5
	for range many {
		if _, err := clients[0].WriteToUDPAddrPort(w.Message(), servers[0]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := clients[1].WriteToUDPAddrPort(w.Message(), servers[1]); err != nil {
		t.Fatal(err)
	}
	answers := func(c *net.UDPConn) (n int) {
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Read(func(fd uintptr) bool {
			for b := make([]byte, 100); ; n++ {
				if _, _, err := unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT); err != nil {
					return true
				}
			}
		})
		return n
	}
	var got [2][]int
	for range 5 {
		l.wait()
		l.now = time.Now()
		l.takeEvents()
		l.readMore()
		l.flush()
		for i, c := range clients {
			got[i] = append(got[i], answers(c))
		}
		if len(l.more) == 0 {
			break
		}
	}
	if sum := got[0][0] + got[0][1]; got[1][0] != 1 || got[0][0] > 2*maxRead || sum > many || got[0][len(got[0])-1] == 0 {
		t.Errorf("answers in each turn: %v to the busy socket, %v to the other", got[0], got[1])
	}
	total := 0
	for _, n := range got[0] {
		total += n
	}
	if total != many {
		t.Errorf("%d answers to %d requests", total, many)
	}
}

// kernel is sendmmsg as a test wants it: it notes what is sent and refuses what refuse says.
type kernel struct {
	sent   []int // segments of each message that was sent, in the order of sending
	refuse func(segments int) unix.Errno
}

func (k *kernel) write(_ int, msgs []mmsg.Header) (int, unix.Errno) {
	for i := range msgs {
		h := &msgs[i].Hdr
		bytes, segment := 0, 0
		for _, iov := range unsafe.Slice(h.Iov, h.Iovlen) {
			bytes += int(iov.Len)
		}
		if h.Controllen > 0 {
			segment = int(*(*uint16)(unsafe.Add(unsafe.Pointer(h.Control), unix.CmsgLen(0))))
		}
		n := 1
		if segment > 0 {
			n = (bytes + segment - 1) / segment
		}
		if errno := k.refuse(n); errno != 0 {
			if i > 0 {
				return i, 0
			}
			return -1, errno
		}
		k.sent = append(k.sent, n)
	}
	return len(msgs), 0
}

// A run that the kernel refuses goes datagram by datagram, and the destination is remembered; an error that ICMP has left costs nothing; a full
// socket drops, and is counted; what else is refused is left out, and what follows it is sent.
func TestRefusedMessages(t *testing.T) {
	one, other := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:2")
	times := func(n int, errno unix.Errno) func(int) unix.Errno {
		return func(int) unix.Errno {
			if n--; n >= 0 {
				return errno
			}
			return 0
		}
	}
	for _, c := range []struct {
		name                          string
		refuse                        func(segments int) unix.Errno
		sent                          []int
		full, failed, fallbacks, sums uint64
	}{
		{"nothing is refused", times(0, 0), []int{3, 2}, 0, 0, 0, 5},
		{"no offload", func(n int) unix.Errno {
			if n > 1 {
				return unix.EIO
			}
			return 0
		}, []int{1, 1, 1, 1, 1}, 0, 0, 2, 5},
		{"ICMP has left an error", times(2, unix.ECONNREFUSED), []int{3, 2}, 0, 0, 0, 5},
		{"full", times(1, unix.EAGAIN), nil, 5, 0, 0, 0},
		{"forbidden by a firewall", times(1, unix.EPERM), []int{2}, 0, 3, 0, 2},
		{"unreachable for good", func(int) unix.Errno { return unix.ENETUNREACH }, nil, 0, 5, 0, 0},
	} {
		l := &loop{gso: true, fallbacks: fallbacks{}}
		k := &kernel{refuse: c.refuse}
		w := newWriter(l)
		w.write = k.write
		s := &socket{v4: true, local: netip.MustParseAddrPort("192.0.2.9:9")}
		for _, to := range []netip.AddrPort{one, one, one, other, other} {
			w.add(s, netip.AddrPort{}, to, []byte("head"), make([]byte, 100), nil)
		}
		w.flush()
		st := l.stats
		if !slices.Equal(k.sent, c.sent) || st.SendFull != c.full || st.SendFailed != c.failed || st.GSOFallbacks != c.fallbacks || st.Sent != c.sums {
			t.Errorf("%s: messages of %v, %+v", c.name, k.sent, st)
		}
		if c.fallbacks > 0 {
			k.sent = nil
			w.add(s, netip.AddrPort{}, one, nil, make([]byte, 100), nil)
			w.add(s, netip.AddrPort{}, one, nil, make([]byte, 100), nil)
			if w.flush(); !slices.Equal(k.sent, []int{1, 1}) {
				t.Errorf("%s: then messages of %v", c.name, k.sent)
			}
		}
	}
}

// More datagrams than one call takes, and more pieces, go in several; none is lost and their order stays.
func TestManyMessages(t *testing.T) {
	l := &loop{gso: true, fallbacks: fallbacks{}}
	k := &kernel{refuse: func(int) unix.Errno { return 0 }}
	w := newWriter(l)
	w.write = k.write
	s := &socket{v4: true, local: netip.MustParseAddrPort("192.0.2.9:9")}
	const n = 3*maxMessages + maxPieces
	for i := range n {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), uint16(1+i/2%2*i)) // some alone, some in twos
		w.add(s, netip.AddrPort{}, to, []byte("head"), []byte("body"), []byte("tail"))
	}
	w.flush()
	total := 0
	for _, segments := range k.sent {
		if segments > datagram.MaxRunSegments {
			t.Errorf("a message of %d", segments)
		}
		total += segments
	}
	if total != n || l.stats.Sent != n {
		t.Errorf("%d of %d, %+v", total, n, l.stats)
	}
}

// Empty datagrams, which have no pieces, are sent too, however many there are.
func TestEmptyMessages(t *testing.T) {
	l := &loop{gso: true, fallbacks: fallbacks{}}
	k := &kernel{refuse: func(int) unix.Errno { return 0 }}
	w := newWriter(l)
	w.write = k.write
	s := &socket{v4: true, local: netip.MustParseAddrPort("192.0.2.9:9")}
	to := netip.MustParseAddrPort("10.0.0.1:1")
	const full, empty = maxPieces - 3, maxPieces
	for range full {
		w.add(s, netip.AddrPort{}, to, nil, []byte("body"), nil)
	}
	for range empty {
		w.add(s, netip.AddrPort{}, to, nil, nil, nil)
	}
	if w.flush(); l.stats.Sent != full+empty {
		t.Errorf("%+v", l.stats)
	}
}

// The loop of sockets allocates nothing for a datagram that it relays from a listener back to a client.
func TestNoAllocation(t *testing.T) {
	l := &loop{gso: true, fallbacks: fallbacks{}}
	w := newWriter(l)
	w.write = func(_ int, msgs []mmsg.Header) (int, unix.Errno) { return len(msgs), 0 }
	s := &socket{v4: true, local: netip.MustParseAddrPort("0.0.0.0:9")}
	from, to := netip.MustParseAddrPort("192.0.2.9:9"), netip.MustParseAddrPort("192.0.2.1:1")
	b := make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() {
		for range 100 {
			w.add(s, from, to, b[:4], b, nil)
		}
		w.flush()
	}); n != 0 {
		t.Errorf("%v allocations for 100 datagrams", n)
	}
}

// RFC 8656 §14.1, §18.9: what leaves a relayed address may be fragmented, but for what a client says must not be; neighbours of that still may.
func TestDontFragment(t *testing.T) {
	for _, at := range []struct {
		local       string
		level, name int
	}{
		{"127.0.0.1:0", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER}, {"[::1]:0", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER},
	} {
		s, err := openUDP(netip.MustParseAddrPort(at.local), true, false)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(s.fd)
		l := &loop{fallbacks: fallbacks{}, gso: true}
		l.wr = newWriter(l)
		var modes []int
		l.wr.write = func(fd int, msgs []mmsg.Header) (int, unix.Errno) {
			mode, err := unix.GetsockoptInt(fd, at.level, at.name)
			if err != nil {
				t.Fatal(err)
			}
			for range msgs {
				modes = append(modes, mode)
			}
			return len(msgs), 0
		}
		for _, df := range []bool{false, true, false} {
			l.toPeer(s, &turn.ToPeer{Peer: s.local, DontFragment: df, B: []byte("x")})
		}
		l.wr.flush()
		if want := []int{unix.IP_PMTUDISC_DONT, unix.IP_PMTUDISC_DO, unix.IP_PMTUDISC_DONT}; !slices.Equal(modes, want) {
			t.Errorf("%s: path MTU discovery %v, want %v", at.local, modes, want)
		}
	}
}
