package stun_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

const shortTermPassword = "VOkJxbRl1RmTxUk/WvJxBt" // of RFC 5769 §2.1 to §2.3

// The long-term credential of RFC 5769 §2.4 and RFC 8489 §B.1, after OpaqueString.
const (
	matrixName     = "マトリックス"
	matrixRealm    = "example.org"
	matrixPassword = "TheMatrIX"
)

// vectors are the messages of RFC 5769 §2 and of RFC 8489 §B.1 (with erratum 6268).
var vectors = map[string][]byte{
	"5769 §2.1": unhex(`00010058 2112a442 b7e7a701bc34d686fa87dfae
		80220010 5354554e207465737420636c69656e74  00240004 6e0001ff  80290008 932ff9b151263b36
		00060009 6576746a3a68367659 202020  00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2  80280004 e57a3bcf`),
	"5769 §2.2": unhex(`0101003c 2112a442 b7e7a701bc34d686fa87dfae
		8022000b 7465737420766563746f72 20  00200008 0001a147e112a643
		00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7  80280004 c07d4c96`),
	"5769 §2.3": unhex(`01010048 2112a442 b7e7a701bc34d686fa87dfae
		8022000b 7465737420766563746f72 20  00200014 0002a147 0113a9faa5d3f179bc25f4b5bed2b9d9
		00080014 a382954e4be67bf11784c97c8292c275bfe3ed41  80280004 c8fb0b4c`),
	"5769 §2.4": unhex(`00010060 2112a442 78ad3433c6ad72c029da412e
		00060012 e3839ee38388e383aae38383e382afe382b9 0000
		0015001c 662f2f3439396b3935346436 4f4c33346f4c394653547679 36347341
		0014000b 6578616d706c652e6f7267 00  00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666`),
	"8489 §B.1": unhex(`00010090 2112a442 78ad3433c6ad72c029da412e
		001e0020 4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704
		00150029 6f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c39465354767936347341 000000
		0014000b 6578616d706c652e6f7267 00  001d0004 00020000
		001c0020 b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65`),
}

// Each vector is read: its integrity is by its key and by no other, its FINGERPRINT and addresses are what the RFC says.
func TestReadVectors(t *testing.T) {
	for _, c := range []struct {
		name   string
		key    []byte
		sha256 bool
		print  bool
		addr   string
	}{
		{name: "5769 §2.1", key: []byte(shortTermPassword), print: true},
		{name: "5769 §2.2", key: []byte(shortTermPassword), print: true, addr: "192.0.2.1:32853"},
		{name: "5769 §2.3", key: []byte(shortTermPassword), print: true, addr: "[2001:db8:1234:5678:11:2233:4455:6677]:32853"},
		{name: "5769 §2.4", key: stun.AppendLongTermKey(nil, stun.MD5, matrixName, matrixRealm, matrixPassword)},
		{name: "8489 §B.1", key: stun.AppendLongTermKey(nil, stun.SHA256, matrixName, matrixRealm, matrixPassword), sha256: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m stun.Message
			if r := m.Parse(vectors[c.name]); r != drop.None || m.Fingerprint != c.print {
				t.Fatalf("%v, fingerprint %v", r, m.Fingerprint)
			}
			check := func(key []byte) bool {
				if c.sha256 {
					return m.HasIntegritySHA256() && !m.HasIntegrity() && m.AuthenticSHA256(hmac.New(sha256.New, key))
				}
				return m.HasIntegrity() && !m.HasIntegritySHA256() && m.Authentic(hmac.New(sha1.New, key))
			}
			if !check(c.key) || check([]byte("another")) {
				t.Error("not what the key says")
			}
			if c.addr != "" {
				v, _ := m.Find(stun.XORMappedAddress)
				if a, ok := stun.Address(v, m.ID()); !ok || a != netip.MustParseAddrPort(c.addr) {
					t.Errorf("%v, want %v", a, c.addr)
				}
			}
		})
	}
}

// Each vector is written: padding of theirs that is not zero is in the pieces.
func TestWriteVectors(t *testing.T) {
	short := hmac.New(sha1.New, []byte(shortTermPassword))
	id, matrixID := unhex("b7e7a701bc34d686fa87dfae"), unhex("78ad3433c6ad72c029da412e")
	long := hmac.New(sha1.New, stun.AppendLongTermKey(nil, stun.MD5, matrixName, matrixRealm, matrixPassword))
	long256 := hmac.New(sha256.New, stun.AppendLongTermKey(nil, stun.SHA256, matrixName, matrixRealm, matrixPassword))
	for name, write := range map[string]func(*stun.Builder){
		"5769 §2.4": func(w *stun.Builder) {
			*w = stun.Begin(w.B, stun.TypeOf(stun.Binding, stun.Request), matrixID)
			w.Text(stun.Username, matrixName)
			w.Text(stun.Nonce, "f//499k954d6OL34oL9FSTvy64sA")
			w.Bytes(stun.Realm, []byte("example"), []byte(".org"))
			w.Integrity(long)
		},
		"8489 §B.1": func(w *stun.Builder) {
			*w = stun.Begin(w.B, stun.TypeOf(stun.Binding, stun.Request), matrixID)
			w.Bytes(stun.Userhash, stun.AppendUserhash(nil, matrixName, matrixRealm))
			w.Text(stun.Nonce, "obMatJos2", "AAAC", "f//499k954d6OL34oL9FSTvy64sA")
			w.Text(stun.Realm, matrixRealm)
			w.Bytes(stun.PasswordAlgorithm, stun.SHA256.Append(nil))
			w.IntegritySHA256(long256)
		},
		"5769 §2.3": func(w *stun.Builder) {
			*w = stun.Begin(w.B, stun.TypeOf(stun.Binding, stun.Success), id)
			w.Text(stun.Software, "test vector")
			w.B[len(w.B)-1] = ' ' // the RFC's own padding
			w.Address(stun.XORMappedAddress, netip.MustParseAddrPort("[2001:db8:1234:5678:11:2233:4455:6677]:32853"))
			w.Integrity(short)
			w.Fingerprint()
		},
		"5769 §2.2": func(w *stun.Builder) {
			*w = stun.Begin(w.B, stun.TypeOf(stun.Binding, stun.Success), id)
			w.Text(stun.Software, "test vector")
			w.B[len(w.B)-1] = ' '
			w.Address(stun.XORMappedAddress, netip.MustParseAddrPort("[::ffff:192.0.2.1]:32853"))
			w.Integrity(short)
			w.Fingerprint()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := stun.Builder{B: []byte("before")} // a message need not be the first in a buffer
			write(&w)
			if got := w.Message(); !bytes.Equal(got, vectors[name]) {
				t.Errorf("got\n%x, want\n%x", got, vectors[name])
			}
		})
	}
}
