package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// StoredPath is where the handler of what is stored belongs.
const StoredPath = "/v1/stored"

// CodeInUse of a removal: somebody is in the room, or was shortly before. No session is ever told it.
const CodeInUse wire.Code = "in-use"

// Stored is what is stored of rooms. Bytes are about those on disk.
type Stored struct {
	// RecordBytes of all durable records, and MaxRecordBytes beyond which none are written any more.
	RecordBytes    int64 `json:"recordBytes"`
	MaxRecordBytes int64 `json:"maxRecordBytes"`
	// ServerBytes of these are the server's own.
	ServerBytes int64 `json:"serverBytes"`
	LogBytes    int64 `json:"logBytes"`
	// RoomCount of rooms of which something is stored. Rooms has the largest of them, MaxStoredRooms at most.
	RoomCount int          `json:"roomCount"`
	Rooms     []StoredRoom `json:"rooms"`
}

// StoredRoom is what is stored of a room.
type StoredRoom struct {
	Room        string `json:"room"`
	RecordBytes int64  `json:"recordBytes"`
	LogBytes    int64  `json:"logBytes"`
	// Open: somebody is in the room, or uses its state, or did so shortly before.
	Open bool `json:"open"`
}

// Store has what is stored. Its errors may wrap a *wire.Error; others are faults. It is safe for concurrent use.
type Store interface {
	// List lists all rooms, or those that are named.
	List(ctx context.Context, rooms []string) (Stored, error)
	// Remove removes what is stored of a room, and returns what that was.
	Remove(ctx context.Context, room string) (StoredRoom, error)
}

// Archive serves StoredPath. It is safe for concurrent use.
type Archive struct {
	// static after construction
	store    Store
	operator func(token string) error
	fault    func(error)
}

// NewArchive returns a handler. operator refuses what is not an operator's token; fault is told what went wrong in the store.
func NewArchive(s Store, operator func(token string) error, fault func(error)) *Archive {
	return &Archive{s, operator, fault}
}

// ServeHTTP implements http.Handler. No page elsewhere may use it: there is no CORS.
func (a *Archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodDelete {
		w.Header().Set("Allow", "GET, DELETE")
		signal.WriteProblem(w, http.StatusMethodNotAllowed, wire.NewError(wire.CodeBadRequest, "the method is not for this resource", "use GET or DELETE"))
		return
	}
	answer, err := a.answer(r)
	var refused *wire.Error
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		_ = e.Encode(answer) // a client that has gone needs no answer
	case errors.As(err, &refused) && refused.Code == CodeInUse:
		signal.WriteProblem(w, http.StatusConflict, refused)
	case errors.As(err, &refused):
		signal.Refuse(w, refused)
	case r.Context().Err() != nil: // nobody waits
	default:
		a.fault(err)
		signal.Refuse(w, wire.NewError(wire.CodeInternal, "what is stored cannot be used: it may be removed in part", "look into the server's log, and ask again"))
	}
}

func (a *Archive) answer(r *http.Request) (any, error) {
	token, ok := signal.BearerToken(r)
	if !ok {
		return nil, noToken()
	}
	if err := a.operator(token); err != nil {
		return nil, err
	}
	rooms := r.URL.Query()["room"]
	switch {
	case r.Method == http.MethodGet && len(rooms) > MaxNamedRooms:
		return nil, wire.NewError(wire.CodeBadRequest, fmt.Sprintf("at most %d rooms are named at once", MaxNamedRooms), "name fewer, or none for all")
	case r.Method == http.MethodGet:
		return a.store.List(r.Context(), rooms)
	case len(rooms) != 1:
		return nil, wire.NewError(wire.CodeBadRequest, "one room is removed at once", "name it: "+StoredPath+"?room=ROOM")
	}
	return a.store.Remove(r.Context(), rooms[0])
}
