package journal

import (
	"context"
	"encoding/json"
	"fmt"

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
func (b *book) catchUp(changes []state.LastChange) bool {
	missing, err := b.missing(changes)
	if err != nil {
		b.service.config.Logger.Error("the log of a room cannot be read; it is tried again", "error", err)
		return b.pause(faultPause)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(1)
	for _, e := range missing {
		b.queuedBytes += e.size()
	}
	b.queue = append(missing, b.queue...)
	return true
}

// missing returns entries of those changes that the log has not, by name and version. What is older than the log may have been forgotten.
func (b *book) missing(changes []state.LastChange) (entries []entry, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), loadTime)
	defer cancel()
	type noted struct {
		about   wire.RecordNoted
		deleted bool
	}
	logged := map[noted]bool{}
	var first bus.Stored
	err = b.service.config.Log.Read(ctx, subject(b.room), 0, func(m bus.Stored) error {
		if first.Number == 0 {
			first = m
		}
		var stored message
		if err := json.Unmarshal(m.Bytes, &stored); err != nil {
			return fmt.Errorf("message %d: %w", m.Number, err)
		}
		for _, e := range stored.Entries {
			var about wire.RecordNoted
			if e.Type != wire.TypeRecordChanged && e.Type != wire.TypeRecordDeleted {
				continue
			}
			if err := json.Unmarshal(e.Body, &about); err != nil {
				return fmt.Errorf("message %d: %w", m.Number, err)
			}
			logged[noted{about, e.Type == wire.TypeRecordDeleted}] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for changes in the log of a room: %w", err)
	}
	for _, c := range changes {
		if logged[noted{c.RecordNoted, c.Deleted}] || first.Number == 0 || c.At.Before(first.At) {
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
