package relay

import "time"

const (
	// FirstPort and LastPort are the range of relayed ports where none is configured (RFC 8656 §7.2).
	FirstPort = 49152
	LastPort  = 65535

	// maxBinds is how many ports are tried for one allocation while other programs have them.
	maxBinds = 64

	// listenerReceiveBuffer is what all clients of a listener share; a relayed socket keeps the system's default.
	listenerReceiveBuffer = 8 << 20
	listenerSendBuffer    = 512 << 10

	// slots are the buffers for one turn of the loop, each large enough for whatever receive offload has joined. Memory is used of them only as
	// far as datagrams reach. slotStride is no multiple of a page, lest the beginnings of all datagrams fall into the same lines of the cache.
	slots      = 64
	slotBytes  = 1 << 16
	slotStride = slotBytes + 4096 + 3*64
	// maxRead is how many messages are taken from one socket before the next one's turn.
	maxRead = 32
	// maxEvents is how many ready sockets one wait tells of.
	maxEvents = 128
	// maxErrors is how many entries of a socket's error queue are read in a turn.
	maxErrors = 8

	// restWait and maxRests: how long and how often the loop waits for the rest of a burst before it sends what it has.
	restWait = 60 * time.Microsecond
	maxRests = 2
	// restBytes: a burst is of datagrams that are larger, such as a video frame's. For others nothing waits.
	restBytes = 600
	// restFaith is how often in a row a wait may bring nothing until there is none any more, restProbe after how many turns it is tried again.
	restFaith = 8
	restProbe = 256
	// restCost is what processor time a wait may take, restCostlyProbe after how many turns one that took more is tried again.
	restCost        = 6 * time.Microsecond
	restCostlyProbe = 1 << 14

	// maxMessages bounds one sendmmsg call: the thread can be neither preempted nor stopped meanwhile (about 0.2 ms).
	maxMessages = 64
	// maxPieces is how many pieces the messages of one call are gathered from.
	maxPieces = 256
	// maxRefusals is how often a datagram is tried again because of an error that an earlier one has left (ICMP).
	maxRefusals = 4
	// maxFallbacks is how many destinations are remembered as not reachable by segmentation offload.
	maxFallbacks = 1024

	// maxBatches is how many batches of the port wait for the loop.
	maxBatches = 64
	// maxFromMedia bounds what waits of this process's own media for relayed addresses, in bytes.
	maxFromMedia = 1 << 20
	// maxUnsent is after how many datagrams that wait to be sent those of the next connection wait for that. One connection has maxFrameBytes/4 at
	// most, in empty ChannelData.
	maxUnsent = 4096
	// egressBytes is what is gathered for the port before it is sent.
	egressBytes = 128 << 10

	// streamReadBytes is the read buffer of a connection with an allocation to begin with; it grows to hold the longest frame that a client sends.
	streamReadBytes = 4 << 10
	// strangerBytes is that of one without, to begin with; it grows to streamReadBytes.
	strangerBytes = 1 << 10
	// maxFrameBytes is the longest frame of a client, with its header and padding: what a UDP datagram can carry (65,507 bytes), rounded up.
	maxFrameBytes = 4 + 65508
	// dataRingBytes bounds what waits for one connection as ChannelData and Data indications, answerRingBytes what waits of everything else.
	dataRingBytes   = 512 << 10
	answerRingBytes = 64 << 10
	ringStart       = 4 << 10  // what the ring for payload begins with when it is first used
	answerStart     = 512      // what the ring for answers begins with, and what one write takes out of it
	chunkBytes      = 16 << 10 // what one write takes out of the rings when there is payload
	// Kernel buffers of connections: what waits should wait in the rings.
	streamSendBuffer = 256 << 10
	streamUnsent     = 32 << 10

	// FirstTimeout: a connection that has not sent a whole frame by then is closed.
	FirstTimeout = 10 * time.Second
	// StrangerTimeout: a connection that has had no allocation for so long is closed, whatever it sends: anybody can open one, and so hold memory.
	StrangerTimeout = 30 * time.Second
	// IdleTimeout: a connection with an allocation from which nothing has come for so long is closed: it is longer than an allocation can live without a
	// Refresh (RFC 8656 §3.2).
	IdleTimeout = 65 * time.Minute
	// StallTimeout: a connection that does not take chunkBytes in it is closed.
	StallTimeout = 8 * time.Second
	// faultsEvery is how often a fault is logged at most.
	faultsEvery = time.Minute

	// interfacesEvery is how often this machine's addresses are looked at.
	interfacesEvery = 10 * time.Second

	// maxSessions are DTLS associations at one listener, maxSessionsPerSource those of one IPv4 address or IPv6 /64. Handshakes are those that have
	// not finished, of clients that have shown where they are.
	maxSessions            = 4096
	maxSessionsPerSource   = 256 // an office behind one address
	maxHandshakes          = 256
	maxHandshakesPerSource = 16
	// sessionQueue is how many datagrams wait for one DTLS association.
	sessionQueue = 64
	// mtu is how long a datagram of a DTLS handshake is.
	mtu = 1200
	// HandshakeTimeout is for a DTLS handshake.
	HandshakeTimeout = 10 * time.Second

	// DialTimeout is for a connection to a peer; the core gives up after as long (RFC 6062 §5.2).
	DialTimeout = 30 * time.Second
	// SpliceIdleTimeout ends a connection to a peer on which nothing has come either way for so long.
	SpliceIdleTimeout = 10 * time.Minute
	spliceBytes       = 16 << 10 // of each way, between reading and writing

	acceptPause    = 5 * time.Millisecond // after an error of a listener, doubling
	maxAcceptPause = time.Second
)
