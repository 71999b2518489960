package media

import (
	"bytes"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/data"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
)

// A Transport leaves the data messages of its room however far it came: with its association, or by a fault before there is one.
func TestTransportLeavesDataMessages(t *testing.T) {
	for name, begin := range map[string]func(s *Shard, e *endpoint){
		"with its association": func(s *Shard, e *endpoint) {
			s.out.DTLS = []byte{22, 254, 253}
			s.deliver(epoch, e, pairOf(1))
		},
		"before there is one": func(s *Shard, e *endpoint) {
			e.member = s.messages.Member(uint64(e.spec.Room), e.spec.Identity, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := loopless(t, 1)
			s.messages = data.NewHub()
			e := s.transports[1]
			func() {
				defer s.recover(e)
				begin(s, e)
				if n := s.messages.Counts().Rooms; n != 1 {
					t.Errorf("%d rooms before the fault", n)
				}
				panic("broken")
			}()
			if n := s.messages.Counts().Rooms; n != 0 || len(s.transports) != 0 {
				t.Errorf("%d rooms and %d Transports are left", n, len(s.transports))
			}
			if e.association != nil {
				<-e.association.Done()
			}
		})
	}
}

// A client is there as long as its media come, though its checks are lost: another's checks from its address, which may be forged, take nothing
// from it, nor does what anybody could make up keep the address for it. When neither check nor media have come for ice.SilentFor the other
// has the address, and nothing is sent there to the first any more.
func TestMediaKeepAnAddress(t *testing.T) {
	s, _ := loopless(t, 2)
	fanOut(epoch, s, upTo(2))
	first, other, pair := s.transports[1], s.transports[2], pairOf(1)
	media := frames(t, 1)[0]
	for _, x := range []struct {
		at    time.Duration
		b     []byte // comes from there a moment before
		owner *endpoint
	}{
		{ice.SilentFor - 2, media.D[0].B, first},
		{2*ice.SilentFor - 3, media.D[0].B, first}, // once more: a replay
		{2*ice.SilentFor - 2, nil, other},
	} {
		now := epoch.Add(x.at)
		if x.b != nil {
			s.receive(now, pair, bytes.Clone(x.b))
		}
		s.checkOn(now, 2, pair)
		if s.pairs[pair] != x.owner {
			t.Errorf("after %v it is another's", x.at)
		}
	}
	if _, ok := first.transport.Agent().Selected(); ok || first.state != Disconnected {
		t.Error("something is sent to the first")
	}
	if got, _ := other.transport.Agent().Selected(); got != pair || s.drops[drop.PairTaken] != 2 {
		t.Errorf("the other is sent to at %v; refused %d times", got, s.drops[drop.PairTaken])
	}
}
