package room

import (
	"slices"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// publication is a track that a participant offers to the room.
type publication struct {
	wire.Publication

	// static after construction
	owner *participant
	mid   string
	codec sdp.Codec
	// Layers of video: encodings of simulcast, or none; and a scalabilityMode, or none.
	encodings []wire.OfferEncoding
	mode      string

	// owned by the room
	producer  uint64 // another one with each Transport of its owner; 0: withdrawn
	listeners int    // who have it in a slot,
	alone     int    // and those of them who listen to few
	ranked    bool   // as the media plane was told
	told      int    // sizes that are wanted, as its owner was told
	wished    bool   // is in Room.wished
}

// publish announces a new publication. Its Producer has yet to be started.
func (r *Room) publish(pub *publication) {
	pub.ID = r.nextPublication()
	r.publications = append(r.publications, pub)
	pub.owner.publications = append(pub.owner.publications, pub)
	r.wish(pub)
	r.change(wire.TypeTrackPublished,
		wire.TrackPublished{Identity: pub.owner.identity, Publication: pub.Publication}, nil)
	for _, p := range r.participants {
		if p.learn(pub) {
			r.unsettle(p)
		}
	}
}

// withdraw takes a publication back and tells so.
func (r *Room) withdraw(pub *publication) {
	r.emit(StopProducer{pub.producer})
	p := pub.owner
	p.publications = slices.DeleteFunc(p.publications, func(o *publication) bool { return o == pub })
	r.forget(pub)
	r.change(wire.TypeTrackUnpublished, wire.TrackUnpublished{Identity: p.identity, Publication: pub.ID}, nil)
}

// forget takes a publication out of the room and out of everyone's slots.
func (r *Room) forget(pub *publication) {
	r.publications = slices.DeleteFunc(r.publications, func(o *publication) bool { return o == pub })
	pub.producer = 0
	for _, p := range r.participants {
		s := p.subscriptions[pub]
		if s == nil {
			continue
		}
		p.release(s)
		delete(p.subscriptions, pub)
		r.unsettle(p)
	}
}

// own finds a publication of the session's participant.
func (r *Room) own(session, id string) (*publication, *wire.Error) {
	p, refused := r.member(session)
	if refused != nil {
		return nil, refused
	}
	for _, pub := range p.publications {
		if pub.ID == id {
			return pub, nil
		}
	}
	return nil, wire.NewError(wire.CodeNotFound, "this participant has no publication "+id, "name one of your own publications")
}

// unsettleChoosers lets those choose anew who see only some of the cameras.
func (r *Room) unsettleChoosers(pub *publication) {
	for _, p := range r.participants {
		if p.lastN > 0 && p.subscriptions[pub] != nil && pub.Source == wire.SourceCamera {
			r.unsettle(p)
		}
	}
}

func (r *Room) unpublish(c Unpublish) *wire.Error {
	pub, refused := r.own(c.Session, c.Publication)
	if refused == nil {
		r.withdraw(pub)
	}
	return refused
}

func (r *Room) mute(c Mute) *wire.Error {
	pub, refused := r.own(c.Session, c.Publication)
	if refused == nil && pub.Muted != c.Muted {
		pub.Muted = c.Muted
		r.change(wire.TypeTrackMuted,
			wire.TrackMuted{Identity: pub.owner.identity, Publication: pub.ID, Muted: c.Muted}, nil)
		r.unsettleChoosers(pub)
	}
	return refused
}
