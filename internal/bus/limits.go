package bus

// Limits of every implementation.
const (
	// MaxSubjectBytes leaves room for the longest room name in base64.
	MaxSubjectBytes = 256
	// MaxMessageBytes is more than the largest snapshot of a room can take in JSON.
	MaxMessageBytes = 16 << 20
	// MaxQueue is the largest capacity of a subscription.
	MaxQueue = 1 << 14
	// MaxStoredBytes of one message of a log.
	MaxStoredBytes = 4 << 20
)
