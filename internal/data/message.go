package data

import (
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/wire"
)

// A data message begins with a header of its own (docs/protocol.md, "Data channels"):
//
//	+--------+--------+------------------+---------+
//	| flags  | length | identity (UTF-8) | payload |
//	+--------+--------+------------------+---------+
//
// flags bit 0: the payload is text. The identity is the recipient's on the way to the server, empty for everyone, and the
// sender's on the way from it.
const headerBytes = 2

// parse takes a message of the member apart.
func (m *Member) parse(b []byte) (to string, payload []byte, r drop.Reason) {
	if !m.maySend.Load() {
		return "", nil, drop.DataForbidden
	}
	if len(b) < headerBytes || len(b) < headerBytes+int(b[1]) {
		return "", nil, drop.DataMalformed
	}
	payload = b[headerBytes+int(b[1]):]
	if len(payload) > wire.MaxDataBytes {
		return "", nil, drop.DataMalformed
	}
	return string(b[headerBytes : headerBytes+int(b[1])]), payload, drop.None
}

// message is what receivers get.
func (m *Member) message(flags byte, payload []byte) []byte {
	out := make([]byte, 0, headerBytes+len(m.identity)+len(payload))
	out = append(out, flags, byte(len(m.identity)))
	out = append(out, m.identity...)
	return append(out, payload...)
}
