package signal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/wire"
)

// wish is what somebody who wants to come in says about itself.
type wish struct {
	token, room, identity, name, metadata string
}

// permit is what somebody was let in with.
type permit struct {
	auth.Claims
	secret auth.Secret // that signed the token; none in open mode
}

// holds reports whether the key pair that signed the token is still there.
func (p permit) holds(keys auth.Keys) bool {
	now, ok := keys[p.Key]
	return ok && bytes.Equal(now.Reveal(), p.secret.Reveal())
}

// admit decides whether, as whom, and where.
func (s *Service) admit(now time.Time, w wish) (permit, *wire.Error) {
	for _, n := range []struct{ what, name string }{{"the room", w.room}, {"the identity", w.identity}, {"the name", w.name}} {
		if err := checkName(n.what, n.name); err != nil {
			return permit{}, err
		}
	}
	if !auth.FitsPath(w.room) {
		return permit{}, wire.NewError(wire.CodeBadRequest, "the room's name is . or .., or has a / in it: no link could lead there", "choose another one")
	}
	if len(w.metadata) > wire.MaxMetadataBytes {
		return permit{}, wire.NewError(wire.CodeTooLarge, fmt.Sprintf("metadata is longer than %d bytes", wire.MaxMetadataBytes), "keep large things elsewhere, and put a reference here")
	}
	if s.config.Keys == nil {
		return admitOpen(w)
	}
	keys := s.config.Keys()
	c, err := auth.Verify(now, w.token, keys)
	if err != nil {
		s.refusals.note(now, s.config.Log, auth.Why(err))
		var refused *wire.Error
		if !errors.As(err, &refused) {
			refused = wire.NewError(wire.CodeUnauthorized, "the token is not valid", "get a fresh token")
		}
		return permit{}, refused
	}
	switch {
	case w.room != "" && w.room != c.Room:
		return permit{}, wire.NewError(wire.CodeForbidden, "the token is for another room", "get a token for this room")
	case w.identity != "" && w.identity != c.Identity:
		return permit{}, wire.NewError(wire.CodeForbidden, "the token is for another identity", "leave the identity out, or get a token for it")
	}
	if c.Name == "" {
		c.Name = w.name
	}
	if c.Metadata == "" && c.UpdateOwn {
		c.Metadata = w.metadata
	}
	return permit{c, keys[c.Key]}, nil
}

func admitOpen(w wish) (permit, *wire.Error) {
	if w.room == "" {
		return permit{}, wire.NewError(wire.CodeBadRequest, "no room was named", "give a room name, any that you like")
	}
	return permit{Claims: auth.Claims{
		Room: w.room, Identity: w.identity, Name: w.name, Metadata: w.metadata, UpdateOwn: true,
		Grants: wire.Grants{Publish: true, Subscribe: true, PublishData: true},
	}}, nil
}

// Bearer tells whom a token lets into which room, and until when. In open mode it is asked of nobody, and tells nothing.
func (s *Service) Bearer(token string) (room, identity string, until time.Time, refused *wire.Error) {
	if !s.TokenMode() {
		return "", "", time.Time{}, nil
	}
	p, refused := s.admit(time.Now(), wish{token: token})
	return p.Room, p.Identity, p.Expires, refused
}

// Admits reports whether the token lets its holder into the room, and what it says of him: in open mode, where everybody may come in, next to nothing.
func (s *Service) Admits(token, room string) (auth.Claims, bool) {
	p, err := s.admit(time.Now(), wish{token: token, room: room})
	return p.Claims, err == nil
}

// Recheck ends every session and call whose token was signed with a key pair that Config.Keys does not return any more, with the
// code unauthorized. It is to be called after the keys have changed. It does not wait for the ends.
func (s *Service) Recheck() {
	if !s.TokenMode() {
		return
	}
	keys := s.config.Keys()
	s.mu.Lock()
	sessions, calls := slices.Collect(maps.Values(s.sessions)), slices.Collect(maps.Values(s.calls))
	s.mu.Unlock()
	for _, v := range sessions {
		v.recheck(keys)
	}
	for _, c := range calls {
		c.recheck(keys)
	}
}
