package signal

import (
	"errors"
	"fmt"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/wire"
)

// wish is what somebody who wants to come in says about itself.
type wish struct {
	token, room, identity, name, metadata string
}

// admit decides whether, as whom, and where.
func (s *Service) admit(now time.Time, w wish) (auth.Claims, *wire.Error) {
	for _, n := range []struct{ what, name string }{{"the room", w.room}, {"the identity", w.identity}, {"the name", w.name}} {
		if err := checkName(n.what, n.name); err != nil {
			return auth.Claims{}, err
		}
	}
	if len(w.metadata) > wire.MaxMetadataBytes {
		return auth.Claims{}, wire.NewError(wire.CodeTooLarge, fmt.Sprintf("metadata is longer than %d bytes", wire.MaxMetadataBytes), "keep large things elsewhere, and put a reference here")
	}
	if s.config.Keys == nil {
		return admitOpen(w)
	}
	c, err := auth.Verify(now, w.token, s.config.Keys())
	if err != nil {
		var refused *wire.Error
		if !errors.As(err, &refused) {
			refused = wire.NewError(wire.CodeUnauthorized, "the token is not valid", "get a fresh token")
		}
		return auth.Claims{}, refused
	}
	switch {
	case w.room != "" && w.room != c.Room:
		return auth.Claims{}, wire.NewError(wire.CodeForbidden, "the token is for another room", "get a token for this room")
	case w.identity != "" && w.identity != c.Identity:
		return auth.Claims{}, wire.NewError(wire.CodeForbidden, "the token is for another identity", "leave the identity out, or get a token for it")
	}
	if c.Name == "" {
		c.Name = w.name
	}
	if c.Metadata == "" && c.UpdateOwn {
		c.Metadata = w.metadata
	}
	return c, nil
}

func admitOpen(w wish) (auth.Claims, *wire.Error) {
	if w.room == "" {
		return auth.Claims{}, wire.NewError(wire.CodeBadRequest, "no room was named", "give a room name, any that you like")
	}
	return auth.Claims{
		Room: w.room, Identity: w.identity, Name: w.name, Metadata: w.metadata, UpdateOwn: true,
		Grants: wire.Grants{Publish: true, Subscribe: true, PublishData: true},
	}, nil
}

// Admits reports whether the token lets its holder into the room; in open mode everybody may come in.
func (s *Service) Admits(token, room string) bool {
	_, err := s.admit(time.Now(), wish{token: token, room: room})
	return err == nil
}
