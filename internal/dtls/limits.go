package dtls

import (
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Deadline is how long after Start a handshake may take.
const Deadline = 30 * time.Second

// MaxMessage is the longest data message, with its header, in bytes.
const MaxMessage = 2 + 255 + wire.MaxDataBytes

// Patience is how long a client may go on without taking some of what waits for its reliable channel, before it loses that.
const Patience = 10 * time.Second

// Limits of one association.
const (
	queueDatagrams     = 64                     // incoming datagrams that wait; more are dropped, as a network would
	maxDatagram        = 2048                   // incoming bytes
	maxAttempts        = 8                      // handshakes at once, one ClientHello each; and those begun in stalledAfter
	stalledAfter       = time.Second            // from then on an attempt may be replaced
	maxHandshakeBytes  = 16 << 10               // one handshake message of the client: its certificates
	maxEarly           = 8                      // datagrams that came before the handshake was known to be finished, and are for after it
	maxMessageSequence = 8                      // handshake messages of the client; it has 5 without fragments
	replayWindow       = 4096                   // records of a handshake; no plaintext one may be numbered higher, so a forged one never outruns the window
	recordWindow       = 1024                   // records after it: those that come later than so many others are not taken
	mtu                = 1200                   // bytes of a DTLS datagram
	sctpMTU            = mtu - 13 - 8 - 16      // less record header, explicit nonce and tag
	receiveBytes       = 96_000                 // of messages that wait to be read: SCTP's receive window; see window.go
	readBytes          = 256                    // enough for most messages; there are many channels, and each has a buffer
	longestBytes       = receiveBytes + mtu     // more cannot wait to be read: the longest message there is
	maxRefused         = 16                     // channels that were refused, or closed for being slow or for a message too long, until SCTP is given up
	maxForged          = 4                      // records of one datagram that are not the client's, after which the rest is not looked at
	maxPendingChannels = 8                      // streams whose opening message has not come
	sendBytes          = 1 << 20                // of messages that wait for one channel
	resumeBytes        = sendBytes / 4 * 3      // of them, from which on the client is behind, and below which a channel that was full takes more
	messageOverhead    = 64                     // bytes that each message counts beside its own: what its place in the queue takes
	unackedBytes       = 64 << 10               // of messages given to SCTP at once
	retryEvery         = 10 * time.Millisecond  // an event that the sink did not take is offered again
	flightInterval     = 250 * time.Millisecond // until the first retransmission of a flight; doubles
)
