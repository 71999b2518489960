package ice

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/parley-rtc/parley/internal/drop"
)

const (
	headerLen   = 20
	magicCookie = 0x2112A442

	bindingRequest    = 0x0001
	bindingIndication = 0x0011
	bindingSuccess    = 0x0101
	bindingError      = 0x0111
)

// Attributes (RFC 8489 §18.3, RFC 8445 §16.1).
const (
	attrUsername          = 0x0006
	attrMessageIntegrity  = 0x0008
	attrErrorCode         = 0x0009
	attrUnknownAttributes = 0x000A
	attrIntegritySHA256   = 0x001C
	attrXORMappedAddress  = 0x0020
	attrPriority          = 0x0024
	attrUseCandidate      = 0x0025
	attrFingerprint       = 0x8028
	attrICEControlled     = 0x8029
	attrICEControlling    = 0x802A

	integrityLen   = 4 + 20
	fingerprintLen = 4 + 4
	fingerprintXOR = 0x5354554e
	maxUsername    = MaxUfrag + 1 + MaxUfrag
)

// IsSTUN reports whether b begins like a STUN message with the magic cookie (RFC 8489 §5).
func IsSTUN(b []byte) bool {
	return len(b) >= headerLen && b[0] < 4 && binary.BigEndian.Uint32(b[4:]) == magicCookie
}

// Ufrag returns the receiver's user fragment of a Binding request, the part of USERNAME before the colon. It aliases b and proves
// nothing: it is for finding the agent that then checks the message.
func Ufrag(b []byte) (ufrag []byte, ok bool) {
	if !IsSTUN(b) || binary.BigEndian.Uint16(b) != bindingRequest {
		return nil, false
	}
	for rest := b[headerLen:]; len(rest) >= 4; {
		typ, value, next, ok := attribute(rest)
		if !ok {
			return nil, false
		}
		if typ == attrUsername {
			i := bytes.IndexByte(value, ':')
			if i < MinUfrag || len(value) > maxUsername {
				return nil, false
			}
			return value[:i], true
		}
		rest = next
	}
	return nil, false
}

// attribute splits off the attribute at the beginning of b, which holds at least 4 bytes.
func attribute(b []byte) (typ uint16, value, rest []byte, ok bool) {
	n := int(binary.BigEndian.Uint16(b[2:]))
	padded := 4 + (n+3)&^3
	if padded > len(b) {
		return 0, nil, nil, false
	}
	return binary.BigEndian.Uint16(b), b[4 : 4+n], b[padded:], true
}

// message is a parsed STUN message. It aliases what it was parsed from.
type message struct {
	raw          []byte
	typ          uint16
	username     []byte
	integrityAt  int // where MESSAGE-INTEGRITY begins; 0: there is none
	priority     uint32
	useCandidate bool
	controlled   bool
	unknown      [maxUnknown]uint16 // comprehension-required attributes that nobody here understands
	unknowns     int
}

// parse reads b as one whole STUN message and verifies FINGERPRINT where there is one.
func (m *message) parse(b []byte) drop.Reason {
	if !IsSTUN(b) || len(b)%4 != 0 || int(binary.BigEndian.Uint16(b[2:])) != len(b)-headerLen {
		return drop.StunMalformed
	}
	*m = message{raw: b, typ: binary.BigEndian.Uint16(b)}
	for rest := b[headerLen:]; len(rest) > 0; {
		at := len(b) - len(rest)
		typ, value, next, ok := attribute(rest)
		if !ok {
			return drop.StunMalformed
		}
		switch {
		case typ == attrFingerprint:
			// RFC 8489 §14.7: the last attribute.
			if len(value) != 4 || len(next) != 0 {
				return drop.StunMalformed
			}
			if binary.BigEndian.Uint32(value) != fingerprint(b[:at]) {
				return drop.StunFingerprint
			}
		case m.integrityAt != 0:
			// RFC 8489 §14.5: what follows MESSAGE-INTEGRITY is not protected and is ignored.
		case !m.take(typ, at, value):
			return drop.StunMalformed
		}
		rest = next
	}
	return drop.None
}

// take notes one attribute; of two with one type the first counts (RFC 8489 §14). It reports false when its length is wrong.
func (m *message) take(typ uint16, at int, value []byte) bool {
	switch typ {
	case attrUsername:
		if m.username == nil {
			m.username = value
		}
		return len(value) <= maxUsername
	case attrMessageIntegrity:
		m.integrityAt = at
		return len(value) == integrityLen-4
	case attrPriority:
		if len(value) == 4 && m.priority == 0 {
			m.priority = binary.BigEndian.Uint32(value)
		}
		return len(value) == 4
	case attrUseCandidate:
		m.useCandidate = true
		return len(value) == 0
	case attrICEControlled:
		m.controlled = true
		return len(value) == 8
	case attrIntegritySHA256:
		// ICE authenticates by MESSAGE-INTEGRITY (RFC 8445 §7.1.3 goes by RFC 5389).
	default:
		if typ < 0x8000 && m.unknowns < maxUnknown {
			m.unknown[m.unknowns] = typ
			m.unknowns++
		}
	}
	return true
}

// fingerprint of a message whose bytes before FINGERPRINT are b, its length field already counting FINGERPRINT.
func fingerprint(b []byte) uint32 { return crc32.ChecksumIEEE(b) ^ fingerprintXOR }
