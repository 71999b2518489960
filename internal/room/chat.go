package room

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/parley-rtc/parley/wire"
)

// say sends a chat message. What goes to everyone is part of the room: it has a revision and is kept for late joiners.
func (r *Room) say(now time.Time, c Chat) *wire.Error {
	p, refused := r.member(c.Session)
	if refused != nil {
		return refused
	}
	switch {
	case !p.grants.PublishData || p.grants.Hidden:
		return wire.NewError(wire.CodeForbidden, "this participant may not send messages",
			"join visibly, with a token that has the canPublishData grant")
	case len(c.Text) > wire.MaxChatBytes:
		return wire.NewError(wire.CodeTooLarge, "the chat message is too long", "use at most 4096 bytes")
	case c.Text == "" || !utf8.ValidString(c.Text):
		return wire.NewError(wire.CodeBadRequest, "the chat message is empty or not UTF-8", "send some text")
	}
	m := wire.ChatMessage{ID: r.lastChat + 1, From: p.identity, Name: p.name, Text: c.Text, At: now.Round(0).UTC(), To: c.To}
	if c.To != "" {
		return r.whisper(p, m)
	}
	r.lastChat++
	if len(r.chat) == wire.MaxChatKept {
		r.chat = slices.Delete(r.chat, 0, 1)
	}
	r.chat = append(r.chat, m)
	r.change(wire.TypeChatReceived, m, nil)
	return nil
}

func (r *Room) whisper(from *participant, m wire.ChatMessage) *wire.Error {
	to := r.identities[m.To]
	if to == nil || to.grants.Hidden {
		return noParticipant(m.To)
	}
	if to.carrier != WS {
		return wire.NewError(wire.CodeUnsupported, m.To+" cannot receive messages: it only publishes media", "")
	}
	r.lastChat++
	r.tell(from, wire.TypeChatReceived, m)
	if to != from {
		r.tell(to, wire.TypeChatReceived, m)
	}
	return nil
}
