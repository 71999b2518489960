package ice_test

import (
	"testing"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
	"github.com/pion/stun/v4"
)

// full is a scene whose agent checks back.
func full(t *testing.T) *scene {
	t.Helper()
	a, err := ice.New(ice.Config{Mode: ice.Full, Local: server, Remote: client}, start)
	if err != nil {
		t.Fatal(err)
	}
	return &scene{t: t, a: a, now: start}
}

// checksBack sends a check and returns the agent's own, if it sent one behind the response.
func (s *scene) checksBack(port uint16, c check) *stun.Message {
	s.t.Helper()
	s.out.Reset()
	b := c.build(s.t)
	if r := s.a.Handle(s.now, udp(port), b, &s.out); r != drop.None {
		s.t.Fatal(r)
	}
	total := 0
	for _, d := range s.out.Datagrams {
		total += len(d.B)
		if d.Pair != udp(port) {
			s.t.Errorf("sent on %v", d.Pair)
		}
	}
	if total > 3*len(b) {
		s.t.Errorf("%d bytes for %d", total, len(b))
	}
	if len(s.out.Datagrams) < 2 {
		return nil
	}
	m := &stun.Message{Raw: append([]byte(nil), s.out.Datagrams[1].B...)}
	if err := m.Decode(); err != nil {
		s.t.Fatal(err)
	}
	return m
}

// answered gives the agent a response to its check.
func (s *scene) answered(port uint16, to *stun.Message, pwd string) drop.Reason {
	s.t.Helper()
	m, err := stun.Build(to, stun.BindingSuccess, stun.NewShortTermIntegrity(pwd), stun.Fingerprint)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.a.Handle(s.now, udp(port), m.Raw, &s.out)
}

// RFC 8445 §7.3.1.4, §7.2.2: a full agent checks back where it was checked, controlled, with the client's credentials, until that
// has been answered; a lite one never does.
func TestTriggeredCheck(t *testing.T) {
	s := full(t)
	m := s.checksBack(1, check{})
	if m == nil || m.Type != stun.BindingRequest || !m.Contains(attrControlled) || !m.Contains(attrPriority) || m.Contains(attrUseCandidate) {
		t.Fatalf("checks back by %v", m)
	}
	var name stun.Username
	if err := name.GetFrom(m); err != nil || name.String() != client.Ufrag+":"+server.Ufrag {
		t.Errorf("user name %v, %v", name, err)
	}
	if err := stun.NewShortTermIntegrity(client.Pwd).Check(m); err != nil {
		t.Error(err)
	}
	if err := stun.Fingerprint.Check(m); err != nil {
		t.Error(err)
	}
	if again := s.checksBack(1, check{}); again == nil || again.TransactionID == m.TransactionID {
		t.Errorf("an unanswered check is followed by %v", again)
	}
	if r := s.answered(1, m, client.Pwd); r != drop.None {
		t.Error(r)
	}
	if m := s.checksBack(1, check{nominate: true}); m != nil {
		t.Errorf("checks again what has been answered: %v", m)
	}
	if m := s.checksBack(2, check{}); m == nil {
		t.Error("another pair is not checked")
	}
	if err := s.a.Restart(s.now, server2, client2); err != nil {
		t.Fatal(err)
	}
	if m := s.checksBack(1, check{from: client2, to: server2, nominate: true}); m == nil || stun.NewShortTermIntegrity(client2.Pwd).Check(m) != nil {
		t.Errorf("after a restart it checks by %v", m)
	}
	if m := newScene(t).checksBack(1, check{}); m != nil {
		t.Errorf("a lite agent checks by %v", m)
	}
}

// RFC 8445 §7.2.5.2: only the client can answer, on the pair that was checked, one of the last 16 checks.
func TestTriggeredCheckIsAnswered(t *testing.T) {
	s := full(t)
	m := s.checksBack(1, check{})
	if r := s.answered(1, m, "somebody-else's-password"); r != drop.StunIntegrity {
		t.Error(r)
	}
	if r := s.answered(2, m, client.Pwd); r != drop.StunMethod {
		t.Errorf("on a pair that nobody checked: %v", r)
	}
	other := *m
	other.TransactionID[0] ^= 1
	if r := s.answered(1, &other, client.Pwd); r != drop.StunMethod {
		t.Errorf("to what was not asked: %v", r)
	}
	if s.checksBack(1, check{}) == nil {
		t.Error("a false answer ends the checks")
	}
	for range 15 {
		s.checksBack(1, check{})
	}
	if r := s.answered(1, m, client.Pwd); r != drop.StunMethod {
		t.Errorf("to one of long ago: %v", r)
	}
}
