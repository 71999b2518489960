package mmsg

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Link-local addresses keep their interface on the way in and out, in socket addresses and control messages; others have none.
func TestLinkLocalZones(t *testing.T) {
	z := Zones{}
	to := netip.MustParseAddrPort("[fe80::7%12]:5000")
	var sa unix.RawSockaddrInet6
	if n := SetName(&sa, to, false); n != SizeInet6 || sa.Scope_id != 12 {
		t.Fatalf("size %d, scope %d", n, sa.Scope_id)
	}
	if got := z.Name(&sa); got != to {
		t.Errorf("%v, want %v", got, to)
	}
	var c Control
	n := SetControl(&c, to.Addr(), 1200, false)
	if got := z.Told(&c, n); got != (Told{To: to.Addr()}) {
		t.Errorf("%+v", got)
	}
	if got := z.Told(&c, 0); got != (Told{}) {
		t.Errorf("without control messages: %+v", got)
	}
	if allocs := testing.AllocsPerRun(100, func() { z.Name(&sa); z.Told(&c, n); SetName(&sa, to, false) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	sa.Addr, sa.Scope_id = netip.MustParseAddr("2001:db8::1").As16(), 12
	if got := z.Name(&sa); got.Addr().Zone() != "" {
		t.Errorf("global address with zone: %v", got)
	}
}

// What a socket's family cannot express has no name: nothing is sent there.
func TestNames(t *testing.T) {
	z := Zones{}
	for _, x := range []struct {
		to   string
		v4   bool
		size uint32
	}{
		{"192.0.2.1:5000", true, SizeInet4},
		{"192.0.2.1:5000", false, SizeInet6},
		{"[2001:db8::1]:5000", false, SizeInet6},
		{"[2001:db8::1]:5000", true, 0},
		{"192.0.2.1:0", true, 0},
	} {
		var sa unix.RawSockaddrInet6
		to := netip.MustParseAddrPort(x.to)
		if n := SetName(&sa, to, x.v4); n != x.size || n > 0 && z.Name(&sa) != to {
			t.Errorf("%v of v4 %v: %d bytes, %v", to, x.v4, n, z.Name(&sa))
		}
	}
}

// What the kernel tells of a datagram, cut off anywhere or with a length that is wrong, is read as far as it goes.
func TestTold(t *testing.T) {
	z := Zones{}
	var c Control
	*(*unix.Inet4Pktinfo)(setHeader(&c, 0, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)) = unix.Inet4Pktinfo{Spec_dst: [4]byte{192, 0, 2, 1}}
	at := unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	*(*int32)(setHeader(&c, at, unix.SOL_UDP, unix.UDP_GRO, 4)) = 1200
	at += unix.CmsgSpace(4)
	*(*uint32)(setHeader(&c, at, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 4)) = 7
	at += unix.CmsgSpace(4)
	all := Told{To: netip.MustParseAddr("192.0.2.1"), Segment: 1200, Dropped: 7}
	if got := z.Told(&c, at); got != all {
		t.Errorf("%+v", got)
	}
	for size := range at {
		if got := z.Told(&c, size); got.Segment != 0 && got.Segment != 1200 || got.Dropped != 0 && got.Dropped != 7 {
			t.Errorf("the first %d bytes: %+v", size, got)
		}
	}
	for _, length := range []uint64{0, 3, 15, 1 << 40} {
		c[0] = length
		if got := z.Told(&c, at); got != (Told{}) {
			t.Errorf("length %d: %+v", length, got)
		}
	}
	c = Control{}
	when := time.Unix(1234567890, 42)
	*(*unix.Timespec)(setHeader(&c, 0, unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS, 16)) = unix.NsecToTimespec(when.UnixNano())
	if got := z.Told(&c, unix.CmsgSpace(16)); got.At != when.UnixNano() {
		t.Errorf("it came at %d", got.At)
	}
}
