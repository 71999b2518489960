package media

import (
	"testing"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
)

// Media that come from an address that no check has validated are taken where they are a client's own, and the client is checked there; the
// address is then its own for what it sends, not yet for what it is sent. Forged ones, and those of nobody, are dropped.
func TestStray(t *testing.T) {
	const subscribers = 4
	s, out := loopless(t, 1+subscribers)
	fanOut(epoch, s, upTo(1+subscribers))
	s.readMail(epoch)
	batches := frames(t, 3)
	s.read(epoch, batches[0], nil)
	elsewhere := func(b *datagram.Batch) *datagram.Batch {
		for i := range b.N {
			b.D[i].Pair = pairOf(99)
		}
		return b
	}

	forged := datagram.NewBatch()
	forged.Append(pairOf(98), append([]byte(nil), batches[1].D[0].B...))
	forged.D[0].B[20] ^= 1
	strange := append([]byte(nil), batches[1].D[0].B...)
	strange[11]++ // another SSRC
	forged.Append(pairOf(98), strange)
	forged.Append(pairOf(98), []byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	*out = counter{}
	s.read(epoch, forged, nil)
	if out.datagrams != 0 || s.pairs[pairOf(98)] != nil || s.drops[drop.SrtpAuth] != 1 || s.drops[drop.UnknownSource] != 2 {
		t.Errorf("%d datagrams sent, drops %v", out.datagrams, s.drops)
	}

	for i, b := range batches[1:] {
		*out = counter{}
		s.read(epoch, elsewhere(b), nil)
		if checks := out.datagrams - 5*subscribers; checks != 1-i {
			t.Errorf("batch %d: %d checks beside what is forwarded; drops %v", i, checks, s.drops)
		}
	}
	if selected, _ := s.transports[1].transport.Agent().Selected(); s.pairs[pairOf(99)] != s.transports[1] || selected != pairOf(1) {
		t.Errorf("sends to %v", selected)
	}
}
