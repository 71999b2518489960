package scenario

import (
	"encoding/binary"
	"net/netip"
	"sync"
)

// watch notes what becomes of each RTP packet on the links. SRTP leaves SSRC and sequence number readable.
type watch struct {
	// guarded by mu
	mu      sync.Mutex
	packets map[packet]fate
	streams map[stream]int // packets of each stream that the server has sent
}

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

type fate uint8

const (
	neverSent fate = iota
	lost
	delivered
)

func newWatch() *watch {
	return &watch{packets: map[packet]fate{}, streams: map[stream]int{}}
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
	w.packets[packet{s, binary.BigEndian.Uint16(b[2:])}] = f
	if !s.up {
		w.streams[s]++
	}
}

// fate tells what became of one packet.
func (w *watch) fate(client netip.Addr, up bool, ssrc uint32, number uint16) fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packets[packet{stream{client, up, ssrc}, number}]
}

// sentTo returns the streams that the server has sent to a client, with their packets.
func (w *watch) sentTo(client netip.Addr) map[uint32]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[uint32]int{}
	for s, n := range w.streams {
		if s.client == client {
			out[s.ssrc] = n
		}
	}
	return out
}
