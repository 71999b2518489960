package rooms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/room"
	"github.com/parley-rtc/parley/wire"
)

// Do asks a room and returns its reply; a refusal is a Reply with Error. A join (not of WHEP) opens a room that does not
// exist. The error is the bus's or ctx's; after one, a session that wanted to join is not in the room.
func Do(ctx context.Context, b bus.Bus, name string, r Request) (Reply, error) {
	reply, err := do(ctx, b, name, r)
	if err != nil && r.Type == wire.TypeJoin {
		// It may have been carried out all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer cancel()
		_, _ = do(ctx, b, name, Request{Session: r.Session, Type: TypeGone})
	}
	return reply, err
}

func do(ctx context.Context, b bus.Bus, name string, r Request) (Reply, error) {
	message, err := json.Marshal(r)
	if err != nil {
		return Reply{}, fmt.Errorf("encode %s request: %w", r.Type, err)
	}
	for range maxTries {
		reply, err := ask(ctx, b, Subject(name), message)
		switch {
		case err == nil && !reply.Closed:
			return reply, nil
		case err != nil && !errors.Is(err, bus.ErrNoResponders):
			return Reply{}, err
		case r.Type != wire.TypeJoin:
			return Reply{Error: room.SessionExpired()}, nil
		case r.Carrier == CarrierWHEP:
			return Reply{Error: room.NobodyPublishes()}, nil
		}
		opened, err := open(ctx, b, openRequest{Room: name, Source: r.Source})
		if errors.Is(err, bus.ErrNoResponders) {
			return Reply{Error: draining()}, nil // no node takes rooms
		}
		if err != nil || opened.Error != nil {
			return opened, err
		}
	}
	return Reply{Error: &wire.Error{
		Code: wire.CodeOverloaded, Message: "the room ended again and again while it was joined",
		Next: "join again", RetrySeconds: 1,
	}}, nil
}

// open asks a node to become the room's home.
func open(ctx context.Context, b bus.Bus, r openRequest) (Reply, error) {
	message, err := json.Marshal(r)
	if err != nil {
		return Reply{}, fmt.Errorf("encode open request: %w", err)
	}
	return ask(ctx, b, OpenSubject, message)
}

func ask(ctx context.Context, b bus.Bus, subject string, message []byte) (Reply, error) {
	answer, err := b.Request(ctx, subject, message)
	if err != nil {
		return Reply{}, err
	}
	var reply Reply
	if err := json.Unmarshal(answer, &reply); err != nil {
		return Reply{}, fmt.Errorf("decode reply on %s: %w", subject, err)
	}
	return reply, nil
}

// openRequest goes to OpenSubject.
type openRequest struct {
	Room   string     `json:"room"`
	Source netip.Addr `json:"source,omitzero"` // of the join that opens it
}
