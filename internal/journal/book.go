package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// entry is one thing that happened, as it is stored.
type entry struct {
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

// message is what is stored at once.
type message struct {
	Cursor  uint64  `json:"c"` // of the first
	Entries []entry `json:"e"`
}

// point is a message from which the log can be read.
type point struct {
	number, cursor uint64
	bytes          int // of all messages from it to the next point
}

// book is one room's open log.
type book struct {
	// static after construction
	service *Service
	room    string
	loaded  chan struct{} // closed when what is stored has been read
	wake    chan struct{} // capacity 1: queue has something

	// owned by loop
	last   uint64 // number of the last message that is stored
	fresh  bool   // what is stored is not known, or no longer
	trying int    // so many of the first that are queued are being stored: perhaps they are
	tries  int    // of that, which were in vain

	// guarded by Service.mu
	used time.Time
	held bool // its room is there

	// guarded by mu
	mu          sync.Mutex
	queue       []entry
	queuedBytes int
	next        uint64 // cursor of what is stored next
	points      []point
	chat        []json.RawMessage // the last, with what is queued
}

// note queues an entry, and reports false where too much is queued.
func (b *book) note(e entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) >= MaxQueued || b.queuedBytes+e.size() > MaxQueuedBytes {
		return false
	}
	b.queue = append(b.queue, e)
	b.queuedBytes += e.size()
	b.recall(e)
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return true
}

// recall keeps chat. The caller holds mu.
func (b *book) recall(e entry) {
	if e.Type != wire.TypeChatReceived {
		return
	}
	if len(b.chat) == wire.MaxChatKept {
		b.chat = slices.Delete(b.chat, 0, 1)
	}
	b.chat = append(b.chat, e.Body)
}

// run is the loop. It ends when the room is not there and the log was not used for a while, or with the Service, when what is queued is stored.
func (b *book) run() {
	idle := time.NewTicker(idleTime)
	defer idle.Stop()
	b.fresh = true
	for {
		stopping := b.stopping()
		if b.fresh {
			if err := b.load(); err != nil {
				b.service.config.Logger.Error("the log of a room cannot be read; it is tried again", "error", err)
				if stopping || !b.pause(faultPause) {
					b.giveUp()
					return
				}
				continue
			}
		}
		if more := b.store(); more {
			continue
		}
		if stopping {
			b.giveUp()
			return
		}
		select {
		case <-b.wake:
		case <-idle.C:
			if b.service.retire(b) {
				return
			}
		case <-b.service.stop:
		}
	}
}

func (b *book) stopping() bool {
	select {
	case <-b.service.stop:
		return true
	default:
		return false
	}
}

// giveUp counts what is still queued when the loop ends.
func (b *book) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.service.dropped.Add(uint64(len(b.queue)))
	b.drop(len(b.queue))
}

// pause waits a while, and reports false where the Service is closed.
func (b *book) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-b.service.stop:
		return false
	}
}

// load reads what is stored.
func (b *book) load() error {
	ctx, cancel := context.WithTimeout(context.Background(), loadTime)
	defer cancel()
	there := &book{}
	err := b.service.config.Log.Read(ctx, subject(b.room), 0, func(m bus.Stored) error {
		var stored message
		if err := json.Unmarshal(m.Bytes, &stored); err != nil {
			return fmt.Errorf("message %d: %w", m.Number, err)
		}
		there.append(m.Number, len(m.Bytes), stored.Cursor, len(stored.Entries))
		for _, e := range stored.Entries {
			there.recall(e)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load the log of a room: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.points, b.fresh = there.last, there.points, false
	if b.trying > 0 && there.next > b.next { // it was stored, and only the answer was lost
		b.drop(b.trying)
	}
	b.next = max(b.next, there.next)
	if b.next == 0 {
		b.next = uint64(time.Now().UnixMilli())
	}
	select {
	case <-b.loaded: // again
	default:
		chat := append(there.chat, b.chat...)
		b.chat = chat[max(0, len(chat)-wire.MaxChatKept):]
		close(b.loaded)
	}
	return nil
}

// append notes a message that is stored. The caller holds mu.
func (b *book) append(number uint64, size int, cursor uint64, entries int) {
	if n := len(b.points); n == 0 || b.points[n-1].bytes >= pointBytes {
		b.points = append(b.points, point{number: number, cursor: cursor})
	}
	b.points[len(b.points)-1].bytes += size
	b.last, b.next = number, cursor+uint64(entries)
}

// drop takes entries from the queue. The caller holds mu.
func (b *book) drop(n int) {
	for _, e := range b.queue[:n] {
		b.queuedBytes -= e.size()
	}
	b.queue, b.trying, b.tries = b.queue[n:], 0, 0
}

// take returns the next message, of entries that stay in the queue until it is known that they are stored; nil: there is none. One that is tried
// again is as it was.
func (b *book) take() *message {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := 0
	for again := b.trying > 0; !again && b.trying < len(b.queue) && b.queue[b.trying].changes == nil; b.trying++ {
		if size += b.queue[b.trying].size(); b.trying > 0 && size > maxMessageBytes {
			break
		}
	}
	if b.trying == 0 {
		return nil
	}
	return &message{Cursor: b.next, Entries: b.queue[:b.trying:b.trying]}
}

// store stores the next message, and reports whether there may be more.
func (b *book) store() bool {
	if changes := b.toCatchUp(); changes != nil {
		return b.catchUp(changes)
	}
	m := b.take()
	if m == nil {
		return false
	}
	bytes := encode(m)
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	number, err := b.service.config.Log.Append(ctx, subject(b.room), b.last, bytes)
	if err != nil {
		return b.failed(err)
	}
	b.mu.Lock()
	b.append(number, len(bytes), m.Cursor, len(m.Entries))
	b.drop(len(m.Entries))
	b.mu.Unlock()
	b.purge(ctx)
	return true
}

// failed deals with a message of which it is not known whether it is stored: it is looked, and then tried again.
func (b *book) failed(err error) (more bool) {
	b.fresh = true
	b.tries++
	hopeless := errors.Is(err, bus.ErrTooLarge) || errors.Is(err, bus.ErrSubject) || errors.Is(err, bus.ErrClosed)
	log := b.service.config.Logger
	if b.tries < MaxTries && !hopeless {
		log.Warn("entries of a room's log could not be stored; it is tried again", "entries", b.trying, "error", err)
		if errors.Is(err, bus.ErrSequence) { // all that there was is forgotten by now, or it came after all
			return true
		}
		return b.pause(min(faultPause<<(b.tries-1), maxPause))
	}
	log.Error("entries of a room's log were not stored", "entries", b.trying, "error", err)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.service.dropped.Add(uint64(b.trying))
	b.next += uint64(b.trying) // perhaps they are stored, so their cursors are gone
	b.drop(b.trying)
	return !errors.Is(err, bus.ErrClosed)
}

// purge forgets the oldest messages where the log is too long.
func (b *book) purge(ctx context.Context) {
	b.mu.Lock()
	size, n := 0, 0
	for _, p := range b.points {
		size += p.bytes
	}
	if size <= MaxRoomBytes+purgeWorth {
		b.mu.Unlock()
		return
	}
	for n < len(b.points)-1 && size > MaxRoomBytes {
		size -= b.points[n].bytes
		n++
	}
	below := b.points[n].number
	b.points = slices.Delete(b.points, 0, n)
	b.mu.Unlock()
	if err := b.service.config.Log.Purge(ctx, subject(b.room), below); err != nil {
		b.service.config.Logger.Warn("the oldest entries of a room's log were not purged", "error", err)
	}
}
