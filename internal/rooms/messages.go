package rooms

import (
	"encoding/base64"
	"encoding/json"
	"net/netip"

	"github.com/parley-rtc/parley/internal/room"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// Carrier says how a session speaks.
type Carrier = room.Carrier

// Carriers.
const (
	CarrierWS   = room.WS
	CarrierWHIP = room.WHIP
	CarrierWHEP = room.WHEP
)

// Request types beside those of wire, which only a signalling session sends.
const (
	TypeGone     = "gone"     // Gone → ok: the session is over, whatever the reason
	TypeSnapshot = "snapshot" // no body → resync: wire.Resync
	TypeRestart  = "restart"  // Restart → restarted: Restarted; the ICE restart of WHIP and WHEP
	// Of nobody's session:
	TypeGrant   = "grant"   // Grant → grants-changed: wire.GrantsChanged
	TypeGranted = "granted" // Granted → grants-changed: wire.GrantsChanged
)

// Reply types beside those of wire.
const TypeRestarted = "restarted"

// Subject is where a room serves requests. Any name is safe in it.
func Subject(room string) string {
	return "room." + base64.RawURLEncoding.EncodeToString([]byte(room))
}

// SessionSubject is where a session's events are published. The session subscribes before it joins.
func SessionSubject(session string) string {
	return "session." + base64.RawURLEncoding.EncodeToString([]byte(session))
}

// OpenSubject is where a node opens a room that nobody serves yet. Do uses it.
const OpenSubject = "rooms.open"

// Request is what a session asks of its room.
type Request struct {
	// Session is chosen by signalling: unique on all nodes, and never used again. Empty where nobody's session asks.
	Session string  `json:"session"`
	Carrier Carrier `json:"carrier,omitempty"` // of a join
	// Source is the client's address, of a join or an offer: what one source may hold is limited.
	Source netip.Addr `json:"source,omitzero"`
	// Type is a request type of wire: join, leave, offer, unpublish, subscribe, slot-ready, mute, update, chat, kick; or one
	// of the types above.
	Type string `json:"type"`
	// Body is the client's body as it came; absent for join, which has Join instead.
	Body json.RawMessage `json:"body,omitempty"`
	Join *Admission      `json:"join,omitempty"`
}

// Admission is what signalling found out about who joins.
type Admission struct {
	// Identity may be empty: the room makes one.
	Identity string      `json:"identity,omitempty"`
	Name     string      `json:"name,omitempty"`
	Metadata string      `json:"metadata,omitempty"`
	Grants   wire.Grants `json:"grants"`
	// Sources that it may publish; empty: all.
	Sources         []wire.Source `json:"sources,omitempty"`
	ManualSubscribe bool          `json:"manualSubscribe,omitempty"`
	LastN           int           `json:"lastN,omitempty"`
	// Follow is the identity that a WHEP session watches; empty: the first who publishes.
	Follow string `json:"follow,omitempty"`
}

// Reply answers a Request. Either Error or Type and Body are set.
type Reply struct {
	// Type is that of wire (joined, answer, ok), resync for a snapshot, or restarted. The body of joined lacks what
	// signalling adds: resume token, ICE servers, times.
	Type  string          `json:"type,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
	Error *wire.Error     `json:"error,omitempty"`
	// Rev is the room's revision.
	Rev uint64 `json:"rev,omitempty"`
	// After is the Seq of the last event that the session was sent before this reply: in a snapshot or joined, events up to
	// After are contained, those beyond it are not.
	After uint64 `json:"after,omitempty"`
	// Closed: the room ended before it saw the request. Do then tries again.
	Closed bool `json:"closed,omitempty"`
}

// Event is what a session is told without asking.
type Event struct {
	// Seq counts the events of this session, from 1. A gap means that the session's queue lost some.
	Seq  uint64          `json:"seq"`
	Rev  uint64          `json:"rev,omitempty"` // as in wire.Message
	Type string          `json:"type"`
	Body json.RawMessage `json:"body"`
	// End: the session is no longer part of the room; Body is wire.Ended. There is none after leave or gone.
	End bool `json:"end,omitempty"`
}

// Gone says that a session is over.
type Gone struct {
	// Reason is told to the others: left, timeout, slow-reader, …; empty: left.
	Reason wire.Code `json:"reason,omitempty"`
}

// Grant rules what the participant of an identity may do in the room, where it says so.
type Grant struct {
	Identity    string         `json:"identity"`
	Publish     *bool          `json:"publish,omitempty"`
	Subscribe   *bool          `json:"subscribe,omitempty"`
	PublishData *bool          `json:"publishData,omitempty"`
	Sources     *[]wire.Source `json:"sources,omitempty"` // that it may publish; empty: all
}

// Granted asks what somebody may do in the room who has these grants where nothing else is ruled.
type Granted struct {
	Identity string        `json:"identity"`
	Grants   wire.Grants   `json:"grants"`
	Sources  []wire.Source `json:"sources,omitempty"`
}

// Restart asks for new ICE credentials (RFC 9725 §4.3.2).
type Restart struct {
	ICE sdp.ICE `json:"ice"` // the client's new ones
}

// Restarted has the server's credentials. They are fresh unless the client's were those of before: then nothing was restarted.
type Restarted struct {
	ICE   sdp.ICE `json:"ice"`
	Fresh bool    `json:"fresh,omitempty"`
}
