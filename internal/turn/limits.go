package turn

import "time"

// Lifetimes (RFC 8656 §3.2, §9, §12).
const (
	DefaultLifetime    = 10 * time.Minute
	MaxLifetime        = time.Hour
	PermissionLifetime = 5 * time.Minute
	ChannelLifetime    = 10 * time.Minute
	// ReservationLifetime is how long a port is kept for an allocation to come (RFC 8656 §7.2: at least 30 s).
	ReservationLifetime = 30 * time.Second
	// NonceLifetime is after what time a client has to take another nonce (RFC 8656 §5 wants at most an hour).
	NonceLifetime = time.Hour
)

// ConnectionTimeout is how long a peer has to answer, and then a client to bind the connection (RFC 6062 §5.2, §5.3).
const ConnectionTimeout = 30 * time.Second

// Lengths, in bytes.
const (
	// MaxRealm is how long a realm may be: a challenge for the smallest Allocate, of 28 bytes, has to have room in 3 times as many.
	MaxRealm = 36
	// MaxFullRealm is up to what length such a challenge has room for PASSWORD-ALGORITHMS too.
	MaxFullRealm = 12
	// MaxUsername is how long a USERNAME is (RFC 8489 §14.3).
	MaxUsername = 508
	// MinSecret is how long a secret has to be.
	MinSecret = 16
)

// maxPayload is what a Data indication has room for beside its header and its largest other attribute, padded: its length is told in 16 bits. It is
// the bound of ChannelData too, so that a peer finds the same whichever way the client has chosen.
const maxPayload = 0xffff - 3 - 4 - 24

// Channel numbers. RFC 8656 §12 ends them at 0x4FFF, so that nobody who also receives DTLS-SRTP takes them for that; RFC 5766 clients, coturn's own among
// them, take any up to here, and nothing else that comes to a server begins like these.
const (
	minChannel = 0x4000
	maxChannel = 0x7FFF
)

// amplification is how many times as long as a request an answer may be to somebody who has not proved to be where he seems to be.
const amplification = 3

// maxUnknown is how many unknown attributes one 420 response lists. Each took at least 4 bytes of the request and takes 2 here.
const maxUnknown = 16

// maxPermissionsAtOnce is how many XOR-PEER-ADDRESS one CreatePermission may have.
const maxPermissionsAtOnce = 32

// Limits of a Server. Where a field is 0 it is what DefaultLimits has.
type Limits struct {
	// Relayed addresses, of which an allocation has one or two, and reserved ones.
	Allocations int // in all; beyond it and the next two: 486
	PerUser     int
	PerSource   int // by datagram.Source of the client

	Permissions int // of one allocation; beyond it: 508
	Channels    int // of one allocation, at most 255; beyond it: 508
	Connections int // to peers, of one TCP allocation; beyond it, and the next: 508
	// UserConnections are those of all TCP allocations of a user.
	UserConnections int
	// AllConnections are those of all TCP allocations. Each takes a descriptor, as its client's own does.
	AllConnections int

	// Bytes a second that an allocation, and all of a user, relay in each direction, 28 for each datagram's headers among them. Datagrams beyond it are
	// dropped; what comes on connections waits. Negative: as many as come.
	AllocationRate int
	UserRate       int

	// Challenges is how many answers a second go over UDP to strangers (RFC 8489 §9.2.4: 401) at one source, not counting those with which
	// somebody then gets an allocation, and not at loopback addresses, which nobody forges from elsewhere.
	Challenges int
}

// DefaultLimits are for a server of one organisation.
var DefaultLimits = Limits{
	Allocations: 20000, PerUser: 64, PerSource: 1024, Permissions: 64, Channels: 64, Connections: 64,
	UserConnections: 256, AllConnections: 2000, AllocationRate: -1, UserRate: -1, Challenges: 10,
}

// withDefaults fills in what is 0.
func (l Limits) withDefaults() Limits {
	for _, f := range []struct{ v, def *int }{
		{&l.Allocations, &DefaultLimits.Allocations},
		{&l.PerUser, &DefaultLimits.PerUser},
		{&l.PerSource, &DefaultLimits.PerSource},
		{&l.Permissions, &DefaultLimits.Permissions},
		{&l.Channels, &DefaultLimits.Channels},
		{&l.Connections, &DefaultLimits.Connections},
		{&l.UserConnections, &DefaultLimits.UserConnections},
		{&l.AllConnections, &DefaultLimits.AllConnections},
		{&l.AllocationRate, &DefaultLimits.AllocationRate},
		{&l.UserRate, &DefaultLimits.UserRate},
		{&l.Challenges, &DefaultLimits.Challenges},
	} {
		if *f.v == 0 {
			*f.v = *f.def
		}
	}
	l.Channels = min(l.Channels, 255)
	return l
}

// A connection's bytes are counted against a rate by pieces: as many as go in pieceFor, within bounds, so that small rates flow evenly and large ones
// cost little.
const (
	pieceFor = 20 * time.Millisecond
	minPiece = 512
	maxPiece = 16 << 10
)

// maxRechecks is how many relayed addresses RecheckAll looks at once: about half a millisecond.
const maxRechecks = 512

// strangers is the size of the table by which answers to strangers are limited: sources that fall on one place share its limit. It takes
// 128 KiB, whoever asks.
const strangers = 1 << 14
