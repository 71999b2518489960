package media

import "time"

// Limits of one shard.
const (
	inboxBatches   = 256       // batches that wait for the loop: 50 ms of a flood that fills all it reads
	inboxStrangers = 16        // batches in the inbox, beyond which checks from strangers find no room
	inboxPiped     = 64        // batches of other shards that wait for the loop
	sparePiped     = 64        // of those, kept to be used again
	drainBatches   = 4         // batches that are read before anything is forwarded
	maxTransports  = 4096      // Transports, beyond which OpenTransport fails its Transport
	maxLetters     = 16384     // commands, DTLS records and DTLS events that wait for the loop
	maxLetterBytes = 64 << 20  // of DTLS records among them
	maxHandshakes  = 1024      // DTLS handshakes at once
	maxUfrags      = 4         // user fragments by which one Transport is found during ICE restarts
	maxReports     = 16        // faults that are logged a minute; all are counted
	egressBytes    = 4 << 20   // of one flush
	flushBytes     = 256 << 10 // of egress that is written before the next subscriber's turn
	timerGrain     = 5 * time.Millisecond
	speakersPause  = 300 * time.Millisecond // at least, between two words to a room about who speaks
	farewellCheck  = 100 * time.Millisecond // how often a Transport that is over is looked at until its last word is out
	closeCheck     = 5 * time.Millisecond   // the same while the shard closes
)
