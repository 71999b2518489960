package rooms

// Limits of the runtime. Those of a room itself are in package room.
const (
	// maxTries bounds how often Do joins a room that ends at that moment.
	maxTries = 4
)
