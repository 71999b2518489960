package ice

import "time"

// MaxPairs is how many validated pairs one agent keeps. A check on one more ends the unselected pair that was checked longest ago.
const MaxPairs = 64

// Lengths of credentials (RFC 8839 §5.4), in bytes.
const (
	MinUfrag = 4
	MinPwd   = 22
	MaxUfrag = 256
	MaxPwd   = 256
)

// Consent. The agent sends no checks of its own accord: an incoming authenticated check on the selected pair is the client's consent
// (RFC 7675 asks full agents to renew theirs every 5 s, and libwebrtc checks every 2.5 s at the latest).
const (
	// ConsentFor is how long after the last check media may be sent.
	ConsentFor = 15 * time.Second
	// ConsentEnds is how long after the last check, after New or after Restart, whichever is latest, it is over.
	ConsentEnds = 30 * time.Second
	// FirstCheck is how long after New, or after a Restart before the first check, it is over without any.
	FirstCheck = 10 * time.Second
	// FreshFor is how long after its last check with USE-CANDIDATE a nominated pair competes by priority. Chromium repeats them every
	// 2.5 s at the latest, and a round of aggressive nomination takes less.
	FreshFor = 5 * time.Second
	// SilentFor is how long after its last check a pair is taken for dead while another is checked. It is longer than the 6 s that may
	// pass between two checks for consent (RFC 7675 §5.1).
	SilentFor = 7 * time.Second
)

// DirectFirst is how long after New or Restart checks are not heard that come by a relayed address of this process, on a pair that is new: the
// client repeats them. Chromium gathers relayed candidates before those for TCP, and looks no further once one of them works; without this delay
// media would make that detour for no reason but that the server is near.
const DirectFirst = 300 * time.Millisecond

// A client that has moved.
const (
	// MaxMoveChecks is how many checks are sent to where its media come from, MoveInterval apart, before its own are waited for.
	MaxMoveChecks = 3
	MoveInterval  = 100 * time.Millisecond
)

// maxAsked is how many of a full agent's requests, the last ones, may still be answered.
const maxAsked = 16

// maxUnknown is how many unknown attributes one 420 response lists. Each took at least 4 bytes of the request and takes 2 here.
const maxUnknown = 16
