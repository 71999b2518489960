package media

import (
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/data"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/dtls"
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

// The last word of an association leaves also where the shard sees that it is done before it has read its mail: it is soon enough for that where the
// association ends at once.
func TestLastWordLeaves(t *testing.T) {
	s, out := loopless(t, 1)
	s.flush()
	*out = counter{}
	a := dtls.Start(dtls.Config{Sink: sink{newMail()}})
	a.Close()
	<-a.Done()
	s.ending[7] = &farewell{association: a, pair: pairOf(7)}
	s.mail.put(letter{transport: 7, record: []byte("close_notify")})
	s.bury(epoch)
	if out.datagrams != 1 || len(s.ending) != 0 {
		t.Errorf("%d datagrams, %d farewells are left; dropped %v", out.datagrams, len(s.ending), s.drops)
	}
}

// A check on a pair that another Transport holds is not answered: its client would take the pair for one that works. Once nobody holds the pair, it is.
func TestRefusedCheckIsNotAnswered(t *testing.T) {
	s, _ := loopless(t, 2)
	answers := func(after time.Duration, i int) int {
		s.out.Egress.Reset()
		s.checkOn(epoch.Add(after), i, pairOf(1))
		return s.out.Egress.Datagrams()
	}
	if n := answers(0, 1); n == 0 {
		t.Error("its holder is not answered")
	}
	if n := answers(time.Second, 2); n != 0 || s.drops[drop.PairTaken] != 1 {
		t.Errorf("%d datagrams to who was refused %d times", n, s.drops[drop.PairTaken])
	}
	if n := answers(16*time.Second, 2); n == 0 || s.drops[drop.PairTaken] != 1 {
		t.Errorf("%d datagrams to who has the pair now; refused %d times", n, s.drops[drop.PairTaken])
	}
}

// Limits: another shard is asked for a pair once in askEvery, however often it is checked, and maxAsked of them are remembered.
func TestAskedForOnce(t *testing.T) {
	near, far, _ := looplessPair(t, 4)
	letters := func(now time.Time, pair, times int) int {
		for range times {
			near.checkOn(now, 3, pairOf(pair))
		}
		return len(far.mail.take(nil))
	}
	if n := letters(epoch, 2, 100); n != 1 {
		t.Errorf("100 checks are %d letters", n)
	}
	if n := letters(epoch.Add(askEvery-1), 2, 1) + letters(epoch.Add(askEvery), 2, 1); n != 1 {
		t.Errorf("%d letters after askEvery", n)
	}
	for i := range maxAsked + 1 {
		near.cfg.Pairs.Claim(pairOf(100+i), 1)
		if n := letters(epoch.Add(askEvery), 100+i, 1); n != 1 {
			t.Fatalf("%d letters for pair %d", n, i)
		}
	}
	if n := len(near.asked); n > maxAsked {
		t.Errorf("%d pairs are remembered", n)
	}
}
