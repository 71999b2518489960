// Package ice is an ICE agent without sockets or clock (RFC 8445). It answers the client's checks, follows its nominations, and
// takes its checks for consent to receive (RFC 7675); a full agent also checks back where it was checked, and either checks where the client's
// media come from. One Agent belongs to one Transport and one goroutine.
//
// Checks are STUN Binding requests (RFC 8489):
//
//	| type 2 | length 2 | cookie 4 | transaction id 12 | attributes … USERNAME … MESSAGE-INTEGRITY | FINGERPRINT |
//
// Nothing an agent sends is unasked for, larger than 3 times its cause (but for checks where authentic media come from, of which there are
// MaxMoveChecks), or sent elsewhere than where its cause came from.
package ice

import (
	"crypto/hmac"
	"crypto/sha1"
	"errors"
	"fmt"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// Mode is how much of ICE an agent does.
type Mode uint8

// Modes. None is not built.
const (
	Lite Mode = iota // answers checks
	Full             // sends checks as well, where it was checked; always controlled
	None             // plain addresses
)

// ErrNotSupported answers modes that are not built.
var ErrNotSupported = errors.New("ice: mode not supported")

// Credentials are the user fragment and password of one side.
type Credentials struct{ Ufrag, Pwd string }

// Config describes an Agent.
type Config struct {
	Mode Mode
	// Local must be random: at least 24 bits of ufrag and 128 of password (RFC 8445 §5.3).
	Local Credentials
	// Remote is the client's. A lite agent needs no more than its ufrag, and takes any where that is empty; a full one needs its
	// password too.
	Remote Credentials
}

// Kind of an Event.
type Kind uint8

// Kinds of events.
const (
	Validated    Kind = iota + 1 // a check proved the pair: what is not STUN may come from it now
	Removed                      // the pair is forgotten: nothing may come from it any more
	Selected                     // everything is sent on the pair now; this includes consent
	ConsentLate                  // nothing may be sent
	ConsentFresh                 // may be sent again
	ConsentLost                  // it is over
	NeverChecked                 // it is over, and no check has ever come
	Restarted                    // the client uses the credentials of the last Restart: earlier ones are void
)

// Event tells what a check or the passing of time has changed. Pair is zero where the kind is about none.
type Event struct {
	Kind Kind
	Pair datagram.Pair
}

// entry is a pair on which a check was authenticated. Its Agent owns it.
type entry struct {
	pair      datagram.Pair
	checked   time.Time   // the last check
	by        *generation // whose credentials that had
	nominated time.Time   // the last check with USE-CANDIDATE by the newest credentials that nominated anything; zero: none
	priority  uint32      // of the client's candidate, as that check said: Firefox says another in checks for consent
	proven    *generation // with whose credentials a check of this side was answered
}

// Agent is one side of an ICE session. One goroutine at a time may use it.
type Agent struct {
	// static after construction
	mode Mode

	// owned by the Transport's loop
	current  *generation
	previous *generation // until the current one nominates; nil: there is none
	entries  []entry
	selected int       // index in entries; -1: none
	consent  time.Time // last check on the pair that was selected then; before any: when New or Restart gave the client time
	checked  bool      // an authentic check has come
	direct   time.Time // until when only direct ways are begun
	late     bool
	lost     bool
	move     move
	next     time.Time

	// owned by the Transport's loop; scratch: what goes through an interface must not live on the stack
	sum [sha1.Size]byte
	m   message
}

// New returns an agent that waits for checks, at most FirstCheck.
func New(cfg Config, now time.Time) (*Agent, error) {
	if cfg.Mode == None {
		return nil, ErrNotSupported
	}
	g, err := newGeneration(cfg.Mode, cfg.Local, cfg.Remote)
	if err != nil {
		return nil, err
	}
	a := &Agent{mode: cfg.Mode, current: g, selected: -1, consent: now, direct: now.Add(DirectFirst)}
	a.schedule()
	return a, nil
}

// check reports what is outside the bounds of RFC 8839 §5.4.
func (c Credentials) check() error {
	if n := len(c.Ufrag); n < MinUfrag || n > MaxUfrag {
		return fmt.Errorf("ice: a ufrag of %d bytes, not %d to %d", n, MinUfrag, MaxUfrag)
	}
	if n := len(c.Pwd); n < MinPwd || n > MaxPwd {
		return fmt.Errorf("ice: a password of %d bytes, not %d to %d", n, MinPwd, MaxPwd)
	}
	return nil
}

func newGeneration(mode Mode, local, remote Credentials) (*generation, error) {
	if err := local.check(); err != nil {
		return nil, err
	}
	if mode == Full {
		if err := remote.check(); err != nil {
			return nil, fmt.Errorf("the client's credentials: %w", err)
		}
	}
	return &generation{
		local: local, remote: remote, mac: hmac.New(sha1.New, []byte(local.Pwd)), remoteMAC: remoteMAC(mode, remote),
	}, nil
}

// Restart gives the agent new credentials for both sides (RFC 8445 §9) and the client as long to use them as it has before consent is lost. Until a check with
// them nominates a pair, checks with the previous ones are taken too and the selected pair stays.
func (a *Agent) Restart(now time.Time, local, remote Credentials) error {
	g, err := newGeneration(a.mode, local, remote)
	if err != nil {
		return err
	}
	if a.previous == nil { // else what is current never nominated: the one before goes on
		a.previous = a.current
	}
	a.current, a.direct = g, now.Add(DirectFirst)
	a.prolong(now)
	a.schedule()
	return nil
}

// Selected returns the pair on which to send.
func (a *Agent) Selected() (pair datagram.Pair, ok bool) {
	if a.selected < 0 {
		return datagram.Pair{}, false
	}
	return a.entries[a.selected].pair, true
}

// Route returns the pair on which to send, and until when there is consent to; zero: there is none.
func (a *Agent) Route() (pair datagram.Pair, until time.Time) {
	if a.selected < 0 || a.lost {
		return datagram.Pair{}, time.Time{}
	}
	e := &a.entries[a.selected]
	return e.pair, e.checked.Add(ConsentFor)
}

// CanSend reports whether there is a selected pair and consent to send on it.
func (a *Agent) CanSend(now time.Time) bool {
	_, until := a.Route()
	return now.Before(until)
}

// Consents reports whether the client's checks give consent to send on a pair, selected or not: DTLS begins before the nomination.
func (a *Agent) Consents(now time.Time, pair datagram.Pair) bool {
	i := a.find(pair)
	return i >= 0 && !a.lost && now.Before(a.entries[i].checked.Add(ConsentFor))
}

// Next returns when Timeout has something to do; zero: never.
func (a *Agent) Next() time.Time { return a.next }

// Handle takes a STUN message. The answer, if it deserves one, is among out's datagrams even where the reason is not None.
func (a *Agent) Handle(now time.Time, pair datagram.Pair, b []byte, out *Out) drop.Reason {
	if a.lost {
		return drop.Consent
	}
	m := &a.m
	if r := m.parse(b); r != drop.None {
		return r
	}
	switch m.Type {
	case bindingRequest:
		return a.request(now, pair, m, out)
	case bindingIndication:
		return drop.None // keeps NAT bindings open and means nothing else (RFC 8445 §11)
	case bindingSuccess:
		defer a.schedule()
		return a.response(now, pair, m, out)
	}
	return drop.StunMethod
}

// request answers a Binding request, in the order of RFC 8489 §6.3 and §9.1.3, then RFC 8445 §7.3.
func (a *Agent) request(now time.Time, pair datagram.Pair, m *message, out *Out) drop.Reason {
	if pair.Proto == datagram.Relayed && now.Before(a.direct) && a.find(pair) < 0 {
		return drop.PairDetour
	}
	if !m.HasIntegrity() || m.username == nil {
		refuse(pair, m, out, stun.BadRequest)
		return drop.StunIntegrity
	}
	g := a.current
	if !g.matches(m.username) && a.previous != nil {
		g = a.previous
	}
	if !g.matches(m.username) || !m.Authentic(g.mac) {
		refuse(pair, m, out, stun.Unauthenticated)
		return drop.StunIntegrity
	}
	if m.unknowns > 0 {
		r := out.begin(pair, m.ID(), bindingError)
		r.ErrorCode(stun.UnknownAttribute)
		r.UnknownAttributes(m.unknown[:m.unknowns])
		r.Integrity(g.mac)
		r.end()
		return drop.StunMalformed
	}
	if m.controlled {
		// The server stays controlled: the client, who thinks that it is, has to change (RFC 8445 §7.3.1.1).
		r := out.begin(pair, m.ID(), bindingError)
		r.ErrorCode(stun.RoleConflict)
		r.Integrity(g.mac)
		r.end()
		return drop.StunRole
	}
	r := out.begin(pair, m.ID(), bindingSuccess)
	r.Address(stun.XORMappedAddress, pair.Remote)
	r.Integrity(g.mac)
	r.end()
	i := a.check(now, g, pair, m, out)
	a.trigger(g, i, out)
	a.schedule()
	return drop.None
}

// refuse answers a request that is not authentic, hence without MESSAGE-INTEGRITY.
func refuse(pair datagram.Pair, m *message, out *Out, code stun.Code) {
	r := out.begin(pair, m.ID(), bindingError)
	r.ErrorCode(code)
	r.end()
}
