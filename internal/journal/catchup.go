package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// toCatchUp returns changes that are to be looked for in the log, if all that was queued before them is stored; nil: there are none.
func (b *book) toCatchUp() []state.LastChange {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return nil
	}
	return b.queue[0].changes
}

// catchUp puts what is not in the log before all that is queued, and reports whether there may be more to store.
func (b *book) catchUp(last []state.LastChange) bool {
	missing, err := b.missing(last)
	if err != nil {
		return b.unread(err)
	}
	b.unreads = 0
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(1)
	for _, e := range missing {
		b.volumes[changes].count(e, 1)
	}
	b.queue = append(missing, b.queue...)
	return true
}

// missing returns entries of those changes that the log has not, by name and version. What is older than what the log has of changes may have been
// forgotten, unless that is all that it ever had.
func (b *book) missing(last []state.LastChange) (entries []entry, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), loadTime)
	defer cancel()
	logged := map[noted]bool{}
	var first [volumes]bus.Stored
	for i, log := range b.service.logs {
		err := log.Read(ctx, subject(b.room), 0, func(m bus.Stored) error {
			if first[i].Number == 0 {
				first[i] = m
			}
			return noteAll(logged, m)
		})
		if err != nil {
			return nil, fmt.Errorf("look for changes in the log of a room: %w", err)
		}
	}
	b.mu.Lock()
	everAny := b.volumes[changes].next > 0
	b.mu.Unlock()
	since, err := oldestKnown(first, everAny)
	if err != nil {
		return nil, err
	}
	for _, c := range last {
		if logged[noted{c.RecordNoted, c.Deleted}] || since.IsZero() || c.At.Before(since) {
			continue
		}
		typ := wire.TypeRecordChanged
		if c.Deleted {
			typ = wire.TypeRecordDeleted
		}
		entries = append(entries, entry{At: c.At.UTC(), Type: typ, Body: encode(c.RecordNoted)})
	}
	return entries, nil
}

// oldestKnown is since when no change is forgotten, by the first messages of both volumes, and whether there ever were changes; zero: nothing is known.
func oldestKnown(first [volumes]bus.Stored, everAny bool) (since time.Time, err error) {
	if everAny {
		if first[changes].Number == 0 {
			return since, nil
		}
		m, err := decode(first[changes])
		if err != nil || m.Before[changes] > 0 {
			return first[changes].At, err
		}
	}
	for _, stored := range first { // none is forgotten: since the log began, which is before that was stored
		if stored.Number == 0 {
			continue
		}
		m, err := decode(stored)
		if err != nil {
			return since, err
		}
		at := stored.At
		if len(m.Entries) > 0 {
			at = m.Entries[0].At
		}
		if since.IsZero() || at.Before(since) {
			since = at
		}
	}
	return since, nil
}

// noted is a change of which the log has an entry.
type noted struct {
	about   wire.RecordNoted
	deleted bool
}

// noteAll adds those of a message.
func noteAll(logged map[noted]bool, m bus.Stored) error {
	stored, err := decode(m)
	if err != nil {
		return err
	}
	for _, e := range stored.Entries {
		if !aboutRecord(e.Type) {
			continue
		}
		var about wire.RecordNoted
		if err := json.Unmarshal(e.Body, &about); err != nil {
			return fmt.Errorf("message %d of a room's log: %w", m.Number, err)
		}
		logged[noted{about, e.Type == wire.TypeRecordDeleted}] = true
	}
	return nil
}
