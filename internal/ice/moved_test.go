package ice_test

import (
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
)

// moves says that media came on a port, and returns the check that was sent there, or nil.
func (s *scene) moves(port uint16) *stun.Message {
	s.t.Helper()
	s.out.Reset()
	s.a.Moved(s.now, udp(port), &s.out)
	return s.asks(port)
}

// asks returns the check among the datagrams.
func (s *scene) asks(port uint16) *stun.Message {
	s.t.Helper()
	if len(s.out.Datagrams) == 0 {
		return nil
	}
	d := s.out.Datagrams[0]
	m := &stun.Message{Raw: append([]byte(nil), d.B...)}
	if err := m.Decode(); err != nil || len(s.out.Datagrams) > 1 || d.Pair != udp(port) || m.Type != stun.BindingRequest {
		s.t.Fatalf("sent %v on %v (%v)", m, d.Pair, err)
	}
	return m
}

// moving is a scene of either mode whose client is on port 1.
func moving(t *testing.T, mode ice.Mode) *scene {
	t.Helper()
	a, err := ice.New(ice.Config{Mode: mode, Local: server, Remote: client}, start)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, a: a, now: start}
	a.Handle(s.now, udp(1), check{nominate: true}.build(t), &s.out)
	s.want(ice.Validated, ice.Selected)
	return s
}

// Rule: where a client's media come from another address, it is checked there, with its credentials, and followed once it has answered: not
// before, not by the answer of somebody else, and not to another address than the one that was asked.
func TestMoved(t *testing.T) {
	for _, mode := range []ice.Mode{ice.Lite, ice.Full} {
		s := moving(t, mode)
		m := s.moves(2)
		var name stun.Username
		if m == nil || name.GetFrom(m) != nil || name.String() != client.Ufrag+":"+server.Ufrag || m.Contains(attrUseCandidate) {
			t.Fatalf("asked by %v", m)
		}
		if err := stun.NewShortTermIntegrity(client.Pwd).Check(m); err != nil {
			t.Error(err)
		}
		s.want(ice.Validated)
		s.wantSelected(udp(1))
		if r := s.answered(2, m, server.Pwd); r != drop.StunIntegrity {
			t.Errorf("an answer with another password: %v", r)
		}
		forged := *m
		forged.TransactionID[0]++
		forged.WriteTransactionID()
		if r := s.answered(2, &forged, client.Pwd); r != drop.StunMethod {
			t.Errorf("an answer to another request: %v", r)
		}
		if r := s.answered(3, m, client.Pwd); r != drop.StunMethod {
			t.Errorf("an answer from elsewhere: %v", r)
		}
		s.wantSelected(udp(1))
		if r := s.answered(2, m, client.Pwd); r != drop.None {
			t.Error(r)
		}
		s.want(ice.Selected, ice.Removed)
		s.wantSelected(udp(2))
		if s.answered(1, s.moves(1), client.Pwd) != drop.None { // and back
			t.Error("not asked where it was before")
		}
		s.wantSelected(udp(1))
	}
}

// A late check from the old address does not bring the client back there; its own nomination decides, as ever.
func TestMovedStays(t *testing.T) {
	s := moving(t, ice.Lite)
	s.answered(2, s.moves(2), client.Pwd)
	s.out.Reset()
	s.checked(udp(1), check{})
	s.wantSelected(udp(2))
	s.out.Reset()
	s.checked(udp(2), check{nominate: true})
	s.out.Reset()
	s.wantSelected(udp(2))
	s.checked(udp(1), check{nominate: true, priority: 2000})
	s.wantSelected(udp(1))
}

// The answer of a client is its consent.
func TestMovedConsents(t *testing.T) {
	s := moving(t, ice.Lite)
	s.pass(14 * time.Second)
	s.answered(2, s.moves(2), client.Pwd)
	s.pass(14 * time.Second)
	if !s.a.CanSend(s.now) {
		t.Error("may not send 14 s after the client's answer")
	}
	s.pass(2 * time.Second)
	if s.a.CanSend(s.now) {
		t.Error("may send 16 s after it")
	}
}

// The limit of MaxMoveChecks: who does not answer is asked three times, 100 ms apart, and then no more; an answer that comes later is not
// waited for.
func TestMaxMoveChecks(t *testing.T) {
	s := moving(t, ice.Lite)
	last := s.moves(2)
	for n := 2; n <= ice.MaxMoveChecks; n++ {
		s.out.Reset()
		s.pass(ice.MoveInterval - time.Millisecond)
		if len(s.out.Datagrams) > 0 {
			t.Fatalf("asked too early for the %d. time", n)
		}
		s.pass(time.Millisecond)
		if last = s.asks(2); last == nil {
			t.Fatalf("not asked for the %d. time", n)
		}
	}
	s.out.Reset()
	s.pass(2 * time.Second)
	if len(s.out.Datagrams) > 0 {
		t.Error("asked once more")
	}
	if r := s.answered(2, last, client.Pwd); r == drop.None {
		t.Error("an answer that was given up is taken")
	}
	s.wantSelected(udp(1))
}

// What media from elsewhere do not say: that a client is at an address that it is known to have; that it uses TCP, or another address of the
// server; that one who was never there has come; and where its password is not known, nothing.
func TestMayMove(t *testing.T) {
	s := moving(t, ice.Lite)
	s.checked(udp(4), check{})
	tcp, elsewhere := udp(2), udp(2)
	tcp.Proto = datagram.TCP
	elsewhere.Local = udp(7).Remote
	unconnected, silent := newScene(t), newScene(t)
	nameless, err := ice.New(ice.Config{Mode: ice.Lite, Local: server}, start)
	if err != nil {
		t.Fatal(err)
	}
	silent.a = nameless
	silent.checked(udp(1), check{nominate: true})
	for name, x := range map[string]struct {
		a    *ice.Agent
		pair datagram.Pair
		may  bool
	}{
		"another address":                {s.a, udp(2), true},
		"the selected one":               {s.a, udp(1), false},
		"one that was checked":           {s.a, udp(4), false},
		"TCP":                            {s.a, tcp, false},
		"another address of the server":  {s.a, elsewhere, false},
		"before anything was selected":   {unconnected.a, udp(2), false},
		"a client of unknown password":   {nameless, udp(2), false},
		"the same after consent is lost": {moving(t, ice.Lite).lose().a, udp(2), false},
	} {
		if got := x.a.MayMove(x.pair); got != x.may {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// lose lets consent end.
func (s *scene) lose() *scene {
	s.pass(ice.ConsentEnds)
	return s
}
