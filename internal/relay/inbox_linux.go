package relay

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/parley-rtc/parley/internal/datagram"
)

// inbox is what others want of the loop.
type inbox struct {
	// atomic
	some atomic.Bool

	// guarded by mu
	mu     sync.Mutex
	next   waiting
	closed bool

	// owned by loop
	taken waiting
}

// waiting is what waits in an inbox.
type waiting struct {
	calls   []func()
	clients []*client // with something in their buffers: each once at most
	batches []*datagram.Batch
	// media is what this process's media have sent to relayed addresses: sizes, addresses and bytes, one after the other.
	media []byte
}

func (w *waiting) reset() {
	clear(w.calls)
	clear(w.clients)
	clear(w.batches)
	w.calls, w.clients, w.batches, w.media = w.calls[:0], w.clients[:0], w.batches[:0], w.media[:0]
}

// waits reports whether there is something in it.
func (i *inbox) waits() bool { return i.some.Load() }

// post lets f put something into the inbox, and wakes the loop. It reports false, and does not call f, when the loop has ended; or when f does.
func (l *loop) post(f func(*waiting) bool) bool {
	l.inbox.mu.Lock()
	ok := !l.inbox.closed && f(&l.inbox.next)
	if ok {
		l.inbox.some.Store(true)
	}
	l.inbox.mu.Unlock()
	if ok {
		l.wake()
	}
	return ok
}

// call lets the loop call f.
func (l *loop) call(f func()) bool {
	return l.post(func(w *waiting) bool {
		w.calls = append(w.calls, f)
		return true
	})
}

// ask lets the loop call f and waits for that. It reports false when the loop has ended.
func (l *loop) ask(f func()) bool {
	asked := make(chan struct{})
	if !l.call(func() {
		defer close(asked) // also where f meets a fault
		f()
	}) {
		return false
	}
	<-asked
	return true
}

// try calls f. A fault in it ends nothing else.
func (l *loop) try(f func()) {
	defer l.recover()
	f()
}

// takeInbox does what the others want.
func (l *loop) takeInbox() {
	if !l.inbox.some.Load() {
		return
	}
	i := &l.inbox
	i.mu.Lock()
	i.next, i.taken = i.taken, i.next
	i.some.Store(false)
	i.mu.Unlock()
	for _, f := range i.taken.calls {
		l.try(f)
	}
	for _, b := range i.taken.batches {
		for j := range b.N {
			l.handle(b.D[j].Pair, b.D[j].B)
		}
		l.batches = append(l.batches, b)
	}
	for _, c := range i.taken.clients {
		l.fromClient(c)
		if len(l.out.Peers)+len(l.out.Clients) > maxUnsent {
			l.send()
		}
	}
	l.takeMedia(i.taken.media)
	l.flush() // before the memory that it came in is others' again
	i.taken.reset()
}

// Batch takes a batch of datagrams from clients that the port has received: it comes back by Port.Recycle. It never blocks; false means that
// there is no room: the batch is then still the caller's.
func (r *Relay) Batch(b *datagram.Batch) bool {
	return r.loop.post(func(w *waiting) bool {
		if len(w.batches) == maxBatches {
			return false
		}
		w.batches = append(w.batches, b)
		return true
	})
}

// FromMedia takes what this process's media send to a relayed address, by a pair of datagram.Relayed: it comes from the run's local address. It
// copies the run, never blocks, and returns how many datagrams there was no room for.
func (r *Relay) FromMedia(run datagram.Run) (dropped int) {
	ok := r.loop.post(func(w *waiting) bool {
		if len(w.media)+mediaHead+len(run.B) > maxFromMedia {
			return false
		}
		w.media = appendMedia(w.media, run)
		return true
	})
	if !ok {
		return run.Segments
	}
	return 0
}

// mediaHead is the size of what stands before each run: two addresses with ports, the size of its datagrams, and its length.
const mediaHead = 18 + 18 + 4 + 4

func appendMedia(b []byte, run datagram.Run) []byte {
	for _, a := range [...]netip.AddrPort{run.Pair.Local, run.Pair.Remote} {
		addr := a.Addr().As16()
		b = append(b, addr[:]...)
		b = binary.BigEndian.AppendUint16(b, a.Port())
	}
	b = binary.BigEndian.AppendUint32(b, uint32(run.Size))
	b = binary.BigEndian.AppendUint32(b, uint32(len(run.B)))
	return append(b, run.B...)
}

// takeMedia gives the core what FromMedia has copied.
func (l *loop) takeMedia(b []byte) {
	address := func(b []byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), binary.BigEndian.Uint16(b[16:]))
	}
	for len(b) > 0 {
		from, to := address(b), address(b[18:])
		size, n := int(binary.BigEndian.Uint32(b[36:])), int(binary.BigEndian.Uint32(b[40:]))
		payload := b[mediaHead : mediaHead+n]
		b = b[mediaHead+n:]
		s := l.own.relayed(to)
		if s == nil {
			continue // closed meanwhile: a network would lose it as well
		}
		for len(payload) > 0 {
			d := payload[:min(size, len(payload))]
			payload = payload[len(d):]
			l.fromPeer(s, from, d)
		}
	}
}
