package wire

// Requests, by [Request.Type], with the body of their reply.
const (
	TypeJoin      = "join"       // Join → joined: Joined
	TypeResume    = "resume"     // Resume → resumed: Resumed
	TypeLeave     = "leave"      // Leave → ok: OK
	TypeOffer     = "offer"      // Offer → answer: Answer
	TypeUnpublish = "unpublish"  // Unpublish → ok: OK
	TypeSubscribe = "subscribe"  // Subscribe → ok: OK
	TypeSlotReady = "slot-ready" // SlotReady → ok: OK
	TypeMute      = "mute"       // Mute → ok: OK
	TypeUpdate    = "update"     // Update → ok: OK
	TypeChat      = "chat"       // Chat → ok: OK
	TypeKick      = "kick"       // Kick → ok: OK
	TypePing      = "ping"       // Ping → ok: OK
)

// Replies, by [Message.Type].
const (
	TypeJoined  = "joined"
	TypeResumed = "resumed"
	TypeAnswer  = "answer"
	TypeOK      = "ok"
	TypeError   = "error"
)

// Join enters a room. It is the first request of a session, or the second try after a refused one.
type Join struct {
	// Protocol is the version that the client speaks.
	Protocol int    `json:"protocol"`
	Room     string `json:"room"`
	// Token is a JWT; required in token mode, where it also decides room, identity and name.
	Token string `json:"token,omitempty"`
	// Identity is unique in the room; in open mode one is made where it is absent. The same identity again ends the older
	// session with code "replaced".
	Identity string `json:"identity,omitempty"`
	Name     string `json:"name,omitempty"`
	Metadata string `json:"metadata,omitempty"`
	// ManualSubscribe: nothing is subscribed until the client asks. Default: everything that fits its slots.
	ManualSubscribe bool `json:"manualSubscribe,omitempty"`
	// LastN is how many cameras the client wants to see at once: those with priority, then those who spoke last. Absent or 0: as
	// many as it has slots for.
	LastN int `json:"lastN,omitempty"`
}

// Joined answers Join.
type Joined struct {
	Session string `json:"session"`
	// ResumeToken lets this session go on over a new socket, within ResumeSeconds of losing the old one. It is a secret.
	ResumeToken   string      `json:"resumeToken"`
	ResumeSeconds int         `json:"resumeSeconds"`
	Identity      string      `json:"identity"`
	Grants        Grants      `json:"grants"`
	Sources       []Source    `json:"sources,omitempty"` // as in GrantsChanged
	Room          Snapshot    `json:"room"`
	ICEServers    []ICEServer `json:"iceServers"`
	// PingSeconds is how often a client sends ping; a session that stays silent for three times as long has lost its socket.
	PingSeconds int `json:"pingSeconds"`
}

// Grants are what the participant may do.
type Grants struct {
	Publish     bool `json:"publish"`
	Subscribe   bool `json:"subscribe"`
	PublishData bool `json:"publishData"`
	Admin       bool `json:"admin"`
	Hidden      bool `json:"hidden"`
}

// ICEServer is an entry of RTCConfiguration.iceServers.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// Resume continues a session over a new socket. It replaces Join as the first request. Messages after Seq follow the reply,
// with their old numbers; where more than ResumeMessages were missed, one resync event takes their place.
type Resume struct {
	Protocol int    `json:"protocol"`
	Session  string `json:"session"`
	Token    string `json:"token"`
	// Seq is the last message that the client saw.
	Seq uint64 `json:"seq"`
}

// Resumed answers Resume. It carries no Seq of its own (0): it is not part of what a resume replays.
type Resumed struct {
	Session string `json:"session"`
	// Revision of the room now.
	Revision uint64 `json:"revision"`
	// Replayed is the number of messages that follow.
	Replayed int `json:"replayed"`
}

// Leave ends the session at once.
type Leave struct{}

// Offer starts or changes the one PeerConnection. Only the client offers. An offer with a new ICE user fragment restarts ICE.
type Offer struct {
	SDP string `json:"sdp"`
	// Tracks names every sending m-line that shall be published. An m-line published before keeps its publication; one that
	// is no longer named, or no longer sends, is unpublished.
	Tracks []OfferTrack `json:"tracks,omitempty"`
	// Slots names every receiving m-line that the server may fill, in order. Slots are only ever added.
	Slots []OfferSlot `json:"slots,omitempty"`
}

// OfferTrack is a sending m-line and what it carries.
type OfferTrack struct {
	Mid    string `json:"mid"`
	Source Source `json:"source"`
	Name   string `json:"name,omitempty"`
	Muted  bool   `json:"muted,omitempty"`
	// Encrypted end to end: the server never looks into the payload.
	Encrypted bool `json:"encrypted,omitempty"`
	// Width and Height of the picture as it is captured, as far as the client knows.
	Width  uint16 `json:"width,omitempty"`
	Height uint16 `json:"height,omitempty"`
	// Encodings of simulcast, lowest first, at most MaxEncodings. They are the m-line's a=simulcast.
	Encodings []OfferEncoding `json:"encodings,omitempty"`
	// ScalabilityMode, as in W3C WebRTC-SVC ("L3T3_KEY"), where the m-line sends more than one layer in one stream.
	ScalabilityMode string `json:"scalabilityMode,omitempty"`
}

// OfferEncoding is one simulcast encoding of a track.
type OfferEncoding struct {
	RID string `json:"rid"`
	// Width and Height of its picture, as far as the client knows.
	Width  uint16 `json:"width,omitempty"`
	Height uint16 `json:"height,omitempty"`
	// MaxBitrate in bit/s.
	MaxBitrate uint32 `json:"maxBitrate,omitempty"`
}

// OfferSlot is a pair of receiving m-lines, or a video-only slot (Audio absent), which screen shares use.
type OfferSlot struct {
	Audio string `json:"audio,omitempty"`
	Video string `json:"video,omitempty"`
}

// Answer answers Offer.
type Answer struct {
	SDP string `json:"sdp"`
	// Publications has one entry for each of the offer's tracks.
	Publications []AnswerTrack `json:"publications"`
}

// AnswerTrack tells which publication an m-line feeds.
type AnswerTrack struct {
	Mid         string `json:"mid"`
	Publication string `json:"publication"`
}

// Unpublish withdraws a publication; its m-line can be used again by a later offer.
type Unpublish struct {
	Publication string `json:"publication"`
}

// Subscribe wants, or no longer wants, publications of others, and says how they are used. Where a member is absent, what was
// said before stays.
type Subscribe struct {
	Publications []string `json:"publications"`
	Subscribed   bool     `json:"subscribed"`
	// Width and Height of where the picture is shown, in pixels of the screen. 0 is as large as it gets, which is also the default.
	Width  *uint16 `json:"width,omitempty"`
	Height *uint16 `json:"height,omitempty"`
	// Priority among the client's subscriptions where not all of them fit its slots or its network: 0 to 255, more is more
	// important. Default: 100.
	Priority *uint8 `json:"priority,omitempty"`
	// Paused: nothing is sent for now, and the slot is kept. Default: false.
	Paused *bool `json:"paused,omitempty"`
}

// SlotReady acknowledges a slot event: the client has blanked the slot and the new track may flow.
type SlotReady struct {
	Mid        string `json:"mid"`
	Generation uint64 `json:"generation"`
}

// Mute tells others that a publication carries silence or black for now.
type Mute struct {
	Publication string `json:"publication"`
	Muted       bool   `json:"muted"`
}

// Update changes the sender's own name or metadata; an absent field stays.
type Update struct {
	Name     *string `json:"name,omitempty"`
	Metadata *string `json:"metadata,omitempty"`
}

// Chat sends text to everyone, who gets it as a chat event (the sender too), or to one participant.
type Chat struct {
	Text string `json:"text"`
	// To is an identity. Such a message is not kept for late joiners.
	To string `json:"to,omitempty"`
}

// Kick ends another participant's session with code "kicked". It needs the admin grant.
type Kick struct {
	Identity string `json:"identity"`
	Reason   string `json:"reason,omitempty"`
}

// Ping keeps a session alive where the carrier has no ping of its own that a client can send.
type Ping struct{}

// OK is the body of replies that carry nothing.
type OK struct{}
