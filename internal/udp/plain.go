package udp

import (
	"errors"
	"net"
	"net/netip"

	"github.com/parley-rtc/parley/internal/datagram"
)

// plain is the portable Conn: one datagram per call.
type plain struct {
	// static after construction
	conn  *net.UDPConn
	local netip.AddrPort
	recv  int
	send  int

	// atomic
	counters
}

func listenPlain(cfg Config) (Conn, error) {
	conn, err := bind(cfg, nil)
	if err != nil {
		return nil, err
	}
	p := &plain{conn: conn, local: unmapped(conn.LocalAddr().(*net.UDPAddr).AddrPort())}
	if conn.SetReadBuffer(cfg.ReceiveBuffer) == nil {
		p.recv = cfg.ReceiveBuffer
	}
	if conn.SetWriteBuffer(cfg.SendBuffer) == nil {
		p.send = cfg.SendBuffer
	}
	return p, nil
}

// ReadBatch implements Conn. It reads one datagram.
func (p *plain) ReadBatch(b *datagram.Batch) error {
	b.Reset()
	for {
		// Where the buffer is filled to its end the datagram may have been longer: it is taken for oversized then.
		n, from, err := p.conn.ReadFromUDPAddrPort(b.Storage(0))
		switch {
		case errors.Is(err, net.ErrClosed):
			return net.ErrClosed
		case err != nil && n == 0:
			return err
		case n == 0:
			p.empty.Add(1)
		case n == datagram.MaxBytes:
			p.oversized.Add(1)
		default:
			from = unmapped(from)
			b.D[0] = datagram.Datagram{Pair: datagram.Pair{Local: p.localFor(from), Remote: from}, B: b.Storage(0)[:n]}
			b.N = 1
			p.received.Add(1)
			p.receivedBytes.Add(uint64(n))
			return nil
		}
	}
}

// localFor returns the bound address in the family of remote.
func (p *plain) localFor(remote netip.AddrPort) netip.AddrPort {
	if p.local.Addr().IsUnspecified() && remote.Addr().Is4() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), p.local.Port())
	}
	return p.local
}

// Send implements Conn.
func (p *plain) Send(e *datagram.Egress) (dropped int) {
	for _, r := range e.Runs() {
		if r.Pair.Proto != datagram.UDP {
			continue
		}
		for at := 0; at < len(r.B); at += r.Size {
			b := r.B[at:min(at+r.Size, len(r.B))]
			if _, err := p.conn.WriteToUDPAddrPort(b, r.Pair.Remote); err != nil {
				p.sendFailed.Add(1)
				dropped++
				continue
			}
			p.sent.Add(1)
			p.sentBytes.Add(uint64(len(b)))
			p.messages.Add(1)
		}
	}
	return dropped
}

// Local implements Conn.
func (p *plain) Local() netip.AddrPort { return p.local }

// Stats implements Conn.
func (p *plain) Stats() Stats {
	s := p.stats()
	s.ReceiveBuffer, s.SendBuffer = p.recv, p.send
	return s
}

// Close implements Conn.
func (p *plain) Close() error {
	if err := p.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
