package sdp

import "github.com/parley-rtc/parley/internal/datagram"

// Kind of an m-line.
type Kind uint8

// Kinds.
const (
	Audio Kind = iota + 1
	Video
	Application // SCTP data channels
)

// Direction of an m-line, seen by its author.
type Direction uint8

// Directions.
const (
	Inactive Direction = iota
	SendOnly
	RecvOnly
	SendRecv
)

// Fingerprint is the hash of a DTLS certificate (RFC 8122).
type Fingerprint struct {
	Algorithm string // "sha-256", lower case
	Value     string // upper-case hex pairs with colons, as in the SDP
}

// ICE holds the credentials of one side (RFC 8839).
type ICE struct {
	Ufrag, Pwd string
	Lite       bool
}

// Offer is a client's parsed offer. It shares no memory with the text.
type Offer struct {
	ICE          ICE
	ICE2         bool // a=ice-options:ice2: the client keeps to RFC 8445, not to RFC 5245
	Fingerprints []Fingerprint
	Setup        string   // "actpass", "active", "passive"
	Bundle       []string // mids of the BUNDLE group, in its order: the first one accepted carries the transport (RFC 8843 §7.3.1)
	Sections     []Section
}

// Section is an m-line of an offer.
type Section struct {
	Mid          string
	Kind         Kind
	Direction    Direction
	Rejected     bool // port 0 and not bundle-only
	Codecs       []Codec
	Extensions   []Extension
	StreamID     string // a=msid
	TrackID      string
	CNAME        string
	SSRCs        []uint32          // primary ones, without those of RTX; empty where the client tells none
	RTX          map[uint32]uint32 // primary SSRC → RTX SSRC (FID groups)
	RIDs         []string          // simulcast encodings offered to send
	SCTPPort     uint16            // Application
	MaxMessage   uint32            // Application; 0: unlimited
	ReceivesData bool              // Application: DTLS/SCTP
	ReducedRTCP  bool              // a=rtcp-rsize (RFC 5506)
	MixedHeaders bool              // a=extmap-allow-mixed: one- and two-byte extension headers in one stream (RFC 8285 §6)
	// The m-line itself, which an answer repeats; where empty, an answer makes it up from Kind and Codecs.
	Media, Protocol string
	Formats         []string
}

// Codec is a payload format with its RTX.
type Codec struct {
	Name        string // lower case: opus, red, vp8, vp9, h264, av1, …
	PayloadType uint8
	ClockRate   uint32
	Channels    uint8
	Parameters  string   // fmtp, as offered
	Feedback    []string // rtcp-fb, as offered: "nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"
	RTX         uint8    // payload type of its RTX; 0: none
}

// Extension is an RTP header extension (RFC 8285).
type Extension struct {
	ID  uint8 // 1–14: one-byte form; above: two-byte form
	URI string
	// Direction that the offer limits the extension to; Inactive: it says nothing, so both.
	Direction Direction
}

// Role is what the server does with an m-line of the offer.
type Role uint8

// Roles.
const (
	RoleInactive Role = iota // accepted, nothing flows
	RoleReceive              // the client publishes: the server receives
	RoleSend                 // a slot: the server sends
	RoleData                 // data channels
	RoleReject               // port 0
)

// Local is the server's side of an answer.
type Local struct {
	ICE         ICE // Lite: the answer says so
	Fingerprint Fingerprint
	Setup       string // "passive"
	Candidates  []Candidate
	SessionID   uint64 // o= line; stays the same over a Transport's life
	Version     uint64 // grows with every answer
	SCTPPort    uint16
	MaxMessage  uint32
	Sections    map[string]LocalSection // by mid; a mid that is missing is RoleInactive
}

// LocalSection is the server's decision for one m-line.
type LocalSection struct {
	Role Role
	// For RoleSend: what the m-line carries, fixed for its life.
	StreamID, TrackID, CNAME string
	SSRC, RTXSSRC            uint32
}

// Candidate is a host candidate of the server (RFC 8839 §5.1).
type Candidate struct {
	Foundation string
	Priority   uint32
	Address    string // IP literal
	Port       uint16
	Proto      datagram.Proto // TCP candidates are passive (RFC 6544)
}

// Negotiated is one m-line after the answer: what flows, with which numbers.
type Negotiated struct {
	Mid        string
	Kind       Kind
	Role       Role
	Codecs     []Codec // accepted, in order of preference; Feedback holds what was accepted
	Extensions Extensions
	SSRCs      []uint32          // RoleReceive
	RTX        map[uint32]uint32 // RoleReceive
	RIDs       []string          // RoleReceive: accepted simulcast encodings, in the order of the offer; none: one plain stream
	SSRC       uint32            // RoleSend
	RTXSSRC    uint32            // RoleSend
	CNAME      string            // RoleSend: the server's; RoleReceive: the client's
	// ReducedRTCP: the client takes RTCP packets that are no compound (RFC 5506).
	ReducedRTCP bool
}

// Codec is what the m-line's stream is encoded in first: redundancy is no codec.
func (n *Negotiated) Codec() Codec {
	for _, c := range n.Codecs {
		if !c.IsRED() {
			return c
		}
	}
	return Codec{}
}

// Extensions are the accepted ids by meaning; 0: not negotiated.
type Extensions struct {
	Mid, RID, RepairedRID, AbsSendTime, TransportCC, AudioLevel, VideoOrientation, DependencyDescriptor uint8
}

// Answer is the answer's text with what it means.
type Answer struct {
	SDP      string
	Sections []Negotiated // in order of the m-lines
}
