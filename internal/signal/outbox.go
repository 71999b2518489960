package signal

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// entry is a message without its number.
type entry struct {
	reply, rev uint64
	typ        string
	body       json.RawMessage
	// whole: the body is a snapshot of the room, as large as the room makes it; the limit for waiting bytes leaves it out.
	whole bool
	// asked: it is the reply to a request of state. Those come many at once when something is stored, as many as were asked.
	asked bool
	// taken is when a socket took it, the last time; zero: none has.
	taken time.Time
}

// outbox holds what a session is sent: messages that may have to be repeated on a resume, then those that no socket has taken.
//
//	first          next          end
//	  | taken, kept  |  waiting   |
//
// Numbers stay without holes: what is discarded before a socket has taken it gives its number to what follows.
type outbox struct {
	// guarded by mu of the Session
	entries []entry
	first   uint64 // number of entries[0]
	next    uint64 // number of the message to be taken next
	replay  uint64 // what waits below this number was kept for a resume: it is no backlog
	bytes   int    // of all bodies
	// the backlog, without replies to requests of state, and its bytes, without whole bodies
	waiting, waitingBytes int
}

func newOutbox() outbox { return outbox{first: 1, next: 1} }

// end is the number of the next message to be added.
func (o *outbox) end() uint64 { return o.first + uint64(len(o.entries)) }

// add numbers a message and returns its number.
func (o *outbox) add(e entry) uint64 {
	o.entries = append(o.entries, e)
	o.bytes += len(e.body)
	o.count(e, 1)
	return o.end() - 1
}

// count adds a message to the backlog, or takes it off.
func (o *outbox) count(e entry, n int) {
	if !e.asked {
		o.waiting += n
	}
	if !e.whole {
		o.waitingBytes += n * len(e.body)
	}
}

// overfull: more waits than one socket is given.
func (o *outbox) overfull() bool { return o.waiting > MaxWaiting || o.waitingBytes > MaxWaitingBytes }

// take appends the JSON of the next message to dst.
func (o *outbox) take(now time.Time, dst []byte) ([]byte, bool) {
	if o.next == o.end() {
		return dst, false
	}
	e := &o.entries[o.next-o.first]
	e.taken = now
	dst = appendMessage(dst, o.next, *e)
	if o.next >= o.replay {
		o.count(*e, -1)
	}
	o.next++
	return dst, true
}

// trim forgets the oldest messages beyond the limits for a resume, but neither the newest nor any at or after keep.
func (o *outbox) trim(keep uint64) {
	n := 0
	for o.first+uint64(n) < keep && n < len(o.entries)-1 && (len(o.entries)-n > wire.ResumeMessages || o.bytes > MaxKeptBytes) {
		o.bytes -= len(o.entries[n].body)
		n++
	}
	o.forget(n)
}

// expire forgets what was taken so long ago that no client that has not got it can resume the session.
func (o *outbox) expire(now time.Time) {
	n := 0
	for o.first+uint64(n) < o.next && now.Sub(o.entries[n].taken) >= KeptTime {
		o.bytes -= len(o.entries[n].body)
		n++
	}
	o.forget(n)
}

// forget lets go of the n oldest messages, whose bytes are counted no more.
func (o *outbox) forget(n int) {
	clear(o.entries[:n]) // the array behind stays until the next append
	o.entries = o.entries[n:]
	if len(o.entries) == 0 {
		o.entries = nil
	}
	o.first += uint64(n)
	if o.next < o.first {
		o.rewind(o.first)
	}
}

// rewind makes next the message to be taken next, and everything that waits a replay.
func (o *outbox) rewind(next uint64) {
	o.next, o.replay, o.waiting, o.waitingBytes = next, o.end(), 0, 0
}

// resume continues after the last number that a client has seen. It reports whether everything since is here; if not, only the
// replies that are left follow. The caller has checked that after < end.
func (o *outbox) resume(after uint64) bool {
	if after+1 >= o.first {
		o.rewind(after + 1)
		return true
	}
	o.collapse(after + 1)
	o.rewind(after + 1)
	return false
}

// collapse discards events with the number from or a higher one. The replies among them move up.
func (o *outbox) collapse(from uint64) {
	kept, rest := []entry(nil), o.entries
	if from > o.first {
		kept, rest = o.entries[:from-o.first], o.entries[from-o.first:]
	} else {
		o.first = from
	}
	o.entries = append(make([]entry, 0, len(kept)+8), kept...)
	for _, e := range rest {
		if e.reply != 0 {
			o.entries = append(o.entries, e)
		}
	}
	o.bytes = 0
	for _, e := range o.entries {
		o.bytes += len(e.body)
	}
	o.rewind(from)
	o.replay = from // what is left is a backlog still
	for _, e := range o.entries[from-o.first:] {
		o.count(e, 1)
	}
}

// appendMessage appends the JSON of a wire.Message. A body is valid JSON already: to encode it again would only copy it.
func appendMessage(dst []byte, seq uint64, e entry) []byte {
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	if e.reply != 0 {
		dst = append(dst, `,"reply":`...)
		dst = strconv.AppendUint(dst, e.reply, 10)
	}
	if e.rev != 0 {
		dst = append(dst, `,"rev":`...)
		dst = strconv.AppendUint(dst, e.rev, 10)
	}
	dst = append(dst, `,"type":`...)
	dst = strconv.AppendQuote(dst, e.typ)
	dst = append(dst, `,"body":`...)
	if len(e.body) == 0 {
		dst = append(dst, '{', '}')
	}
	dst = append(dst, e.body...)
	return append(dst, '}')
}
