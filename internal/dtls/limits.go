package dtls

import (
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Deadline is how long after Start a handshake may take.
const Deadline = 30 * time.Second

// MaxMessage is the longest data message, with its header, in bytes.
const MaxMessage = 2 + 255 + wire.MaxDataBytes

// Limits of one association.
const (
	queueDatagrams     = 64                     // incoming datagrams that wait; more are dropped, as a network would
	maxDatagram        = 2048                   // incoming bytes
	maxAttempts        = 8                      // handshakes at once, one ClientHello each; and those begun in stalledAfter
	stalledAfter       = time.Second            // from then on an attempt may be replaced
	maxHandshakeBytes  = 16 << 10               // one handshake message of the client: its certificates
	maxMessageSequence = 8                      // handshake messages of the client; it has 5 without fragments
	replayWindow       = 4096                   // records; no plaintext record may be numbered higher, so a forged one never outruns the window
	mtu                = 1200                   // bytes of a DTLS datagram
	sctpMTU            = mtu - 13 - 8 - 16      // less record header, explicit nonce and tag
	receiveBytes       = 256 << 10              // of messages that wait to be read: SCTP's receive window
	maxRefused         = 64                     // channels beyond the two, or without a known label, until SCTP is given up
	maxPendingChannels = 8                      // streams whose opening message has not come
	maxWarnings        = 64                     // alerts from the client that end nothing; the next one does
	sendBytes          = 1 << 20                // of messages that wait for one channel
	sendMessages       = 1024                   // the same, in messages
	unackedBytes       = 64 << 10               // of messages given to SCTP at once
	retryEvery         = 10 * time.Millisecond  // an event that the sink did not take is offered again
	flightInterval     = 250 * time.Millisecond // until the first retransmission of a flight; doubles
)
