package media

import (
	"encoding/binary"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// stray looks for whose media came from an address that no check has validated: a client's whose NAT has given it another address. The port
// lets only few of them through. Nobody but who has the keys can make them, so the others are dropped as before. It may be on any shard:
// they are asked one after the other.
func (s *Shard) stray(now time.Time, d *datagram.Datagram) {
	ssrc, ok := sourceOf(d.B)
	if !ok || d.Pair.Proto != datagram.UDP {
		s.drops.Add(drop.UnknownSource)
		return
	}
	for _, e := range s.transports {
		if len(e.producers) > 0 && e.transport.Sends(ssrc) {
			s.found(now, e, d)
			return
		}
	}
	if next := s.index + 1; next >= len(s.peers) || !s.peers[next].mail.put(letter{stray: &datagram.Datagram{Pair: d.Pair, B: append([]byte(nil), d.B...), At: d.At}}) {
		s.drops.Add(drop.UnknownSource)
	}
}

// found gives a stray to the Transport whose it says that it is.
func (s *Shard) found(now time.Time, e *endpoint, d *datagram.Datagram) {
	defer s.recover(e)
	s.drops.Add(e.transport.Stray(now, d, &s.out))
	if s.out.ICE.Pending() {
		s.checked(now, e)
	}
	s.feed(e.room)
	s.soon(e)
}

// sourceOf returns the SSRC of RTP, and of the sender of RTCP.
func sourceOf(b []byte) (ssrc uint32, ok bool) {
	if len(b) < 12 || b[0] < 128 || b[0] > 191 {
		return 0, false
	}
	if rtp.IsRTCP(b) {
		return binary.BigEndian.Uint32(b[4:]), true
	}
	return binary.BigEndian.Uint32(b[8:]), true
}
