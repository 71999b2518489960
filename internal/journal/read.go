package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

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
	after, from := log.After, [volumes]uint64{}
	log.Entries, log.First, log.Last = []wire.LogEntry{}, b.next, b.next-1
	for i := range b.volumes {
		from[i] = b.volumes[i].from(after)
	}
	b.mu.Unlock()
	horizon := log.Last // up to which all was read
	for i := range from {
		if from[i] == 0 || after >= log.Last {
			continue
		}
		entries, upTo, err := b.entriesOf(ctx, i, from[i], span{after, log.Last, limit})
		if err != nil {
			return err
		}
		log.Entries, horizon = append(log.Entries, entries...), min(horizon, upTo)
	}
	log.After = max(after, horizon)
	slices.SortFunc(log.Entries, func(a, b wire.LogEntry) int { return cmp.Compare(a.Cursor, b.Cursor) })
	cut(log, horizon, limit)
	return b.oldest(ctx, log)
}

// span is what to read: entries with cursors above after, up to last, and so many.
type span struct {
	after, last uint64
	limit       int
}

// takes tells whether there is room for one more entry, where so many bytes are taken.
func (s span) takes(entries []wire.LogEntry, size int, body []byte) bool {
	return len(entries) < s.limit && (len(entries) == 0 || size+len(body) <= wire.MaxBulkBytes)
}

// entriesOf reads entries of one volume, from a message on, and up to which cursor these are all that it has.
func (b *book) entriesOf(ctx context.Context, volume int, from uint64, s span) (entries []wire.LogEntry, upTo uint64, err error) {
	size := 0
	upTo = s.last
	err = b.service.logs[volume].Read(ctx, subject(b.room), from-1, func(m bus.Stored) error {
		stored, err := decode(m)
		if err != nil {
			return err
		}
		stored.each(func(cursor uint64, e entry) bool {
			switch {
			case cursor <= s.after:
				return true
			case cursor > s.last: // stored meanwhile
				err = errEnough
			case !s.takes(entries, size, e.Body):
				upTo, err = entries[len(entries)-1].Cursor, errEnough
			default:
				size += len(e.Body)
				entries = append(entries, wire.LogEntry{Cursor: cursor, At: e.At, Type: e.Type, Body: e.Body})
			}
			return err == nil
		})
		return err
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return entries, upTo, err
}

// cut leaves of the entries of both volumes what is complete, and not too much.
func cut(log *wire.Log, horizon uint64, limit int) {
	size, s := 0, span{limit: limit}
	for i, e := range log.Entries {
		if e.Cursor > horizon {
			log.Entries = log.Entries[:i]
			return
		}
		if !s.takes(log.Entries[:i], size, e.Body) {
			log.Entries, log.After = log.Entries[:i], log.Entries[i-1].Cursor
			return
		}
		size += len(e.Body)
	}
}

// oldest finds out where the log begins now, and from where on nothing is gone: the bus.Log forgets by itself.
func (b *book) oldest(ctx context.Context, log *wire.Log) error {
	var whole, gaps [volumes]uint64 // the same of each volume
	b.mu.Lock()
	for i := range whole {
		whole[i], gaps[i] = b.volumes[i].next, b.volumes[i].whole // where it is empty
	}
	b.mu.Unlock()
	for i := range whole {
		m, err := b.service.logs[i].First(ctx, subject(b.room))
		if err != nil {
			return err
		}
		if m.Number == 0 {
			continue
		}
		stored, err := decode(m)
		if err != nil {
			return err
		}
		log.First, whole[i] = min(log.First, stored.Cursor), stored.Before[i]
	}
	log.Complete = max(log.First, min(log.Last+1, max(whole[people], whole[changes], gaps[people], gaps[changes])))
	return nil
}

// withhold leaves out what the caller may not know: all about records that it may not read, and what was written into those that it may read because
// of what is in them now. Where not every record could be asked about, the log ends before the first that was not.
func (s *Service) withhold(ctx context.Context, r Request, log *wire.Log) error {
	about := make([]wire.RecordNoted, len(log.Entries)) // without a name: no record
	var ask []string
	readsAny := map[string]bool{} // of those that were looked at
	for i, e := range log.Entries {
		if !aboutRecord(e.Type) {
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
