package journal

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// A room's log has two volumes, each in a bus.Log of its own, with bounds of their own: records may change as often as programs like, and what
// people do is not to be forgotten for that. Cursors count over both.
const (
	people  = iota
	changes // of records
	volumes
)

// entry is one thing that happened, as it is stored.
type entry struct {
	// Skip is how many cursors there are between the entry before in this message and it: those of entries of the other volume.
	Skip uint64          `json:"s,omitempty"`
	At   time.Time       `json:"t"`
	Type string          `json:"y"`
	Body json.RawMessage `json:"b"`

	changes []state.LastChange // it is not stored: in its place comes what of these is not in the log, when all before it is stored
}

func (e entry) size() int {
	size := len(e.Body) + len(e.Type) + 64
	for _, c := range e.changes {
		size += len(c.Name) + 64
	}
	return size
}

// volume is where it belongs.
func (e entry) volume() int {
	if aboutRecord(e.Type) || e.changes != nil {
		return changes
	}
	return people
}

func aboutRecord(typ string) bool {
	return typ == wire.TypeRecordChanged || typ == wire.TypeRecordDeleted
}

// message is what is stored at once.
type message struct {
	// Before are the cursors behind what each volume had when it was stored, so that it is seen when some of that is gone. 0: nothing.
	Before  [volumes]uint64 `json:"p"`
	Cursor  uint64          `json:"c"` // of the first
	Entries []entry         `json:"e"` // none: it is there for what it promises, or for Before
	// Promised, of what people did: a cursor below which entries about records may be stored that no other message of this volume tells of. 0: none are.
	Promised uint64 `json:"r,omitempty"`
}

// each visits the entries with their cursors, until visit reports false, and returns the cursor behind the last one that was visited.
func (m message) each(visit func(cursor uint64, e entry) bool) uint64 {
	cursor := m.Cursor
	for _, e := range m.Entries {
		cursor += e.Skip
		if !visit(cursor, e) {
			break
		}
		cursor++
	}
	return cursor
}

// end is the cursor behind its entries.
func (m message) end() uint64 { return m.each(func(uint64, entry) bool { return true }) }

func decode(m bus.Stored) (message, error) {
	var stored message
	if err := json.Unmarshal(m.Bytes, &stored); err != nil {
		return stored, fmt.Errorf("message %d of a room's log: %w", m.Number, err)
	}
	return stored, nil
}

// part is a message that belongs into one volume.
type part struct {
	volume  int
	message message
	end     uint64 // the cursor behind it
}

// divide makes messages of entries whose cursors begin with this one.
func divide(cursor uint64, entries []entry) (parts []part) {
	var of [volumes]part
	for i, e := range entries {
		p, at := &of[e.volume()], cursor+uint64(i)
		if len(p.message.Entries) == 0 {
			*p = part{volume: e.volume(), message: message{Cursor: at}, end: at}
		}
		e.Skip = at - p.end
		p.message.Entries, p.end = append(p.message.Entries, e), at+1
	}
	for _, p := range of {
		if len(p.message.Entries) > 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// volume is one of a room's.
type volume struct {
	// guarded by mu of the book
	stored
	queued, queuedBytes int
}

// stored is what is stored of it.
type stored struct {
	// written by the book's loop, guarded by its mu
	last   uint64 // number of the last message
	next   uint64 // the cursor behind it, also where it is gone; 0: there never was any
	whole  uint64 // from this cursor on nothing is gone that it had
	points []point
}

// point is a message from which a volume can be read.
type point struct {
	number, cursor uint64
	bytes          int // of all messages from it to the next point
}

// queue counts an entry that waits to be stored, and reports false where too much does.
func (v *volume) queue(e entry) bool {
	if v.queued >= MaxQueued || v.queuedBytes+e.size() > MaxQueuedBytes {
		return false
	}
	v.count(e, 1)
	return true
}

func (v *volume) count(e entry, n int) {
	v.queued += n
	v.queuedBytes += n * e.size()
}

// append notes a message that is stored.
func (s *stored) append(number uint64, size int, m message) {
	if n := len(s.points); n == 0 || s.points[n-1].bytes >= pointBytes {
		s.points = append(s.points, point{number: number, cursor: m.Cursor})
	}
	s.points[len(s.points)-1].bytes += size
	s.last = number
	if len(m.Entries) > 0 {
		s.next = max(s.next, m.end())
	}
}

// from returns the number of the message to read from for what is behind a cursor; 0: nothing is there.
func (s *stored) from(after uint64) (number uint64) {
	for _, p := range s.points {
		if number == 0 || p.cursor <= after+1 {
			number = p.number
		}
	}
	return number
}

// shorten returns below which number messages are to be purged, as the volume is too long; 0: it is not.
func (s *stored) shorten() (below uint64) {
	size, n := 0, 0
	for _, p := range s.points {
		size += p.bytes
	}
	if size <= MaxRoomBytes+purgeWorth {
		return 0
	}
	for n < len(s.points)-1 && size > MaxRoomBytes {
		size -= s.points[n].bytes
		n++
	}
	s.points = slices.Delete(s.points, 0, n)
	return s.points[0].number
}

// run is cursors that follow each other.
type run struct{ first, next uint64 }

// extend adds the cursor of the next entry.
func extend(runs []run, cursor uint64) []run {
	if n := len(runs); n > 0 && runs[n-1].next == cursor {
		runs[n-1].next++
		return runs
	}
	return append(runs, run{cursor, cursor + 1})
}

// gapless returns the cursor from which on, up to the next one, each is that of an entry of one of the volumes. What is missing was forgotten, or lost with a disk, or was not stored when the process was
// killed, where what was said after it was.
func gapless(runs [volumes][]run, next uint64) uint64 {
	for {
		i := slices.IndexFunc(runs[:], func(r []run) bool { return len(r) > 0 && r[len(r)-1].next == next })
		if i < 0 {
			return next
		}
		last := len(runs[i]) - 1
		next, runs[i] = runs[i][last].first, runs[i][:last]
	}
}
