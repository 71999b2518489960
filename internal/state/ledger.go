package state

import "math"

// Ledger says which messages of a scope's log are needed still, and which records to copy whole so that fewer are. A record needs
// what begins with its last whole copy; the log as a whole needs what begins with the oldest of these.
//
// Copies are taken along with what is written, the oldest first and as many bytes as that, while the log is longer than twice all last
// whole copies and some slack. So it never stops for a compaction, and writes at most twice what it is told.
type Ledger struct {
	slack, worth int
	copies       map[string]copied
	order        []copied // by number; those that are not in copies any more are passed over
	live         int      // bytes of all in copies
	messages     []message
	bytes        int // of all messages
}

// copied is a record's last whole copy.
type copied struct {
	name   string
	number uint64 // of its message
	size   int    // bytes, encoded
}

type message struct {
	number uint64
	size   int
}

// Note is what a Ledger has to know of an entry.
type Note struct {
	Name    string
	Whole   bool
	Deleted bool
	Size    int // bytes, encoded
}

// Note returns what a Ledger has to know of the entry, which takes so many bytes.
func (e Entry) Note(size int) Note {
	return Note{Name: e.Name, Whole: e.Whole != nil, Deleted: e.Deleted, Size: size}
}

// NewLedger returns a ledger of an empty log, which may be so much longer than it must, and where it is worth purging so many bytes.
func NewLedger(slack, worth int) *Ledger {
	return &Ledger{slack: slack, worth: worth, copies: map[string]copied{}}
}

// Slack says anew by how much the log may be longer than it must, and how many bytes are worth purging.
func (l *Ledger) Slack(slack, worth int) { l.slack, l.worth = slack, worth }

// Stored says that a message is in the log, behind all others.
func (l *Ledger) Stored(number uint64, size int, entries []Note) {
	l.messages = append(l.messages, message{number, size})
	l.bytes += size
	for _, e := range entries {
		if !e.Whole && !e.Deleted {
			continue
		}
		if old, ok := l.copies[e.Name]; ok {
			l.live -= old.size
			delete(l.copies, e.Name)
		}
		if e.Whole {
			c := copied{e.Name, number, e.Size}
			l.copies[e.Name] = c
			l.order = append(l.order, c)
			l.live += e.Size
		}
	}
	l.pass()
}

// pass forgets outdated copies at the front, and all of them when they are most of what there is.
func (l *Ledger) pass() {
	n := 0
	for n < len(l.order) && !l.current(l.order[n]) {
		n++
	}
	l.order = l.order[n:]
	if len(l.order) > 2*len(l.copies)+64 {
		kept := make([]copied, 0, len(l.copies))
		for _, c := range l.order {
			if l.current(c) {
				kept = append(kept, c)
			}
		}
		l.order = kept
	}
}

// current tells whether it is the last copy of its record. Of two in one message the last one counts.
func (l *Ledger) current(c copied) bool { return l.copies[c.name] == c }

// Sizes are how many bytes the log takes, and how many of them the last whole copies.
func (l *Ledger) Sizes() (all, live int) { return l.bytes, l.live }

// Copy calls whole for records to copy along with a message of so many bytes. whole returns the size of the copy.
func (l *Ledger) Copy(size int, whole func(name string) int) {
	if l.bytes > 2*l.live+l.slack {
		l.Renew(math.MaxUint64, size, whole)
	}
}

// Renew calls whole for records whose last whole copy is in the message with this number, or before it, the oldest first, until so many bytes are
// copied. whole returns the size of the copy.
func (l *Ledger) Renew(upTo uint64, size int, whole func(name string) int) {
	for _, c := range l.order {
		if size <= 0 || c.number > upTo {
			return
		}
		if l.current(c) {
			size -= max(1, whole(c.name))
		}
	}
}

// Purge returns a number below which no message is needed any more, and forgets those, if that is worth it; else 0. The last
// message always stays.
func (l *Ledger) Purge() (below uint64) {
	if len(l.messages) == 0 {
		return 0
	}
	below = l.messages[len(l.messages)-1].number
	if len(l.order) > 0 {
		below = l.order[0].number
	}
	n, size := 0, 0
	for n < len(l.messages) && l.messages[n].number < below {
		size += l.messages[n].size
		n++
	}
	if size < l.worth {
		return 0
	}
	l.messages, l.bytes = l.messages[n:], l.bytes-size
	return below
}
