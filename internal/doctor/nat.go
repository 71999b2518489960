package doctor

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/natcheck"
)

// defaultSTUNPort is that of STUN and TURN (RFC 8489 §18.6).
const defaultSTUNPort = "3478"

// ExamineNAT adds what is to be found out about the NAT between this machine and a STUN server, HOST or HOST:PORT. status is told what is
// waited for. An error says that the server could not be asked.
func (r *Report) ExamineNAT(ctx context.Context, server string, status func(string)) error {
	at, err := lookUp(ctx, server)
	if err != nil {
		return err
	}
	status(fmt.Sprintf("NAT: asking %v", at))
	x, err := askNAT(ctx, at)
	if err != nil {
		return err
	}
	tcp := false
	if x.result.Fault == natcheck.NoAnswer {
		status(fmt.Sprintf("NAT: no answer by UDP; asking %v by TCP", at))
		tcp = AnswersSTUN(ctx, "tcp", at)
	}
	facts := x.facts(at, tcp)
	r.NAT = &facts
	r.Add(x.finding(at, tcp))
	return nil
}

// lookUp finds a server's address, IPv4 first: there are hardly NATs elsewhere.
func lookUp(ctx context.Context, server string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = server, defaultSTUNPort
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--server %s: %w", server, err)
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--server %s: %w", server, err)
	}
	best := found[0]
	if i := slices.IndexFunc(found, func(a netip.Addr) bool { return a.Unmap().Is4() }); i >= 0 {
		best = found[i]
	}
	return netip.AddrPortFrom(best.Unmap(), uint16(number)), nil
}

// examination is a Check with its sockets.
type examination struct {
	// static after construction
	conns    [natcheck.Sockets]*net.UDPConn
	arrivals chan arrival
	done     chan struct{} // closed when nobody takes arrivals any more

	// owned by askNAT
	result natcheck.Result
	failed error // of the first datagram that could not be sent
}

// arrival is a datagram that came to a socket.
type arrival struct {
	socket natcheck.Socket
	from   netip.AddrPort
	b      []byte
}

// askNAT carries out an examination. Its sockets are bound to the address that leads to the server, because only then what the server sees
// can be compared with it.
func askNAT(ctx context.Context, server netip.AddrPort) (*examination, error) {
	local, err := localAddress(server)
	if err != nil {
		return nil, err
	}
	x := &examination{arrivals: make(chan arrival, maxArrivals), done: make(chan struct{})}
	var readers sync.WaitGroup
	defer func() {
		close(x.done)
		for _, c := range x.conns {
			if c != nil {
				_ = c.Close()
			}
		}
		readers.Wait()
	}()
	cfg := natcheck.Config{Server: server, Random: rand.Reader}
	for i := range x.conns {
		if x.conns[i], err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))); err != nil {
			return nil, fmt.Errorf("open a socket for the NAT: %w", err)
		}
		cfg.Local[i] = netip.AddrPortFrom(local.WithZone(""), x.conns[i].LocalAddr().(*net.UDPAddr).AddrPort().Port())
		readers.Go(func() { x.read(natcheck.Socket(i)) })
	}
	check, err := natcheck.New(time.Now(), cfg)
	if err != nil {
		return nil, err
	}
	x.run(ctx, check)
	x.result = check.Result()
	return x, ctx.Err()
}

// localAddress is the address of this machine that leads to another. Nothing is sent.
func localAddress(to netip.AddrPort) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find a way to %v: %w", to, err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

func (x *examination) read(s natcheck.Socket) {
	for {
		b := make([]byte, datagram.MaxBytes)
		n, from, err := x.conns[s].ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		select {
		case x.arrivals <- arrival{s, netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port()), b[:n]}:
		case <-x.done:
			return
		}
	}
}

// run sends and receives until the check has found out what it can.
func (x *examination) run(ctx context.Context, check *natcheck.Check) {
	var out natcheck.Out
	timer := time.NewTimer(0)
	defer timer.Stop()
	for next := check.Next(); !next.IsZero(); next = check.Next() {
		timer.Reset(time.Until(next))
		out.Reset()
		select {
		case <-ctx.Done():
			return
		case a := <-x.arrivals:
			check.Handle(time.Now(), a.socket, a.from, a.b, &out)
		case <-timer.C:
			check.Timeout(time.Now(), &out)
		}
		for _, d := range out.Datagrams {
			if _, err := x.conns[d.Socket].WriteToUDPAddrPort(d.B, d.To); err != nil && x.failed == nil {
				x.failed = err
			}
		}
	}
}
