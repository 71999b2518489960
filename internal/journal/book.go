package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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
	before  chan struct{} // closed when what was stored before is removed; nil: it is there
	loaded  chan struct{} // closed when what is stored has been read
	wake    chan struct{} // capacity 1: queue has something
	stop    chan struct{} // closed by Service.Remove
	done    chan struct{} // closed when the loop has ended

	// owned by loop
	fresh  bool   // what is stored is not known, or no longer
	trying int    // so many of the first that are queued are being stored: perhaps they are
	parts  []part // of these: what is not known to be stored
	tries  int    // of the first part, which were in vain
	// readings in a row that have failed
	unreads int
	// of the last stored message of what people did:
	promised uint64 // what it promises
	told     bool   // it tells that there were changes

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

// run is the loop. It ends when the room is not there and the log was not used for a while, or with the Service or for Remove, when what is queued is stored.
func (b *book) run() {
	defer close(b.done)
	if b.before != nil {
		<-b.before
	}
	idle := time.NewTicker(idleTime)
	defer idle.Stop()
	b.fresh = true
	for {
		stopping := b.stopping()
		if b.fresh {
			if err := b.load(); err != nil {
				if stopping || !b.unread(err) {
					b.giveUp()
					return
				}
				continue
			}
			b.unreads = 0
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
			if b.service.unused(b) {
				b.settle()
			}
			if b.service.retire(b) {
				return
			}
		case <-b.stop:
		case <-b.service.stop:
		}
	}
}

// unread waits after a reading that has failed, longer each time, and reports false where the Service is closed.
func (b *book) unread(err error) bool {
	b.service.complain(slog.LevelError, "the log of a room cannot be read; it is tried again", err)
	b.unreads++
	return b.pause(pauseAfter(b.unreads))
}

// pauseAfter so many tries.
func pauseAfter(tries int) time.Duration { return min(faultPause<<min(tries-1, 10), maxPause) }

func (b *book) stopping() bool {
	select {
	case <-b.stop:
		return true
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

// pause waits a while, and reports false where the loop is to end.
func (b *book) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-b.stop:
		return false
	case <-b.service.stop:
		return false
	}
}

// load reads what is stored.
func (b *book) load() error {
	ctx, cancel := context.WithTimeout(context.Background(), loadTime)
	defer cancel()
	there, err := b.service.readBook(ctx, b.room)
	if err != nil {
		return fmt.Errorf("load the log of a room: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next > 0 { // again: it is known what was given out
		there.next = b.next
	}
	for i := range b.volumes {
		v := &there.volumes[i].stored
		v.next, v.whole = max(v.next, b.volumes[i].next), max(min(v.whole, there.next), b.volumes[i].whole)
		b.volumes[i].stored = *v
	}
	b.fresh, b.promised, b.told = false, there.promised, there.told
	b.parts = slices.DeleteFunc(b.parts, func(p part) bool { // only the answer was lost
		return len(p.message.Entries) > 0 && p.end <= b.volumes[p.volume].next
	})
	if b.trying > 0 {
		b.finish()
	} else {
		b.next = max(there.next, b.volumes[people].next, b.volumes[changes].next)
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

// readBook reads what is stored of a room.
func (s *Service) readBook(ctx context.Context, room string) (there *book, err error) {
	there = &book{}
	var runs [volumes][]run
	for i := range there.volumes {
		if runs[i], err = there.loadVolume(ctx, s.logs[i], i, subject(room)); err != nil {
			return nil, err
		}
	}
	there.volumes[people].whole = gapless(runs, max(there.volumes[people].next, there.volumes[changes].next))
	var mended time.Time
	if s.config.Mended != nil {
		mended = s.config.Mended()
	}
	there.goOn(mended)
	return there, nil
}

// loadVolume reads what is stored of one volume, and returns the cursors of its entries.
func (b *book) loadVolume(ctx context.Context, log bus.Log, volume int, subject string) (runs []run, err error) {
	err = log.Read(ctx, subject, 0, func(m bus.Stored) error {
		stored, err := decode(m)
		if err != nil {
			return err
		}
		b.volumes[volume].append(m.Number, len(m.Bytes), stored)
		stored.each(func(cursor uint64, _ entry) bool {
			runs = extend(runs, cursor)
			return true
		})
		if volume == people {
			b.promised, b.told = stored.Promised, stored.Before[changes] > 0
		}
		for i, next := range stored.Before {
			b.volumes[i].next = max(b.volumes[i].next, next)
		}
		for _, e := range stored.Entries {
			b.recall(e)
		}
		return nil
	})
	return runs, err
}

// goOn chooses the next cursor behind what is stored: behind all that were given out, also where what had the last ones is gone. A volume forgets its oldest messages first, so
// where something is left of it its last message is; and where nothing is left of what people did, the time has to do, as it does where nothing is left at all. After damage that was found
// then any message may be gone.
func (b *book) goOn(mended time.Time) {
	p, c := &b.volumes[people], &b.volumes[changes]
	b.next = max(p.next, c.next)
	if c.last == 0 && b.promised > b.next {
		b.next, c.whole = b.promised, b.promised
	}
	if p.last == 0 {
		b.next = max(b.next, uint64(time.Now().UnixMilli()))
		if c.last > 0 {
			p.whole = b.next
		}
	}
	if at := uint64(mended.UnixMilli()); !mended.IsZero() && b.next < at {
		b.next, p.whole, c.whole = at, at, at
	}
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
	b.parts = b.promise(divide(b.next, b.queue[:b.trying]))
}

// promise sees to it that no cursor of an entry about a record is ever given out again, also where all of these are forgotten and a message of what people did is the last that is left:
// that tells up to where there may have been some. One without entries is stored for that, if need be, before a change, ahead for many; and one more behind the
// first change, which tells that there was one.
func (b *book) promise(parts []part) []part {
	last := len(parts) - 1
	if last < 0 || parts[last].volume != changes {
		return parts
	}
	if end := parts[last].end; end > b.promised {
		if promised := end + promisedAhead; parts[0].volume == people {
			parts[0].message.Promised = promised
		} else {
			parts = append([]part{b.mark(promised)}, parts...)
		}
	}
	if !b.told {
		parts = append(parts, b.mark(0))
	}
	return parts
}

// settle takes back what was promised and is not used, before the log is closed: so nothing is skipped when it is opened again.
func (b *book) settle() {
	if b.fresh || b.promised <= b.next {
		return
	}
	m := message{Cursor: b.next}
	for i := range b.volumes {
		m.Before[i] = b.volumes[i].next
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	bytes := encode(m)
	number, err := b.service.logs[people].Append(ctx, subject(b.room), b.volumes[people].last, bytes)
	if err != nil {
		b.fresh = true // it is not known
		b.service.complain(slog.LevelWarn, "what was promised in a room's log could not be taken back: cursors will be skipped", err)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.volumes[people].append(number, len(bytes), m)
	b.promised, b.told = 0, m.Before[changes] > 0
}

// mark returns a message of what people did that has no entries.
func (b *book) mark(promised uint64) part {
	return part{volume: people, message: message{Cursor: b.next, Promised: promised}}
}

// isDone tells whether a message needs not be stored, as those of what people did say what it was to say.
func (b *book) isDone(p part) bool {
	return len(p.message.Entries) == 0 && p.message.Promised <= b.promised && (b.told || p.message.Promised > 0)
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
		if b.isDone(p) {
			b.mu.Lock()
			b.parts = b.parts[1:]
			b.finish()
			b.mu.Unlock()
			continue
		}
		for i := range b.volumes {
			p.message.Before[i] = b.volumes[i].next
		}
		if p.volume == people && b.promised > p.end {
			p.message.Promised = max(p.message.Promised, b.promised)
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
		if p.volume == people {
			b.promised, b.told = p.message.Promised, p.message.Before[changes] > 0
		}
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
	if b.tries < MaxTries && !hopeless {
		b.service.complain(slog.LevelWarn, "entries of a room's log could not be stored; it is tried again", err)
		if errors.Is(err, bus.ErrSequence) { // all that there was is forgotten by now, or it came after all
			return true
		}
		return b.pause(pauseAfter(b.tries))
	}
	b.service.complain(slog.LevelError, "entries of a room's log were not stored", err)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.service.dropped.Add(uint64(b.forgo()))
	b.finish()
	return !errors.Is(err, bus.ErrClosed)
}

// forgo gives up the first message, and returns how many entries are lost. What it was to promise has to be promised all the same, or else the changes that follow are not stored either.
// The caller holds mu.
func (b *book) forgo() (entries int) {
	p := b.parts[0]
	entries, b.parts, b.tries = len(p.message.Entries), b.parts[1:], 0
	switch {
	case p.message.Promised <= b.promised:
	case entries > 0:
		b.parts = append([]part{b.mark(p.message.Promised)}, b.parts...)
	default:
		for _, p := range b.parts {
			entries += len(p.message.Entries)
		}
		b.parts = nil
	}
	return entries
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
		b.service.complain(slog.LevelWarn, "the oldest entries of a room's log were not purged", err)
	}
}
