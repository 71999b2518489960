package client

import (
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// replace takes a snapshot in place of all that is known, and tells the difference (docs/protocol.md, section 6). The caller holds mu.
func (r *Room) replace(now wire.Snapshot, granted wire.GrantsChanged) {
	participants, chat, had := r.participants, r.chat, r.granted
	r.participants, r.chat, r.revision, r.granted = now.Participants, now.Chat, now.Revision, granted
	for _, p := range participants {
		if r.find(p.Identity) < 0 {
			r.tell(wire.ParticipantLeft{Identity: p.Identity, Reason: wire.CodeLeft})
		}
	}
	for _, p := range now.Participants {
		i := slices.IndexFunc(participants, func(x wire.Participant) bool { return x.Identity == p.Identity })
		if i < 0 {
			r.tell(wire.ParticipantJoined{Participant: p})
			continue
		}
		for _, e := range difference(participants[i], p) {
			r.tell(e)
		}
	}
	for _, m := range now.Chat {
		if !slices.Contains(chat, m) {
			r.tell(m)
		}
	}
	if granted.Grants != had.Grants || !slices.Equal(granted.Sources, had.Sources) {
		r.tell(granted)
	}
}

// difference is what has become of somebody who is still there.
func difference(before, now wire.Participant) (events []any) {
	for _, x := range before.Publications {
		if !slices.ContainsFunc(now.Publications, func(y wire.Publication) bool { return sameTrack(x, y) }) {
			events = append(events, wire.TrackUnpublished{Identity: now.Identity, Publication: x.ID})
		}
	}
	if before.Name != now.Name || before.Metadata != now.Metadata {
		events = append(events, wire.ParticipantUpdated{Identity: now.Identity, Name: now.Name, Metadata: now.Metadata})
	}
	for _, y := range now.Publications {
		i := slices.IndexFunc(before.Publications, func(x wire.Publication) bool { return sameTrack(x, y) })
		switch {
		case i < 0:
			events = append(events, wire.TrackPublished{Identity: now.Identity, Publication: y})
		case before.Publications[i].Muted != y.Muted:
			events = append(events, wire.TrackMuted{Identity: now.Identity, Publication: y.ID, Muted: y.Muted})
		}
	}
	return events
}

// sameTrack: a room that has begun anew may name another track as one before.
func sameTrack(a, b wire.Publication) bool {
	return a.ID == b.ID && a.Kind == b.Kind && a.Source == b.Source && a.Name == b.Name
}
