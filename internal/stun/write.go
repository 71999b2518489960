package stun

import (
	"encoding/binary"
	"hash"
	"net/netip"
)

// Builder writes one message at the end of B, and keeps its length right from one attribute to the next. Integrity comes after what it
// protects, then Fingerprint.
type Builder struct {
	B  []byte
	at int
}

// Begin starts a message with the transaction id of 12 bytes behind what is in dst.
func Begin(dst []byte, t Type, id []byte) Builder {
	w := Builder{B: dst, at: len(dst)}
	w.B = binary.BigEndian.AppendUint16(w.B, uint16(t))
	w.B = append(w.B, 0, 0)
	w.B = binary.BigEndian.AppendUint32(w.B, magicCookie)
	w.B = append(w.B, id[:IDLen]...)
	return w
}

// Message returns what was written, from Begin on.
func (w *Builder) Message() []byte { return w.B[w.at:len(w.B):len(w.B)] }

// Header starts an attribute of n bytes and counts it; the caller sends those, and what pads them, behind what is in B.
func (w *Builder) Header(t Attr, n int) {
	binary.BigEndian.PutUint16(w.B[w.at+2:], uint16(len(w.B)-w.at-HeaderLen+attrHeaderLen+padded(n)))
	w.B = binary.BigEndian.AppendUint16(w.B, uint16(t))
	w.B = binary.BigEndian.AppendUint16(w.B, uint16(n))
}

func (w *Builder) pad(n int) {
	for range padded(n) - n {
		w.B = append(w.B, 0)
	}
}

// Bytes adds an attribute with a value of the pieces one after the other.
func (w *Builder) Bytes(t Attr, pieces ...[]byte) {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	w.Header(t, n)
	for _, p := range pieces {
		w.B = append(w.B, p...)
	}
	w.pad(n)
}

// Text adds an attribute with a value of the pieces one after the other.
func (w *Builder) Text(t Attr, pieces ...string) {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	w.Header(t, n)
	for _, p := range pieces {
		w.B = append(w.B, p...)
	}
	w.pad(n)
}

// Uint32 adds an attribute of four bytes.
func (w *Builder) Uint32(t Attr, v uint32) {
	w.Header(t, 4)
	w.B = binary.BigEndian.AppendUint32(w.B, v)
}

// Uint64 adds an attribute of eight bytes.
func (w *Builder) Uint64(t Attr, v uint64) {
	w.Header(t, 8)
	w.B = binary.BigEndian.AppendUint64(w.B, v)
}

// Address adds an XORed address (RFC 8489 §14.2). A v4-mapped one becomes IPv4.
func (w *Builder) Address(t Attr, a netip.AddrPort) {
	w.address(t, a, w.B[w.at+idAt-4:w.at+HeaderLen]) // cookie and transaction id follow each other in the header
}

// PlainAddress adds an address as it is (RFC 8489 §14.1).
func (w *Builder) PlainAddress(t Attr, a netip.AddrPort) {
	var none [16]byte
	w.address(t, a, none[:])
}

func (w *Builder) address(t Attr, a netip.AddrPort, key []byte) {
	addr, family := a.Addr().Unmap(), byte(IPv4)
	if addr.Is6() {
		family = IPv6
	}
	w.Header(t, 4+addr.BitLen()/8)
	w.B = append(w.B, 0, family)
	w.B = binary.BigEndian.AppendUint16(w.B, a.Port()^binary.BigEndian.Uint16(key))
	if family == IPv4 {
		for i, x := range addr.As4() {
			w.B = append(w.B, x^key[i])
		}
		return
	}
	for i, x := range addr.As16() {
		w.B = append(w.B, x^key[i])
	}
}

// ErrorCode adds an ERROR-CODE without a reason phrase: a response that is not asked for should be small.
func (w *Builder) ErrorCode(c Code) { w.Uint32(ErrorCode, c.bits()) }

func (c Code) bits() uint32 { return uint32(c/100)<<8 | uint32(c%100) }

// AddressErrorCode adds an ADDRESS-ERROR-CODE for an address family (RFC 8656 §18.13), without a reason phrase.
func (w *Builder) AddressErrorCode(family byte, c Code) {
	w.Uint32(AddressErrorCode, uint32(family)<<24|c.bits())
}

// UnknownAttributes adds an UNKNOWN-ATTRIBUTES (RFC 8489 §14.9).
func (w *Builder) UnknownAttributes(types []Attr) {
	w.Header(UnknownAttributes, 2*len(types))
	for _, t := range types {
		w.B = binary.BigEndian.AppendUint16(w.B, uint16(t))
	}
	w.pad(2 * len(types))
}

// Integrity adds a MESSAGE-INTEGRITY by an HMAC-SHA1.
func (w *Builder) Integrity(mac hash.Hash) { w.integrity(MessageIntegrity, sha1Len, mac) }

// IntegritySHA256 adds a MESSAGE-INTEGRITY-SHA256 by an HMAC-SHA256.
func (w *Builder) IntegritySHA256(mac hash.Hash) { w.integrity(MessageIntegritySHA256, sha256Len, mac) }

func (w *Builder) integrity(t Attr, n int, mac hash.Hash) {
	end := len(w.B)
	w.Header(t, n) // which also makes the length in the header what is to be hashed
	mac.Reset()
	mac.Write(w.B[w.at:end])
	w.B = mac.Sum(w.B)
}

// Fingerprint adds a FINGERPRINT, the last attribute.
func (w *Builder) Fingerprint() {
	end := len(w.B)
	w.Header(Fingerprint, fingerprintLen-attrHeaderLen)
	w.B = binary.BigEndian.AppendUint32(w.B, fingerprint(w.B[w.at:end]))
}
