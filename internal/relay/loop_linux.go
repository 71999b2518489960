package relay

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/mmsg"
	"github.com/parley-rtc/parley/internal/turn"
)

// loop owns the core and all UDP sockets.
type loop struct {
	// static after construction
	cfg     Config
	ep      int      // epoll
	file    *os.File // the same, for Go's own poller
	raw     syscall.RawConn
	step    func(uintptr) bool // a stored method value: a fresh one would be allocated for each wait
	wakeFD  int                // eventfd by which others wake the loop
	timer   int                // timerfd for the core's next deadline
	gso     bool
	own     *own
	done    chan struct{}
	start   func(func()) // a goroutine that Close waits for
	restFor unix.Timespec
	ctx     context.Context

	// owned by loop
	core      *turn.Server
	out       turn.Out
	next      []int32 // of each of out.Peers: the next one of the same socket
	touched   *socket // those with something in out.Peers
	now       time.Time
	armed     time.Time
	sockets   []*socket // by RelayID; nil: free, or not a UDP socket
	free      []turn.RelayID
	listeners []*socket
	last      *socket // the listener that was found last
	more      []*socket
	again     []*socket
	closing   []*socket
	rd        *reader
	wr        *writer
	zones     mmsg.Zones
	fallbacks fallbacks
	ports     map[portsOf]*ports
	egress    *datagram.Egress
	batches   []*datagram.Batch // to be recycled at the next flush
	served    []*client         // whose buffers are free at the next flush
	media     *datagram.Batch
	clients   map[datagram.Pair]*client
	conns     map[turn.ConnID]*connection
	events    [maxEvents]unix.EpollEvent
	ready     int
	gathering gathering
	reported  time.Time // when a fault was logged
	warned    time.Time // when one was that a relayed address could not be opened
	stats     Stats
	drops     drop.Counts
	stopping  bool

	// guarded by itself
	inbox   inbox
	binding sync.Mutex // held while a listener's port is shared

	// atomic
	asleep  atomic.Bool
	carried [2]atomic.Uint64 // bytes on joined connections, to peers and to clients
}

// newLoop opens what every loop has. Listeners come by listen, the rest by run.
func newLoop(cfg Config) (*loop, error) {
	l := &loop{
		cfg: cfg, ep: -1, wakeFD: -1, timer: -1, done: make(chan struct{}), zones: mmsg.Zones{}, fallbacks: fallbacks{}, ports: map[portsOf]*ports{},
		restFor: unix.NsecToTimespec(int64(restWait)),
		clients: map[datagram.Pair]*client{}, conns: map[turn.ConnID]*connection{}, egress: datagram.NewEgress(egressBytes), rd: newReader(),
	}
	l.wr = newWriter(l)
	l.step = l.poll
	var err error
	if l.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("open the relay's poller: %w", err)
	}
	_ = unix.SetNonblock(l.ep, true) // by which os.NewFile takes it for one that can be waited for
	l.file = os.NewFile(uintptr(l.ep), "epoll")
	if l.raw, err = l.file.SyscallConn(); err == nil {
		l.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	}
	if err == nil {
		l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	}
	if err == nil {
		err = l.register(l.wakeFD, slotWake)
	}
	if err == nil {
		err = l.register(l.timer, slotTimer)
	}
	if err != nil {
		l.release()
		return nil, fmt.Errorf("open the relay's poller: %w", err)
	}
	return l, nil
}

// Slots of what is no socket.
const (
	slotWake  = -1
	slotTimer = -2
)

// register lets epoll tell once when something arrives at fd.
func (l *loop) register(fd int, slot int32) error {
	return unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&0xffffffff, Fd: slot})
}

// release closes what newLoop and listen have opened.
func (l *loop) release() {
	for _, s := range l.sockets {
		switch {
		case s == nil:
		case s.listener != nil:
			_ = s.listener.Close()
		default:
			unix.Close(s.fd)
		}
	}
	for _, fd := range []int{l.wakeFD, l.timer} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	l.file.Close()
}

// add gives a socket a place, and lets the loop hear of it.
func (l *loop) add(s *socket) error {
	s.id = l.place()
	if err := l.register(s.fd, int32(s.id)); err != nil {
		l.free = append(l.free, s.id)
		return fmt.Errorf("wait for a UDP socket: %w", err)
	}
	l.sockets[s.id] = s
	return nil
}

// place returns a free RelayID.
func (l *loop) place() turn.RelayID {
	if n := len(l.free); n > 0 {
		id := l.free[n-1]
		l.free = l.free[:n-1]
		return id
	}
	l.sockets = append(l.sockets, nil)
	return turn.RelayID(len(l.sockets) - 1)
}

// run is the loop.
func (l *loop) run() {
	defer close(l.done)
	for !l.stopping {
		l.wait()
		l.now = time.Now()
		l.stats.Turns++
		l.gathering.begin(l.stats.Received)
		l.takeEvents()
		l.readMore()
		for l.gathering.pays(l.stats.Received) {
			l.rest()
			l.takeEvents()
		}
		l.takeInbox()
		l.timeout()
		l.flush()
		l.gathering.end(l.stats.Joined)
	}
	l.shut()
}

// takeEvents deals with what epoll has told.
func (l *loop) takeEvents() {
	for i := range l.ready {
		l.event(&l.events[i])
	}
}

// event deals with what epoll tells.
func (l *loop) event(e *unix.EpollEvent) {
	switch e.Fd {
	case slotWake:
		return // takeInbox follows in any case
	case slotTimer:
		l.armed = time.Time{}
		return
	}
	s := l.sockets[e.Fd]
	if s == nil || s.closed {
		return
	}
	if e.Events&unix.EPOLLERR != 0 && s.relayed {
		l.errors(s)
	}
	if !s.more && l.read(s) {
		s.more = true
		l.more = append(l.more, s)
	}
}

// readMore gives those sockets another turn that had more than one.
func (l *loop) readMore() {
	l.more, l.again = l.again[:0], l.more
	for _, s := range l.again {
		s.more = false
		if !s.closed && l.read(s) {
			s.more = true
			l.more = append(l.more, s)
		}
	}
}

// timeout lets the core do what is due, and arms the timer for what is next. A timer that goes off too early costs nothing, so it is not set
// later.
func (l *loop) timeout() {
	next := l.core.Next()
	if next.IsZero() {
		return
	}
	if !next.After(l.now) {
		l.expire()
		if next = l.core.Next(); next.IsZero() {
			return
		}
	}
	if l.armed.IsZero() || next.Before(l.armed) {
		l.armed = next
		at := unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(next.Sub(l.now)), 1))}
		_ = unix.TimerfdSettime(l.timer, 0, &at, nil)
	}
}

// expire lets the core end what is over.
func (l *loop) expire() {
	defer l.recover()
	l.core.Timeout(l.now, &l.out)
	l.obey()
}

// handle gives the core a datagram of a client.
func (l *loop) handle(pair datagram.Pair, b []byte) {
	defer l.recover()
	l.drops.Add(l.core.Handle(l.now, pair, b, &l.out))
	if len(l.out.Commands) > 0 {
		l.obey()
	}
}

// fromPeer gives the core a datagram of a peer.
func (l *loop) fromPeer(s *socket, peer netip.AddrPort, b []byte) {
	defer l.recover()
	l.drops.Add(l.core.FromPeer(l.now, s.id, peer, b, &l.out))
}

// recover keeps a broken invariant of the core from ending the process: the datagram that has met it is lost.
func (l *loop) recover() {
	fault := recover()
	if fault == nil {
		return
	}
	l.stats.Panics++
	if l.now.Sub(l.reported) >= faultsEvery {
		l.reported = l.now
		l.cfg.Log.Error("a fault in the STUN and TURN server", "fault", fault, "stack", string(debug.Stack()))
	}
}
