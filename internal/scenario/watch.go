package scenario

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// watch notes what becomes of each RTP packet on the links. SRTP leaves SSRC and sequence number readable.
type watch struct {
	// guarded by mu
	mu      sync.Mutex
	packets map[packet]passage
	streams map[stream]volume         // what the server has sent
	moved   map[netip.Addr]netip.Addr // later addresses of clients, and their first ones
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
	delivered
)

func newWatch() *watch {
	return &watch{packets: map[packet]passage{}, streams: map[stream]volume{}, moved: map[netip.Addr]netip.Addr{}}
}

func (w *watch) see(from, to netip.AddrPort, b []byte, arrives bool) {
	if len(b) < 12 || b[0]>>6 != 2 || b[1] >= 192 && b[1] < 224 {
		return
	}
	s := stream{client: from.Addr(), up: true, ssrc: binary.BigEndian.Uint32(b[8:])}
	if from == server {
		s.client, s.up = to.Addr(), false
	}
	f := lost
	if arrives {
		f = delivered
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if first, ok := w.moved[s.client]; ok {
		s.client = first
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
