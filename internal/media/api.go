// Package media runs shards: the loops that own Transports and Routers and move packets between them.
package media

import (
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/sdp"
)

// RoomID, TransportID and ProducerID are chosen by whoever gives the commands. They are never 0 and never used again.
type (
	RoomID      uint64
	TransportID uint64
	ProducerID  uint64
)

// Command changes what a shard does. Commands of one caller are carried out in order; none of them blocks or answers: what
// comes of it arrives as an Event. A command about something that has gone meanwhile does nothing.
type Command interface {
	about() TransportID // whose fault it is if it cannot be carried out; 0: nobody's
}

// OpenTransport makes a Transport that waits for its client.
type OpenTransport struct {
	Transport TransportID
	Room      RoomID
	// Identity names the participant in data messages.
	Identity    string
	PublishData bool
	// Place is what Reserve gave.
	Place  Place
	Local  sdp.ICE // ufrag and password that the answer carries; unique on the node
	Remote sdp.ICE
	// Fingerprints of the client's certificate: one must match, else the Transport fails. Never empty.
	Fingerprints []sdp.Fingerprint
	Events       Sink
}

// RestartICE replaces the credentials after an offer with a new user fragment. The old pair goes on until a new one is nominated.
type RestartICE struct {
	Transport     TransportID
	Local, Remote sdp.ICE
}

// Negotiate sets a Transport's m-lines to those of the newest answer.
type Negotiate struct {
	Transport TransportID
	Sections  []sdp.Negotiated
}

// Publish lets the m-line feed a Producer. The m-line must be one of RoleReceive.
type Publish struct {
	Transport TransportID
	Mid       string
	Producer  ProducerID
	Encrypted bool
	// Microphone: its level counts for who speaks.
	Microphone bool
	// Encodings of simulcast, the lowest first; none: one stream.
	Encodings []Encoding
}

// Encoding is what is known of an encoding before its packets come.
type Encoding = route.EncodingConfig

// Want is how a subscriber uses what fills a slot.
type Want = route.Want

// Rank lets a Producer's packets pass only while it is among the loudest of the room, or in any case, which is how it begins.
type Rank struct {
	Producer ProducerID
	Ranked   bool
}

// Unpublish ends a Producer. Slots that it filled fall silent; the room assigns them anew.
type Unpublish struct{ Producer ProducerID }

// Assign fills the slot Mid with a Producer of the same room, or empties it (Producer 0). The old track stops at once; the new
// one flows after SlotReady with the same generation, or after 250 ms.
type Assign struct {
	Transport  TransportID
	Mid        string
	Generation uint64
	Producer   ProducerID
	// Immediate: nobody blanks this slot (WHEP), so nobody says SlotReady.
	Immediate bool
}

// Prefer tells how the subscriber uses what fills the slot Mid at present. An Assign forgets it.
type Prefer struct {
	Transport TransportID
	Mid       string
	Want      Want
}

// SlotReady says that the client has blanked the slot.
type SlotReady struct {
	Transport  TransportID
	Mid        string
	Generation uint64
}

// AllowData lets the client send data messages, or not any more.
type AllowData struct {
	Transport   TransportID
	PublishData bool
}

// CloseTransport ends a Transport and all its Producers. No Event follows.
type CloseTransport struct{ Transport TransportID }

// About returns the Transport that a command is about; 0: none.
func About(c Command) TransportID { return c.about() }

func (c OpenTransport) about() TransportID  { return c.Transport }
func (c RestartICE) about() TransportID     { return c.Transport }
func (c Negotiate) about() TransportID      { return c.Transport }
func (c Publish) about() TransportID        { return c.Transport }
func (Rank) about() TransportID             { return 0 }
func (Unpublish) about() TransportID        { return 0 }
func (c Assign) about() TransportID         { return c.Transport }
func (c Prefer) about() TransportID         { return c.Transport }
func (c SlotReady) about() TransportID      { return c.Transport }
func (c AllowData) about() TransportID      { return c.Transport }
func (c CloseTransport) about() TransportID { return c.Transport }

// Sink takes a Transport's events. Post never blocks; it reports false when the event could not be taken, and the shard then
// closes the Transport.
type Sink interface{ Post(Event) bool }

// Event tells what became of a Transport, what of it starves, or who speaks in its room.
type Event struct {
	Transport TransportID // 0: it is about the room
	State     State
	// Reason is for people: why it is disconnected, failed or closed.
	Reason string
	// Starved, where it is not nil, has what fills slots of the Transport and is not sent, because its client's network has no room
	// for it. It replaces what was told before, and the event says nothing else.
	Starved *[]ProducerID
	// Speakers, where it is about the room, replaces what was told before.
	Speakers *Speakers
}

// Speakers are a room's microphones that are heard.
type Speakers struct {
	Dominant ProducerID   // who leads the conversation; 0: nobody
	Speaking []ProducerID // now, in the order in which they began
}

// State of a Transport.
type State uint8

// States.
const (
	Connected    State = iota + 1 // a pair is nominated and DTLS has finished; again after Disconnected
	Disconnected                  // consent is late: nothing is sent
	Failed                        // over: wrong fingerprint, consent lost, handshake not finished in time
)

// String returns the state as the wire protocol has it.
func (s State) String() string {
	return [...]string{"new", "connected", "disconnected", "failed"}[s]
}
