package scenario

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// watch notes what becomes of each RTP packet on the links. SRTP leaves SSRC and sequence number readable.
type watch struct {
	// guarded by mu
	mu      sync.Mutex
	packets map[packet]passage
	streams map[stream]volume          // what the server has sent
	moved   map[netip.Addr]netip.Addr  // later addresses of clients, and their first ones
	deaf    map[netip.Addr][]time.Time // when something came to a client where it did not listen any more
}

// volume is how much of a stream was sent; bytes are those of UDP payloads.
type volume struct{ packets, bytes int }

// stream is an SSRC on a client's link. Up: towards the server.
type stream struct {
	client netip.Addr
	up     bool
	ssrc   uint32
}

type packet struct {
	stream
	number uint16
}

// passage is what became of a packet, and when it was first sent.
type passage struct {
	fate fate
	at   time.Time
}

type fate uint8

const (
	neverSent fate = iota
	lost
	missed // arrived at a socket that was closed
	delivered
)

func newWatch() *watch {
	return &watch{packets: map[packet]passage{}, streams: map[stream]volume{}, moved: map[netip.Addr]netip.Addr{}, deaf: map[netip.Addr][]time.Time{}}
}

func (w *watch) see(from, to netip.AddrPort, b []byte, arrives bool) {
	if !isRTP(b) {
		return
	}
	f := lost
	if arrives {
		f = delivered
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := stream{client: w.first(from.Addr()), up: true, ssrc: binary.BigEndian.Uint32(b[8:])}
	if from == server {
		s.client, s.up = w.first(to.Addr()), false
	}
	k := packet{s, binary.BigEndian.Uint16(b[2:])}
	first, again := w.packets[k]
	if !again {
		first.at = time.Now()
	}
	w.packets[k] = passage{f, first.at}
	if !s.up {
		v := w.streams[s]
		w.streams[s] = volume{v.packets + 1, v.bytes + len(b)}
	}
}

// isRTP reports whether a datagram is RTP, and not RTCP (RFC 5761 §4) or something else.
func isRTP(b []byte) bool { return len(b) >= 12 && b[0]>>6 == 2 && (b[1] < 192 || b[1] >= 224) }

// first returns the first address of a client, by any that it has had. Called with mu held.
func (w *watch) first(client netip.Addr) netip.Addr {
	if first, ok := w.moved[client]; ok {
		return first
	}
	return client
}

// miss sees what comes to a client where it does not listen any more: to restart ICE, pion closes its sockets, and the server goes on
// sending to the old one until the client nominates another.
func (w *watch) miss(from, to netip.AddrPort, b []byte) {
	if from != server {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	client := w.first(to.Addr())
	w.deaf[client] = append(w.deaf[client], time.Now())
	if !isRTP(b) {
		return
	}
	k := packet{stream{client: client, ssrc: binary.BigEndian.Uint32(b[8:])}, binary.BigEndian.Uint16(b[2:])}
	w.packets[k] = passage{missed, w.packets[k].at}
}

// wasDeaf tells whether something came in vain to a client in a time.
func (w *watch) wasDeaf(client netip.Addr, from, to time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.deaf[client], func(t time.Time) bool { return !t.Before(from) && !t.After(to) })
}

// move notes that a client has another address from now on.
func (w *watch) move(client, to netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved[to] = client
}

// fate tells what became of one packet.
func (w *watch) fate(client netip.Addr, up bool, ssrc uint32, number uint16) fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packets[packet{stream{client, up, ssrc}, number}].fate
}

// sentAt tells when a packet was first sent on one of a client's links.
func (w *watch) sentAt(client netip.Addr, up bool, ssrc uint32, number uint16) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packets[packet{stream{client, up, ssrc}, number}].at
}

// sentTo returns the streams that the server has sent to a client.
func (w *watch) sentTo(client netip.Addr) map[uint32]volume {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[uint32]volume{}
	for s, n := range w.streams {
		if s.client == client {
			out[s.ssrc] = n
		}
	}
	return out
}
