package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/natcheck"
)

// defaultSTUNPort is that of STUN and TURN (RFC 8489 §18.6).
const defaultSTUNPort = "3478"

// FindServer finds a STUN server's address, given as HOST or HOST:PORT, IPv4 first: there are hardly NATs elsewhere.
func FindServer(ctx context.Context, server string) (netip.AddrPort, error) {
	if strings.Contains(server, "/") {
		return netip.AddrPort{}, errors.New("that is a URL")
	}
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = strings.Trim(server, "[]"), defaultSTUNPort
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	best := found[0]
	if i := slices.IndexFunc(found, func(a netip.Addr) bool { return a.Unmap().Is4() }); i >= 0 {
		best = found[i]
	}
	return netip.AddrPortFrom(best.Unmap(), uint16(number)), nil
}

// ExamineNAT adds what is to be found out about the NAT between this machine and a STUN server. status is told what is waited for. Nothing is
// added where ctx ends.
func (r *Report) ExamineNAT(ctx context.Context, server netip.AddrPort, status func(string)) {
	status(fmt.Sprintf("NAT: asking %v", server))
	x, err := askNAT(ctx, server)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.Add(Finding{Area: areaNAT, Level: Fault, Text: fmt.Sprintf("%v cannot be asked", server), Cause: err.Error(), Next: findWay})
		return
	}
	tcp := false
	if x.result.Fault == natcheck.NoAnswer {
		status(fmt.Sprintf("NAT: no answer by UDP; asking %v by TCP", server))
		tcp = AnswersSTUN(ctx, "tcp", server)
	}
	facts := x.facts(server, tcp)
	r.NAT = &facts
	r.Add(x.finding(server, tcp))
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
	return x, nil
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
