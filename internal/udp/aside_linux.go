package udp

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// aside is a second socket on a Conn's address, for when there is much feedback about arrivals. The kernel puts it there, and since nobody
// waits for that, it wakes nobody: it is read with what comes next. Of 200 subscribers each tells ten times a second how its packets
// arrived, and a wake-up that is only for one of these costs more than what it says.
//
//	datagram ─ filter ─┬─ transport-wide feedback and nothing else ─→ aside
//	                   └─ all others ─→ the socket
//
// Such feedback is about the last 50 to 250 ms, and what it is for is measured by the receiver's clock; but what it says is lost is sent
// again. Where it is little, it therefore waits for nothing.
type aside struct {
	// static after construction
	patience time.Duration // 0: there never is one

	// owned by the goroutine in ReadBatch
	steers  bool // feedback comes by it
	refused bool // the system does not let us
	owed    bool // it is to be read without waiting for the socket
	reports int  // feedback that came since
	since   time.Time

	// atomic
	fd atomic.Int32 // 0: it has never been needed
}

// weigh looks whether there is so much feedback that it is to come by aside, or no longer.
func (r *reader) weigh(fd int, now time.Time) {
	a := &r.aside
	span := now.Sub(a.since)
	if span < asideSpan {
		return
	}
	rate := float64(a.reports) / span.Seconds()
	a.reports, a.since = 0, now
	switch {
	case !a.steers && rate >= asideFrom:
		r.steer(fd, true)
	case a.steers && rate < asideFrom/2:
		r.steer(fd, false)
	}
}

// steer begins or ends to have feedback put aside.
func (r *reader) steer(fd int, on bool) {
	a := &r.aside
	if a.refused {
		return
	}
	second := int(a.fd.Load())
	if second == 0 {
		var err error
		if second, err = openAside(fd, r.conn.v4); err != nil {
			a.refused = true
			return
		}
		a.fd.Store(int32(second))
	}
	filter := restFilter[:]
	if on {
		filter = asideFilter[:]
	}
	if attach(second, filter) != nil {
		a.refused = true // with another filter, or none, both sockets get some of everything
		on = true
	}
	a.steers, a.owed = on, !on // what is left there is read
	r.rearm()
}

// rearm sets until when the socket is waited for.
func (r *reader) rearm() {
	var by time.Time
	if a := &r.aside; a.steers {
		by = time.Now().Add(a.patience)
	}
	_ = r.conn.conn.SetReadDeadline(by) // it fails where the socket is closed, as reading does
}

// openAside binds a second socket where fd is bound. The first one was bound alone, so that an address that is taken was refused; sharing it
// is allowed only from now on, to sockets of this user that ask for it, and the filters name none but the first two.
func openAside(fd int, v4 bool) (second int, err error) {
	domain, network := unix.AF_INET6, "udp"
	if v4 {
		domain, network = unix.AF_INET, "udp4"
	}
	second, err = unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, fmt.Errorf("open a second socket: %w", err)
	}
	if err := joinAside(fd, second, network); err != nil {
		unix.Close(second)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 0)
		return 0, err
	}
	return second, nil
}

func joinAside(fd, second int, network string) error {
	if err := setOptions(second, network, Config{ReceiveBuffer: asideBuffer, SendBuffer: 1}); err != nil { // nothing is sent by it
		return err
	}
	if network == "udp" {
		only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		if err == nil {
			err = unix.SetsockoptInt(second, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only)
		}
		if err != nil {
			return fmt.Errorf("listen on the same families: %w", err)
		}
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("find the bound address: %w", err)
	}
	for _, s := range []int{fd, second} {
		if err := unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fmt.Errorf("share the address: %w", err)
		}
	}
	if err := unix.Bind(second, address); err != nil {
		return fmt.Errorf("bind a second socket: %w", err)
	}
	return attach(second, restFilter[:])
}

// attach lets the kernel choose between the sockets on an address.
func attach(fd int, filter []unix.SockFilter) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &program); err != nil {
		return fmt.Errorf("choose between sockets: %w", err)
	}
	return nil
}

// asideFilter returns the number of the socket for a datagram: 1 for aside, and 0, as where it reads beyond the end, for the other.
// SRTCP leaves the first 8 bytes readable (RFC 3711 §3.4), and with them the format, the type and the length of the first packet; what
// follows must be SRTCP's own, or there would be more in it than that.
var asideFilter = [...]unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 0},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xdfff},               // padded or not:
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0x8fcd, Jt: 0, Jf: 8}, // version 2, format 15, type 205
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 2},                     // its length in words, but for the first
	{Code: unix.BPF_ALU | unix.BPF_ADD | unix.BPF_K, K: 1},
	{Code: unix.BPF_ALU | unix.BPF_LSH | unix.BPF_K, K: 2},
	{Code: unix.BPF_MISC | unix.BPF_TAX},
	{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN},
	{Code: unix.BPF_ALU | unix.BPF_SUB | unix.BPF_X},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 16 + 4, Jt: 2, Jf: 0}, // AEAD_AES_128_GCM: tag and index
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 10 + 4, Jt: 1, Jf: 0}, // AES128_CM_HMAC_SHA1_80
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 1},
}

// restFilter leaves everything to the first socket.
var restFilter = [...]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}

// close frees the socket. It is called once, when nobody reads any more.
func (a *aside) close() {
	if fd := a.fd.Load(); fd != 0 {
		unix.Close(int(fd))
	}
}
