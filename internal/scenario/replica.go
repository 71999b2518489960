package scenario

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/parley-rtc/parley/wire"
)

// replica is a client's copy of the room, made of a snapshot and the events since, as docs/protocol.md tells a client to.
type replica struct {
	room  wire.Snapshot
	known map[string]string // publication → status of its subscription
}

func body[T any](m wire.Message) T {
	var v T
	if err := json.Unmarshal(m.Body, &v); err != nil {
		panic("scenario: the server sent a body that is not what the protocol says: " + m.Type + " " + string(m.Body))
	}
	return v
}

func (r *replica) reset(s wire.Snapshot) { r.room, r.known = s, map[string]string{} }

// apply takes an event.
func (r *replica) apply(m wire.Message) {
	if m.Rev != 0 {
		r.room.Revision = m.Rev
	}
	switch m.Type {
	case wire.TypeParticipantJoined:
		r.room.Participants = append(r.room.Participants, body[wire.ParticipantJoined](m).Participant)
	case wire.TypeParticipantLeft:
		e := body[wire.ParticipantLeft](m)
		r.room.Participants = slices.DeleteFunc(r.room.Participants, func(p wire.Participant) bool { return p.Identity == e.Identity })
	case wire.TypeParticipantUpdated:
		e := body[wire.ParticipantUpdated](m)
		p := r.participant(e.Identity)
		p.Name, p.Metadata = e.Name, e.Metadata
	case wire.TypeTrackPublished:
		e := body[wire.TrackPublished](m)
		p := r.participant(e.Identity)
		p.Publications = append(p.Publications, e.Publication)
	case wire.TypeTrackUnpublished:
		e := body[wire.TrackUnpublished](m)
		p := r.participant(e.Identity)
		p.Publications = slices.DeleteFunc(p.Publications, func(x wire.Publication) bool { return x.ID == e.Publication })
	case wire.TypeTrackMuted:
		e := body[wire.TrackMuted](m)
		p := r.participant(e.Identity)
		for i := range p.Publications {
			if p.Publications[i].ID == e.Publication {
				p.Publications[i].Muted = e.Muted
			}
		}
	case wire.TypeChatReceived:
		if e := body[wire.ChatMessage](m); e.To == "" {
			r.room.Chat = append(r.room.Chat, e)
			if n := len(r.room.Chat) - wire.MaxChatKept; n > 0 {
				r.room.Chat = slices.Delete(r.room.Chat, 0, n)
			}
		}
	case wire.TypeCodecs:
		r.room.Codecs = body[wire.Codecs](m)
	case wire.TypeSpeakers:
		r.room.Speakers = body[wire.Speakers](m)
	case wire.TypeSubscription:
		e := body[wire.Subscription](m)
		r.known[e.Publication] = described(e)
	case wire.TypeResync:
		e := body[wire.Resync](m)
		r.reset(e.Room)
		for _, s := range e.Subscriptions {
			r.known[s.Publication] = described(s)
		}
	}
}

// described is a status with its reason, where there is one.
func described(s wire.Subscription) string { return strings.TrimSpace(s.Status + " " + s.Reason) }

// participant returns one that must be there: an event about a stranger is a fault of the server.
func (r *replica) participant(identity string) *wire.Participant {
	for i := range r.room.Participants {
		if r.room.Participants[i].Identity == identity {
			return &r.room.Participants[i]
		}
	}
	panic("scenario: an event about " + identity + ", who is not in the room")
}

// text is what two equal replicas have in common.
func (r *replica) text() string {
	b, err := json.MarshalIndent(r.room, "", " ")
	if err != nil {
		panic(err)
	}
	return string(b)
}
