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

// book is one room's open log.
type book struct {
	// static after construction
	service *Service
	room    string
	loaded  chan struct{} // closed when what is stored has been read
	wake    chan struct{} // capacity 1: queue has something

	// owned by loop
	fresh  bool   // what is stored is not known, or no longer
	trying int    // so many of the first that are queued are being stored: perhaps they are
	parts  []part // of these: what is not known to be stored
	tries  int    // of the first part, which were in vain

	// guarded by Service.mu
	used time.Time
	held bool // its room is there

	// guarded by mu
	mu      sync.Mutex
	queue   []entry
	next    uint64 // cursor of what is stored next
	volumes [volumes]volume
	chat    []json.RawMessage // the last, with what is queued
}

// note queues an entry, and reports false where too much is queued that goes where it does.
func (b *book) note(e entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.volumes[e.volume()].queue(e) {
		return false
	}
	b.queue = append(b.queue, e)
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
	lost := len(b.queue) - b.trying
	for _, p := range b.parts {
		lost += len(p.message.Entries)
	}
	b.service.dropped.Add(uint64(lost))
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
	for i := range there.volumes {
		if err := there.loadVolume(ctx, b.service.logs[i], i, subject(b.room)); err != nil {
			return fmt.Errorf("load the log of a room: %w", err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.volumes {
		there.volumes[i].next = max(there.volumes[i].next, b.volumes[i].next)
		b.volumes[i].stored = there.volumes[i].stored
	}
	b.fresh = false
	b.parts = slices.DeleteFunc(b.parts, func(p part) bool { return p.end <= b.volumes[p.volume].next }) // only the answer was lost
	if b.trying > 0 {
		b.finish()
	} else {
		b.next = max(b.next, there.volumes[people].next, there.volumes[changes].next)
	}
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

// loadVolume reads what is stored of one volume.
func (b *book) loadVolume(ctx context.Context, log bus.Log, volume int, subject string) error {
	return log.Read(ctx, subject, 0, func(m bus.Stored) error {
		stored, err := decode(m)
		if err != nil {
			return err
		}
		b.volumes[volume].append(m.Number, len(m.Bytes), stored)
		for i, next := range stored.Before {
			b.volumes[i].next = max(b.volumes[i].next, next)
		}
		for _, e := range stored.Entries {
			b.recall(e)
		}
		return nil
	})
}

// drop takes entries from the queue. The caller holds mu.
func (b *book) drop(n int) {
	for _, e := range b.queue[:n] {
		b.volumes[e.volume()].count(e, -1)
	}
	b.queue = b.queue[n:]
}

// take makes messages of what is queued, which stays in the queue until it is known what became of it. What is tried again is as it was.
func (b *book) take() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.trying > 0 {
		return
	}
	for size := 0; b.trying < len(b.queue) && b.queue[b.trying].changes == nil; b.trying++ {
		if size += b.queue[b.trying].size(); b.trying > 0 && size > maxMessageBytes {
			break
		}
	}
	b.parts = divide(b.next, b.queue[:b.trying])
}

// finish lets entries be read and others follow, once all messages of them are stored, or given up: then their cursors are gone, as perhaps they are
// stored. The caller holds mu.
func (b *book) finish() {
	if len(b.parts) > 0 {
		return
	}
	b.next += uint64(b.trying)
	b.drop(b.trying)
	b.trying, b.tries = 0, 0
}

// store stores what is queued, as the next messages, and reports whether there may be more.
func (b *book) store() bool {
	if changes := b.toCatchUp(); changes != nil {
		return b.catchUp(changes)
	}
	b.take()
	if b.trying == 0 {
		return false
	}
	for len(b.parts) > 0 {
		p := b.parts[0]
		for i := range b.volumes {
			p.message.Before[i] = b.volumes[i].next
		}
		bytes := encode(p.message)
		ctx, cancel := context.WithTimeout(context.Background(), storeTime)
		number, err := b.service.logs[p.volume].Append(ctx, subject(b.room), b.volumes[p.volume].last, bytes)
		if err != nil {
			cancel()
			return b.failed(err)
		}
		b.mu.Lock()
		b.volumes[p.volume].append(number, len(bytes), p.message)
		b.parts, b.tries = b.parts[1:], 0
		b.finish()
		b.mu.Unlock()
		b.purge(ctx, p.volume)
		cancel()
	}
	return true
}

// failed deals with a message of which it is not known whether it is stored: it is looked, and then tried again.
func (b *book) failed(err error) (more bool) {
	b.fresh = true
	b.tries++
	hopeless := errors.Is(err, bus.ErrTooLarge) || errors.Is(err, bus.ErrSubject) || errors.Is(err, bus.ErrClosed)
	log, entries := b.service.config.Logger, len(b.parts[0].message.Entries)
	if b.tries < MaxTries && !hopeless {
		log.Warn("entries of a room's log could not be stored; it is tried again", "entries", entries, "error", err)
		if errors.Is(err, bus.ErrSequence) { // all that there was is forgotten by now, or it came after all
			return true
		}
		return b.pause(min(faultPause<<(b.tries-1), maxPause))
	}
	log.Error("entries of a room's log were not stored", "entries", entries, "error", err)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.service.dropped.Add(uint64(entries))
	b.parts, b.tries = b.parts[1:], 0
	b.finish()
	return !errors.Is(err, bus.ErrClosed)
}

// purge forgets the oldest messages of a volume where it is too long.
func (b *book) purge(ctx context.Context, volume int) {
	b.mu.Lock()
	below := b.volumes[volume].shorten()
	b.mu.Unlock()
	if below == 0 {
		return
	}
	if err := b.service.logs[volume].Purge(ctx, subject(b.room), below); err != nil {
		b.service.config.Logger.Warn("the oldest entries of a room's log were not purged", "error", err)
	}
}
