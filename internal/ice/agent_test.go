package ice_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
	"github.com/pion/stun/v4"
)

// RFC 8489 §7.3.1, RFC 8445 §7.3.1.2: a check is answered with the address that it came from, authenticated with the same password.
func TestCheckIsAnswered(t *testing.T) {
	for _, remote := range []string{"198.51.100.7:4000", "[2001:db8::7]:4000"} {
		s := newScene(t)
		pair := datagram.Pair{Local: netip.MustParseAddrPort("192.0.2.1:1"), Remote: netip.MustParseAddrPort(remote)}
		m, r := s.send(pair, check{}.build(t))
		if r != drop.None || m.Type != stun.BindingSuccess {
			t.Fatalf("%v %v", r, m)
		}
		var mapped stun.XORMappedAddress
		if err := mapped.GetFrom(m); err != nil || mapped.String() != remote {
			t.Errorf("mapped address %v, want %v (%v)", mapped, remote, err)
		}
		if err := stun.NewShortTermIntegrity(server.Pwd).Check(m); err != nil {
			t.Error(err)
		}
		s.want(ice.Validated)
		if _, ok := s.a.Selected(); ok {
			t.Error("selected without USE-CANDIDATE")
		}
	}
}

// RFC 8489 §9.1.3 and RFC 8445 §7.3: what is wrong with a request decides the answer, and only an authentic one changes anything.
func TestRefusals(t *testing.T) {
	flip := func(at int) func([]byte) []byte { // at: from the end
		return func(b []byte) []byte { b[len(b)-at] ^= 1; return b }
	}
	for _, c := range []struct {
		name          string
		check         check
		change        func([]byte) []byte
		reason        drop.Reason
		code          stun.ErrorCode // 0: no answer
		authenticated bool           // the answer is
	}{
		{name: "no integrity", check: check{plain: true}, reason: drop.StunIntegrity, code: 400},
		{name: "wrong password", check: check{pwd: client.Pwd}, reason: drop.StunIntegrity, code: 401},
		{name: "wrong ufrag", check: check{username: "another1:clnt"}, reason: drop.StunIntegrity, code: 401},
		{name: "ufrag is a prefix", check: check{username: "server123:clnt"}, reason: drop.StunIntegrity, code: 401},
		{name: "wrong client ufrag", check: check{username: "server12:else"}, reason: drop.StunIntegrity, code: 401},
		{name: "no colon", check: check{username: "server12"}, reason: drop.StunIntegrity, code: 401},
		{name: "long username", check: check{username: "server12:" + strings.Repeat("x", 600)}, reason: drop.StunMalformed},
		{
			name: "unknown attributes", check: check{extra: []stun.AttrType{0x7001, 0x7002, 0x7003}},
			reason: drop.StunMalformed, code: 420, authenticated: true,
		},
		{name: "unknown optional attribute", check: check{extra: []stun.AttrType{0xC057}}, reason: drop.None},
		{name: "client is controlled", check: check{role: attrControlled}, reason: drop.StunRole, code: 487, authenticated: true},
		{name: "fingerprint", change: flip(1), reason: drop.StunFingerprint},
		{name: "fingerprint over a changed body", change: flip(60), reason: drop.StunFingerprint},
		{name: "length", change: func(b []byte) []byte { return b[:len(b)-4] }, reason: drop.StunMalformed},
		{name: "trailing bytes", change: func(b []byte) []byte { return append(b, 0, 0, 0, 0) }, reason: drop.StunMalformed},
		{name: "method", change: func(b []byte) []byte { b[1] = 3; return unsigned(b) }, reason: drop.StunMethod},
		{name: "success response", change: func(b []byte) []byte { b[0] = 1; return unsigned(b) }, reason: drop.StunMethod},
		{name: "indication", change: func(b []byte) []byte { b[1] = 0x11; return unsigned(b) }, reason: drop.None},
		{name: "no cookie", change: func(b []byte) []byte { b[4] = 0; return b }, reason: drop.StunMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			b := c.check.build(t)
			if c.change != nil {
				b = c.change(b)
			}
			m, r := s.send(udp(1), b)
			if r != c.reason {
				t.Fatalf("got %v, want %v", r, c.reason)
			}
			var code stun.ErrorCodeAttribute
			if c.code == 0 {
				if m != nil && m.Type.Class == stun.ClassErrorResponse {
					t.Fatalf("answered %v", m)
				}
				return
			}
			if m == nil || m.Type != stun.BindingError || code.GetFrom(m) != nil || code.Code != c.code {
				t.Fatalf("answer %v %v, want %d", m, code.Code, c.code)
			}
			if got := stun.NewShortTermIntegrity(server.Pwd).Check(m) == nil; got != c.authenticated {
				t.Errorf("answer authenticated: %v", got)
			}
			if _, ok := s.a.Selected(); ok || len(s.out.Events) != 0 {
				t.Error("something has changed")
			}
			var unknown stun.UnknownAttributes
			if c.code == 420 && (unknown.GetFrom(m) != nil || fmt.Sprint(unknown) != fmt.Sprint(stun.UnknownAttributes(c.check.extra))) {
				t.Errorf("unknown attributes %v", unknown)
			}
		})
	}
}

// unsigned cuts off FINGERPRINT and sets the length right.
func unsigned(b []byte) []byte {
	b = b[:len(b)-8]
	b[2], b[3] = byte((len(b)-20)>>8), byte(len(b)-20)
	return b
}

// RFC 8489 §14.5: attributes after MESSAGE-INTEGRITY are not authenticated: they are ignored, USE-CANDIDATE above all.
func TestAttributesAfterIntegrityAreIgnored(t *testing.T) {
	s := newScene(t)
	m := &stun.Message{Raw: unsigned(check{}.build(t))}
	if err := m.Decode(); err != nil {
		t.Fatal(err)
	}
	m.Add(attrUseCandidate, nil)
	m.Add(0x7001, u32(1))
	if err := stun.Fingerprint.AddTo(m); err != nil {
		t.Fatal(err)
	}
	if _, r := s.send(udp(1), m.Raw); r != drop.None {
		t.Fatal(r)
	}
	s.want(ice.Validated)
}

// Amplification: no request, however made, gets more than 3 times its size back (send checks it), and requests that nobody can have
// authenticated get less than twice.
func TestNoAmplification(t *testing.T) {
	s := newScene(t)
	bare := []byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	if m, r := s.send(udp(1), bare); r != drop.StunIntegrity || len(m.Raw) >= 2*len(bare) {
		t.Errorf("%v, %d bytes", r, len(m.Raw))
	}
	var many []stun.AttrType
	for i := range 60 {
		many = append(many, stun.AttrType(0x7000+i))
	}
	s.send(udp(1), check{extra: many}.build(t))
	v6 := datagram.Pair{Local: netip.MustParseAddrPort("[2001:db8::1]:1"), Remote: netip.MustParseAddrPort("[2001:db8::7]:4000")}
	s.send(v6, check{}.build(t))
}

// Forged requests make no state: neither pairs nor time nor events.
func TestForgedChecksChangeNothing(t *testing.T) {
	s := newScene(t)
	s.checked(udp(1), check{nominate: true})
	s.want(ice.Validated, ice.Selected)
	s.now = s.now.Add(10 * time.Second)
	for port := range uint16(1000) {
		s.send(udp(port), check{pwd: client.Pwd, nominate: true}.build(t))
		s.out.Reset()
	}
	s.wantSelected(udp(1))
	s.pass(5 * time.Second)
	s.want(ice.ConsentLate)
}

// Plain addresses are not built; credentials have bounds (RFC 8839 §5.4), and a full agent cannot check without the client's.
func TestNewRefuses(t *testing.T) {
	if _, err := ice.New(ice.Config{Mode: ice.None, Local: server}, start); !errors.Is(err, ice.ErrNotSupported) {
		t.Errorf("without ICE: %v", err)
	}
	for _, c := range []ice.Credentials{{}, {Ufrag: client.Ufrag}, {Pwd: client.Pwd}, {Ufrag: client.Ufrag, Pwd: strings.Repeat("p", ice.MaxPwd+1)}} {
		if _, err := ice.New(ice.Config{Mode: ice.Full, Local: server, Remote: c}, start); err == nil {
			t.Errorf("checks with %+v", c)
		}
	}
	for _, c := range []ice.Credentials{
		{Ufrag: "abc", Pwd: server.Pwd},
		{Ufrag: strings.Repeat("u", ice.MaxUfrag+1), Pwd: server.Pwd},
		{Ufrag: server.Ufrag, Pwd: strings.Repeat("p", ice.MinPwd-1)},
		{Ufrag: server.Ufrag, Pwd: strings.Repeat("p", ice.MaxPwd+1)},
	} {
		if _, err := ice.New(ice.Config{Local: c}, start); err == nil {
			t.Errorf("accepted %v", c)
		}
		if newScene(t).a.Restart(start, c, client) == nil {
			t.Errorf("restarted with %v", c)
		}
	}
}

// Responses of one batch share an Out and stay as they are until it is emptied.
func TestResponsesOfABatch(t *testing.T) {
	s := newScene(t)
	for port := range uint16(40) {
		s.checked(udp(port), check{})
	}
	for port, d := range s.out.Datagrams {
		m := &stun.Message{Raw: d.B}
		var mapped stun.XORMappedAddress
		if m.Decode() != nil || mapped.GetFrom(m) != nil || mapped.Port != port {
			t.Errorf("response %d: %v", port, mapped)
		}
	}
}

// The pre-parse finds the receiver's ufrag and nothing else, and allocates nothing; neither does a check on a known pair.
func TestUfrag(t *testing.T) {
	b := check{}.build(t)
	if got, ok := ice.Ufrag(b); !ok || string(got) != server.Ufrag {
		t.Errorf("got %q %v", got, ok)
	}
	for name, b := range map[string][]byte{
		"empty":       nil,
		"header only": b[:20],
		"truncated":   b[:30],
		"no colon":    check{username: "server12"}.build(t),
		"short":       check{username: "abc:def"}.build(t),
		"long":        check{username: "server12:" + strings.Repeat("x", 600)}.build(t),
		"RTP":         append([]byte{0x80}, b[1:]...),
	} {
		if got, ok := ice.Ufrag(b); ok {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := testing.AllocsPerRun(100, func() { ice.Ufrag(b) }); got != 0 {
		t.Errorf("Ufrag: %v allocations", got)
	}
	s := newScene(t)
	s.checked(udp(1), check{nominate: true})
	forged := check{pwd: client.Pwd}.build(t)
	if got := testing.AllocsPerRun(100, func() {
		s.out.Reset()
		s.a.Handle(s.now, udp(1), b, &s.out)
		s.a.Handle(s.now, udp(1), forged, &s.out)
		s.a.Timeout(s.now, &s.out)
		s.a.Next()
	}); got != 0 {
		t.Errorf("Handle: %v allocations", got)
	}
}

// RFC 5769 §2.1: the sample request, whose fingerprint and password are known. The username is of the receiver first.
func TestSampleRequest(t *testing.T) {
	b := []byte("\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae" +
		"\x80\x22\x00\x10STUN test client\x00\x24\x00\x04\x6e\x00\x01\xff" +
		"\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\x00\x06\x00\x09evtj:h6vY\x20\x20\x20" +
		"\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2" +
		"\x80\x28\x00\x04\xe5\x7a\x3b\xcf")
	a, err := ice.New(ice.Config{
		Local:  ice.Credentials{Ufrag: "evtj", Pwd: "VOkJxbRl1RmTxUk/WvJxBt"},
		Remote: ice.Credentials{Ufrag: "h6vY"},
	}, start)
	if err != nil {
		t.Fatal(err)
	}
	var out ice.Out
	// It carries ICE-CONTROLLED: authentic, and then a role conflict.
	if r := a.Handle(start, udp(1), b, &out); r != drop.StunRole {
		t.Error(r)
	}
}

// Whatever arrives, the agent neither panics nor answers with more than 3 times as much, and nothing random is authentic.
func FuzzHandle(f *testing.F) {
	f.Add(check{nominate: true}.build(f))
	f.Add(check{plain: true}.build(f))
	f.Add(check{extra: []stun.AttrType{0x7001}}.build(f))
	f.Add([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newScene(t)
		var out ice.Out
		r := s.a.Handle(start, udp(1), b, &out)
		for _, d := range out.Datagrams {
			if len(d.B) > 3*len(b) {
				t.Errorf("%d bytes for %d", len(d.B), len(b))
			}
		}
		ufrag, ok := ice.Ufrag(b)
		if len(out.Events) > 0 && (r != drop.None || !ok || string(ufrag) != server.Ufrag) {
			t.Errorf("events after %v, ufrag %q", r, ufrag)
		}
		// The oracle takes no message that we take for malformed by its frame.
		m := &stun.Message{Raw: append([]byte(nil), b...)}
		if r == drop.None && m.Decode() != nil {
			t.Errorf("accepted what the oracle cannot decode: %x", b)
		}
	})
}
