package journal

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/parley-rtc/parley/internal/bus"
)

// ErrInUse: the room is there.
var ErrInUse = errors.New("the room whose log it is is in use")

// RoomOf returns the room whose log is on a subject.
func RoomOf(subject string) (room string, ok bool) {
	encoded, ok := strings.CutPrefix(subject, "r")
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	return string(b), ok && err == nil
}

// Erase removes all that is stored of a room's log, which nobody has open. A crash leaves all of it, or some, or nothing.
func Erase(ctx context.Context, room string, logs ...bus.Log) error {
	for _, log := range logs {
		if err := log.Erase(ctx, subject(room)); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes all that is stored of a room's log, unless the room is there (ErrInUse). A log of that name that is opened meanwhile begins anew when it is done.
func (s *Service) Remove(ctx context.Context, room string) error {
	open, end, err := s.claim(room)
	if err != nil {
		return err
	}
	defer s.release(room, end)
	if open != nil {
		close(open.stop)
		<-open.done // in bounded time: what it was storing is stored, or given up
	}
	return Erase(ctx, room, s.logs[:]...)
}

// claim takes a log out of the table, if it is open, and lets whoever opens the next one wait until end is closed.
func (s *Service) claim(room string) (open *book, end chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open = s.books[room]
	switch {
	case s.closed:
		return nil, nil, bus.ErrClosed
	case s.removing[room] != nil, open != nil && open.held:
		return nil, nil, ErrInUse
	}
	delete(s.books, room)
	end = make(chan struct{})
	s.removing[room] = end
	return open, end, nil
}

func (s *Service) release(room string, end chan struct{}) {
	s.mu.Lock()
	delete(s.removing, room)
	s.mu.Unlock()
	close(end)
}
