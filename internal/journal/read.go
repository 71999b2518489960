package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/wire"
)

// errEnough ends a reading.
var errEnough = errors.New("enough")

// read reads entries after a cursor, without those about records that the caller may not read.
func (s *Service) read(ctx context.Context, r Request) (*wire.Log, error) {
	b := s.book(r.Room)
	if b == nil {
		return nil, fmt.Errorf("more than %d logs, or none any more", MaxRooms)
	}
	select {
	case <-b.loaded:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	limit := wire.MaxLogEntries
	if r.Limit > 0 {
		limit = min(limit, r.Limit)
	}
	for after := r.After; ; {
		log, err := b.entries(ctx, after, limit)
		if err != nil || len(log.Entries) == 0 {
			return log, err
		}
		if after, err = s.withhold(ctx, r, log); err != nil || len(log.Entries) > 0 {
			return log, err
		} // else whoever asks could not go on from there
	}
}

// entries reads what is stored after a cursor.
func (b *book) entries(ctx context.Context, after uint64, limit int) (*wire.Log, error) {
	b.mu.Lock()
	log := &wire.Log{Entries: []wire.LogEntry{}, First: b.next, Last: b.next - 1}
	from := uint64(0)
	for _, p := range b.points {
		if from == 0 || p.cursor <= after+1 {
			from = p.number
		}
	}
	b.mu.Unlock()
	if from == 0 || after >= log.Last {
		return log, b.oldest(ctx, log)
	}
	size := 0
	err := b.service.config.Log.Read(ctx, subject(b.room), from-1, func(m bus.Stored) error {
		var stored message
		if err := json.Unmarshal(m.Bytes, &stored); err != nil {
			return fmt.Errorf("message %d of a room's log: %w", m.Number, err)
		}
		for i, e := range stored.Entries {
			cursor := stored.Cursor + uint64(i)
			switch {
			case cursor <= after:
				continue
			case len(log.Entries) == limit || size+len(e.Body) > wire.MaxBulkBytes:
				return errEnough
			}
			size += len(e.Body)
			log.Entries = append(log.Entries, wire.LogEntry{Cursor: cursor, At: e.At, Type: e.Type, Body: e.Body})
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return log, b.oldest(ctx, log)
}

// oldest finds out where the log begins now: the bus.Log forgets by itself.
func (b *book) oldest(ctx context.Context, log *wire.Log) error {
	m, err := b.service.config.Log.First(ctx, subject(b.room))
	if err != nil || m.Number == 0 {
		return err
	}
	var stored message
	if err := json.Unmarshal(m.Bytes, &stored); err != nil {
		return fmt.Errorf("message %d of a room's log: %w", m.Number, err)
	}
	log.First = stored.Cursor
	return nil
}

// withhold leaves out what the caller may not know, and returns the cursor up to which that is all. Where not every record could be asked about, it
// ends before the first that was not.
func (s *Service) withhold(ctx context.Context, r Request, log *wire.Log) (upTo uint64, err error) {
	upTo = log.Entries[len(log.Entries)-1].Cursor
	named := make([]string, len(log.Entries)) // "": about no record
	var records []string
	seen := map[string]bool{}
	for i, e := range log.Entries {
		if e.Type != wire.TypeRecordChanged && e.Type != wire.TypeRecordDeleted {
			continue
		}
		var body struct {
			Name string `json:"name"`
		}
		if err := json.Unmarshal(e.Body, &body); err != nil {
			return 0, fmt.Errorf("entry %d of a room's log: %w", e.Cursor, err)
		}
		if named[i] = body.Name; !seen[body.Name] {
			seen[body.Name] = true
			records = append(records, body.Name)
		}
	}
	if len(records) == 0 {
		return upTo, nil
	}
	denied, err := s.config.Denied(ctx, r.Room, r.By, records)
	if err != nil {
		return 0, fmt.Errorf("ask who may read records: %w", err)
	}
	allowed := log.Entries[:0]
	for i, e := range log.Entries {
		if _, asked := denied[named[i]]; named[i] != "" && !asked {
			upTo = e.Cursor - 1
			break
		}
		if !denied[named[i]] {
			allowed = append(allowed, e)
		}
	}
	log.Entries = allowed
	return upTo, nil
}
