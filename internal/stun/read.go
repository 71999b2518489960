package stun

import (
	"crypto/hmac"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"net/netip"

	"github.com/parley-rtc/parley/internal/drop"
)

// Attributes goes through attributes one by one; Next comes first. It aliases what it reads.
type Attributes struct {
	Type  Attr
	Value []byte
	rest  []byte
	bad   bool
}

// AttributesOf goes through those of a message for which Is holds, checked or not.
func AttributesOf(b []byte) Attributes { return Attributes{rest: b[HeaderLen:]} }

// Next goes on to the next attribute. It reports false at the end, and at what is no attribute.
func (a *Attributes) Next() bool {
	if len(a.rest) < attrHeaderLen {
		a.bad = a.bad || len(a.rest) > 0
		return false
	}
	n := int(binary.BigEndian.Uint16(a.rest[2:]))
	end := attrHeaderLen + padded(n)
	if end > len(a.rest) {
		a.bad = true
		return false
	}
	a.Type, a.Value, a.rest = Attr(binary.BigEndian.Uint16(a.rest)), a.rest[attrHeaderLen:attrHeaderLen+n], a.rest[end:]
	return true
}

// Message is a STUN message as it came. It aliases what it was parsed from. What goes through the interface of a hash must not live on the
// stack: who wants nothing allocated keeps his Message.
type Message struct {
	Raw         []byte
	Type        Type
	Fingerprint bool // there was one, and it is right

	end    int // of the attributes that count: where MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 or FINGERPRINT begins
	sha1   int // where MESSAGE-INTEGRITY begins; 0: there is none
	sha256 int // and MESSAGE-INTEGRITY-SHA256

	header [HeaderLen]byte
	sum    [sha256Len]byte
}

// Parse reads b as one whole message, and verifies FINGERPRINT where there is one.
func (m *Message) Parse(b []byte) drop.Reason {
	if !Is(b) || len(b)%4 != 0 || int(binary.BigEndian.Uint16(b[2:])) != len(b)-HeaderLen {
		return drop.StunMalformed
	}
	m.Raw, m.Type, m.Fingerprint, m.end, m.sha1, m.sha256 = b, TypeIn(b), false, len(b), 0, 0
	a := AttributesOf(b)
	for at := HeaderLen; a.Next(); at = len(b) - len(a.rest) {
		switch {
		case a.Type == Fingerprint:
			// RFC 8489 §14.7: the last attribute.
			if len(a.Value) != fingerprintLen-attrHeaderLen || len(a.rest) != 0 {
				return drop.StunMalformed
			}
			if binary.BigEndian.Uint32(a.Value) != fingerprint(b[:at]) {
				return drop.StunFingerprint
			}
			m.Fingerprint, m.end = true, min(m.end, at)
		case a.Type == MessageIntegrity && m.sha1 == 0 && m.sha256 == 0:
			if len(a.Value) != sha1Len {
				return drop.StunMalformed
			}
			m.sha1, m.end = at, min(m.end, at)
		case a.Type == MessageIntegritySHA256 && m.sha256 == 0:
			// RFC 8489 §14.6: 32 bytes, unless a usage allows fewer. None of ours does.
			if len(a.Value) != sha256Len {
				return drop.StunMalformed
			}
			m.sha256, m.end = at, min(m.end, at)
		}
	}
	if a.bad {
		return drop.StunMalformed
	}
	return drop.None
}

// ID returns the transaction id.
func (m *Message) ID() []byte { return m.Raw[idAt:HeaderLen] }

// Attributes goes through the attributes that count. Those that follow MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 are not protected and
// do not count (RFC 8489 §14.5, §14.6).
func (m *Message) Attributes() Attributes { return Attributes{rest: m.Raw[HeaderLen:m.end]} }

// Find returns the first attribute of a type, which is the one that counts (RFC 8489 §14).
func (m *Message) Find(t Attr) (value []byte, ok bool) {
	for a := m.Attributes(); a.Next(); {
		if a.Type == t {
			return a.Value, true
		}
	}
	return nil, false
}

// HasIntegrity reports whether there is a MESSAGE-INTEGRITY, HasIntegritySHA256 whether there is a MESSAGE-INTEGRITY-SHA256.
func (m *Message) HasIntegrity() bool { return m.sha1 != 0 }

// HasIntegritySHA256 see HasIntegrity.
func (m *Message) HasIntegritySHA256() bool { return m.sha256 != 0 }

// Authentic reports whether MESSAGE-INTEGRITY is there and by the key of mac, an HMAC-SHA1. It takes the same time for all that are not.
func (m *Message) Authentic(mac hash.Hash) bool {
	return m.sha1 != 0 && m.authentic(mac, m.sha1, sha1Len)
}

// AuthenticSHA256 reports whether MESSAGE-INTEGRITY-SHA256 is there and by the key of mac, an HMAC-SHA256.
func (m *Message) AuthenticSHA256(mac hash.Hash) bool {
	return m.sha256 != 0 && m.authentic(mac, m.sha256, sha256Len)
}

// authentic hashes what is before the attribute at, with the header as it was when nothing followed that attribute (RFC 8489 §14.5).
func (m *Message) authentic(mac hash.Hash, at, n int) bool {
	copy(m.header[:], m.Raw)
	binary.BigEndian.PutUint16(m.header[2:], uint16(at-HeaderLen+attrHeaderLen+n))
	mac.Reset()
	mac.Write(m.header[:])
	mac.Write(m.Raw[HeaderLen:at])
	return hmac.Equal(mac.Sum(m.sum[:0]), m.Raw[at+attrHeaderLen:at+attrHeaderLen+n])
}

// fingerprint of a message whose bytes before FINGERPRINT are b, its length field already counting FINGERPRINT.
func fingerprint(b []byte) uint32 { return crc32.ChecksumIEEE(b) ^ fingerprintXOR }

// Address reads the value of an XOR-MAPPED-ADDRESS, XOR-PEER-ADDRESS or XOR-RELAYED-ADDRESS of a message with this transaction id (RFC
// 8489 §14.2). A v4-mapped IPv6 address stays one.
func Address(value, id []byte) (a netip.AddrPort, ok bool) {
	var key [16]byte
	binary.BigEndian.PutUint32(key[:], magicCookie)
	copy(key[4:], id)
	return address(value, &key)
}

// PlainAddress reads the value of a MAPPED-ADDRESS, RESPONSE-ORIGIN or OTHER-ADDRESS (RFC 8489 §14.1).
func PlainAddress(value []byte) (a netip.AddrPort, ok bool) { return address(value, new([16]byte)) }

func address(value []byte, key *[16]byte) (netip.AddrPort, bool) {
	if len(value) < 4 {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(value[2:]) ^ binary.BigEndian.Uint16(key[:])
	var ip [16]byte
	for i, x := range value[4:min(len(value), 20)] {
		ip[i] = x ^ key[i]
	}
	switch {
	case value[1] == IPv4 && len(value) == 8:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[:4])), port), true
	case value[1] == IPv6 && len(value) == 20:
		return netip.AddrPortFrom(netip.AddrFrom16(ip), port), true
	}
	return netip.AddrPort{}, false
}

// CodeIn reads the value of an ERROR-CODE (RFC 8489 §14.8), 0 where it is none.
func CodeIn(value []byte) Code {
	if len(value) < 4 || value[2]&7 < 3 || value[2]&7 > 6 || value[3] > 99 {
		return 0
	}
	return Code(value[2]&7)*100 + Code(value[3])
}
