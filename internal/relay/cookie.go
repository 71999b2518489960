package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// A DTLS 1.2 ClientHello in one record (RFC 6347 §4.1, §4.2.2, §4.2.1):
//
//	record:    type 22, version 2, epoch 2 = 0, sequence number 6, length 2
//	handshake: type 1, length 3, message_seq 2, fragment_offset 3 = 0, fragment_length 3 = length
//	hello:     version 2, random 32, session_id 1+n, cookie 1+n, cipher_suites …
const (
	recordHeader    = 13
	handshakeHeader = 12
	helloAt         = recordHeader + handshakeHeader
	sessionAt       = helloAt + 2 + 32

	typeAlert       = 21
	typeHandshake   = 22
	typeClientHello = 1
	typeVerify      = 3

	// cookieBytes is what pion's server makes, which compares them.
	cookieBytes = 20
	// cookieTick is how long a cookie is the same; it is good until the next but one.
	cookieTick = 30 * time.Second
)

// hello is a ClientHello.
type hello struct {
	b      []byte
	cookie []byte
	at     int // of the cookie's length
}

// parseHello reads the ClientHello that a datagram begins with. One in fragments is none: whoever sends so much before he has shown where he is
// would have to be remembered.
func parseHello(b []byte) (h hello, ok bool) {
	if len(b) < sessionAt+1 || b[0] != typeHandshake || b[3] != 0 || b[4] != 0 || b[recordHeader] != typeClientHello {
		return h, false
	}
	end := recordHeader + int(binary.BigEndian.Uint16(b[11:]))
	length := uint24(b[recordHeader+1:])
	if end > len(b) || end != helloAt+length || uint24(b[recordHeader+6:]) != 0 || uint24(b[recordHeader+9:]) != length {
		return h, false
	}
	if end <= sessionAt {
		return h, false
	}
	b = b[:end]
	at := sessionAt + 1 + int(b[sessionAt])
	if at >= end || at+1+int(b[at]) > end {
		return h, false
	}
	return hello{b: b, cookie: b[at+1 : at+1+int(b[at])], at: at}, true
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

func putUint24(b []byte, v int) { b[0], b[1], b[2] = byte(v>>16), byte(v>>8), byte(v) }

// cookie is the one of a client at a time: "Cookie = HMAC(Secret, Client-IP, Client-Parameters)" (RFC 6347 §4.2.1), with what the client must not
// change meanwhile, its random, as the parameters.
func (h *hello) cookieFor(secret []byte, tick int64, remote netip.AddrPort) []byte {
	mac := hmac.New(sha256.New, secret)
	var in [26]byte
	binary.BigEndian.PutUint64(in[:], uint64(tick))
	ip := remote.Addr().As16()
	copy(in[8:], ip[:])
	binary.BigEndian.PutUint16(in[24:], remote.Port())
	mac.Write(in[:])
	mac.Write(h.b[helloAt+2 : sessionAt])
	return mac.Sum(nil)[:cookieBytes]
}

// verified reports whether the client has been told its cookie, and so is where it seems to be.
func (h *hello) verified(secret []byte, now time.Time, remote netip.AddrPort) bool {
	tick := now.UnixNano() / int64(cookieTick)
	return hmac.Equal(h.cookie, h.cookieFor(secret, tick, remote)) || hmac.Equal(h.cookie, h.cookieFor(secret, tick-1, remote))
}

// verifyRequest is the HelloVerifyRequest for it (RFC 6347 §4.2.1), which is shorter than it. It has the sequence number of its record, so that
// nothing has to be remembered.
func (h *hello) verifyRequest(secret []byte, now time.Time, remote netip.AddrPort) []byte {
	const body = 2 + 1 + cookieBytes
	b := make([]byte, helloAt, helloAt+body)
	b[0], b[1], b[2] = typeHandshake, 0xfe, 0xff // DTLS 1.0, "regardless of the version of TLS that is expected to be negotiated"
	copy(b[3:11], h.b[3:11])
	binary.BigEndian.PutUint16(b[11:], handshakeHeader+body)
	b[recordHeader] = typeVerify
	putUint24(b[recordHeader+1:], body)
	putUint24(b[recordHeader+9:], body)
	b = append(b, 0xfe, 0xff, cookieBytes)
	return append(b, h.cookieFor(secret, now.UnixNano()/int64(cookieTick), remote)...)
}

// old reports whether the client knows no DTLS 1.2. Versions of DTLS count down.
func (h *hello) old() bool { return binary.BigEndian.Uint16(h.b[helloAt:]) > 0xfefd }

// refusal is the alert protocol_version for it: without one a client of an older version asks again and again.
func (h *hello) refusal() []byte {
	b := []byte{typeAlert, 0xfe, 0xff, recordHeader - 1: 2, recordHeader: 2, recordHeader + 1: 70}
	copy(b[3:11], h.b[3:11])
	return b
}

// first is the ClientHello that came before this one, which has a cookie: the same without it, and the first message of its handshake.
func (h *hello) first() []byte {
	b := make([]byte, 0, len(h.b))
	b = append(b, h.b[:h.at]...)
	b = append(b, 0)
	b = append(b, h.b[h.at+1+len(h.cookie):]...)
	clear(b[5:11]) // the record's sequence number
	binary.BigEndian.PutUint16(b[11:], uint16(len(b)-recordHeader))
	putUint24(b[recordHeader+1:], len(b)-helloAt)
	clear(b[recordHeader+4 : recordHeader+6]) // message_seq
	putUint24(b[recordHeader+9:], len(b)-helloAt)
	return b
}
