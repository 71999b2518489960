package transport

import (
	"math"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
)

// A client that loses packets and can have no redundancy of sound is sent each packet twice: the second time with the next one, byte for
// byte. Where both arrive, SRTP discards the second (RFC 3711 §3.3.2), so nothing behind it sees one packet two times.

// repeat is the packet of a slot that went out last, sealed.
type repeat struct {
	at    time.Time
	size  int // 0: there is none
	bytes [maxRepeatedBytes]byte
}

// maxRepeatAge is how old a packet may be that is sent again: after a pause it would come too late to be heard.
const maxRepeatAge = 60 * time.Millisecond

// sendSound sends a packet of sound, with what it needs of those before.
func (t *Transport) sendSound(now time.Time, s *slot, p *route.Packet, h *rtp.Header, out *Out) drop.Reason {
	t.repeatLast(now, s, out)
	payload := s.consumer.Wrap(p, h)
	s.repeats = s.repeat != nil && s.consumer.Repeats() && s.consumer.Bare(p)
	sealed, r := t.seal(now, s, s.source, t.header(now, s, p, h), payload, 0, out)
	if r == drop.None && s.repeats {
		s.repeat.keep(now, sealed)
	}
	return r
}

// keep copies a packet.
func (k *repeat) keep(now time.Time, sealed []byte) {
	k.size = 0
	if len(sealed) <= len(k.bytes) {
		k.at, k.size = now, copy(k.bytes[:], sealed)
	}
}

// repeatLast sends the packet before once more.
func (t *Transport) repeatLast(now time.Time, s *slot, out *Out) {
	k := s.repeat
	if k == nil || k.size == 0 {
		return
	}
	if now.Sub(k.at) <= maxRepeatAge && !out.Egress.Append(t.pair, k.bytes[:k.size]) {
		out.Drops.Add(drop.EgressFull)
	}
	k.size = 0
}

// lostOnce returns how many of so many packets are lost that are sent once, where lost are of which both copies are: chance takes either.
func lostOnce(expected, lost int64) int64 {
	return int64(math.Sqrt(float64(expected) * float64(lost)))
}
