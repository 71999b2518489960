package scopes

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/wire"
)

var (
	// ErrInUse: the room is there, or somebody uses its scope.
	ErrInUse = errors.New("the room is in use")
	// ErrShut: the log takes nothing at present.
	ErrShut = errors.New("nothing can be stored at present")
)

// RoomOf returns the room whose durable records are on a subject of the log; false: they are no room's.
func RoomOf(subject string) (room string, ok bool) {
	encoded, ok := strings.CutPrefix(subject, "r")
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	return string(b), ok && err == nil
}

// ServerSubject is where those of the server's scope are.
var ServerSubject = logSubject(wire.ScopeServer, "")

// Erase removes all that is stored of a room's scope, which nobody has open. A crash leaves all of it, or nothing that counts: a commit is stored first that says that none before it is
// needed, and it is the last one to go.
func Erase(ctx context.Context, log bus.Log, room string) error {
	subject := logSubject(wire.ScopeRoom, room)
	last, err := log.Last(ctx, subject)
	if err != nil || last.Number == 0 {
		return err
	}
	floor := fmt.Appendf(nil, `{"p":%d,"f":%d,"e":[]}`, last.Number, last.Number+1)
	if _, err := log.Append(ctx, subject, last.Number, floor); err != nil && !errors.Is(err, bus.ErrFull) { // where there is no room for it, it is done without
		return fmt.Errorf("say that nothing is needed of a room: %w", err)
	}
	return log.Erase(ctx, subject)
}

// InUse tells whether a room is there, or somebody uses its scope.
func (s *Service) InUse(room string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inUse(room)
}

// inUse is that. The caller holds mu.
func (s *Service) inUse(room string) bool {
	r := s.rooms[room]
	return s.held[room] || r != nil && !r.unused()
}

// Remove removes all that is stored of a room's scope, and before that what also does, unless the room is in use (ErrInUse). Whoever asks for the scope meanwhile waits.
func (s *Service) Remove(ctx context.Context, room string, also func(context.Context) error) error {
	open, before, end, err := s.claim(room)
	if err != nil {
		return err
	}
	if before != nil {
		<-before // ends, as a scope closes in bounded time
	}
	if open != nil {
		if <-open.ready; open.err == nil {
			_ = open.owner.Close() // it has nothing to say
		}
	}
	defer s.release(room, end)
	if s.shelf.refuses() { // what is behind the last commit may not be known
		return ErrShut
	}
	if err := also(ctx); err != nil {
		return err
	}
	if err := Erase(ctx, s.config.Log, room); err != nil {
		return err
	}
	return s.shelf.measure(ctx)
}

// claim takes a room's scope out of the table, if there is one, and lets whoever opens the next one wait until end is closed. before is closed when the one before that has ended; nil: it
// has.
func (s *Service) claim(room string) (open *roomScope, before, end chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, nil, ErrClosed
	case s.inUse(room):
		return nil, nil, nil, ErrInUse
	case s.shelf.refuses(): // before what is not stored ends
		return nil, nil, nil, ErrShut
	}
	before = s.ending[room]
	if open = s.rooms[room]; open != nil {
		return open, before, s.remove(open), nil
	}
	end = make(chan struct{})
	s.ending[room] = end
	return nil, before, end, nil
}

// release lets the scope of a room be opened again. The claim's end is closed.
func (s *Service) release(room string, end chan struct{}) {
	s.mu.Lock()
	if s.ending[room] == end {
		delete(s.ending, room)
	}
	s.mu.Unlock()
	close(end)
}
