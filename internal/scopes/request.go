package scopes

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/netip"

	"github.com/parley-rtc/parley/wire"
)

// Every request of state crosses the bus, so it is not JSON, which both sides would have to look through, body and all:
//
//	grants, and the highest bit for Patient (1 byte) | reply | length, scope | length, room | length, node | length, session | length, identity | length, type | length, source | body
//
// Numbers are as in package binary: they take a byte where they are small.

// grantBits are the grants in the first byte, from the lowest bit on.
func grantBits(g *wire.Grants) []*bool {
	return []*bool{&g.Publish, &g.Subscribe, &g.PublishData, &g.Admin, &g.Hidden}
}

// patientBit is beside them.
const patientBit = 1 << 7

// texts are the parts of a request that are text, in their order.
func (r *Request) texts() [6]*string {
	return [6]*string{(*string)(&r.Scope), &r.Room, &r.Node, &r.By.Session, &r.By.Identity, &r.Type}
}

// Encode writes the message to Subject. What r.By says of the room is left out.
func (r Request) Encode() []byte {
	b := make([]byte, 1, 256+len(r.Body))
	for i, granted := range grantBits(&r.By.Grants) {
		if *granted {
			b[0] |= 1 << i
		}
	}
	if r.Patient {
		b[0] |= patientBit
	}
	b = binary.AppendUvarint(b, r.Reply)
	for _, text := range r.texts() {
		b = append(binary.AppendUvarint(b, uint64(len(*text))), *text...)
	}
	b = appendAddr(b, r.By.Source)
	return append(b, r.Body...)
}

func appendAddr(b []byte, a netip.Addr) []byte {
	switch {
	case a.Is4():
		ip := a.As4()
		return append(append(b, byte(len(ip))), ip[:]...)
	case a.IsValid():
		ip := a.As16()
		return append(append(b, byte(len(ip))), ip[:]...)
	}
	return append(b, 0)
}

var errRequest = errors.New("not a request to a scope")

// decodeRequest reads it. The body is a part of b.
func decodeRequest(b []byte) (Request, error) {
	var r Request
	if len(b) == 0 {
		return r, errRequest
	}
	for i, granted := range grantBits(&r.By.Grants) {
		*granted = b[0]&(1<<i) != 0
	}
	r.Patient = b[0]&patientBit != 0
	n, rest, ok := number(b[1:])
	if !ok {
		return r, errRequest
	}
	r.Reply = n
	for _, text := range r.texts() {
		if n, rest, ok = number(rest); !ok || n > uint64(len(rest)) {
			return r, errRequest
		}
		*text, rest = string(rest[:n]), rest[n:]
	}
	if n, rest, ok = number(rest); !ok || n > uint64(len(rest)) {
		return r, errRequest
	}
	if r.By.Source, ok = netip.AddrFromSlice(rest[:n]); !ok && n > 0 {
		return r, errRequest
	}
	rest = rest[n:]
	if len(rest) > 0 {
		r.Body = json.RawMessage(rest)
	}
	return r, nil
}

func number(b []byte) (uint64, []byte, bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

// taken answers a request that is taken.
var taken = []byte("{}")

// DecodeAnswer reads what answers a request.
func DecodeAnswer(b []byte) (Answer, error) {
	var a Answer
	if string(b) == string(taken) {
		return a, nil
	}
	err := json.Unmarshal(b, &a)
	return a, err
}
