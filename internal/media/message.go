package media

import (
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/dtls"
	"github.com/parley-rtc/parley/wire"
)

// A data message begins with a header of its own (docs/protocol.md, "Data messages"):
//
//	+--------+--------+------------------+---------+
//	| flags  | length | identity (UTF-8) | payload |
//	+--------+--------+------------------+---------+
//
// flags bit 0: the payload is text. The identity is the recipient's on the way to the server, empty for everyone, and the
// sender's on the way from it.
const dataHeaderBytes = 2

// message passes a data message on: to one participant, or to all others in the room.
func (s *Shard) message(from *endpoint, channel dtls.Channel, b []byte) {
	to, payload, r := s.parseData(from, b)
	if r != drop.None {
		s.drops.Add(r)
		return
	}
	name := from.spec.Identity
	out := make([]byte, 0, dataHeaderBytes+len(name)+len(payload))
	out = append(out, b[0], byte(len(name)))
	out = append(out, name...)
	out = append(out, payload...)
	found := to == ""
	for _, e := range from.room.endpoints {
		if e == from || e.association == nil || to != "" && e.spec.Identity != to {
			continue
		}
		found = true
		s.drops.Add(e.association.Send(channel, out))
		s.counts.Messages++
	}
	if !found {
		s.drops.Add(drop.DataUnknownTo)
	}
}

func (s *Shard) parseData(from *endpoint, b []byte) (to string, payload []byte, r drop.Reason) {
	if !from.spec.PublishData {
		return "", nil, drop.DataForbidden
	}
	if len(b) < dataHeaderBytes || len(b) < dataHeaderBytes+int(b[1]) {
		return "", nil, drop.DataMalformed
	}
	payload = b[dataHeaderBytes+int(b[1]):]
	if len(payload) > wire.MaxDataBytes {
		return "", nil, drop.DataMalformed
	}
	return string(b[dataHeaderBytes : dataHeaderBytes+int(b[1])]), payload, drop.None
}
