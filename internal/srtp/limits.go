package srtp

// MaxSources is how many SSRCs one Context remembers, for RTP and for RTCP each. What was seen of an SSRC must be kept as long as
// the keys are (RFC 3711 §3.3.2), so the oldest is not forgotten: packets of more SSRCs are dropped as drop.SrtpSources. Only
// authenticated packets count.
const MaxSources = 1024

// WindowSize is how far behind the newest packet of its SSRC a late one may be and still be opened.
const WindowSize = 1024

// maxRTCPAhead is how far beyond a sender's newest SRTCP index its next one is looked for by FollowsRTCP: what a client sends in minutes.
const maxRTCPAhead = 1 << 14

const (
	maxIndex     = 1<<48 - 1 // RFC 3711 §9.2: packets under one key
	maxRTCPIndex = 1<<31 - 1
)
