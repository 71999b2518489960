package ice

import (
	"bytes"
	"encoding/binary"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

const maxUsername = MaxUfrag + 1 + MaxUfrag

// Types of messages.
const (
	bindingRequest    = stun.Type(stun.Binding) | stun.Type(stun.Request)
	bindingIndication = stun.Type(stun.Binding) | stun.Type(stun.Indication)
	bindingSuccess    = stun.Type(stun.Binding) | stun.Type(stun.Success)
	bindingError      = stun.Type(stun.Binding) | stun.Type(stun.Error)
)

// Ufrag returns the receiver's user fragment of a Binding request, the part of USERNAME before the colon. It aliases b and proves
// nothing: it is for finding the agent that then checks the message.
func Ufrag(b []byte) (ufrag []byte, ok bool) {
	if !stun.Is(b) || stun.TypeIn(b) != bindingRequest {
		return nil, false
	}
	for a := stun.AttributesOf(b); a.Next(); {
		if a.Type == stun.Username {
			i := bytes.IndexByte(a.Value, ':')
			if i < MinUfrag || len(a.Value) > maxUsername {
				return nil, false
			}
			return a.Value[:i], true
		}
	}
	return nil, false
}

// message is a parsed STUN message. It aliases what it was parsed from.
type message struct {
	stun.Message
	username     []byte
	priority     uint32
	useCandidate bool
	controlled   bool
	unknown      [maxUnknown]stun.Attr // comprehension-required attributes that nobody here understands
	unknowns     int
}

// parse reads b as one whole STUN message and verifies FINGERPRINT where there is one.
func (m *message) parse(b []byte) drop.Reason {
	m.username, m.priority, m.useCandidate, m.controlled, m.unknowns = nil, 0, false, false, 0
	if r := m.Parse(b); r != drop.None {
		return r
	}
	for a := m.Attributes(); a.Next(); {
		if !m.take(a.Type, a.Value) {
			return drop.StunMalformed
		}
	}
	return drop.None
}

// take notes one attribute; of two with one type the first counts (RFC 8489 §14). It reports false when its length is wrong.
func (m *message) take(typ stun.Attr, value []byte) bool {
	switch typ {
	case stun.Username:
		if m.username == nil {
			m.username = value
		}
		return len(value) <= maxUsername
	case stun.Priority:
		if len(value) == 4 && m.priority == 0 {
			m.priority = binary.BigEndian.Uint32(value)
		}
		return len(value) == 4
	case stun.UseCandidate:
		m.useCandidate = true
		return len(value) == 0
	case stun.ICEControlled:
		m.controlled = true
		return len(value) == 8
	default:
		if typ.Required() && m.unknowns < maxUnknown {
			m.unknown[m.unknowns] = typ
			m.unknowns++
		}
	}
	return true
}
