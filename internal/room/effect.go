package room

import (
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// Effect is what a command brings about. Effects are carried out in order.
type Effect interface{ effect() }

// Reply answers the command's session: with an Error, or with a body of wire, or with a Restarted.
type Reply struct {
	Type  string // as in wire; empty for Restarted and errors
	Body  any
	Error *wire.Error
}

// Restarted has the server's credentials.
type Restarted struct {
	ICE   sdp.ICE
	Fresh bool // they are new; false where the client's were those of before, so that nothing was restarted
}

// Tell sends one event to sessions.
type Tell struct {
	Sessions []string
	Rev      uint64 // the room's revision after the change; 0: the room did not change
	Type     string // an event of wire
	Body     any
	End      bool // the session has ended; Body is wire.Ended
}

// The other effects are commands to the media plane, with the meaning that package media gives them.
type (
	// OpenTransport makes a Transport that waits for its client.
	OpenTransport struct {
		Transport     uint64
		Shard         int
		Identity      string
		PublishData   bool
		Local, Remote sdp.ICE
		Fingerprints  []sdp.Fingerprint
	}
	// RestartICE replaces credentials.
	RestartICE struct {
		Transport     uint64
		Local, Remote sdp.ICE
	}
	// Negotiate sets the m-lines.
	Negotiate struct {
		Transport uint64
		Sections  []sdp.Negotiated
	}
	// StartProducer lets an m-line feed a Producer.
	StartProducer struct {
		Transport uint64
		Mid       string
		Section   sdp.Negotiated // of the m-line
		Producer  uint64
		Encrypted bool
		// Microphone: its level counts for who speaks.
		Microphone bool
		// Encodings of simulcast, the lowest first; none: one stream.
		Encodings []wire.OfferEncoding
	}
	// Rank lets a Producer pass only while it is among the loudest, or in any case, which is how it begins.
	Rank struct {
		Producer uint64
		Ranked   bool
	}
	// StopProducer ends a Producer.
	StopProducer struct{ Producer uint64 }
	// Assign fills a slot's m-line with a Producer, or empties it (0).
	Assign struct {
		Transport  uint64
		Mid        string
		Generation uint64
		Producer   uint64
		Immediate  bool
	}
	// Prefer tells how what fills a slot's m-line is used: after Assign, where that is not as by default, and when it changes.
	Prefer struct {
		Transport uint64
		Mid       string
		Want      route.Want
	}
	// OpenSlot lets the assigned Producer flow.
	OpenSlot struct {
		Transport  uint64
		Mid        string
		Generation uint64
	}
	// AllowData lets a client send data messages, or not.
	AllowData struct {
		Transport   uint64
		PublishData bool
	}
	// CloseTransport ends a Transport and its Producers.
	CloseTransport struct{ Transport uint64 }
)

func (Reply) effect()          {}
func (Tell) effect()           {}
func (OpenTransport) effect()  {}
func (RestartICE) effect()     {}
func (Negotiate) effect()      {}
func (StartProducer) effect()  {}
func (Rank) effect()           {}
func (StopProducer) effect()   {}
func (Assign) effect()         {}
func (Prefer) effect()         {}
func (OpenSlot) effect()       {}
func (AllowData) effect()      {}
func (CloseTransport) effect() {}
