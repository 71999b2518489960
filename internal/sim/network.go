// Package sim is a UDP network in memory, for tests: nodes with addresses, NATs in front of them, and links between them with delay, jitter,
// loss, a rate with a queue, duplicates and reordering, drawn from a seeded source. It owns the datagrams in flight.
//
// It has two doors: Conn is a udp.Conn, PacketConn and Net are what pion's packages want. No real socket is involved and time
// is only the time package's, so that a whole scenario runs inside a testing/synctest bubble. The Network must be made in the
// bubble that uses it, and closed in it: it has one goroutine, which carries out what falls due.
package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Config describes a network.
type Config struct {
	// Seed of the losses and all other chances. The links draw independently of one another.
	Seed uint64
	// Link is what each pair of addresses has unless SetLink says otherwise.
	Link Link
	// Watch, where set, sees every datagram as it is sent, and whether the link will deliver it. It is called under the
	// network's lock: it must be quick, use nothing of the network, and keep nothing of b.
	Watch func(from, to netip.AddrPort, b []byte, delivered bool)
	// Missed, where set, sees every datagram that arrives where nobody listens. It is called as Watch is.
	Missed func(from, to netip.AddrPort, b []byte)
}

// Stats counts datagrams by what became of them.
type Stats struct {
	Sent, Delivered, Duplicated, Reordered uint64
	// Lost by chance; QueueDrops in front of a rate; InboxDrops because the receiver did not read; Unreachable where nobody
	// listens, or a NAT lets nothing through.
	Lost, QueueDrops, InboxDrops, Unreachable uint64
}

// Network is a UDP network in memory.
type Network struct {
	// static after construction
	cfg  Config
	wake chan struct{} // something falls due earlier than before
	stop chan struct{}
	done chan struct{}

	// guarded by mu
	mu        sync.Mutex
	closed    bool
	endpoints map[netip.AddrPort]*endpoint
	links     map[way]*link
	outside   map[netip.Addr]netip.Addr // what others see of a node, where that is not its own address
	inside    map[netip.Addr]netip.Addr // whose such an address is or was
	flying    flights
	order     uint64
	nextPort  uint16
	stats     Stats
	free      [][]byte

	nats        map[netip.Addr]*nat // by the nodes behind them
	natsOutside map[netip.Addr]*nat // by their own addresses
}

// way is a direction between two addresses.
type way struct{ from, to netip.Addr }

// flight is a datagram on its way.
type flight struct {
	due      time.Time
	order    uint64 // of sending: what falls due at the same time arrives in it
	from, to netip.AddrPort
	b        []byte
}

// New returns an empty network. It runs until Close.
func New(cfg Config) *Network {
	n := &Network{
		cfg: cfg, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		endpoints: map[netip.AddrPort]*endpoint{}, links: map[way]*link{}, nextPort: firstPort,
		outside: map[netip.Addr]netip.Addr{}, inside: map[netip.Addr]netip.Addr{},
		nats: map[netip.Addr]*nat{}, natsOutside: map[netip.Addr]*nat{},
	}
	go n.run()
	return n
}

// SetLink changes the link from one address to another, in this direction only. What is on its way arrives as before.
func (n *Network) SetLink(from, to netip.Addr, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(way{from, to}).Link = l
}

// SetLinks changes the links between two addresses, in both directions.
func (n *Network) SetLinks(a, b netip.Addr, l Link) {
	n.SetLink(a, b, l)
	n.SetLink(b, a, l)
}

// Rebind puts a node behind another address, as a NAT that has forgotten it does: others see what it sends come from outside, with the
// same port, and reach it there and nowhere else. Links and Watch go by its own address as before.
func (n *Network) Rebind(node, outside netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.outside[node], n.inside[outside] = outside, node
}

// destination returns the node's own address behind another one, and whether it is reached there. Called with mu held.
func (n *Network) destination(to netip.AddrPort) (node netip.AddrPort, reached bool) {
	node = to
	if addr, ok := n.inside[to.Addr()]; ok {
		node = netip.AddrPortFrom(addr, to.Port())
	}
	outside, ok := n.outside[node.Addr()]
	return node, !ok || outside == to.Addr()
}

// Stats counts over the whole network.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}

// Close ends the network and everything that listens on it, and waits for its goroutine. What is on its way is gone.
func (n *Network) Close() {
	n.mu.Lock()
	closed := n.closed
	n.closed = true
	var all []*endpoint
	for _, e := range n.endpoints {
		all = append(all, e)
	}
	n.mu.Unlock()
	if !closed {
		close(n.stop)
	}
	for _, e := range all {
		e.close()
	}
	<-n.done
}

// link returns the state of a way. Called with mu held.
func (n *Network) link(w way) *link {
	l, ok := n.links[w]
	if !ok {
		l = &link{Link: n.cfg.Link, chance: rand.New(rand.NewPCG(n.cfg.Seed, w.hash()))}
		n.links[w] = l
	}
	return l
}

// listen makes an endpoint at addr; port 0 means any that is free.
func (n *Network) listen(addr netip.AddrPort) (*endpoint, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, net.ErrClosed
	}
	if !addr.Addr().IsValid() || addr.Addr().IsUnspecified() {
		return nil, fmt.Errorf("listen on simulated %s: needs one address", addr)
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	for addr.Port() == 0 || n.endpoints[addr] != nil {
		if addr.Port() != 0 && addr.Port() != n.nextPort {
			return nil, fmt.Errorf("listen on simulated %s: %w", addr, syscall.EADDRINUSE)
		}
		if n.nextPort++; n.nextPort < firstPort {
			n.nextPort = firstPort
		}
		addr = netip.AddrPortFrom(addr.Addr(), n.nextPort)
	}
	e := &endpoint{network: n, local: addr, ready: make(chan struct{}, 1), gone: make(chan struct{})}
	n.endpoints[addr] = e
	return e, nil
}

// send puts a copy of b on its way.
func (n *Network) send(from, to netip.AddrPort, b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.stats.Sent++
	now := time.Now()
	to, reached := n.destination(to)
	seen, to, passes := n.translate(now, from, to)
	reached = reached && passes
	l := n.link(way{from.Addr(), to.Addr()})
	due, fate := l.schedule(now, len(b))
	if n.cfg.Watch != nil {
		n.cfg.Watch(from, to, b, reached && fate != lost && fate != overflowed)
	}
	if !reached {
		n.stats.Unreachable++
		return
	}
	switch fate {
	case lost:
		n.stats.Lost++
		return
	case overflowed:
		n.stats.QueueDrops++
		return
	case reordered:
		n.stats.Reordered++
	}
	if outside, ok := n.outside[from.Addr()]; ok {
		seen = netip.AddrPortFrom(outside, from.Port())
	}
	if fate == duplicated {
		n.stats.Duplicated++
		n.launch(due, seen, to, b)
	}
	n.launch(due, seen, to, b)
}

// launch adds a flight. Called with mu held.
func (n *Network) launch(due time.Time, from, to netip.AddrPort, b []byte) {
	n.order++
	f := flight{due: due, order: n.order, from: from, to: to, b: n.copyOf(b)}
	heap.Push(&n.flying, f)
	if n.flying[0].order == f.order {
		select {
		case n.wake <- struct{}{}:
		default:
		}
	}
}

// copyOf copies b, into a buffer used before where there is one. Called with mu held.
func (n *Network) copyOf(b []byte) []byte {
	if k := len(n.free); k > 0 && len(b) <= cap(n.free[k-1]) {
		buf := n.free[k-1]
		n.free = n.free[:k-1]
		return append(buf[:0], b...)
	}
	return append(make([]byte, 0, max(len(b), bufferBytes)), b...)
}

// recycle takes a buffer back.
func (n *Network) recycle(b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.free) < maxFree {
		n.free = append(n.free, b)
	}
}

func (n *Network) run() {
	defer close(n.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if wait, any := n.arrive(time.Now()); any {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-timer.C:
		case <-n.wake:
		case <-n.stop:
			return
		}
	}
}

// arrive delivers what is due and returns how long it is until the next, if there is one.
func (n *Network) arrive(now time.Time) (wait time.Duration, any bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.flying) > 0 {
		if wait := n.flying[0].due.Sub(now); wait > 0 {
			return wait, true
		}
		f := heap.Pop(&n.flying).(flight)
		switch e := n.endpoints[f.to]; {
		case e == nil:
			n.stats.Unreachable++
			if n.cfg.Missed != nil {
				n.cfg.Missed(f.from, f.to, f.b)
			}
		case !e.put(f):
			n.stats.InboxDrops++
		default:
			n.stats.Delivered++
			continue
		}
		if len(n.free) < maxFree {
			n.free = append(n.free, f.b)
		}
	}
	return 0, false
}

// flights is a heap by time of arrival.
type flights []flight

func (f flights) Len() int { return len(f) }
func (f flights) Less(i, j int) bool {
	if !f[i].due.Equal(f[j].due) {
		return f[i].due.Before(f[j].due)
	}
	return f[i].order < f[j].order
}
func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)   { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	old := *f
	last := old[len(old)-1]
	old[len(old)-1] = flight{}
	*f = old[:len(old)-1]
	return last
}
