package room

import "github.com/parley-rtc/parley/wire"

// Limits of one room, beside those that package wire tells to clients.
const (
	// MaxParticipants of a room, hidden ones aside.
	MaxParticipants = 256
	// MaxHidden viewers of a room.
	MaxHidden = 1024
	// MaxRoomPublications of all participants together.
	MaxRoomPublications = 1024
	// MaxRoomMetadataBytes of all participants together: a snapshot must fit one message of the bus.
	MaxRoomMetadataBytes = 1 << 20
	// MaxVideoSlots of one participant that are not part of a pair.
	MaxVideoSlots = 8
	// MaxRulings are the identities of which it can be ruled what they may do.
	MaxRulings = 1024
	// MaxSubscribe is the number of publications in one request.
	MaxSubscribe = 512
	// MaxReasonBytes of a kick.
	MaxReasonBytes = 256
)

// maxToldPublishers is how many a viewer is told of who names nobody that publishes.
const maxToldPublishers = 10

// retryWatch is in how many seconds such a viewer may try again.
const retryWatch = 5

// firstPairs is where the pool of slots starts; it doubles from there.
const firstPairs = 4

// maxDataMessage is the largest message of a data channel: the payload, two bytes, and the identity of the other side.
const maxDataMessage = wire.MaxDataBytes + 2 + wire.MaxNameBytes
