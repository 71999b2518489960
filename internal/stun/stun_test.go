package stun_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
	pion "github.com/pion/stun/v4"
)

var (
	request = stun.TypeOf(stun.Binding, stun.Request)
	id      = []byte("transaction.")
	mac     = hmac.New(sha1.New, []byte("key"))
	mac256  = hmac.New(sha256.New, []byte("key"))
)

// build is a message with the attributes that f writes.
func build(f func(*stun.Builder)) []byte {
	w := stun.Begin(nil, request, id)
	f(&w)
	return w.Message()
}

// RFC 8489 §5: a class is bits 4 and 8 of a type, and a method the others.
func TestTypes(t *testing.T) {
	for _, c := range []struct {
		m    stun.Method
		c    stun.Class
		want stun.Type
	}{
		{stun.Binding, stun.Request, 0x0001},
		{stun.Binding, stun.Indication, 0x0011},
		{stun.Binding, stun.Success, 0x0101},
		{stun.Binding, stun.Error, 0x0111},
		{stun.Send, stun.Indication, 0x0016},
		{stun.ConnectionAttempt, stun.Indication, 0x001C},
		{stun.Allocate, stun.Error, 0x0113},
	} {
		got := stun.TypeOf(c.m, c.c)
		if got != c.want || got.Method() != c.m || got.Class() != c.c {
			t.Errorf("%#x %#x: %#x, and back %#x %#x", c.m, c.c, got, got.Method(), got.Class())
		}
	}
}

// A message is refused whole where its frame, an attribute's length, or a FINGERPRINT is wrong.
func TestMalformed(t *testing.T) {
	good := build(func(w *stun.Builder) { w.Text(stun.Username, "ann"); w.Fingerprint() })
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	for _, c := range []struct {
		name string
		b    []byte
		want drop.Reason
	}{
		{"good", good, drop.None},
		{"empty", nil, drop.StunMalformed},
		{"a header cut short", good[:19], drop.StunMalformed},
		{"cut short", good[:len(good)-4], drop.StunMalformed},
		{"longer than it says", append(bytes.Clone(good), 0, 0, 0, 0), drop.StunMalformed},
		{"another cookie", change(func(b []byte) []byte { b[4] = 0; return b }), drop.StunMalformed},
		{"first bits not zero", change(func(b []byte) []byte { b[0] |= 0x40; return b }), drop.StunMalformed},
		{"attribute longer than the message", change(func(b []byte) []byte { b[23] = 200; return b }), drop.StunMalformed},
		{"wrong FINGERPRINT", change(func(b []byte) []byte { b[len(b)-1]++; return b }), drop.StunFingerprint},
		{"a FINGERPRINT that is not the last", build(func(w *stun.Builder) { w.Fingerprint(); w.Text(stun.Username, "ann") }), drop.StunMalformed},
		{"a FINGERPRINT too long", build(func(w *stun.Builder) { w.Text(stun.Fingerprint, "12345") }), drop.StunMalformed},
		{"a MESSAGE-INTEGRITY too short", build(func(w *stun.Builder) { w.Text(stun.MessageIntegrity, "1234") }), drop.StunMalformed},
		// RFC 8489 §14.6: "The value must be the full 32 bytes unless the STUN Usage explicitly specifies that truncation is allowed."
		{"a MESSAGE-INTEGRITY-SHA256 cut short", build(func(w *stun.Builder) { w.Bytes(stun.MessageIntegritySHA256, make([]byte, 16)) }), drop.StunMalformed},
	} {
		var m stun.Message
		if got := m.Parse(c.b); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// What follows MESSAGE-INTEGRITY is not protected: only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT count there (RFC 8489 §14.5), and after
// MESSAGE-INTEGRITY-SHA256 only FINGERPRINT (§14.6).
func TestOnlyWhatIsProtectedCounts(t *testing.T) {
	types := func(m *stun.Message) (all []stun.Attr) {
		for a := m.Attributes(); a.Next(); {
			all = append(all, a.Type)
		}
		return all
	}
	for _, c := range []struct {
		name         string
		write        func(*stun.Builder)
		sha1, sha256 bool
	}{
		{"none", func(w *stun.Builder) {}, false, false},
		{"both", func(w *stun.Builder) { w.Integrity(mac); w.IntegritySHA256(mac256); w.Fingerprint() }, true, true},
		{"forged behind it", func(w *stun.Builder) { w.Integrity(mac); w.Text(stun.Realm, "r"); w.Fingerprint() }, true, false},
		{"forged behind both", func(w *stun.Builder) { w.Integrity(mac); w.Text(stun.Realm, "r"); w.IntegritySHA256(mac256) }, true, true},
		{"the weaker behind the better", func(w *stun.Builder) { w.IntegritySHA256(mac256); w.Integrity(mac) }, false, true},
	} {
		b := build(func(w *stun.Builder) { w.Text(stun.Username, "ann"); c.write(w) })
		var m stun.Message
		if r := m.Parse(b); r != drop.None {
			t.Fatalf("%s: %v", c.name, r)
		}
		if got := types(&m); !slices.Equal(got, []stun.Attr{stun.Username}) {
			t.Errorf("%s: %#x count", c.name, got)
		}
		if m.Authentic(mac) != c.sha1 || m.AuthenticSHA256(mac256) != c.sha256 || m.HasIntegrity() != c.sha1 || m.HasIntegritySHA256() != c.sha256 {
			t.Errorf("%s: integrity %v %v", c.name, m.Authentic(mac), m.AuthenticSHA256(mac256))
		}
		b[24] ^= 1 // in the name
		if c.sha1 && m.Authentic(mac) || c.sha256 && m.AuthenticSHA256(mac256) {
			t.Errorf("%s: a changed one is authentic", c.name)
		}
	}
}

// Of two attributes with one type the first counts (RFC 8489 §14).
func TestFirstCounts(t *testing.T) {
	var m stun.Message
	m.Parse(build(func(w *stun.Builder) { w.Text(stun.Username, "ann"); w.Text(stun.Username, "bob") }))
	if got, ok := m.Find(stun.Username); !ok || string(got) != "ann" {
		t.Errorf("%q %v", got, ok)
	}
	if _, ok := m.Find(stun.Realm); ok {
		t.Error("found what is not there")
	}
}

// What another implementation reads is what was written.
func TestBuilderAgainstPion(t *testing.T) {
	v6 := netip.MustParseAddrPort("[2001:db8::7]:5000")
	b := build(func(w *stun.Builder) {
		w.ErrorCode(stun.UnknownAttribute)
		w.UnknownAttributes([]stun.Attr{0x7001, 0x7002, 0x7003})
		w.Address(stun.XORMappedAddress, v6)
		w.PlainAddress(stun.MappedAddress, netip.MustParseAddrPort("192.0.2.1:443"))
		w.Uint32(stun.Lifetime, 600)
		w.Uint64(stun.ICEControlled, 7)
		w.AddressErrorCode(stun.IPv6, stun.FamilyNotSupported)
		w.Integrity(mac)
		w.Fingerprint()
	})
	m := &pion.Message{Raw: b}
	if err := m.Decode(); err != nil {
		t.Fatal(err)
	}
	var code pion.ErrorCodeAttribute
	var unknown pion.UnknownAttributes
	var xor pion.XORMappedAddress
	var plain pion.MappedAddress
	for _, g := range []pion.Getter{&code, &unknown, &xor, &plain} {
		if err := g.GetFrom(m); err != nil {
			t.Errorf("%T: %v", g, err)
		}
	}
	if code.Code != 420 || len(code.Reason) != 0 || len(unknown) != 3 || unknown[2] != 0x7003 || xor.String() != v6.String() ||
		plain.String() != "192.0.2.1:443" {
		t.Errorf("%v %v %v %v", code, unknown, xor, plain)
	}
	if got, err := m.Get(pion.AttrType(stun.AddressErrorCode)); err != nil || !bytes.Equal(got, []byte{2, 0, 4, 40}) {
		t.Errorf("%x %v", got, err)
	}
	if err := pion.MessageIntegrity("key").Check(m); err != nil {
		t.Error(err)
	}
	if err := pion.Fingerprint.Check(m); err != nil {
		t.Error(err)
	}
}

// Values that are of no address, code or algorithm are told apart from those that are.
func TestValues(t *testing.T) {
	for _, v := range [][]byte{nil, {0, 1, 0}, {0, 1, 0, 0, 1, 2, 3}, {0, 2, 0, 0, 1, 2, 3, 4}, {0, 3, 0, 0, 1, 2, 3, 4}, make([]byte, 21), append([]byte{0, 1}, make([]byte, 18)...)} {
		if a, ok := stun.Address(v, id); ok {
			t.Errorf("%x is %v", v, a)
		}
	}
	if a, ok := stun.PlainAddress([]byte{0, 1, 1, 0, 192, 0, 2, 1}); !ok || a.String() != "192.0.2.1:256" {
		t.Errorf("%v %v", a, ok)
	}
	for _, c := range []struct {
		v    []byte
		want stun.Code
	}{{[]byte{0, 0, 4, 38}, 438}, {[]byte{0, 0, 2, 38}, 0}, {[]byte{0, 0, 4, 100}, 0}, {[]byte{0, 0, 4}, 0}, {nil, 0}} {
		if got := stun.CodeIn(c.v); got != c.want {
			t.Errorf("%x: %d, want %d", c.v, got, c.want)
		}
	}
	for _, c := range []struct {
		v    []byte
		want bool
	}{{[]byte{0, 1, 0, 0}, true}, {[]byte{0, 2, 0, 0}, true}, {[]byte{0, 3, 0, 0}, false}, {[]byte{0, 2, 0, 4}, false}, {[]byte{0, 2}, false}} {
		if _, ok := stun.AlgorithmIn(c.v); ok != c.want {
			t.Errorf("%x: %v", c.v, ok)
		}
	}
}

// Reading, verifying and writing allocate nothing.
func TestNoAllocation(t *testing.T) {
	var m stun.Message
	in := build(func(w *stun.Builder) {
		w.Text(stun.Username, "ann")
		w.Integrity(mac)
		w.IntegritySHA256(mac256)
		w.Fingerprint()
	})
	buf := make([]byte, 0, 512)
	addr := netip.MustParseAddrPort("[2001:db8::7]:5000")
	work := func() {
		if m.Parse(in) != drop.None || !m.Authentic(mac) || !m.AuthenticSHA256(mac256) {
			t.Fatal("refused")
		}
		name, _ := m.Find(stun.Username)
		w := stun.Begin(buf, request, m.ID())
		w.Address(stun.XORMappedAddress, addr)
		w.Bytes(stun.Username, name)
		w.Text(stun.Realm, "a", "b")
		w.Integrity(mac)
		w.IntegritySHA256(mac256)
		w.Fingerprint()
	}
	work()
	if n := testing.AllocsPerRun(100, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParse: nothing panics, the attributes are inside of the message, and what is taken is taken by another implementation too.
func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(v)
	}
	f.Add(build(func(w *stun.Builder) { w.Integrity(mac); w.IntegritySHA256(mac256); w.Fingerprint() }))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m stun.Message
		if m.Parse(b) != drop.None {
			return
		}
		if int(binary.BigEndian.Uint16(b[2:])) != len(b)-stun.HeaderLen {
			t.Error("longer or shorter than it says")
		}
		for a := m.Attributes(); a.Next(); {
			stun.Address(a.Value, m.ID())
			stun.PlainAddress(a.Value)
			stun.CodeIn(a.Value)
			stun.AlgorithmIn(a.Value)
			if len(a.Value) > len(b) {
				t.Error("an attribute longer than its message")
			}
		}
		m.Authentic(mac)
		m.AuthenticSHA256(mac256)
		p := &pion.Message{Raw: bytes.Clone(b)}
		if err := p.Decode(); err != nil {
			t.Errorf("accepted what the oracle cannot decode: %v", err)
		}
		if m.Fingerprint && pion.Fingerprint.Check(p) != nil {
			t.Error("another FINGERPRINT")
		}
	})
}
