// Package port owns the two sockets of the one port: it sorts what arrives by its first bytes and hands it to its owner.
//
// UDP, by the first byte (RFC 7983 section 7):
//
//	  0 …   3  STUN: a check by its user fragment ──────────────────────┐
//	 20 …  63  DTLS ──────────┬─→ by its pair of addresses (Pairs) ─────┼─→ its owner, in batches
//	128 … 191  RTP and RTCP ──┘   that a check has validated            ┘
//	  0 …   3  other STUN ────┬─→ the relay, in batches
//	 64 … 127  ChannelData ───┘
//	all others, and what is nobody's: dropped for a reason, but for a few packets that a client may have sent whose address has changed
//
// TCP, by the first bytes, once there are ten of them or five seconds are over:
//
//	0x16 ─→ TLS ─→ by ALPN: h2, http/1.1 ─→ HTTP; none ─→ the same test again, inside
//	a letter ─→ HTTP
//	length, STUN header with its magic cookie at offset 6 (RFC 4571, RFC 8489) ─→ ICE-TCP: its datagrams to media
//	STUN header with its magic cookie at offset 4 ─→ STUN and TURN: the connection to the relay. ChannelData never comes first
//	all others: closed
//
// What relayed addresses of this process have for media comes by Give, and goes back to the relay, through memory.
package port

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/udp"
)

// Owner takes the datagrams. A media shard is one.
type Owner interface {
	// Batch takes a batch, which it gives back by Port.Recycle. It never blocks; false means that it has no room: the batch is
	// then still the port's. It may be called by several goroutines.
	Batch(b *datagram.Batch) bool
	// Strangers is the same for checks, and a little of what may be media, from pairs that nobody has validated. An owner has less room for
	// them, beside that for the others: whoever can only send displaces nobody who takes part, and is not displaced himself. Media come to the
	// first owner, whoever's they are.
	Strangers(b *datagram.Batch) bool
}

// Relay is a STUN and TURN server. internal/relay is one. Its methods never block, unless they say so.
type Relay interface {
	// Batch takes a batch of datagrams as an Owner does.
	Batch(b *datagram.Batch) bool
	// Serve serves a connection until it ends, and returns then. A Read of it gives its first bytes again. The pair is that of the connection.
	Serve(c net.Conn, pair datagram.Pair)
	// FromMedia takes datagrams for the relayed address at the other end of a Relayed pair, and returns how many of them it had no room for.
	// It keeps nothing of r, and may be called by several goroutines.
	FromMedia(r datagram.Run) (dropped int)
}

// Config of a port.
type Config struct {
	// Listen is HOST:PORT as udp.Config describes it. Port 0 takes any number that is free for both protocols.
	Listen string
	// TLS returns the configuration for the next connection. Its NextProtos decide whether there is HTTP/2. Where TLS or what
	// it returns is nil, TLS connections are closed.
	TLS func() *tls.Config
	// StreamClosed, where set, hears that the ICE-TCP connection of a pair has ended. It must not block.
	StreamClosed func(datagram.Pair)
	// Exempt are sources without limits of their own, such as reverse proxies. Loopback always is one.
	Exempt []netip.Prefix
	// Limits are those of limits.go where 0.
	Limits Limits
	// ReceiveBuffer and SendBuffer are those of the UDP socket; 0 means udp's defaults.
	ReceiveBuffer, SendBuffer int
}

// Port is a UDP socket and a TCP listener of the same number.
type Port struct {
	// static after construction
	cfg      Config
	conn     udp.Conn
	listener net.Listener // nil: UDP only
	http     *listener
	pairs    *Pairs
	free     chan *datagram.Batch
	stop     chan struct{}

	// static after Start
	owners []Owner
	relay  Relay // nil: STUN and TURN are nobody's

	// owned by readLoop
	strays strays

	running sync.WaitGroup
	gate    gate

	// guarded by mu
	mu      sync.RWMutex
	streams map[datagram.Pair]*stream
	closed  bool

	// atomic
	drops                                    [drop.NumReasons]atomic.Uint64
	accepted, unclassified, insecure, unread atomic.Uint64
	spare                                    atomic.Int64 // the fewest free batches since tidy looked
}

// Open binds both sockets. Nothing is read before Start.
func Open(cfg Config) (*Port, error) {
	for try := 1; ; try++ {
		conn, err := udp.Listen(udp.Config{Listen: cfg.Listen, ReceiveBuffer: cfg.ReceiveBuffer, SendBuffer: cfg.SendBuffer, Patience: patience})
		if err != nil {
			return nil, err
		}
		l, err := listenTCP(conn.Local())
		if err == nil {
			return New(cfg, conn, l), nil
		}
		conn.Close()
		if _, number, _ := net.SplitHostPort(cfg.Listen); number != "0" || try == maxTries || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
}

// OpenTCP binds only the TCP socket: a port for HTTP and TURN whose UDP is somebody else's.
func OpenTCP(cfg Config) (*Port, error) {
	l, err := net.Listen(udp.Network("tcp", cfg.Listen), cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on TCP %s: %w", cfg.Listen, err)
	}
	return New(cfg, &noUDP{local: addrPort(l.Addr()), closed: make(chan struct{})}, l), nil
}

// noUDP is the UDP socket of a port without one: nothing comes from it, and it sends nothing.
type noUDP struct {
	// static after construction
	local  netip.AddrPort
	closed chan struct{}

	once sync.Once
}

// ReadBatch implements udp.Conn.
func (n *noUDP) ReadBatch(*datagram.Batch) error {
	<-n.closed
	return net.ErrClosed
}

// Send implements udp.Conn.
func (n *noUDP) Send(e *datagram.Egress) (dropped int) {
	for _, r := range e.Runs() {
		if r.Pair.Proto == datagram.UDP {
			dropped += r.Segments
		}
	}
	return dropped
}

// Local implements udp.Conn.
func (n *noUDP) Local() netip.AddrPort { return n.local }

// Stats implements udp.Conn.
func (n *noUDP) Stats() udp.Stats { return udp.Stats{} }

// Close implements udp.Conn.
func (n *noUDP) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

// listenTCP binds what UDP has bound.
func listenTCP(local netip.AddrPort) (net.Listener, error) {
	network, address := "tcp", local.String()
	switch {
	case local.Addr().Is4():
		network = "tcp4"
	case local.Addr().IsUnspecified():
		address = net.JoinHostPort("", strconv.Itoa(int(local.Port())))
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on TCP %s: %w", local, err)
	}
	return l, nil
}

// New returns a Port on sockets that exist already; l may be nil. It owns them from now on.
func New(cfg Config, conn udp.Conn, l net.Listener) *Port {
	cfg.Limits = cfg.Limits.withDefaults()
	p := &Port{
		cfg: cfg, conn: conn, listener: l, pairs: NewPairs(),
		free: make(chan *datagram.Batch, maxIdleBatches), stop: make(chan struct{}),
		gate:    gate{limits: cfg.Limits, exempt: cfg.Exempt},
		streams: make(map[datagram.Pair]*stream),
	}
	p.http = newListener(p.addr())
	return p
}

// addr returns what the HTTP listener says about itself.
func (p *Port) addr() net.Addr {
	if p.listener != nil {
		return p.listener.Addr()
	}
	return net.UDPAddrFromAddrPort(p.conn.Local())
}

// Pairs is where owners say which pairs of addresses are theirs.
func (p *Port) Pairs() *Pairs { return p.pairs }

// SetRelay makes r the STUN and TURN server. It is called before Start, or not at all.
func (p *Port) SetRelay(r Relay) { p.relay = r }

// Start begins to read. It is called once, with ice.MaxShards owners at most: their places are the numbers by which user fragments
// and Pairs name them.
func (p *Port) Start(owners ...Owner) {
	p.owners = owners
	p.running.Add(1)
	go func() {
		defer p.running.Done()
		p.readLoop()
	}()
	p.running.Add(1)
	go func() {
		defer p.running.Done()
		p.tidy()
	}()
	if p.listener != nil {
		p.running.Add(1)
		go func() {
			defer p.running.Done()
			p.acceptLoop()
		}()
	}
}

// Close ends everything that came in by this port, HTTP connections included, and waits for the port's goroutines. An
// http.Server on it should be shut down before.
func (p *Port) Close() error {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	p.mu.Unlock()
	if closed {
		p.running.Wait()
		return nil
	}
	close(p.stop)
	err := p.conn.Close()
	if p.listener != nil {
		err = errors.Join(err, p.listener.Close())
	}
	p.http.Close()
	p.gate.closeAll()
	p.running.Wait()
	return err
}

// Local returns the bound address; it is unspecified where the port listens on all of them.
func (p *Port) Local() netip.AddrPort { return p.conn.Local() }

// HTTP returns the listener of HTTP connections. Those that came by TLS have a ConnectionState, so that http.Request.TLS is
// set; http.Server serves HTTP/2 on those that negotiated it. Closing it closes only HTTP.
func (p *Port) HTTP() net.Listener { return p.http }

// Addresses returns the addresses at which others can reach the port: the bound one, or where that is unspecified, those of
// this machine's interfaces. Loopback is among those only when there is nothing else; link-local addresses never are.
func (p *Port) Addresses() ([]netip.AddrPort, error) {
	local := p.conn.Local()
	if !local.Addr().IsUnspecified() {
		return []netip.AddrPort{local}, nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list this machine's addresses: %w", err)
	}
	return reachable(local, all), nil
}

// reachable picks from the addresses of this machine those that a socket on local serves and others can use.
func reachable(local netip.AddrPort, all []net.Addr) []netip.AddrPort {
	var loopback, others []netip.AddrPort
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		addr := prefix.Addr().Unmap()
		switch at := netip.AddrPortFrom(addr, local.Port()); {
		case local.Addr().Is4() && !addr.Is4(), addr.IsLinkLocalUnicast(), addr.IsMulticast():
		case addr.IsLoopback():
			loopback = append(loopback, at)
		default:
			others = append(others, at)
		}
	}
	if len(others) == 0 {
		return loopback
	}
	return others
}

// Send sends UDP runs by the socket, TCP runs by their connections, and Relayed ones by the relay. It never blocks; what cannot be sent is
// dropped and counted. Any goroutine may call it.
func (p *Port) Send(e *datagram.Egress) {
	dropped := p.conn.Send(e)
	for _, r := range e.Runs() {
		switch r.Pair.Proto {
		case datagram.TCP:
			dropped += p.sendTCP(r)
		case datagram.Relayed:
			dropped += p.sendRelayed(r)
		}
	}
	if dropped > 0 {
		p.drops[drop.EgressFull].Add(uint64(dropped))
	}
}

func (p *Port) sendTCP(r datagram.Run) (dropped int) {
	if s := p.stream(r.Pair); s != nil {
		return s.Send(r)
	}
	return r.Segments
}

func (p *Port) sendRelayed(r datagram.Run) (dropped int) {
	if p.relay != nil {
		return p.relay.FromMedia(r)
	}
	return r.Segments
}

// readLoop hands over what arrives by UDP.
func (p *Port) readLoop() {
	b := p.Take()
	for {
		switch err := p.conn.ReadBatch(b); {
		case err == nil:
			if p.hand(b) {
				b = p.Take()
			}
		case errors.Is(err, net.ErrClosed):
			return
		default:
			p.unread.Add(1)
			if !p.pause(readPause) { // or a socket that stays broken would keep a core busy
				return
			}
		}
	}
}

// pause waits and reports false when the port is closed meanwhile.
func (p *Port) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.stop:
		return false
	}
}

// Take returns an empty batch. It implements udp.Inbox.
func (p *Port) Take() *datagram.Batch {
	b := p.idle()
	if left := int64(len(p.free)); left < p.spare.Load() {
		p.spare.Store(left) // two readers at once: one too many may be given up
	}
	if b == nil {
		return datagram.NewBatch()
	}
	return b
}

// idle returns a batch that was used before, or nil.
func (p *Port) idle() *datagram.Batch {
	select {
	case b := <-p.free:
		return b
	default:
		return nil
	}
}

// tidy gives up what a peak has left, until the port closes: half of what nobody has used since the last time.
func (p *Port) tidy() {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
		}
		for range (p.spare.Load() - idleBatches + 1) / 2 {
			p.idle()
		}
		p.spare.Store(int64(len(p.free)))
	}
}

// Give hands over what an ICE-TCP connection has read, or what relayed addresses have for media. It implements udp.Inbox.
func (p *Port) Give(b *datagram.Batch) {
	if !p.hand(b) {
		p.Recycle(b)
	}
}

// Recycle takes a batch back that its owner has done with. Any goroutine may call it.
func (p *Port) Recycle(b *datagram.Batch) {
	b.Reset()
	select {
	case p.free <- b:
	default:
	}
}
