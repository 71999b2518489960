package relay

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/turn"
)

// Relay is a running STUN and TURN server.
type Relay struct {
	// static after construction
	cfg     Config
	loop    *loop
	udp     []netip.AddrPort
	dtls    []*sessions
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	// guarded by mu
	mu      sync.Mutex
	clients map[*client]struct{}
	closed  bool
}

// Open binds everything and starts.
func Open(cfg Config) (*Relay, error) {
	if cfg.FirstPort == 0 {
		cfg.FirstPort = FirstPort
	}
	if cfg.LastPort == 0 {
		cfg.LastPort = LastPort
	}
	if cfg.FirstPort > cfg.LastPort {
		return nil, fmt.Errorf("relayed ports %d to %d: the first is above the last", cfg.FirstPort, cfg.LastPort)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l, err := newLoop(cfg)
	if err != nil {
		return nil, err
	}
	r := &Relay{cfg: cfg, loop: l, clients: map[*client]struct{}{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	l.start, l.ctx = r.start, r.ctx
	if err := r.listen(); err != nil {
		for _, s := range r.dtls {
			s.conn.Close()
		}
		l.release()
		r.cancel()
		return nil, err
	}
	r.start(l.run)
	r.start(r.look)
	for _, s := range r.dtls {
		r.start(s.readLoop)
	}
	return r, nil
}

// start runs f as a goroutine that Close waits for.
func (r *Relay) start(f func()) {
	r.running.Add(1)
	go func() {
		defer r.running.Done()
		f()
	}()
}

// listen opens the core and all listeners.
func (r *Relay) listen() error {
	l := r.loop
	l.own = newOwn(&r.cfg)
	r.cfg.Turn.Own = l.own
	var err error
	if l.core, err = turn.New(r.cfg.Turn); err != nil {
		return err
	}
	for _, at := range r.cfg.UDP {
		local, err := l.listen(at, dual(at, r.cfg.UDP))
		if err != nil {
			return err
		}
		r.udp = append(r.udp, local)
	}
	return r.listenDTLS()
}

// dual reports whether a listener of all IPv6 addresses serves IPv4 as well: not where another one of that port does.
func dual(at netip.AddrPort, all []netip.AddrPort) bool {
	if at.Addr() != netip.IPv6Unspecified() {
		return false
	}
	for _, other := range all {
		if other.Addr().Is4() && other.Port() == at.Port() {
			return false
		}
	}
	return true
}

// listen adds a listener to the loop, which does not run yet.
func (l *loop) listen(at netip.AddrPort, dual bool) (netip.AddrPort, error) {
	s, err := openUDP(at, false, dual)
	if err != nil {
		return at, err
	}
	if err := l.add(s); err != nil {
		unix.Close(s.fd)
		return at, err
	}
	_, err = unix.GetsockoptInt(s.fd, unix.SOL_UDP, unix.UDP_SEGMENT)
	l.gso = err == nil
	l.listeners = append(l.listeners, s)
	return s.local, nil
}

// look looks at this machine's addresses now and then.
func (r *Relay) look() {
	ticker := time.NewTicker(interfacesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.loop.own.look()
		case <-r.ctx.Done():
			return
		}
	}
}

// UDP returns the addresses of the UDP listeners, in the order of the configuration.
func (r *Relay) UDP() []netip.AddrPort { return r.udp }

// DTLS returns the addresses of the DTLS listeners.
func (r *Relay) DTLS() (all []netip.AddrPort) {
	for _, s := range r.dtls {
		all = append(all, s.conn.Local())
	}
	return all
}

// Serve serves a client's TCP or TLS connection until it ends, or the relay does. The caller has counted it.
func (r *Relay) Serve(c net.Conn, pair datagram.Pair) { r.serve(newClient(r.loop, c, pair, true)) }

func (r *Relay) serve(c *client) {
	if !r.enter(c) {
		c.close()
		return
	}
	c.serve()
	r.mu.Lock()
	delete(r.clients, c)
	r.mu.Unlock()
	r.running.Done()
}

// enter notes a client that Close has to end and wait for.
func (r *Relay) enter(c *client) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.clients[c] = struct{}{}
	r.running.Add(1)
	return true
}

// Recheck ends what those have whose credentials do not hold any more. It does not wait for that.
func (r *Relay) Recheck() { r.loop.call(func() { r.loop.recheck(0) }) }

// recheck looks at a portion of the allocations, and at the next one in the next turn: packets are relayed meanwhile.
func (l *loop) recheck(from turn.RelayID) {
	next, more := l.core.RecheckAll(l.now, from, &l.out)
	l.obey()
	if more {
		l.call(func() { l.recheck(next) })
	}
}

// RecheckUser is Recheck for what one user has, as quotas count.
func (r *Relay) RecheckUser(user string) {
	r.loop.call(func() {
		r.loop.core.Recheck(r.loop.now, user, &r.loop.out)
		r.loop.obey()
	})
}

// Close ends everything and waits for it: no socket is left, nor a goroutine.
func (r *Relay) Close() error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	clients := make([]*client, 0, len(r.clients))
	for c := range r.clients {
		clients = append(clients, c)
	}
	r.mu.Unlock()
	if closed {
		r.running.Wait()
		return nil
	}
	r.cancel()
	for _, c := range clients {
		c.abort()
	}
	for _, s := range r.dtls {
		s.conn.Close()
	}
	r.loop.call(func() { r.loop.stopping = true })
	r.running.Wait()
	return nil
}

// Stats returns what the relay has seen; nothing when it is closed. Any goroutine may call it.
func (r *Relay) Stats() (s Stats) {
	r.loop.ask(func() { s = r.loop.look() })
	for _, d := range r.dtls {
		d.add(&s)
	}
	return s
}

// look returns the loop's counts.
func (l *loop) look() Stats {
	s := l.stats
	s.Drops, s.Turn = l.drops, l.core.Stats()
	for _, at := range l.listeners {
		s.KernelDrops += uint64(at.kernelDrops() - at.dropped)
	}
	s.Relays = len(l.own.relays) + len(l.own.tcp)
	s.Streams = len(l.clients)
	s.Peers = len(l.conns)
	s.CarriedToPeers, s.CarriedToClients = l.carried[toPeers].Load(), l.carried[toClients].Load()
	return s
}

// shut ends the loop: what others want of it from now on is refused.
func (l *loop) shut() {
	l.inbox.mu.Lock()
	l.inbox.closed = true
	last := l.inbox.next
	l.inbox.mu.Unlock()
	for _, f := range last.calls {
		l.try(f)
	}
	for _, b := range last.batches {
		l.cfg.Port.Recycle(b)
	}
	for id := range l.conns {
		l.hangUp(id)
	}
	l.release()
}
