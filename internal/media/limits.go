package media

import "time"

// Limits of one shard, but for maxUnchecked and maxUncheckedPerSource, which are the node's.
const (
	// maxUncheckedPerSource of the Transports that wait for their first check are of one source: no source alone can keep the others
	// out, and a lecture hall behind one address, or a load test on one machine, may come back at once after a restart of the server.
	maxUncheckedPerSource = maxUnchecked / 4

	inboxBatches   = 256       // batches that wait for the loop: 50 ms of a flood that fills all it reads
	inboxStrangers = 64        // batches of strangers' checks that wait beside them; where little comes, each check is a batch
	inboxPiped     = 64        // batches of other shards that wait for the loop
	sparePiped     = 64        // of those, kept to be used again
	drainBatches   = 4         // batches that are read before anything is forwarded
	maxTransports  = 4096      // Transports, beyond which OpenTransport fails its Transport
	maxUnchecked   = 1024      // Transports of the node that wait for their first check: a quarter of what one shard holds
	maxLetters     = 16384     // commands, DTLS records and DTLS events that wait for the loop
	maxLetterBytes = 64 << 20  // of DTLS records among them
	maxHandshakes  = 1024      // Transports that were checked and have not finished their DTLS handshake
	maxUfrags      = 4         // user fragments by which one Transport is found during ICE restarts
	maxReports     = 16        // faults that are logged a minute; all are counted
	maxAsked       = 1024      // pairs of which it is remembered that another shard was asked for them
	egressBytes    = 4 << 20   // of one flush
	flushBytes     = 256 << 10 // of egress that is written before the next subscriber's turn
	timerGrain     = 5 * time.Millisecond
	speakersPause  = 300 * time.Millisecond // at least, between two words to a room about who speaks
	farewellCheck  = 100 * time.Millisecond // how often a Transport that is over is looked at until its last word is out
	askEvery       = 500 * time.Millisecond // at least, between two letters that ask another shard for one pair
	closeCheck     = 5 * time.Millisecond   // the same while the shard closes
)
