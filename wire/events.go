package wire

import "time"

// Events, by [Message.Type].
const (
	TypeParticipantJoined  = "participant-joined"  // ParticipantJoined
	TypeParticipantLeft    = "participant-left"    // ParticipantLeft
	TypeParticipantUpdated = "participant-updated" // ParticipantUpdated
	TypeTrackPublished     = "track-published"     // TrackPublished
	TypeTrackUnpublished   = "track-unpublished"   // TrackUnpublished
	TypeTrackMuted         = "track-muted"         // TrackMuted
	TypeChatReceived       = "chat"                // ChatMessage
	TypeSlot               = "slot"                // Slot
	TypeSubscription       = "subscription"        // Subscription
	TypeGrowSlots          = "grow-slots"          // GrowSlots
	TypeCodecs             = "codecs"              // Codecs
	TypeSpeakers           = "speakers"            // Speakers
	TypeEncodings          = "encodings"           // Encodings
	TypeTransport          = "transport"           // Transport
	TypeGrantsChanged      = "grants-changed"      // GrantsChanged
	TypeDraining           = "draining"            // Draining
	TypeResync             = "resync"              // Resync
	TypeEnded              = "ended"               // Ended
)

// Source says what a track shows or sounds like.
type Source string

// Sources. The kind of a screen's sound is audio, all else follows from the name.
const (
	SourceMicrophone  Source = "microphone"
	SourceCamera      Source = "camera"
	SourceScreen      Source = "screen"
	SourceScreenAudio Source = "screen-audio"
	SourceOther       Source = "other"
)

// Kind is audio or video.
type Kind string

// Kinds.
const (
	KindAudio Kind = "audio"
	KindVideo Kind = "video"
)

// Snapshot is everything that a participant may know of a room.
type Snapshot struct {
	Name string `json:"name"`
	// Revision grows by one with every change of the room.
	Revision     uint64        `json:"revision"`
	Participants []Participant `json:"participants"` // the receiver too, hidden ones not; by time of joining
	Chat         []ChatMessage `json:"chat"`         // the last MaxChatKept, oldest first
	Codecs       Codecs        `json:"codecs"`
	Speakers     Speakers      `json:"speakers"`
}

// Participant is an identity in a room.
type Participant struct {
	Identity     string        `json:"identity"`
	Name         string        `json:"name,omitempty"`
	Metadata     string        `json:"metadata,omitempty"`
	JoinedAt     time.Time     `json:"joinedAt"`
	Publications []Publication `json:"publications"`
}

// Publication is a track that a participant offers to the room.
type Publication struct {
	ID        string `json:"id"` // unique in the room, never used again
	Kind      Kind   `json:"kind"`
	Source    Source `json:"source"`
	Name      string `json:"name,omitempty"`
	Codec     string `json:"codec"` // "opus", "vp8", "vp9", "h264", "av1"
	Muted     bool   `json:"muted,omitempty"`
	Encrypted bool   `json:"encrypted,omitempty"`
	// Width and Height of its largest layer, where the publisher has told them.
	Width  uint16 `json:"width,omitempty"`
	Height uint16 `json:"height,omitempty"`
	// Layers: "simulcast" or "svc" where there are several sizes to choose from.
	Layers Layers `json:"layers,omitempty"`
}

// Layers is how a publication has several sizes.
type Layers string

// Ways to have several sizes.
const (
	LayersSimulcast Layers = "simulcast"
	LayersSVC       Layers = "svc"
)

// ParticipantJoined: someone came.
type ParticipantJoined struct {
	Participant Participant `json:"participant"`
}

// ParticipantLeft: someone went.
type ParticipantLeft struct {
	Identity string `json:"identity"`
	Reason   Code   `json:"reason"` // left, replaced, kicked, timeout, …
}

// ParticipantUpdated: name or metadata changed; both are given.
type ParticipantUpdated struct {
	Identity string `json:"identity"`
	Name     string `json:"name"`
	Metadata string `json:"metadata"`
}

// TrackPublished: a participant offers a track.
type TrackPublished struct {
	Identity    string      `json:"identity"`
	Publication Publication `json:"publication"`
}

// TrackUnpublished: a track is gone.
type TrackUnpublished struct {
	Identity    string `json:"identity"`
	Publication string `json:"publication"`
}

// TrackMuted: a track was muted or unmuted by its publisher.
type TrackMuted struct {
	Identity    string `json:"identity"`
	Publication string `json:"publication"`
	Muted       bool   `json:"muted"`
}

// ChatMessage is a chat message as everyone sees it.
type ChatMessage struct {
	ID   uint64    `json:"id"` // grows in the room
	From string    `json:"from"`
	Name string    `json:"name,omitempty"` // display name at the time
	Text string    `json:"text"`
	At   time.Time `json:"at"`
	To   string    `json:"to,omitempty"` // present: only for this identity and its sender
}

// Slot fills the receiving m-line Mid with a publication, or empties it. The server has stopped the old track; it forwards
// the new one once the client answers with slot-ready, or after 250 ms. The client blanks the slot in between, so that a name
// never sits on the wrong face.
type Slot struct {
	Mid string `json:"mid"`
	// Generation grows with every change of this slot; an older one is ignored.
	Generation  uint64 `json:"generation"`
	Identity    string `json:"identity,omitempty"`    // absent: the slot is empty
	Publication string `json:"publication,omitempty"` // absent: the slot is empty
}

// Statuses of a subscription.
const (
	SubscriptionActive           = "active"            // it fills a slot
	SubscriptionPending          = "pending"           // it waits for a free slot
	SubscriptionUnsupportedCodec = "unsupported-codec" // the client's offer has no codec that fits
	SubscriptionPaused           = "paused"            // it fills a slot, and nothing is sent for now: see Reason
	SubscriptionOff              = "off"               // the client does not want it, or may not have it
)

// Reasons of a paused subscription.
const (
	PausedOff       = "off"       // the client has asked for it
	PausedBandwidth = "bandwidth" // the client's network has no room for it
)

// Reasons of a pending subscription.
const (
	PendingLastN = "last-n" // others come before it: they have priority, or spoke later
)

// Subscription tells the state of the receiver's subscription to a publication.
type Subscription struct {
	Publication string `json:"publication"`
	Status      string `json:"status"`
	// Reason of the status, where there is more to say.
	Reason string `json:"reason,omitempty"`
}

// GrowSlots asks the client to offer more slots: at least so many pairs and so many video-only slots in all.
type GrowSlots struct {
	Pairs  int `json:"pairs"`
	Videos int `json:"videos"`
}

// Codecs are those that everyone in the room can decode, the best first. Publishers use the first that they can encode.
type Codecs struct {
	Audio []string `json:"audio"`
	Video []string `json:"video"`
}

// Speakers tells who speaks. It is told at most every 300 ms.
type Speakers struct {
	// Dominant leads the conversation, also while everybody pauses; absent: nobody has spoken for long enough, or has left since.
	Dominant string `json:"dominant,omitempty"`
	// Speaking now, in the order in which they began.
	Speaking []string `json:"speaking"`
}

// Encodings tells a publisher what of its publication somebody wants at present: it stops sending the rest.
type Encodings struct {
	Publication string `json:"publication"`
	// Active are the rids that are wanted, lowest first. Where the publication is not simulcast, there is one entry, which is
	// empty, or none.
	Active []string `json:"active"`
	// Spatial is the number of spatial layers that are wanted of a publication with a scalabilityMode.
	Spatial int `json:"spatial,omitempty"`
}

// Transport tells what the server sees of the client's media path.
type Transport struct {
	State string `json:"state"` // "connected", "disconnected" (consent is late), "failed" (offer again with an ICE restart)
}

// GrantsChanged tells a participant what it may do from now on. What it may not do any more has ended, or is about to.
type GrantsChanged struct {
	Grants Grants `json:"grants"`
	// Sources that it may publish; absent: all, with the publish grant.
	Sources []Source `json:"sources,omitempty"`
}

// Draining tells that the server is going down. The session goes on for so long, then it ends with the code draining.
type Draining struct {
	Seconds int `json:"seconds"` // at most
}

// Resync replaces everything that the client knows of the room, its slots and subscriptions.
type Resync struct {
	Room          Snapshot       `json:"room"`
	Slots         []Slot         `json:"slots"`
	Subscriptions []Subscription `json:"subscriptions"`
	Encodings     []Encodings    `json:"encodings"` // of the receiver's publications of video
	Grants        Grants         `json:"grants"`
	Sources       []Source       `json:"sources,omitempty"` // as in GrantsChanged
}

// Ended is the last message of a session.
type Ended struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Rejoin: joining again can succeed.
	Rejoin bool `json:"rejoin"`
}
