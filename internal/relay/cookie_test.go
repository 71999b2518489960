package relay

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

var (
	helloTime   = time.Unix(1_800_000_000, 0)
	helloSecret = []byte("a secret of the server's")
	helloFrom   = netip.MustParseAddrPort("192.0.2.7:5000")
)

// clientHello is one of a version, in a record with a sequence number and as a message of that number.
func clientHello(version uint16, number byte, cookie []byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, version)
	body = append(body, bytes.Repeat([]byte("r"), 32)...)
	body = append(append(body, 3), "ses"...)
	body = append(append(body, byte(len(cookie))), cookie...)
	body = append(body, 0, 2, 0xc0, 0x2b, 1, 0, 0, 0)
	b := []byte{typeHandshake, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, number}
	b = binary.BigEndian.AppendUint16(b, uint16(handshakeHeader+len(body)))
	b = append(b, typeClientHello, 0, 0, byte(len(body)), 0, number, 0, 0, 0, 0, 0, byte(len(body)))
	return append(b, body...)
}

// RFC 6347 §4.2.1: the first ClientHello is answered by a HelloVerifyRequest that is no longer than it, and the same one with its cookie is from a
// client that receives at its address. The first one can be made from it again.
func TestCookie(t *testing.T) {
	first := clientHello(0xfefd, 0, nil)
	h, ok := parseHello(first)
	if !ok || len(h.cookie) != 0 || h.old() || h.verified(helloSecret, helloTime, helloFrom) {
		t.Fatalf("%+v, %v", h, ok)
	}
	request := h.verifyRequest(helloSecret, helloTime, helloFrom)
	if len(request) > len(first) || request[recordHeader] != typeVerify || !bytes.Equal(request[3:11], first[3:11]) {
		t.Errorf("%x for %x", request, first)
	}
	if n := int(binary.BigEndian.Uint16(request[11:])); n != len(request)-recordHeader || uint24(request[recordHeader+1:]) != len(request)-helloAt {
		t.Errorf("lengths in %x", request)
	}
	cookie := request[helloAt+3:]
	h, ok = parseHello(append(clientHello(0xfefd, 1, cookie), "another record"...))
	if !ok || !bytes.Equal(h.first(), first) {
		t.Errorf("%x, which begins with %x", first, h.first())
	}
	for _, c := range []struct {
		name string
		h    []byte
		at   time.Time
		from string
		ok   bool
	}{
		{"the client", clientHello(0xfefd, 1, cookie), helloTime, "192.0.2.7:5000", true},
		{"a slow client", clientHello(0xfefd, 1, cookie), helloTime.Add(cookieTick), "192.0.2.7:5000", true},
		{"later", clientHello(0xfefd, 1, cookie), helloTime.Add(2 * cookieTick), "192.0.2.7:5000", false},
		{"another port", clientHello(0xfefd, 1, cookie), helloTime, "192.0.2.7:5001", false},
		{"another address", clientHello(0xfefd, 1, cookie), helloTime, "192.0.2.8:5000", false},
		{"another cookie", clientHello(0xfefd, 1, bytes.Repeat([]byte("c"), cookieBytes)), helloTime, "192.0.2.7:5000", false},
		{"half a cookie", clientHello(0xfefd, 1, cookie[:10]), helloTime, "192.0.2.7:5000", false},
		{"another random", bytes.Replace(clientHello(0xfefd, 1, cookie), []byte("rrr"), []byte("rsr"), 1), helloTime, "192.0.2.7:5000", false},
	} {
		h, ok := parseHello(c.h)
		if !ok || h.verified(helloSecret, c.at, netip.MustParseAddrPort(c.from)) != c.ok {
			t.Errorf("%s: a ClientHello: %v, verified: %v", c.name, ok, !c.ok)
		}
	}
}

// A client of DTLS 1.0 is told that it is too old (RFC 6347 §4.2.1; RFC 5246 §7.2: fatal, protocol_version).
func TestOldClient(t *testing.T) {
	h, ok := parseHello(clientHello(0xfeff, 4, nil))
	want := []byte{typeAlert, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 4, 0, 2, 2, 70}
	if !ok || !h.old() || !bytes.Equal(h.refusal(), want) {
		t.Errorf("%v, old: %v, %x", ok, h.old(), h.refusal())
	}
}

// What is no ClientHello in one piece is none.
func TestNoHello(t *testing.T) {
	good := clientHello(0xfefd, 0, []byte("cookie"))
	for i := range good {
		if _, ok := parseHello(good[:i]); ok {
			t.Errorf("the first %d of %d bytes are one", i, len(good))
		}
	}
	short := make([]byte, 80) // a ClientHello of no bytes
	short[0], short[recordHeader-1], short[recordHeader] = typeHandshake, handshakeHeader, typeClientHello
	if _, ok := parseHello(short); ok {
		t.Error("one without a session id is one")
	}
	for _, at := range []int{0, 3, 4, recordHeader, recordHeader + 3, recordHeader + 8, recordHeader + 11} { // type, epoch, type, length, fragment
		b := bytes.Clone(good)
		b[at] ^= 0x40
		if _, ok := parseHello(b); ok {
			t.Errorf("with another byte %d it is one", at)
		}
	}
}

// Whatever comes, a ClientHello is not read beyond its end, and its answer is no amplification.
func FuzzHello(f *testing.F) {
	f.Add(clientHello(0xfefd, 0, nil))
	f.Add(clientHello(0xfefd, 1, bytes.Repeat([]byte("c"), cookieBytes)))
	f.Add(clientHello(0xfeff, 0, nil))
	f.Add(append([]byte{typeHandshake, 0xfe, 0xfd, 12: handshakeHeader, 13: typeClientHello}, make([]byte, 66)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := parseHello(b)
		if !ok {
			return
		}
		if len(h.first())+len(h.cookie) != len(h.b) || len(h.b) > len(b) {
			t.Errorf("%x: cookie %x, before it %x", h.b, h.cookie, h.first())
		}
		if again, ok := parseHello(h.first()); !ok || len(again.cookie) != 0 {
			t.Errorf("%x, which came before %x, is none", h.first(), h.b)
		}
		if n := len(h.verifyRequest(helloSecret, helloTime, helloFrom)); n > 2*len(h.b) || len(h.refusal()) > len(h.b) {
			t.Errorf("%d bytes for %d", n, len(h.b))
		}
	})
}
