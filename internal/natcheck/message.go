package natcheck

import (
	"net/netip"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// Flags of CHANGE-REQUEST (RFC 5780 §7.2).
const (
	changeAddress = 0x4
	changePort    = 0x2
)

// appendRequest appends a Binding request to dst, for an answer from elsewhere where change says so.
func appendRequest(dst []byte, id [stun.IDLen]byte, change uint32) []byte {
	w := stun.Begin(dst, stun.TypeOf(stun.Binding, stun.Request), id[:])
	if change != 0 {
		w.Uint32(stun.ChangeRequest, change)
	}
	w.Fingerprint()
	return w.B
}

// message is what counts of a Binding request or response.
type message struct {
	id      [stun.IDLen]byte
	request bool
	mapped  netip.AddrPort // XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS
	other   netip.AddrPort // OTHER-ADDRESS
	code    stun.Code      // of an error
}

func parse(b []byte) (m message, r drop.Reason) {
	var s stun.Message
	if r := s.Parse(b); r != drop.None {
		return m, r
	}
	if s.Type.Method() != stun.Binding || s.Type.Class() == stun.Indication {
		return m, drop.StunMethod
	}
	copy(m.id[:], s.ID())
	m.request = s.Type.Class() == stun.Request
	if v, ok := s.Find(stun.XORMappedAddress); ok {
		m.mapped, _ = stun.Address(v, s.ID())
	} else if v, ok := s.Find(stun.MappedAddress); ok { // of servers from before RFC 5389
		m.mapped, _ = stun.PlainAddress(v)
	}
	if v, ok := s.Find(stun.OtherAddress); ok {
		m.other, _ = stun.PlainAddress(v)
	}
	if s.Type.Class() == stun.Error {
		v, _ := s.Find(stun.ErrorCode)
		if m.code = stun.CodeIn(v); m.code == 0 {
			return m, drop.StunMalformed
		}
	}
	return m, drop.None
}
