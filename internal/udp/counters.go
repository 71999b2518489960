package udp

import "sync/atomic"

// counters are a Conn's counts; everything in it is atomic.
type counters struct {
	received, receivedBytes, empty, oversized atomic.Uint64
	sent, sentBytes, messages                 atomic.Uint64
	sendFull, sendFailed, gsoFallbacks        atomic.Uint64
}

// stats copies the counts.
func (c *counters) stats() Stats {
	return Stats{
		Received: c.received.Load(), ReceivedBytes: c.receivedBytes.Load(),
		Empty: c.empty.Load(), Oversized: c.oversized.Load(),
		Sent: c.sent.Load(), SentBytes: c.sentBytes.Load(), Messages: c.messages.Load(),
		SendFull: c.sendFull.Load(), SendFailed: c.sendFailed.Load(), GSOFallbacks: c.gsoFallbacks.Load(),
	}
}
