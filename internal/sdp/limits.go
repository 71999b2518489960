package sdp

// Limits of what is read. Each is far beyond what browsers send; an offer of 64 unpruned m-lines has 254 KB.
const (
	MaxBytes    = 384 << 10 // an offer's text
	MaxSections = 80        // m-lines, rejected ones too

	MaxFragmentBytes = 64 << 10 // a trickle fragment's text
	MaxCandidates    = 64       // candidates in a fragment

	maxMidBytes     = 16  // it travels in a one-byte header extension, which carries no more (RFC 8285 §4.2)
	maxValueBytes   = 512 // stream, track, CNAME, URI, feedback and format parameters, each
	maxExtensions   = 64  // of one m-line
	maxSSRCs        = 32  // of one m-line
	maxRIDs         = 8   // of one m-line
	maxEncodings    = 3   // of one m-line that are accepted, the first ones
	maxFeedback     = 16  // of one codec
	maxFingerprints = 8
	minUfragBytes   = 4   // RFC 8839 §5.4
	minPwdBytes     = 22  // RFC 8839 §5.4
	maxICEBytes     = 256 // user fragment and password, each (RFC 8839 §5.4)
)

// Defaults of data channels that an offer leaves out.
const (
	DefaultSCTPPort   = 5000
	DefaultMaxMessage = 64 << 10 // RFC 8841 §6.1
)
