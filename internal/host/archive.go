package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parley-rtc/parley/internal/api"
	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/journal"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/wire"
)

// archive is what is stored of rooms, for whoever runs the server. It is safe for concurrent use.
type archive struct {
	// static after construction
	records, people, changes bus.Log
	maxRecords               int64
	scopes                   *scopes.Service  // nil, as is journal: no server has the folder
	journal                  *journal.Service // which has people and changes
	log                      *slog.Logger

	turn chan struct{} // capacity 1: all of the disk is read for a list
}

// buildArchive lets whoever runs the server list and remove what is stored.
func (n *node) buildArchive() api.Store {
	if !n.durable || n.journal == nil {
		return noArchive{}
	}
	a := &archive{
		records: n.records, people: n.people, changes: n.changes, maxRecords: n.cfg.StateBytes,
		scopes: n.scopes, journal: n.journal, log: n.log, turn: make(chan struct{}, 1),
	}
	return a
}

// isOperator refuses what is not an operator's token.
func (n *node) isOperator(token string) error {
	return auth.VerifyOperator(time.Now(), token, n.keys.Load().keys)
}

// List implements api.Store.
func (a *archive) List(ctx context.Context, rooms []string) (api.Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return api.Stored{}, busyArchive()
	}
	defer func() { <-a.turn }()
	return a.list(ctx, rooms)
}

func (a *archive) list(ctx context.Context, rooms []string) (api.Stored, error) {
	s := api.Stored{MaxRecordBytes: a.maxRecords}
	found := map[string]api.StoredRoom{}
	for _, log := range []bus.Log{a.records, a.people, a.changes} {
		sizes, err := log.Sizes(ctx)
		if err != nil {
			return s, fmt.Errorf("list what is stored: %w", err)
		}
		for subject, size := range sizes {
			room, isRoom := scopes.RoomOf(subject)
			if log == a.records {
				s.RecordBytes += size
				if subject == scopes.ServerSubject {
					s.ServerBytes = size
				}
			} else {
				s.LogBytes += size
			}
			if !isRoom || rooms != nil && !slices.Contains(rooms, room) {
				continue
			}
			r := found[room]
			if r.Room = room; log == a.records {
				r.RecordBytes += size
			} else {
				r.LogBytes += size
			}
			found[room] = r
		}
	}
	s.RoomCount = len(found)
	s.Rooms = slices.SortedFunc(maps.Values(found), func(x, y api.StoredRoom) int {
		return cmp.Or(cmp.Compare(y.RecordBytes, x.RecordBytes), cmp.Compare(y.LogBytes, x.LogBytes), cmp.Compare(x.Room, y.Room))
	})
	s.Rooms = s.Rooms[:min(len(s.Rooms), api.MaxStoredRooms)]
	for i := range s.Rooms {
		s.Rooms[i].Open = a.scopes != nil && a.scopes.InUse(s.Rooms[i].Room)
	}
	return s, nil
}

// Remove implements api.Store. It goes on where nobody waits any more: half of it is of no use.
func (a *archive) Remove(ctx context.Context, room string) (api.StoredRoom, error) {
	stored, err := a.List(ctx, []string{room})
	if err != nil {
		return api.StoredRoom{}, err
	}
	if len(stored.Rooms) == 0 {
		return api.StoredRoom{}, wire.NewError(wire.CodeNotFound, "nothing is stored of this room", "look for its name in the list")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stateTime)
	defer cancel()
	if err := a.remove(ctx, room); err != nil {
		return api.StoredRoom{}, removalRefused(err)
	}
	a.log.Info("what was stored of a room was removed", "room", room, "recordBytes", stored.Rooms[0].RecordBytes, "logBytes", stored.Rooms[0].LogBytes)
	return stored.Rooms[0], nil
}

func (a *archive) remove(ctx context.Context, room string) error {
	if a.scopes != nil {
		return a.scopes.Remove(ctx, room, func(ctx context.Context) error { return a.journal.Remove(ctx, room) })
	}
	if err := journal.Erase(ctx, room, a.people, a.changes); err != nil {
		return err
	}
	return scopes.Erase(ctx, a.records, room)
}

// nextInUse is what to do about a room in use.
const nextInUse = "try again when nobody has been there for a while (--linger, 30s), or stop the server first"

// removalRefused is what a client is told of an error for which something can be done.
func removalRefused(err error) error {
	switch {
	case errors.Is(err, scopes.ErrInUse), errors.Is(err, journal.ErrInUse):
		return wire.NewError(api.CodeInUse, "somebody is in the room or uses its state, or did so shortly before: nothing of it was removed", nextInUse)
	case errors.Is(err, scopes.ErrShut):
		return &wire.Error{Code: wire.CodeOverloaded, Message: "the disk takes nothing at present, and so no removal", Next: "make room on it, or mend it, then try again", RetrySeconds: 5}
	case errors.Is(err, scopes.ErrClosed), errors.Is(err, bus.ErrClosed):
		return wire.NewError(wire.CodeDraining, "the server is going down", "try again when it has ended, or is there again")
	}
	return fmt.Errorf("remove what is stored of a room: %w", err)
}

func busyArchive() *wire.Error {
	return &wire.Error{Code: wire.CodeOverloaded, Message: "what is stored is being listed for others", Next: "try again later", RetrySeconds: 5}
}

// noArchive is one of a server that stores nothing.
type noArchive struct{}

func storesNone() *wire.Error {
	return wire.NewError(wire.CodeUnsupported, "this server stores nothing", "its log says why: --no-state, or a data folder that cannot be used")
}

// List implements api.Store.
func (noArchive) List(context.Context, []string) (api.Stored, error) {
	return api.Stored{}, storesNone()
}

// Remove implements api.Store.
func (noArchive) Remove(context.Context, string) (api.StoredRoom, error) {
	return api.StoredRoom{}, storesNone()
}

// addressFile tells where the server listens that has the store. Commands that find the store in use ask there.
func addressFile(folder string) string { return filepath.Join(folder, "address") }

// leaveAddress leaves it.
func (n *node) leaveAddress() {
	if n.store == nil {
		return
	}
	path := addressFile(stateFolder(n.cfg.Data))
	if err := writePrivate(path, []byte(n.port.Local().String()+"\n")); err != nil {
		n.log.Warn("`parley state` will not find this server, because its address cannot be left in the data folder", "err", err)
		return
	}
	n.onStop(func() { _ = os.Remove(path) })
}

// storeConfig is how the store in a folder is opened.
func storeConfig(folder string, log *slog.Logger) nats.Config {
	return nats.Config{Dir: folder, Whole: []string{stateLog}, Mended: []string{roomLog, changesLog}, Logger: log}
}

// startStore opens the store. Where a command has it, which leaves no address, that is waited for.
func startStore(folder string, log *slog.Logger) (*nats.Node, error) {
	for until := time.Now().Add(commandTime); ; time.Sleep(commandTime / 50) {
		store, err := nats.Start(storeConfig(folder, log))
		if !errors.Is(err, nats.ErrInUse) || serverAt(folder) != "" || time.Now().After(until) {
			return store, err
		}
	}
}

// serverAt is where the server listens that has the store, as it says; empty: none has said so.
func serverAt(folder string) string {
	b, err := os.ReadFile(addressFile(folder))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
