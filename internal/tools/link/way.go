package main

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// way carries frames from one interface to another. It has two goroutines, which run as long as the process.
type way struct {
	// static after construction
	in, out int // packet sockets
	outside *unix.SockaddrLinklayer
	wake    chan struct{}

	// guarded by mu
	mu     sync.Mutex
	lane   *lane
	queue  []frame
	late   time.Duration // the longest that a frame left after it was due
	broken error
}

// frame is one on its way.
type frame struct {
	due time.Time
	b   []byte
}

// stats is what a way has done so far, and how well. Where Late is long, the machine was too busy for anything measured over it to count.
type stats struct {
	counts
	Waiting int
	Late    float64 // ms; since the last stats
	Broken  string  `json:",omitempty"`
}

// join makes the two ways between interfaces.
func join(a, b string, seed uint64) (up, down *way, err error) {
	socketA, indexA, err := open(a)
	if err != nil {
		return nil, nil, err
	}
	socketB, indexB, err := open(b)
	if err != nil {
		return nil, nil, err
	}
	up, down = newWay(socketA, socketB, indexB, seed), newWay(socketB, socketA, indexA, seed+1)
	return up, down, nil
}

func newWay(in, out, outIndex int, seed uint64) *way {
	w := &way{in: in, out: out, outside: &unix.SockaddrLinklayer{Ifindex: outIndex}, wake: make(chan struct{}, 1), lane: newLane(seed)}
	go w.read()
	go w.write()
	return w
}

// everything is ETH_P_ALL in network order.
const everything = unix.ETH_P_ALL << 8

// receiveBuffer holds what arrives while a way is not scheduled.
const receiveBuffer = 8 << 20

// open returns a socket that gets every frame of an interface, whoever it is for.
func open(name string) (socket, index int, err error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, 0, fmt.Errorf("interface %q: %w", name, err)
	}
	if socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, everything); err != nil {
		return 0, 0, os.NewSyscallError("socket", err)
	}
	if err = unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: i.Index}); err != nil {
		return 0, 0, os.NewSyscallError("bind", err)
	}
	all := &unix.PacketMreq{Ifindex: int32(i.Index), Type: unix.PACKET_MR_PROMISC}
	if err = unix.SetsockoptPacketMreq(socket, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, all); err != nil {
		return 0, 0, os.NewSyscallError("setsockopt", err)
	}
	_ = unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) // root may; others get what they get
	return socket, i.Index, nil
}

func (w *way) change(s Spec) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lane.change(s)
}

func (w *way) stats() stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := stats{counts: w.lane.counts, Waiting: len(w.queue), Late: float64(w.late) / float64(time.Millisecond)}
	if w.broken != nil {
		s.Broken = w.broken.Error()
	}
	w.late = 0
	return s
}

func (w *way) read() {
	b := make([]byte, 1<<16)
	for {
		n, from, err := unix.Recvfrom(w.in, b, 0)
		if err == unix.EINTR || err == unix.ENETDOWN {
			continue // the interface goes down and up again
		}
		if err != nil {
			w.fail(err)
			return
		}
		if l, ok := from.(*unix.SockaddrLinklayer); ok && l.Pkttype == unix.PACKET_OUTGOING {
			continue // what the other way has sent
		}
		w.put(time.Now(), b[:n])
	}
}

func (w *way) put(now time.Time, b []byte) {
	w.mu.Lock()
	due, ok := w.lane.admit(now, len(b))
	if ok {
		w.queue = append(w.queue, frame{due, append([]byte(nil), b...)})
	}
	w.mu.Unlock()
	if ok {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *way) write() {
	timer := time.NewTimer(time.Hour)
	for {
		due, wait := w.take(time.Now())
		for _, f := range due {
			if err := unix.Sendto(w.out, f.b, 0, w.outside); err != nil && err != unix.ENOBUFS && err != unix.ENETDOWN {
				w.fail(err)
			}
		}
		if len(due) > 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-w.wake:
		case <-timer.C:
		}
	}
}

// take returns what is due, or how long it is until something is.
func (w *way) take(now time.Time) (due []frame, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(w.queue) && !w.queue[n].due.After(now) {
		n++
	}
	if n == 0 {
		if len(w.queue) > 0 {
			return nil, w.queue[0].due.Sub(now)
		}
		return nil, time.Hour
	}
	w.late = max(w.late, now.Sub(w.queue[0].due))
	due = append(due, w.queue[:n]...)
	w.queue = append(w.queue[:0], w.queue[n:]...)
	return due, 0
}

func (w *way) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
}
