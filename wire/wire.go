// Package wire defines the signalling messages that a client and Parley exchange.
//
// It is the single source of the protocol: the TypeScript types of the SDK and the message tables of docs/protocol.md are
// generated from it (make gen). A carrier (WebSocket, WHIP, …) translates to these messages and back; nothing else crosses
// the boundary between a client and a room.
//
// A client sends [Request] values and receives [Message] values, one JSON text each:
//
//	→ {"id":1,"type":"join","body":{"protocol":1,"room":"tea","name":"Ann"}}
//	← {"seq":1,"reply":1,"type":"joined","body":{…}}
//	← {"seq":2,"rev":7,"type":"participant-joined","body":{…}}
//	→ {"id":2,"type":"mute","body":{"publication":"p9","muted":true}}
//	← {"seq":3,"reply":2,"type":"ok","body":{}}
//	← {"seq":4,"reply":3,"type":"error","body":{"code":"forbidden","message":"…","next":"…"}}
package wire

import "encoding/json"

// Protocol is the version that this package describes. A server refuses any other with [CodeProtocol].
const Protocol = 1

// Limits that a client can rely on. A message beyond them is refused with [CodeTooLarge].
const (
	MaxMessageBytesBeforeJoin = 16 << 10  // before the session is authenticated
	MaxMessageBytes           = 512 << 10 // afterwards
	MaxSDPBytes               = 384 << 10
	MaxChatBytes              = 4 << 10  // text of one chat message, UTF-8
	MaxChatKept               = 200      // messages that a late joiner is given
	MaxMetadataBytes          = 16 << 10 // metadata of one participant
	MaxNameBytes              = 128      // room, identity, display name, publication name
	MaxPublications           = 16       // of one participant
	MaxEncodings              = 3        // simulcast encodings of one publication
	MaxSlotPairs              = 24       // of one participant
	MaxDataBytes              = 64 << 10 // payload of one data message
	ResumeSeconds             = 30       // how long a session outlives its socket
	ResumeMessages            = 1000     // how many messages are replayed before a snapshot replaces them
)

// Request is what a client sends. ID is chosen by the client, unique in its session and never 0: the server answers each with
// one [Message] whose Reply is that ID, and answers a repeated ID again instead of acting again.
type Request struct {
	ID   uint64          `json:"id"`
	Type string          `json:"type"`
	Body json.RawMessage `json:"body,omitempty"`
}

// Message is what a client receives: the reply to a request (Reply set), or an event.
type Message struct {
	// Seq numbers everything that a session is sent, from 1, without gaps. A resuming client names the last one it saw.
	Seq uint64 `json:"seq"`
	// Reply is the ID of the request that is answered; absent in events.
	Reply uint64 `json:"reply,omitempty"`
	// Rev is the room's revision after the change that an event tells; absent where the room did not change.
	Rev  uint64          `json:"rev,omitempty"`
	Type string          `json:"type"`
	Body json.RawMessage `json:"body"`
}
