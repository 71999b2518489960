package room

import (
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// Command changes a room. Those with a Session are answered by exactly one Reply.
type Command interface{ command() }

// Carrier says how a session speaks, as far as a room must know.
type Carrier string

// Carriers.
const (
	WS   Carrier = "ws"   // the whole protocol; slots grow
	WHIP Carrier = "whip" // publishes all that its offer sends; subscribes to nothing
	WHEP Carrier = "whep" // hidden; its offer's receiving m-lines are the slots of one participant's publications
)

// States of a Transport.
const (
	Connected    = "connected"
	Disconnected = "disconnected" // consent is late
	Failed       = "failed"       // over
)

// Join lets a session in as a participant.
type Join struct {
	Session  string
	Carrier  Carrier
	Identity string // empty: the room makes one
	Name     string
	Metadata string
	Grants   wire.Grants
	// Sources that it may publish; empty: all.
	Sources []wire.Source
	// ManualSubscribe: nothing is subscribed until Subscribe says so.
	ManualSubscribe bool
	// LastN is how many cameras it wants at once; 0: as many as it has slots for.
	LastN int
	// Follow is whom a WHEP session watches; empty: the first who publishes.
	Follow string
}

// Leave ends a session that has left or is lost. It hears nothing more than the Reply.
type Leave struct {
	Session string
	Reason  wire.Code // what the others are told
}

// Offer negotiates the session's one PeerConnection.
type Offer struct {
	Session string
	Tracks  []wire.OfferTrack // of WS; the others' follow from SDP
	Slots   []wire.OfferSlot  // of WS; the others' follow from SDP
	SDP     *sdp.Offer
	// Shard is where a Transport goes that this offer opens.
	Shard int
	// Admit takes the place of that Transport, or says why there is none. It is asked when nothing else is against the offer, so that
	// nobody makes way for nothing. Nil: there are places for all.
	Admit func() *wire.Error
	// The server's side of the answer.
	Candidates  []sdp.Candidate
	Fingerprint sdp.Fingerprint
}

// Restart replaces the ICE credentials without an offer.
type Restart struct {
	Session string
	ICE     sdp.ICE
}

// Unpublish withdraws a publication.
type Unpublish struct{ Session, Publication string }

// Subscribe wants publications, or no longer wants them.
type Subscribe struct {
	Session      string
	Publications []string
	Subscribed   bool
	// How they are used, where it is not nil.
	Width, Height *uint16
	Priority      *uint8
	Paused        *bool
}

// SlotReady says that the client has blanked a slot.
type SlotReady struct {
	Session    string
	Mid        string
	Generation uint64
}

// Mute marks a publication.
type Mute struct {
	Session, Publication string
	Muted                bool
}

// Update changes the participant's own name or metadata where they are not nil.
type Update struct {
	Session        string
	Name, Metadata *string
}

// Chat sends text to all, or to the identity To.
type Chat struct{ Session, Text, To string }

// Kick ends the session of another participant.
type Kick struct{ Session, Identity, Reason string }

// Grant rules what the participant of an identity may do, where it is not nil. It is nobody's session that asks, and it is answered by a Reply.
type Grant struct {
	Identity                        string
	Publish, Subscribe, PublishData *bool
	Sources                         *[]wire.Source // that it may publish; empty: all
}

// Granted asks what somebody may do in the room who has these grants where nothing else is ruled. It is answered by a Reply.
type Granted struct {
	Identity string
	Grants   wire.Grants
	Sources  []wire.Source
}

// Resync asks for all that the session may know.
type Resync struct{ Session string }

// TransportState tells what the media plane saw of a Transport.
type TransportState struct {
	Transport uint64
	State     string
}

// Speakers tells which Producers speak, and which is dominant (0: none).
type Speakers struct {
	Dominant uint64
	Speaking []uint64
}

// Starved tells which Producers are not sent to a Transport because its client's network has no room for them. It replaces what was
// told before.
type Starved struct {
	Transport uint64
	Producers []uint64
}

// End ends every session.
type End struct {
	Code    wire.Code
	Message string
	Rejoin  bool
}

func (Join) command()           {}
func (Leave) command()          {}
func (Offer) command()          {}
func (Restart) command()        {}
func (Unpublish) command()      {}
func (Subscribe) command()      {}
func (SlotReady) command()      {}
func (Mute) command()           {}
func (Update) command()         {}
func (Chat) command()           {}
func (Kick) command()           {}
func (Grant) command()          {}
func (Granted) command()        {}
func (Resync) command()         {}
func (TransportState) command() {}
func (Speakers) command()       {}
func (Starved) command()        {}
func (End) command()            {}
