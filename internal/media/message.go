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
	if !s.passOn(from.room, from, to, channel, out) {
		s.relay(from.room.others, relay{room: from.room.id, to: to, channel: channel, message: out})
	}
}

// passOn gives a message to the Transports of the room that are on this shard, and reports whether that is all: one that is for
// everyone (to is empty) may be for others on other shards.
func (s *Shard) passOn(r *room, from *endpoint, to string, channel dtls.Channel, message []byte) (done bool) {
	for _, e := range r.endpoints {
		if e == from || e.association == nil || to != "" && e.spec.Identity != to {
			continue
		}
		done = to != ""
		s.drops.Add(e.association.Send(channel, message))
		s.counts.Messages++
	}
	return done
}

// relay is a data message, with its header, on its way to the Transports of a room on other shards. Nobody changes its bytes.
type relay struct {
	room    RoomID
	to      string
	channel dtls.Channel
	message []byte
	next    []int // shards to look for its receiver on, if it is not on this one
}

// relay sends a message to other shards: to all of them if it is for everyone, else to one after another until its receiver is found.
func (s *Shard) relay(shards []int, m relay) {
	if m.to == "" {
		for _, n := range shards {
			s.sendRelay(n, m)
		}
		return
	}
	if len(shards) == 0 {
		s.drops.Add(drop.DataUnknownTo)
		return
	}
	m.next = shards[1:]
	s.sendRelay(shards[0], m)
}

func (s *Shard) sendRelay(shard int, m relay) {
	if !s.peers[shard].mail.put(letter{relay: &m}) {
		s.drops.Add(drop.DataQueueFull)
	}
}

// relayed takes a message that has come from another shard.
func (s *Shard) relayed(m *relay) {
	if r := s.rooms[m.room]; r != nil && s.passOn(r, nil, m.to, m.channel, m.message) {
		return
	}
	if m.to != "" {
		s.relay(m.next, *m)
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
