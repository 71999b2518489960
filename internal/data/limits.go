package data

import "time"

// Limits of one sender, on each of its channels. A sender as fast as that costs a third of a core, receivers and acknowledgements
// included; a burst is what a file of some megabytes for twenty people takes.
const (
	DeliveriesPerSecond = 20_000  // a message counts one for each receiver and each deliveryBytes begun
	DeliveryBurst       = 100_000 // after a pause
	deliveryBytes       = 1 << 10
	rateGrain           = 10 * time.Millisecond // at least, that a sender is held back who is too fast
)
