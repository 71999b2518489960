package ice

import (
	"crypto/hmac"
	"encoding/binary"
	"hash"
	"net/netip"

	"github.com/parley-rtc/parley/internal/datagram"
)

// Error codes (RFC 8489 §14.8, RFC 8445 §7.3.1.1).
const (
	badRequest       = 400
	unauthenticated  = 401
	unknownAttribute = 420
	roleConflict     = 487
)

// Out is what an agent makes of its input. The caller owns it and empties it by Reset, or by cutting both slices to length 0.
type Out struct {
	// Datagrams to send, in order. Their bytes are valid until the first call with an Out whose Datagrams are empty.
	Datagrams []datagram.Datagram
	Events    []Event
	buf       []byte
}

// Pending reports whether there is anything in o.
func (o *Out) Pending() bool { return len(o.Datagrams)+len(o.Events) > 0 }

// Reset empties o and keeps its memory.
func (o *Out) Reset() { o.Datagrams, o.Events = o.Datagrams[:0], o.Events[:0] }

func (o *Out) event(k Kind, pair datagram.Pair) {
	o.Events = append(o.Events, Event{Kind: k, Pair: pair})
}

// response is a STUN message while it is written, at the end of an Out's buffer: a response, or a request of a full agent.
type response struct {
	out  *Out
	at   int
	pair datagram.Pair
}

// begin starts a message on a pair, with the cookie and the transaction id of a header: a response has those of its request.
func (o *Out) begin(pair datagram.Pair, request []byte, typ uint16) response {
	if len(o.Datagrams) == 0 {
		o.buf = o.buf[:0]
	}
	r := response{out: o, at: len(o.buf), pair: pair}
	o.buf = binary.BigEndian.AppendUint16(o.buf, typ)
	o.buf = append(o.buf, 0, 0)
	o.buf = append(o.buf, request[4:headerLen]...) // cookie and transaction id
	return r
}

func (r response) attribute(typ uint16, n int) {
	r.out.buf = binary.BigEndian.AppendUint16(r.out.buf, typ)
	r.out.buf = binary.BigEndian.AppendUint16(r.out.buf, uint16(n))
}

// errorCode has no reason phrase: a response that is not asked for should be small.
func (r response) errorCode(code int) {
	r.attribute(attrErrorCode, 4)
	r.out.buf = append(r.out.buf, 0, 0, byte(code/100), byte(code%100))
}

func (r response) unknownAttributes(types []uint16) {
	r.attribute(attrUnknownAttributes, 2*len(types))
	for _, t := range types {
		r.out.buf = binary.BigEndian.AppendUint16(r.out.buf, t)
	}
	if len(types)%2 != 0 {
		r.out.buf = append(r.out.buf, 0, 0)
	}
}

// xorMappedAddress (RFC 8489 §14.2).
func (r response) xorMappedAddress(a netip.AddrPort) {
	addr, family := a.Addr().Unmap(), byte(1)
	if addr.Is6() {
		family = 2
	}
	r.attribute(attrXORMappedAddress, 4+addr.BitLen()/8)
	r.out.buf = append(r.out.buf, 0, family)
	r.out.buf = binary.BigEndian.AppendUint16(r.out.buf, a.Port()^magicCookie>>16)
	key := r.at + 4 // cookie and transaction id follow each other in the header
	if family == 1 {
		for i, x := range addr.As4() {
			r.out.buf = append(r.out.buf, x^r.out.buf[key+i])
		}
		return
	}
	for i, x := range addr.As16() {
		r.out.buf = append(r.out.buf, x^r.out.buf[key+i])
	}
}

// setLength makes the header count what is written and n bytes to come.
func (r response) setLength(n int) {
	binary.BigEndian.PutUint16(r.out.buf[r.at+2:], uint16(len(r.out.buf)-r.at-headerLen+n))
}

func (r response) integrity(mac hash.Hash) {
	r.setLength(integrityLen)
	mac.Reset()
	mac.Write(r.out.buf[r.at:])
	r.attribute(attrMessageIntegrity, integrityLen-4)
	r.out.buf = mac.Sum(r.out.buf)
}

// end adds FINGERPRINT and puts the response among the datagrams.
func (r response) end() {
	r.setLength(fingerprintLen)
	f := fingerprint(r.out.buf[r.at:])
	r.attribute(attrFingerprint, fingerprintLen-4)
	r.out.buf = binary.BigEndian.AppendUint32(r.out.buf, f)
	b := r.out.buf[r.at:]
	r.out.Datagrams = append(r.out.Datagrams, datagram.Datagram{Pair: r.pair, B: b[:len(b):len(b)]})
}

// generation is the credentials of one ICE session: from New, or from one Restart.
type generation struct {
	local, remote Credentials
	mac           hash.Hash // keyed with the local password: requests to this side and their responses
	remoteMAC     hash.Hash // keyed with the remote password: requests of this side and their responses; nil: it sends none
	requests      uint64    // sent
}

// matches reports whether a USERNAME is ours, a colon, and the client's where that is known (RFC 8445 §7.2.2).
func (g *generation) matches(username []byte) bool {
	n := len(g.local.Ufrag)
	if len(username) <= n || string(username[:n]) != g.local.Ufrag || username[n] != ':' {
		return false
	}
	return g.remote.Ufrag == "" || string(username[n+1:]) == g.remote.Ufrag
}

// authentic verifies MESSAGE-INTEGRITY, in constant time. The header is hashed as it was before FINGERPRINT was added (RFC 8489 §14.5).
func (a *Agent) authentic(mac hash.Hash, m *message) bool {
	copy(a.header[:], m.raw)
	binary.BigEndian.PutUint16(a.header[2:], uint16(m.integrityAt-headerLen+integrityLen))
	mac.Reset()
	mac.Write(a.header[:])
	mac.Write(m.raw[headerLen:m.integrityAt])
	sum := mac.Sum(a.sum[:0])
	return hmac.Equal(sum, m.raw[m.integrityAt+4:m.integrityAt+integrityLen])
}
