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
	"github.com/parley-rtc/parley/wire"
)

// entry is one thing that happened, as it is stored.
type entry struct {
	At   time.Time       `json:"t"`
	Type string          `json:"y"`
	Body json.RawMessage `json:"b"`
}

func (e entry) size() int { return len(e.Body) + len(e.Type) + 64 }

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
	last  uint64 // number of the last message that is stored
	fresh bool   // what is stored is not known, or no longer

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
				if stopping || !b.pause() {
					return
				}
				continue
			}
		}
		if more := b.store(); more {
			continue
		}
		if stopping {
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

// pause waits a moment, and reports false where the Service is closed.
func (b *book) pause() bool {
	timer := time.NewTimer(faultPause)
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

// store stores the next message, and reports whether there may be more.
func (b *book) store() bool {
	b.mu.Lock()
	n, size := 0, 0
	for n < len(b.queue) && (n == 0 || size+b.queue[n].size() <= maxMessageBytes) {
		size += b.queue[n].size()
		n++
	}
	if n == 0 {
		b.mu.Unlock()
		return false
	}
	m := message{Cursor: b.next, Entries: b.queue[:n:n]}
	b.mu.Unlock()
	bytes := encode(m)
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	number, err := b.service.config.Log.Append(ctx, subject(b.room), b.last, bytes)
	if errors.Is(err, bus.ErrSequence) { // all that there was is forgotten by now, and this is not stored
		b.fresh = true
		return true
	}
	b.mu.Lock()
	b.queue, b.queuedBytes = b.queue[n:], b.queuedBytes-size
	if err == nil {
		b.append(number, len(bytes), m.Cursor, n)
	} else { // perhaps they are stored, so their cursors are gone
		b.next += uint64(n)
		b.fresh = true
	}
	b.mu.Unlock()
	if err != nil {
		b.service.dropped.Add(uint64(n))
		b.service.config.Logger.Error("entries of a room's log were not stored", "entries", n, "error", err)
		return b.pause()
	}
	b.purge(ctx)
	return true
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
