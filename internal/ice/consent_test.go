package ice_test

import (
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
)

// Consent: 15 s after the last check on the selected pair nothing may be sent, the next check allows it again, and after 30 s it is
// over.
func TestConsent(t *testing.T) {
	s := newScene(t)
	s.checked(udp(1), check{nominate: true})
	s.want(ice.Validated, ice.Selected)
	for range 100 { // a client that checks keeps it for ever, nominating or not
		s.pass(14 * time.Second)
		s.checked(udp(1), check{})
		s.want()
	}
	s.pass(ice.ConsentFor - 1)
	if s.want(); !s.a.CanSend(s.now) {
		t.Error("stopped too early")
	}
	s.pass(1)
	if s.want(ice.ConsentLate); s.a.CanSend(s.now) {
		t.Error("not stopped")
	}
	s.pass(10 * time.Second)
	s.checked(udp(1), check{})
	if s.want(ice.ConsentFresh); !s.a.CanSend(s.now) {
		t.Error("not fresh again")
	}
	s.pass(ice.ConsentEnds - 1)
	s.want(ice.ConsentLate)
	s.pass(1)
	s.want(ice.ConsentLost)
	if _, r := s.send(udp(1), check{nominate: true}.build(t)); r != drop.Consent || s.a.CanSend(s.now) {
		t.Errorf("after the end: %v", r)
	}
	if !s.a.Next().IsZero() {
		t.Error("something is due after the end")
	}
}

// CanSend goes by the clock, not by whether Timeout has come.
func TestCanSendNeedsNoTimeout(t *testing.T) {
	s := newScene(t)
	if s.a.CanSend(s.now) {
		t.Error("without a pair")
	}
	s.checked(udp(1), check{})
	if s.a.CanSend(s.now) {
		t.Error("without nomination")
	}
	s.checked(udp(1), check{nominate: true})
	if !s.a.CanSend(s.now) || s.a.CanSend(s.now.Add(ice.ConsentFor)) {
		t.Error("wrong")
	}
}

// Checks on another pair than the selected one are no consent for it.
func TestConsentIsOfTheSelectedPair(t *testing.T) {
	s := newScene(t)
	s.checked(udp(1), check{nominate: true})
	s.want(ice.Validated, ice.Selected)
	for range 29 {
		s.pass(time.Second)
		s.checked(local(2), check{})
	}
	s.want(ice.Validated, ice.ConsentLate)
	s.pass(time.Second)
	s.want(ice.ConsentLost)
}

// The first check has 10 s, not less, and again after a restart before it. Once one has come, the nomination has 30 s from New on.
func TestNobodyComes(t *testing.T) {
	s := newScene(t)
	s.pass(ice.FirstCheck - 1)
	s.want()
	if err := s.a.Restart(s.now, server2, client2); err != nil {
		t.Fatal(err)
	}
	s.pass(ice.FirstCheck - 1)
	s.want()
	s.pass(1)
	s.want(ice.NeverChecked)
	if _, r := s.send(udp(1), check{nominate: true}.build(t)); r != drop.Consent {
		t.Errorf("after the end: %v", r)
	}

	s = newScene(t)
	s.pass(ice.FirstCheck - 1)
	s.checked(udp(1), check{})
	s.want(ice.Validated)
	s.pass(ice.ConsentEnds - ice.FirstCheck)
	s.want()
	s.pass(1)
	s.want(ice.ConsentLost)
}

// nominated is a check, and the pair that is selected after it.
type nominated struct {
	wait     time.Duration
	pair     datagram.Pair
	priority uint32
	nominate bool
	want     datagram.Pair // zero: none selected
}

var nominations = map[string][]nominated{
	"checks alone select nothing": {
		{pair: udp(1), priority: 9}, {pair: udp(2), priority: 10},
	},
	"the first nominated": {
		{pair: udp(1), priority: 9}, {pair: udp(2), priority: 8, nominate: true, want: udp(2)},
	},
	"higher priority takes over, lower does not": {
		{pair: udp(1), priority: 5, nominate: true, want: udp(1)},
		{pair: udp(2), priority: 9, nominate: true, want: udp(2)},
		{pair: udp(1), priority: 5, nominate: true, want: udp(2)},
	},
	"higher priority without nomination does not": {
		{pair: udp(1), priority: 5, nominate: true, want: udp(1)},
		{pair: udp(2), priority: 9, want: udp(1)},
	},
	"a stale one gives way to a lower priority": {
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{wait: 4 * time.Second, pair: udp(2), priority: 5, nominate: true, want: udp(1)},
		{wait: time.Second - 1, pair: udp(2), priority: 5, nominate: true, want: udp(1)},
		{wait: 1, pair: udp(2), priority: 5, nominate: true, want: udp(2)},
	},
	"Chromium leaves a pair, and goes on checking it": {
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{wait: time.Second, pair: udp(2), priority: 5, nominate: true, want: udp(1)},
		{wait: 2 * time.Second, pair: udp(1), priority: 9, want: udp(1)},
		{pair: udp(2), priority: 5, nominate: true, want: udp(1)},
		{wait: 2 * time.Second, pair: udp(1), priority: 9, want: udp(1)},
		{pair: udp(2), priority: 5, nominate: true, want: udp(2)},
		{wait: time.Second, pair: udp(1), priority: 9, want: udp(2)},
		{wait: 9 * time.Second, pair: udp(2), priority: 5, nominate: true, want: udp(2)},
		{wait: time.Second, pair: udp(1), priority: 9, want: udp(2)},
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)}, // and comes back
	},
	"Chromium leaves UDP for TCP": {
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{wait: 4 * time.Second, pair: tcp(1), priority: 5, nominate: true, want: udp(1)},
		{wait: time.Second, pair: udp(1), priority: 9, want: udp(1)},
		{pair: tcp(1), priority: 5, nominate: true, want: tcp(1)},
	},
	"the later of two single nominations, once the earlier is 5 s old": {
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{wait: time.Second, pair: udp(2), priority: 5, nominate: true, want: udp(1)},
		{wait: 4*time.Second - 1, pair: udp(2), priority: 5, want: udp(1)},
		{wait: 1, pair: udp(1), priority: 9, want: udp(1)}, // says nothing about the other
		{pair: udp(2), priority: 5, want: udp(2)},
		{pair: udp(1), priority: 9, want: udp(2)},
	},
	"a single nomination after a long time": {
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{wait: 6 * time.Second, pair: udp(1), priority: 9, want: udp(1)},
		{pair: udp(2), priority: 5, nominate: true, want: udp(2)},
		{wait: 6 * time.Second, pair: udp(2), priority: 5, want: udp(2)},
		{pair: udp(1), priority: 9, want: udp(2)},
	},
	"aggressive nomination (RFC 5245): the best is checked on, whatever came last": {
		{pair: udp(2), priority: 5, nominate: true, want: udp(2)},
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{wait: time.Second, pair: local(2), priority: 5, nominate: true, want: udp(1)},
		{wait: 6 * time.Second, pair: udp(1), priority: 11, want: udp(1)}, // for consent, with another priority
		{wait: 6 * time.Second, pair: udp(1), priority: 11, want: udp(1)},
	},
	"priority is that of the nominating check": {
		{pair: udp(1), priority: 5, nominate: true, want: udp(1)},
		{pair: udp(1), priority: 11, want: udp(1)},
		{pair: udp(2), priority: 9, nominate: true, want: udp(2)},
	},
	"a silent pair gives way to an earlier nomination that is alive": {
		{pair: local(2), priority: 5, nominate: true, want: local(2)},
		{wait: time.Second, pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{wait: 7*time.Second - 1, pair: local(2), priority: 5, want: udp(1)},
		{wait: 1, pair: local(2), priority: 5, want: local(2)},
	},
	"NAT rebinding without USE-CANDIDATE, once the old address is silent": {
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{wait: 7*time.Second - 1, pair: udp(2), priority: 11, want: udp(1)},
		{wait: 1, pair: udp(2), priority: 11, want: udp(2)},
		{wait: 7 * time.Second, pair: udp(3), priority: 11, want: udp(3)}, // and again
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
	},
	"no rebinding while a nominated pair is alive": {
		{pair: local(1), priority: 5, nominate: true, want: local(1)},
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{wait: time.Second, pair: local(1), priority: 5, want: udp(1)},
		{wait: 6 * time.Second, pair: udp(2), priority: 9, want: udp(1)},
		{wait: time.Second, pair: udp(2), priority: 9, want: udp(2)},
		{pair: local(1), priority: 5, want: local(1)}, // which has been nominated, once
	},
	"no rebinding to another address of the server": {
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{wait: 8 * time.Second, pair: local(1), priority: 9, want: udp(1)},
	},
	"no rebinding of TCP": {
		{pair: tcp(1), priority: 9, nominate: true, want: tcp(1)},
		{wait: 8 * time.Second, pair: tcp(2), priority: 9, want: tcp(1)},
		{pair: udp(2), priority: 9, want: tcp(1)},
	},
	"UDP goes before TCP": {
		{pair: tcp(1), priority: 9, nominate: true, want: tcp(1)},
		{pair: udp(1), priority: 5, nominate: true, want: udp(1)},
		{pair: tcp(1), priority: 9, nominate: true, want: udp(1)},
	},
	"what this process relays goes last": {
		{wait: ice.DirectFirst, pair: relayed(1), priority: 9, nominate: true, want: relayed(1)},
		{pair: tcp(1), priority: 5, nominate: true, want: tcp(1)},
		{pair: relayed(1), priority: 9, nominate: true, want: tcp(1)},
		{pair: udp(1), priority: 4, nominate: true, want: udp(1)},
	},
	"TCP where UDP has gone": {
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{wait: 5 * time.Second, pair: tcp(1), priority: 5, nominate: true, want: tcp(1)},
	},
	"another address of the same candidate (NAT rebinding) at once": {
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{pair: udp(2), priority: 9, nominate: true, want: udp(2)},
	},
	"another address of the server with equal priority does not": {
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
		{pair: local(1), priority: 9, nominate: true, want: udp(1)},
		{pair: udp(1), priority: 9, nominate: true, want: udp(1)},
	},
}

// A pair is selected by USE-CANDIDATE; among pairs nominated within 5 s UDP goes before TCP and that before what is relayed here, then the higher priority. A later
// nomination wins when the selected pair has had none for 5 s, or no check at all for 7 s.
func TestNomination(t *testing.T) {
	for name, steps := range nominations {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			for i, x := range steps {
				s.pass(x.wait)
				s.checked(x.pair, check{priority: x.priority, nominate: x.nominate})
				if got, _ := s.a.Selected(); got != x.want {
					t.Fatalf("step %d: selected %v, want %v", i, got, x.want)
				}
			}
		})
	}
}

// Before anything is nominated, the pair on which the client has finished its DTLS handshake is selected, if a check has come on it; whatever is nominated then
// takes its place, and it takes that of nothing.
func TestKeyed(t *testing.T) {
	s := newScene(t)
	s.a.Keyed(s.now, udp(1), &s.out)
	s.want()
	s.checked(tcp(1), check{priority: 9})
	s.checked(udp(1), check{priority: 8})
	s.want(ice.Validated, ice.Validated)
	s.a.Keyed(s.now, udp(1), &s.out)
	s.want(ice.Selected)
	s.wantSelected(udp(1))
	s.checked(tcp(1), check{priority: 9})
	s.wantSelected(udp(1))
	s.a.Keyed(s.now, tcp(1), &s.out)
	s.wantSelected(udp(1))
	s.checked(tcp(1), check{priority: 1, nominate: true})
	s.want(ice.Selected)
	s.wantSelected(tcp(1))
	s.a.Keyed(s.now, udp(1), &s.out)
	s.want()
	s.wantSelected(tcp(1))

	s = newScene(t)
	s.checked(udp(1), check{})
	s.pass(ice.ConsentFor)
	s.want(ice.Validated)
	s.a.Keyed(s.now, udp(1), &s.out)
	s.want()
}

// For DirectFirst after the beginning, and after a restart, checks by a relayed address of this process are not heard, so that direct ways are found first; a
// pair that has been checked before is heard on all the time.
func TestDirectFirst(t *testing.T) {
	s := newScene(t)
	early := func(port uint16, c check) {
		t.Helper()
		if m, r := s.send(relayed(port), c.build(t)); m != nil || r != drop.PairDetour {
			t.Fatalf("%v, answered with %v", r, m)
		}
	}
	s.pass(ice.DirectFirst - 1)
	early(1, check{nominate: true})
	s.want()
	s.checked(udp(1), check{})
	s.checked(tcp(1), check{})
	s.want(ice.Validated, ice.Validated)
	s.pass(1)
	s.checked(relayed(1), check{})
	s.want(ice.Validated)
	if err := s.a.Restart(s.now, server2, client2); err != nil {
		t.Fatal(err)
	}
	again := check{from: client2, to: server2}
	early(2, again)
	s.checked(relayed(1), again)
	s.pass(ice.DirectFirst)
	s.checked(relayed(2), again)
}

// Limit: MaxPairs pairs are kept. One more ends the one that was checked longest ago, never the selected one.
func TestMaxPairs(t *testing.T) {
	s := newScene(t)
	for port := range uint16(ice.MaxPairs) {
		s.now = s.now.Add(time.Millisecond)
		s.checked(udp(port), check{nominate: port == 0})
	}
	s.out.Reset()
	s.checked(udp(1000), check{})
	if got := s.out.Events[0]; got != (ice.Event{Kind: ice.Removed, Pair: udp(1)}) {
		t.Errorf("got %v", got)
	}
	s.want(ice.Removed, ice.Validated)
	for port := range uint16(3 * ice.MaxPairs) { // wherever the selected one comes to stand
		s.now = s.now.Add(time.Millisecond)
		s.checked(udp(2000+port), check{})
		s.want(ice.Removed, ice.Validated)
		s.wantSelected(udp(0))
	}
}

// A pair that nobody checks is forgotten after 30 s; the selected one is a matter of consent.
func TestUncheckedPairsAreForgotten(t *testing.T) {
	s := newScene(t)
	s.checked(udp(2), check{})
	s.checked(udp(1), check{nominate: true})
	s.want(ice.Validated, ice.Validated, ice.Selected)
	for range 3 {
		s.pass(10 * time.Second)
		s.checked(udp(1), check{})
	}
	if len(s.out.Events) != 1 || s.out.Events[0] != (ice.Event{Kind: ice.Removed, Pair: udp(2)}) {
		t.Errorf("events %v", s.out.Events)
	}
	s.wantSelected(udp(1))
}

// A closed TCP connection: the best nominated pair that is still checked takes over, else nothing is sent until the next nomination.
func TestRemovePair(t *testing.T) {
	s := newScene(t)
	s.checked(tcp(1), check{nominate: true, priority: 9})
	s.checked(tcp(2), check{nominate: true, priority: 7})
	s.checked(tcp(3), check{nominate: true, priority: 8})
	s.checked(tcp(4), check{priority: 9})
	s.want(ice.Validated, ice.Selected, ice.Validated, ice.Validated, ice.Validated)
	s.a.RemovePair(s.now, tcp(2), &s.out)
	s.a.RemovePair(s.now, tcp(77), &s.out)
	s.want(ice.Removed)
	s.wantSelected(tcp(1))
	s.a.RemovePair(s.now, tcp(1), &s.out)
	s.want(ice.Removed, ice.Selected)
	s.wantSelected(tcp(3))
	s.a.RemovePair(s.now, tcp(3), &s.out)
	s.want(ice.Removed, ice.ConsentLate)
	if _, ok := s.a.Selected(); ok || s.a.CanSend(s.now) {
		t.Error("still selected")
	}
	s.pass(20 * time.Second)
	s.checked(tcp(5), check{nominate: true})
	s.want(ice.Validated, ice.Selected)
	if !s.a.CanSend(s.now) {
		t.Error("cannot send on the new pair")
	}
	s.a.RemovePair(s.now, tcp(5), &s.out)
	s.pass(30 * time.Second)
	s.want(ice.Removed, ice.ConsentLate, ice.Removed, ice.ConsentLost)
}

// RFC 8445 §9: over a restart the old pair goes on with the old credentials until the new ones nominate; then the old ones are void.
func TestRestart(t *testing.T) {
	s := newScene(t)
	old, fresh := check{nominate: true, priority: 9}, check{from: client2, to: server2, priority: 5}
	s.checked(udp(1), old)
	s.want(ice.Validated, ice.Selected)
	if err := s.a.Restart(s.now, server2, client2); err != nil {
		t.Fatal(err)
	}
	s.wantSelected(udp(1))
	s.checked(udp(1), old)
	s.checked(udp(2), fresh)
	s.wantSelected(udp(1))
	s.want(ice.Validated)
	fresh.nominate = true
	s.checked(udp(2), fresh) // although its priority is lower
	s.want(ice.Restarted, ice.Selected)
	s.wantSelected(udp(2))
	if _, r := s.send(udp(1), old.build(t)); r != drop.StunIntegrity {
		t.Errorf("old credentials: %v", r)
	}
	s.checked(udp(1), check{from: client2, to: server2, priority: 9, nominate: true})
	s.want(ice.Selected)
}

// A restart that the client never uses changes nothing; one more in between ends the unused one.
func TestRestartTwice(t *testing.T) {
	s := newScene(t)
	s.checked(udp(1), check{nominate: true})
	never := ice.Credentials{Ufrag: "never-used", Pwd: "never-used-password-24-c"}
	for _, c := range []ice.Credentials{never, server2} {
		if err := s.a.Restart(s.now, c, client2); err != nil {
			t.Fatal(err)
		}
	}
	s.checked(udp(1), check{})
	if _, r := s.send(udp(1), check{from: client2, to: never}.build(t)); r != drop.StunIntegrity {
		t.Errorf("replaced credentials: %v", r)
	}
	s.out.Reset()
	s.checked(udp(1), check{from: client2, to: server2, nominate: true})
	s.want(ice.Restarted)
	s.wantSelected(udp(1))
}

// A restart while the client checks with the credentials of another, which have nominated nothing: those are void, the pair that was selected
// before both goes on, and what is nominated with the newest is selected, be it a pair that the others have checked.
func TestRestartWhileRestarting(t *testing.T) {
	s := newScene(t)
	first, third := check{nominate: true}, check{from: client2, to: ice.Credentials{Ufrag: "third", Pwd: "the-third-password-24-ch"}}
	s.checked(udp(1), first)
	if err := s.a.Restart(s.now, server2, client2); err != nil {
		t.Fatal(err)
	}
	second := check{from: client2, to: server2}
	s.checked(udp(2), second)
	s.want(ice.Validated, ice.Selected, ice.Validated)
	if err := s.a.Restart(s.now, third.to, client2); err != nil {
		t.Fatal(err)
	}
	second.nominate = true
	if _, r := s.send(udp(2), second.build(t)); r != drop.StunIntegrity {
		t.Errorf("replaced credentials: %v", r)
	}
	for range 10 { // as long as the client may need
		s.pass(5 * time.Second)
		s.checked(udp(1), first)
		s.checked(udp(2), third)
		s.wantSelected(udp(1))
	}
	s.want()
	third.nominate = true
	s.checked(udp(2), third)
	s.want(ice.Restarted, ice.Selected)
	s.wantSelected(udp(2))
}

// A restart shortly before the end gives the client time to check; media stays stopped until it does.
func TestRestartGivesTime(t *testing.T) {
	s := newScene(t)
	s.checked(udp(1), check{nominate: true})
	s.pass(29 * time.Second)
	s.want(ice.Validated, ice.Selected, ice.ConsentLate)
	if err := s.a.Restart(s.now, server2, client2); err != nil {
		t.Fatal(err)
	}
	s.pass(29 * time.Second)
	if s.want(); s.a.CanSend(s.now) {
		t.Error("may send without a check")
	}
	s.checked(udp(2), check{from: client2, to: server2, nominate: true})
	s.want(ice.Validated, ice.Restarted, ice.Selected)
	s.pass(30 * time.Second)
	s.want(ice.Removed, ice.ConsentLate, ice.ConsentLost)
}

// After a Restart the client may be elsewhere: a check with the new credentials that does not nominate is no NAT rebinding.
func TestRestartIsNoRebinding(t *testing.T) {
	s := newScene(t)
	s.checked(udp(1), check{nominate: true})
	if err := s.a.Restart(s.now, server2, client2); err != nil {
		t.Fatal(err)
	}
	s.pass(ice.SilentFor)
	s.checked(udp(2), check{from: client2, to: server2})
	s.wantSelected(udp(1))
	s.checked(udp(3), check{})
	s.wantSelected(udp(3))
}

// Without a selected pair, its TCP connection having closed, a check on one that was nominated once selects it.
func TestCheckAfterRemovePair(t *testing.T) {
	s := newScene(t)
	s.checked(tcp(2), check{nominate: true, priority: 5})
	s.checked(tcp(1), check{nominate: true, priority: 9})
	s.pass(ice.SilentFor)
	s.a.RemovePair(s.now, tcp(1), &s.out)
	s.want(ice.Validated, ice.Selected, ice.Validated, ice.Selected, ice.Removed, ice.ConsentLate)
	s.checked(tcp(3), check{priority: 9})
	s.want(ice.Validated)
	s.checked(tcp(2), check{priority: 5})
	s.want(ice.Selected)
	if !s.a.CanSend(s.now) {
		t.Error("cannot send on the pair that was nominated")
	}
}
