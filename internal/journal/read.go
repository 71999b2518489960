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

// read reads entries after a cursor, without those about records that the caller may not read. Where there are many of these it ends without any
// other: whoever asks goes on from there.
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
	r.By.Room = r.Room // who asks is in the room whose log it is: permissions look at that
	limit := wire.MaxLogEntries
	if r.Limit > 0 {
		limit = min(limit, r.Limit)
	}
	log, n := &wire.Log{After: r.After}, limit
	for range MaxRounds {
		if err := b.entries(ctx, log, n); err != nil {
			return nil, err
		}
		if err := s.withhold(ctx, r, log); err != nil {
			return nil, err
		}
		if len(log.Entries) > limit {
			log.Entries = log.Entries[:limit]
			log.After = log.Entries[limit-1].Cursor
		}
		if len(log.Entries) > 0 || log.After >= log.Last {
			break
		}
		n = wire.MaxLogEntries // all was left out
	}
	return log, nil
}

// entries reads so many entries behind log.After, and moves that.
func (b *book) entries(ctx context.Context, log *wire.Log, limit int) error {
	b.mu.Lock()
	after, from := log.After, uint64(0)
	log.Entries, log.First, log.Last = []wire.LogEntry{}, b.next, b.next-1
	for _, p := range b.points {
		if from == 0 || p.cursor <= after+1 {
			from = p.number
		}
	}
	b.mu.Unlock()
	log.After = max(log.After, log.Last)
	if from == 0 || after >= log.Last {
		return b.oldest(ctx, log)
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
			case len(log.Entries) == limit || len(log.Entries) > 0 && size+len(e.Body) > wire.MaxBulkBytes:
				log.After = log.Entries[len(log.Entries)-1].Cursor
				return errEnough
			case cursor > log.Last: // stored meanwhile
				return errEnough
			}
			size += len(e.Body)
			log.Entries = append(log.Entries, wire.LogEntry{Cursor: cursor, At: e.At, Type: e.Type, Body: e.Body})
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return b.oldest(ctx, log)
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

// withhold leaves out what the caller may not know: all about records that it may not read, and what was written into those that it may read because
// of what is in them now. Where not every record could be asked about, the log ends before the first that was not.
func (s *Service) withhold(ctx context.Context, r Request, log *wire.Log) error {
	about := make([]wire.RecordNoted, len(log.Entries)) // without a name: no record
	var ask []string
	readsAny := map[string]bool{} // of those that were looked at
	for i, e := range log.Entries {
		if e.Type != wire.TypeRecordChanged && e.Type != wire.TypeRecordDeleted {
			continue
		}
		if err := json.Unmarshal(e.Body, &about[i]); err != nil {
			return fmt.Errorf("entry %d of a room's log: %w", e.Cursor, err)
		}
		name := about[i].Name
		if _, looked := readsAny[name]; looked {
			continue
		}
		if readsAny[name] = s.config.ReadsAny(r.Room, r.By, name); !readsAny[name] {
			ask = append(ask, name)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	denied, err := s.config.Denied(ctx, r.Room, r.By, ask)
	if err != nil {
		return fmt.Errorf("ask who may read records: %w", err)
	}
	allowed := log.Entries[:0]
	for i, e := range log.Entries {
		if name := about[i].Name; name != "" && !readsAny[name] {
			no, asked := denied[name]
			if !asked {
				log.After = e.Cursor - 1
				break
			}
			if no {
				continue
			}
			e.Body = encode(about[i])
		}
		allowed = append(allowed, e)
	}
	log.Entries = allowed
	return nil
}
