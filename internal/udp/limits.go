package udp

import (
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
)

const (
	// DefaultReceiveBuffer holds what arrives while a reader is not scheduled: the usual 208 KiB lose packets of any larger call.
	DefaultReceiveBuffer = 8 << 20
	// DefaultSendBuffer is moderate: what waits in it can be neither dropped nor overtaken.
	DefaultSendBuffer = 512 << 10

	// maxMessages bounds one sendmmsg call: the thread can be neither preempted nor stopped meanwhile (about 0.5 ms).
	maxMessages = 64
	// maxFallbacks is how many addresses are remembered as not reachable by GSO.
	maxFallbacks = 1024
	// maxIdleSenders is how many senders are kept for the next Send: as many as send at the same time, usually one per shard.
	maxIdleSenders = 16

	// coalesceWait and coalesceTries: how long and how often the reader waits for the rest of a frame.
	coalesceWait  = 60 * time.Microsecond
	coalesceTries = 2
	// coalesceBytes: smaller datagrams are not part of a frame's burst. Audio never waits.
	coalesceBytes = 600

	// asideFrom is from how many reports about arrivals a second on, over asideSpan, they are put aside; below half of that no longer.
	asideFrom = 1000
	asideSpan = time.Second
	// asideBuffer holds some thousands of reports, each of which takes about 1 KiB in it.
	asideBuffer = 4 << 20
	// asideShare is how many buffers of a batch the first reading of aside may fill where the other socket has something too.
	asideShare = datagram.BatchSize / 2

	// MediaRingBytes and ControlRingBytes bound what waits for one TCP connection, lengths included.
	MediaRingBytes   = 512 << 10
	ControlRingBytes = 128 << 10
	// MaxFrameBytes is the longest datagram that is sent on a TCP connection.
	MaxFrameBytes = datagram.MaxBytes
	ringStart     = 16 << 10 // what a ring starts with when it is first used
	chunkBytes    = 16 << 10 // what one write takes out of the rings

	// streamReadBytes is a TCP connection's read buffer. It holds more than one frame of datagram.MaxBytes.
	streamReadBytes = 8 << 10

	// StallTimeout: a TCP connection that does not take chunkBytes in it carries no call and is closed.
	StallTimeout = 8 * time.Second
	// AnswerTimeout: a TCP connection to which nothing is sent for so long after it opened is nobody's and is closed.
	AnswerTimeout = 10 * time.Second
	// IdleTimeout: a TCP connection from which no datagram has come for so long is closed. Consent would have ended it as well.
	IdleTimeout = 30 * time.Second

	// Kernel buffers of TCP connections: what waits should wait in the rings, where it can be dropped.
	streamSendBuffer = 256 << 10
	streamUnsent     = 32 << 10
)
