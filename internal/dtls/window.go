package dtls

import (
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
)

// window opens SCTP's receive window again after it was shut.
//
// Data that nobody reads fill the window, and the client stops: this is how it hears that the receivers of its messages do not keep up.
// When they are read at last it has to be told, and the library tells the window only when it acknowledges something. Until then the
// client tries again and again, after pauses that double from a second. So here the library is given the client's last data twice more,
// as if the network had doubled them: it acknowledges every second packet at once (RFC 9260 §6.2), with the window as it is by then.
//
// The window is small for two reasons. Sorting unread messages takes longer the more there are. And a stream's messages are told apart by
// numbers of 16 bits, half of which may be unread (maxUnread): of messages that are not empty, so many do not fit. It is enough for one
// message of the greatest length, before which a second one is not begun, as there is no interleaving (RFC 8260).
type window struct {
	// static after construction
	link *link

	// guarded by mu
	mu    sync.Mutex
	last  []byte    // what brought data last
	at    time.Time // when
	freed int       // bytes that were read since then: the window is wider by them than the client knows
}

// maxUnread is how many messages, or pieces of them, may wait to be read in one stream: with more SCTP is given up.
const maxUnread = 1 << 15

// stillness is how long a client must have sent nothing to be taken for one that waits: less than its first pause (RFC 9260 §16: 1 s).
const stillness = 200 * time.Millisecond

// Where SCTP's first chunk begins, how long the headers of all and of data are, and the types of those with data and with
// acknowledgements (RFC 9260 §3).
const (
	firstChunk  = 12
	chunkHeader = 4
	dataHeader  = 16
	dataChunk   = 0
	sackChunk   = 3
)

// receive gives SCTP a packet, and keeps it if it brings data.
func (w *window) receive(b []byte) drop.Reason {
	if len(b) > firstChunk && b[firstChunk] == dataChunk {
		w.mu.Lock()
		w.last, w.at, w.freed = b, time.Now(), 0
		w.mu.Unlock()
	}
	return w.link.put(b)
}

// read notes that so many bytes were read. It tells the client of the window when it is half as wide again; to a client that has sent
// nothing for a while, as soon as it can send a packet: most of the window may be the beginning of a message whose rest it waits to send.
func (w *window) read(n int) {
	w.mu.Lock()
	w.freed += n
	wide := w.freed >= receiveBytes/2 || w.freed >= sctpMTU && time.Since(w.at) >= stillness
	tell, last := wide && w.last != nil, w.last
	if tell {
		w.freed = 0
	}
	w.mu.Unlock()
	if tell {
		w.link.put(last)
		w.link.put(last)
	}
}
