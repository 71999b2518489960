// Package rooms runs rooms on their home node: one actor per room, the only writer of a room.Room.
//
// A session asks by bus request on Subject(room), in JSON (Request, Reply), and is told on SessionSubject(session) (Event).
// The actor applies each command, then carries out the effects: commands to the media plane, events, the reply. It never
// waits for anyone: events go into bounded queues of the bus, and commands that the media plane cannot take are owed to it.
//
//	request → decode, parse SDP (on the asker's goroutine) → inbox → Room.Apply → media commands, events, reply
//	media event → newest state per Transport → Room.Apply → …
//
// The package owns the actors' goroutines. A room is opened by its first join and ends some time after the last session left.
package rooms

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/room"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// Media is a shard, as far as rooms know it.
type Media interface {
	// Do takes a command. It never blocks, and reports false when the command could not be taken.
	Do(media.Command) bool
	// Reserve takes a place for a Transport before its client is answered, or says why there is none.
	Reserve(source netip.Addr) (media.Place, media.Refusal)
	// Refuses tells what Reserve would, and takes nothing.
	Refuses(source netip.Addr) media.Refusal
}

// Config is what a Service is made of.
type Config struct {
	Bus bus.Bus
	// Shards are where the media of rooms lives, by number. Each room has its home on one of them.
	Shards []Media
	// SpreadFrom is how many slots of a room a shard fills before the room goes on to another; 0: DefaultSpreadFrom.
	SpreadFrom int
	// Candidates are put into answers. It is called concurrently.
	Candidates  func() []sdp.Candidate
	Fingerprint sdp.Fingerprint // of the server's DTLS certificate
	Linger      time.Duration   // 0: DefaultLinger
	Random      io.Reader       // crypto/rand.Reader
	Presence    Presence        // nil: nobody is told
	Journal     Journal         // nil: there are no logs
	State       Keeper          // of shared state; nil: there is none
	Log         *slog.Logger
}

// Presence is told who is in which room, hidden participants too, by the rooms' goroutines: it must not block. An identity that is replaced leaves and
// enters.
type Presence interface {
	Entered(room, identity string)
	Left(room, identity string, why wire.Code)
}

// Keeper has something of rooms.
type Keeper interface {
	// Hold says that a room is there, and Release that it is no longer: meanwhile what there is of it stays. Neither waits.
	Hold(room string)
	Release(room string)
}

// Journal keeps the logs of rooms: those of rooms that are there are at hand.
type Journal interface {
	Keeper
	// Note logs an event. It never waits, and keeps body.
	Note(room, typ string, body []byte)
	// Chat returns the last chat of a room of this name.
	Chat(ctx context.Context, room string) ([]wire.ChatMessage, error)
}

// Service runs the rooms of this node. It is safe for concurrent use.
type Service struct {
	// static after construction
	config   Config
	places   *places
	stopOpen func()
	actors   sync.WaitGroup

	// guarded by mu
	mu       sync.Mutex
	closed   bool
	rooms    map[string]*actor
	lastRoom uint64
	refusals map[wire.Code]uint64

	// atomic
	draining                           atomic.Bool
	participants, hidden, publications atomic.Int64
	joins, panics                      atomic.Uint64
}

// Stats counts what there is, and what has happened.
type Stats struct {
	Rooms, Participants, Hidden, Publications int
	Joins                                     uint64
	Panics                                    uint64 // rooms that ended by a fault of the server
	Refusals                                  map[wire.Code]uint64
}

// New starts to serve rooms.
func New(c Config) (*Service, error) {
	if c.Linger == 0 {
		c.Linger = DefaultLinger
	}
	if c.SpreadFrom == 0 {
		c.SpreadFrom = DefaultSpreadFrom
	}
	s := &Service{config: c, places: newPlaces(len(c.Shards)), rooms: map[string]*actor{}, refusals: map[wire.Code]uint64{}}
	stop, err := c.Bus.Serve(OpenSubject, s.serveOpen)
	if err != nil {
		return nil, fmt.Errorf("serve rooms: %w", err)
	}
	s.stopOpen = stop
	return s, nil
}

// Drain refuses every further join. Sessions that there are go on.
func (s *Service) Drain() { s.draining.Store(true) }

// Stats returns the counts of this moment.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Rooms: len(s.rooms), Participants: int(s.participants.Load()), Hidden: int(s.hidden.Load()),
		Publications: int(s.publications.Load()), Joins: s.joins.Load(), Panics: s.panics.Load(),
		Refusals: maps.Clone(s.refusals),
	}
}

// Close ends every session and room, and waits for the actors. The bus and the media plane must still be there.
func (s *Service) Close() {
	s.Drain()
	s.stopOpen()
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		for _, a := range s.rooms {
			close(a.stop)
		}
	}
	s.mu.Unlock()
	s.actors.Wait()
}

// serveOpen opens a room, unless it is there.
func (s *Service) serveOpen(ctx context.Context, b []byte) []byte {
	var r openRequest
	if json.Unmarshal(b, &r) != nil {
		return s.refuse(wire.NewError(wire.CodeBadRequest, "the request to open a room cannot be understood", ""))
	}
	if refused := room.CheckName(r.Room); refused != nil {
		return s.refuse(refused)
	}
	if refused := s.open(r, s.recall(ctx, r.Room)); refused != nil {
		return s.refuse(refused)
	}
	return encode(Reply{Type: wire.TypeOK})
}

// recall reads the last chat of a room that is not there. Whoever opens it waits for that, but not for long.
func (s *Service) recall(ctx context.Context, name string) []wire.ChatMessage {
	s.mu.Lock()
	there := s.rooms[name] != nil || s.closed
	s.mu.Unlock()
	if s.config.Journal == nil || there {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, recallTime)
	defer cancel()
	chat, err := s.config.Journal.Chat(ctx, name)
	if err != nil {
		s.config.Log.Warn("a room opens without its chat of before", "err", err)
	}
	return chat
}

func (s *Service) open(r openRequest, chat []wire.ChatMessage) *wire.Error {
	name := r.Room
	noPlace := s.noPlace(r.Source)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed || s.draining.Load():
		return draining()
	case s.rooms[name] != nil:
		return nil
	case noPlace != nil:
		return noPlace
	case len(s.rooms) >= MaxRooms:
		return &wire.Error{
			Code: wire.CodeOverloaded, Message: "this server has too many rooms",
			Next: "try again later, or join a room that there is", RetrySeconds: 30,
		}
	}
	s.lastRoom++
	a, err := newActor(s, name, s.lastRoom, chat)
	if err != nil {
		s.config.Log.Error("cannot open a room", "err", err)
		return &wire.Error{Code: wire.CodeInternal, Message: "the room could not be opened", Next: "try again", RetrySeconds: 5}
	}
	s.rooms[name] = a
	s.keepers(func(k Keeper) { k.Hold(name) })
	s.actors.Add(1)
	go func() {
		defer s.actors.Done()
		a.run()
	}()
	return nil
}

// retire takes a room out of the table: from now on, a join opens another one.
func (s *Service) retire(a *actor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.unserve()
	delete(s.rooms, a.name)
	s.keepers(func(k Keeper) { k.Release(a.name) })
}

func (s *Service) keepers(tell func(Keeper)) {
	if s.config.Journal != nil {
		tell(s.config.Journal)
	}
	if s.config.State != nil {
		tell(s.config.State)
	}
}

func (s *Service) refuse(e *wire.Error) []byte {
	s.count(e)
	return encode(Reply{Error: e})
}

func (s *Service) count(e *wire.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals[e.Code]++
}

// noPlace refuses to open a room for somebody who could have no Transport in it: it would be there for nothing.
func (s *Service) noPlace(source netip.Addr) *wire.Error {
	return unplaced(s.config.Shards[s.places.least(0)].Refuses(source))
}

// unplaced is what a client is told whose Transport has no place.
func unplaced(r media.Refusal) *wire.Error {
	switch r {
	case media.Admitted:
		return nil
	case media.Crowded:
		return &wire.Error{
			Code: wire.CodeRate, Message: "too many connections of this network address have been answered and wait for their first connectivity check",
			Next: "let those connect, or close them; then try again", RetrySeconds: retryUnchecked,
		}
	case media.Unchecked:
		return &wire.Error{
			Code: wire.CodeOverloaded, Message: "too many connections wait for their first connectivity check",
			Next: "try again", RetrySeconds: retryUnchecked,
		}
	}
	return &wire.Error{
		Code: wire.CodeOverloaded, Message: "this server has no room for another media connection",
		Next: "try again later, or use another server", RetrySeconds: retryFull,
	}
}

func draining() *wire.Error {
	return &wire.Error{
		Code: wire.CodeDraining, Message: "this server is going down and takes nobody new",
		Next: "join again: another server may answer", RetrySeconds: 5,
	}
}
