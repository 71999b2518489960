package signal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/journal"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// VisitorRequests are what a Visitor may ask: all that needs no session to be told anything later.
var VisitorRequests = []string{
	wire.TypeRecordRead, wire.TypeRecordWrite, wire.TypeRecordDelete, wire.TypeEventPublish, wire.TypeRPCRequest, wire.TypePresenceRead, wire.TypeLogRead,
}

// Visitor is somebody who uses shared state without a session: a service that asks over HTTP.
type Visitor struct {
	// static after construction
	service *Service
	room    string
	caller  state.Caller
	taken   bool // in open mode: a session in another room has the identity
}

// Visit lets somebody in whose address is source, and who has a token, or says in open mode who he is and where.
func (s *Service) Visit(source netip.Addr, token, room, identity string) (*Visitor, *wire.Error) {
	if !s.config.State {
		return nil, noState()
	}
	p, refused := s.admit(time.Now(), wish{token: token, room: room, identity: identity})
	if refused == nil && s.TokenMode() {
		p.Grants, refused = s.ruled(p)
	}
	if refused != nil {
		return nil, refused
	}
	v := &Visitor{service: s, room: p.Room, caller: state.Caller{Identity: p.Identity, Grants: p.Grants, Source: datagram.Source(source)}}
	if !s.TokenMode() {
		var here bool
		if here, v.taken = s.present(p.Room, p.Identity); here {
			return nil, impersonates("in this room")
		}
	}
	return v, nil
}

func impersonates(where string) *wire.Error {
	return wire.NewError(wire.CodeForbidden, "a session "+where+" has this identity", "choose another identity, or run the server with tokens, which say whose it is")
}

// present tells whether sessions have an identity in a room, and in others.
func (s *Service) present(room, identity string) (here, elsewhere bool) {
	var found []*Session
	s.mu.Lock()
	for _, v := range s.sessions {
		if v.share != nil && v.share.by().Identity == identity {
			found = append(found, v)
		}
	}
	s.mu.Unlock()
	for _, v := range found {
		v.mu.Lock()
		if !v.over {
			here, elsewhere = here || v.seat.room == room, elsewhere || v.seat.room != room
		}
		v.mu.Unlock()
	}
	return here, elsewhere
}

// Ask carries out one request. Like others it has a cost, which admit is asked for before.
func (v *Visitor) Ask(ctx context.Context, typ string, body []byte, admit func(cost int) *wire.Error) (reply string, answer json.RawMessage, refused *wire.Error) {
	cost := 1 // also of what cannot be understood
	if typ == wire.TypeLogRead {
		cost = logCost
	}
	if refused = admit(cost); refused != nil {
		return "", nil, refused
	}
	if !slices.Contains(VisitorRequests, typ) {
		return "", nil, wire.NewError(wire.CodeBadRequest, printable(typ)+" cannot be asked without a session", "see docs/protocol.md, section 18.10")
	}
	ctx, cancel := context.WithTimeout(ctx, v.service.config.visitTime())
	defer cancel()
	if typ == wire.TypeLogRead {
		return v.service.readLog(ctx, v.room, v.caller, body)
	}
	scope, command, refused := state.Decode(v.caller, typ, body)
	if refused == nil && scope == wire.ScopeServer && v.taken {
		refused = impersonates("in another room")
	}
	if rest := state.Cost(command) - 1; refused == nil && rest > 0 {
		refused = admit(rest)
	}
	if refused != nil {
		return "", nil, refused
	}
	a, refused := v.service.request(ctx, scopes.Request{Room: v.room, By: v.caller, Type: typ, Body: body})
	return a.Type, a.Body, refused
}

// readLog reads a room's log.
func (s *Service) readLog(ctx context.Context, room string, by state.Caller, body []byte) (string, json.RawMessage, *wire.Error) {
	q := journal.Request{Room: room, By: by}
	if refused := decodeBody(wire.Request{Type: wire.TypeLogRead, Body: body}, &q.LogRead); refused != nil {
		return "", nil, refused
	}
	if q.Limit < 0 || q.Limit > wire.MaxLogEntries {
		return "", nil, wire.NewError(wire.CodeLimit, fmt.Sprintf("limit is below 0 or beyond %d", wire.MaxLogEntries), "ask for fewer, and go on from after")
	}
	b, err := s.config.Bus.Request(ctx, journal.Subject, encode(q))
	var a journal.Answer
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	switch {
	case errors.Is(err, bus.ErrNoResponders):
		return "", nil, wire.NewError(wire.CodeUnsupported, "this server does not keep logs of rooms", "its own log says why")
	case err != nil:
		return "", nil, s.fault("read the log of a room", err)
	case a.Error != nil:
		return "", nil, a.Error
	}
	return wire.TypeLog, encode(a.Log), nil
}
