package signal

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/wire"
)

// Grant rules what a participant may do, for the holder of a token of an admin of its room. It tells what the participant may do now.
func (s *Service) Grant(token string, g rooms.Grant) (wire.GrantsChanged, *wire.Error) {
	if !s.TokenMode() {
		return wire.GrantsChanged{}, wire.NewError(wire.CodeForbidden, "in open mode nobody is an admin", "run the server with tokens, which say who is one")
	}
	p, refused := s.admit(time.Now(), wish{token: token})
	switch {
	case refused != nil:
		return wire.GrantsChanged{}, refused
	case !p.Grants.Admin:
		return wire.GrantsChanged{}, wire.NewError(wire.CodeForbidden, "only an admin may rule what others may do", "get a token that has roomAdmin")
	case g.Publish == nil && g.Subscribe == nil && g.PublishData == nil && g.Sources == nil:
		return wire.GrantsChanged{}, wire.NewError(wire.CodeBadRequest, "nothing is to be changed", "name publish, subscribe, publishData or sources")
	}
	if refused := checkName("the identity", g.Identity); refused != nil {
		return wire.GrantsChanged{}, refused
	}
	granted, refused := s.askGrants(p.Room, rooms.TypeGrant, g)
	if refused != nil && refused.Code == wire.CodeSessionExpired {
		refused = wire.NewError(wire.CodeNotFound, "nobody is in this room", "wait until the participant has joined")
	}
	return granted, refused
}

// ruled returns what somebody may do in his room who was let in with a permit.
func (s *Service) ruled(p permit) (wire.Grants, *wire.Error) {
	granted, refused := s.askGrants(p.Room, rooms.TypeGranted, rooms.Granted{Identity: p.Identity, Grants: p.Grants})
	if refused != nil && refused.Code == wire.CodeSessionExpired { // there is no such room
		return p.Grants, nil
	}
	return granted.Grants, refused
}

func (s *Service) askGrants(room, typ string, body any) (wire.GrantsChanged, *wire.Error) {
	reply, refused := s.ask(room, rooms.Request{Type: typ, Body: encode(body)})
	if refused != nil {
		return wire.GrantsChanged{}, refused
	}
	var granted wire.GrantsChanged
	if err := json.Unmarshal(reply.Body, &granted); err != nil || reply.Type != wire.TypeGrantsChanged {
		return wire.GrantsChanged{}, s.fault("read a room's reply to "+typ, errors.Join(fmt.Errorf("it is %q", reply.Type), err))
	}
	return granted, nil
}

// regrantBy takes what a participant may do from a message of the room.
func (s *Session) regrantBy(body json.RawMessage) {
	var b struct {
		Grants *wire.Grants `json:"grants"`
	}
	if err := json.Unmarshal(body, &b); err != nil || b.Grants == nil {
		s.service.config.Log.Error("read what a participant may do", "error", err)
		return
	}
	s.regrant(*b.Grants)
}
