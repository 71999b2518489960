package media

import (
	"testing"

	"github.com/parley-rtc/parley/internal/data"
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
