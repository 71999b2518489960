// Package journal keeps what happens in rooms: one log for each room, which whoever is in the room can read. What is about records is on one bus.Log,
// all else on another, each bounded by age and size: however often records change, what people did and said stays.
//
// Note never waits: it puts an entry into a bounded queue. Each open log has a goroutine, which reads first what is stored, and then stores what
// is queued, all that has gathered during one sync as the next message of its bus.Log:
//
//	Note ─ queue ─→ loop ┬ {"c": cursor of the first, "e": entries} ─→ bus.Log, subject r<base64url of the room>
//	                     └ the same, of entries about records       ─→ bus.Log of changes
//
// A reading puts both together by their cursors, which grow by one with each entry. Those of a log in which nothing is stored begin with the time in milliseconds, so that they are higher
// than all that the room ever had, whatever was forgotten. Each of the two forgets by itself, so what had the last cursors may be gone where something older is left: see book.promise.
package journal

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Subject is where a node serves readings.
const Subject = "journal"

// Request is a message to Subject.
type Request struct {
	Room string       `json:"room"`
	By   state.Caller `json:"by"`
	wire.LogRead
}

// Answer is the answer to it.
type Answer struct {
	Log   *wire.Log   `json:"log,omitempty"`
	Error *wire.Error `json:"error,omitempty"`
}

// Config of a Service.
type Config struct {
	Bus bus.Bus
	// Log is where the logs are, but for what is about records, which is in Changes. Nobody else appends to them.
	Log, Changes bus.Log
	// Mended returns when damage was found in them last, so that what was stored before may be gone: no cursor of that is given out again. Zero: never; nil: they cannot be damaged.
	Mended func() time.Time
	// ReadsAny returns whether somebody may read a record of a room whatever it says. Others are not told what was written.
	ReadsAny func(room string, by state.Caller, record string) bool
	// Denied tells of these records of a room which somebody may not read. It may leave some out, but not the first, which are asked about again.
	Denied func(ctx context.Context, room string, by state.Caller, records []string) (map[string]bool, error)
	Logger *slog.Logger
}

// Service keeps the logs of a node's rooms. It is safe for concurrent use.
type Service struct {
	// static after construction
	config  Config
	logs    [volumes]bus.Log
	unserve func()
	stop    chan struct{} // closed by Close
	loops   sync.WaitGroup

	// guarded by mu
	mu     sync.Mutex
	closed bool
	books  map[string]*book
	// of rooms whose logs are being removed; closed when they are
	removing map[string]chan struct{}
	told     map[string]*complaint

	// atomic
	dropped atomic.Uint64
}

// New serves readings.
func New(c Config) (*Service, error) {
	s := &Service{config: c, logs: [volumes]bus.Log{people: c.Log, changes: c.Changes}, stop: make(chan struct{}), books: map[string]*book{}, removing: map[string]chan struct{}{}, told: map[string]*complaint{}}
	var err error
	if s.unserve, err = c.Bus.Serve(Subject, s.serve); err != nil {
		return nil, fmt.Errorf("serve the logs of rooms: %w", err)
	}
	return s, nil
}

// Close stores what is queued.
func (s *Service) Close() {
	s.unserve()
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	s.mu.Unlock()
	s.loops.Wait()
}

// Dropped counts entries that were not logged, as too many waited.
func (s *Service) Dropped() uint64 { return s.dropped.Load() }

// Note logs what has happened in a room, as the event of that type tells it. It never waits, and keeps body.
func (s *Service) Note(room, typ string, body []byte) {
	b := s.book(room)
	if b == nil || !b.note(entry{At: time.Now().UTC(), Type: typ, Body: body}) {
		s.dropped.Add(1)
	}
}

// CatchUp logs of a room's records, of which these are the last changes, what is not logged: the process may have ended between a change and its entry. It never waits, keeps changes,
// and is called before what is changed next is noted.
func (s *Service) CatchUp(room string, changes []state.LastChange) {
	b := s.book(room)
	if b == nil || !b.note(entry{changes: changes}) {
		s.dropped.Add(1)
	}
}

// Chat returns the last chat of a room to everyone, the oldest first.
func (s *Service) Chat(ctx context.Context, room string) ([]wire.ChatMessage, error) {
	b := s.book(room)
	if b == nil {
		return nil, fmt.Errorf("more than %d logs, or none any more", MaxRooms)
	}
	select {
	case <-b.loaded:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	chat := make([]wire.ChatMessage, 0, len(b.chat))
	for _, body := range b.chat {
		var m wire.ChatMessage
		if err := json.Unmarshal(body, &m); err != nil {
			return nil, fmt.Errorf("read a chat message of the log: %w", err)
		}
		chat = append(chat, m)
	}
	return chat, nil
}

// Hold keeps the log of a room open, which is there from now on.
func (s *Service) Hold(room string) { s.hold(room, true) }

// Release lets it be closed, as the room has ended.
func (s *Service) Release(room string) { s.hold(room, false) }

func (s *Service) hold(room string, held bool) {
	if b := s.book(room); b != nil {
		s.mu.Lock()
		b.held = held
		s.mu.Unlock()
	}
}

// book returns a room's open log, opened if it is not; nil where there can be none.
func (s *Service) book(room string) *book {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.books[room]; b != nil {
		b.used = time.Now()
		return b
	}
	if s.closed || len(s.books) >= MaxRooms {
		return nil
	}
	b := &book{
		service: s, room: room, before: s.removing[room], loaded: make(chan struct{}), wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		used: time.Now(),
	}
	s.books[room] = b
	s.loops.Go(b.run)
	return b
}

// retire closes a log whose room is not there, that was not used for a while and has nothing to store. It reports whether it did.
func (s *Service) retire(b *book) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.books[b.room] != b || !b.isUnused() { // another one may have its place, as this one is being removed
		return false
	}
	delete(s.books, b.room)
	return true
}

// unused tells whether a log is about to be closed.
func (s *Service) unused(b *book) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return b.isUnused()
}

// isUnused is that. The caller holds the Service's mu.
func (b *book) isUnused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.held && time.Since(b.used) >= idleTime && len(b.queue) == 0
}

// complaint is about the disk, which mostly fails for all rooms alike.
type complaint struct {
	at   time.Time // when it was logged
	more int       // as many since, which were not
}

// complain logs what a disk does, but not again and again.
func (s *Service) complain(level slog.Level, text string, err error) {
	s.mu.Lock()
	c := s.told[text]
	if c == nil {
		c = &complaint{}
		s.told[text] = c
	}
	if !c.at.IsZero() && time.Since(c.at) < quietTime {
		c.more++
		s.mu.Unlock()
		return
	}
	more := c.more
	*c = complaint{at: time.Now()}
	s.mu.Unlock()
	s.config.Logger.Log(context.Background(), level, text, "error", err, "more", more)
}

// serve answers one reading.
func (s *Service) serve(ctx context.Context, b []byte) []byte {
	var r Request
	if err := json.Unmarshal(b, &r); err != nil {
		return encode(Answer{Error: wire.NewError(wire.CodeBadRequest, "the request cannot be understood", "see docs/protocol.md, section 18.8")})
	}
	log, err := s.read(ctx, r)
	if err != nil {
		s.complain(slog.LevelError, "a reading of a room's log failed", err)
		return encode(Answer{Error: &wire.Error{Code: wire.CodeOverloaded, Message: "the log cannot be read now", Next: "try again", RetrySeconds: 1}})
	}
	return encode(Answer{Log: log})
}

// subject is where a room's log is. What a client names is no token of it before it is encoded.
func subject(room string) string { return "r" + base64.RawURLEncoding.EncodeToString([]byte(room)) }

// encode is for types of ours, which always can be. Nothing is escaped for HTML: entries have a limit in bytes.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("journal: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
