package state

import (
	"encoding/json"

	"github.com/parley-rtc/parley/wire"
)

// Decode reads a request of shared state: for which scope it is, and what it asks. Requests of other types are refused. Values are parts of the body.
func Decode(by Caller, typ string, body []byte) (wire.Scope, Command, *wire.Error) {
	read, ok := decoders[typ]
	if !ok {
		return "", nil, badRequest("there is no request of this type about state", "see docs/protocol.md, section 15.1")
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	scope, c, err := read(by, body)
	switch {
	case err != nil:
		return "", nil, badRequest("the body of "+typ+" has a member of the wrong type", "see docs/protocol.md, section 15.1")
	case scope == "":
		scope = wire.ScopeRoom
	case scope != wire.ScopeRoom && scope != wire.ScopeServer:
		return "", nil, badRequest("there is no such scope", `say "room" or "server"`)
	}
	return scope, c, nil
}

// IsRequest tells whether Decode knows requests of this type.
func IsRequest(typ string) bool { return decoders[typ] != nil }

type decoder func(by Caller, body []byte) (wire.Scope, Command, error)

// decode makes a decoder for one type of body.
func decode[B any](scope func(B) wire.Scope, command func(Caller, B) Command) decoder {
	return func(by Caller, body []byte) (wire.Scope, Command, error) {
		var b B
		err := json.Unmarshal(body, &b)
		return scope(b), command(by, b), err
	}
}

// often makes a decoder for a type of body that skim reads in the form in which it mostly comes.
func often[B any](skim func([]byte) (B, bool), scope func(B) wire.Scope, command func(Caller, B) Command) decoder {
	decode := decode(scope, command)
	return func(by Caller, body []byte) (wire.Scope, Command, error) {
		if b, ok := skim(body); ok {
			return scope(b), command(by, b), nil
		}
		return decode(by, body)
	}
}

var decoders = map[string]decoder{
	wire.TypeRecordSubscribe: decode(func(b wire.RecordSubscribe) wire.Scope { return b.Scope },
		func(by Caller, b wire.RecordSubscribe) Command { return RecordSubscribe{by, b} }),
	wire.TypeRecordUnsubscribe: decode(func(b wire.RecordUnsubscribe) wire.Scope { return b.Scope },
		func(by Caller, b wire.RecordUnsubscribe) Command { return RecordUnsubscribe{by, b} }),
	wire.TypeRecordRead: decode(func(b wire.RecordRead) wire.Scope { return b.Scope },
		func(by Caller, b wire.RecordRead) Command { return RecordRead{by, b} }),
	wire.TypeRecordWrite: often(skimWrite, func(b wire.RecordWrite) wire.Scope { return b.Scope },
		func(by Caller, b wire.RecordWrite) Command { return RecordWrite{by, b} }),
	wire.TypeRecordDelete: decode(func(b wire.RecordDelete) wire.Scope { return b.Scope },
		func(by Caller, b wire.RecordDelete) Command { return RecordDelete{by, b} }),
	wire.TypeEventSubscribe: decode(func(b wire.EventNames) wire.Scope { return b.Scope },
		func(by Caller, b wire.EventNames) Command { return EventSubscribe{by, b} }),
	wire.TypeEventUnsubscribe: decode(func(b wire.EventNames) wire.Scope { return b.Scope },
		func(by Caller, b wire.EventNames) Command { return EventUnsubscribe{by, b} }),
	wire.TypeEventPublish: often(skimPublish, func(b wire.EventPublish) wire.Scope { return b.Scope },
		func(by Caller, b wire.EventPublish) Command { return EventPublish{by, b} }),
	wire.TypeRPCProvide: decode(func(b wire.RPCNames) wire.Scope { return b.Scope },
		func(by Caller, b wire.RPCNames) Command { return RPCProvide{by, b} }),
	wire.TypeRPCUnprovide: decode(func(b wire.RPCNames) wire.Scope { return b.Scope },
		func(by Caller, b wire.RPCNames) Command { return RPCUnprovide{by, b} }),
	wire.TypeRPCRequest: decode(func(b wire.RPCRequest) wire.Scope { return b.Scope },
		func(by Caller, b wire.RPCRequest) Command { return RPCRequest{By: by, RPCRequest: b} }),
	wire.TypeRPCAccept: decode(func(b wire.RPCAccept) wire.Scope { return b.Scope },
		func(by Caller, b wire.RPCAccept) Command { return RPCAccept{by, b} }),
	wire.TypeRPCReject: decode(func(b wire.RPCReject) wire.Scope { return b.Scope },
		func(by Caller, b wire.RPCReject) Command { return RPCReject{by, b} }),
	wire.TypeRPCAnswer: decode(func(b wire.RPCAnswer) wire.Scope { return b.Scope },
		func(by Caller, b wire.RPCAnswer) Command { return RPCAnswer{by, b} }),
	wire.TypeListen: decode(func(b wire.Listen) wire.Scope { return b.Scope },
		func(by Caller, b wire.Listen) Command { return Listen{by, b} }),
	wire.TypeUnlisten: decode(func(b wire.Unlisten) wire.Scope { return b.Scope },
		func(by Caller, b wire.Unlisten) Command { return Unlisten{by, b} }),
	wire.TypeListenReject: decode(func(b wire.ListenReject) wire.Scope { return b.Scope },
		func(by Caller, b wire.ListenReject) Command { return ListenReject{by, b} }),
	wire.TypePresenceSubscribe: decode(func(b wire.PresenceSubscribe) wire.Scope { return b.Scope },
		func(by Caller, b wire.PresenceSubscribe) Command { return PresenceSubscribe{by, b} }),
	wire.TypePresenceUnsubscribe: decode(func(b wire.PresenceUnsubscribe) wire.Scope { return b.Scope },
		func(by Caller, b wire.PresenceUnsubscribe) Command { return PresenceUnsubscribe{by, b} }),
	wire.TypePresenceRead: decode(func(b wire.PresenceRead) wire.Scope { return b.Scope },
		func(by Caller, b wire.PresenceRead) Command { return PresenceRead{by, b} }),
}

// operationsForOne is how many operations of a write cost as much as one request, and bytesForOne how many bytes of their values.
const operationsForOne, bytesForOne = 16, 16 << 10

// ReplyCost is what a reply of so many bytes takes of the allowance, beside what the request took: one for each so many bytes that are whole.
func ReplyCost(bytes int) int { return bytes / bytesForOne }

// bytesCost is one for each so many bytes begun.
func bytesCost(bytes int) int { return (bytes + bytesForOne - 1) / bytesForOne }

// Cost is what a request takes of its session's allowance: one for each item, and for every so many operations or bytes begun.
func Cost(c Command) int {
	n := 1
	switch c := c.(type) {
	case RecordSubscribe:
		n = len(c.Records)
	case RecordUnsubscribe:
		n = len(c.Records)
	case RecordRead:
		n = len(c.Records)
	case RecordWrite:
		bytes := 0
		for _, o := range c.Operations {
			bytes += len(o.Value)
		}
		n = max((len(c.Operations)+operationsForOne-1)/operationsForOne, bytesCost(bytes))
	case EventPublish:
		n = bytesCost(len(c.Value))
	case RPCRequest:
		n = bytesCost(len(c.Value))
	case RPCAnswer:
		n = bytesCost(len(c.Value))
	case EventSubscribe:
		n = len(c.Names)
	case EventUnsubscribe:
		n = len(c.Names)
	case RPCProvide:
		n = len(c.Names)
	case RPCUnprovide:
		n = len(c.Names)
	case PresenceSubscribe:
		n = len(c.Identities)
	case PresenceUnsubscribe:
		n = len(c.Identities)
	case PresenceRead:
		n = len(c.Identities)
	}
	return max(1, n)
}
