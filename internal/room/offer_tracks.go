package room

import (
	"slices"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// impliedTracks are all that a WHIP offer sends, the m-lines of one MediaStream together.
func (n *negotiation) impliedTracks() []wire.OfferTrack {
	var order []string // MediaStreams
	for i := range n.sdp.Sections {
		if id := n.sdp.Sections[i].StreamID; !slices.Contains(order, id) {
			order = append(order, id)
		}
	}
	var tracks []wire.OfferTrack
	for _, id := range order {
		for i := range n.sdp.Sections {
			s := &n.sdp.Sections[i]
			if s.StreamID != id || s.Kind == sdp.Application || !sends(s) {
				continue
			}
			source := wire.SourceMicrophone
			if s.Kind == sdp.Video {
				source = wire.SourceCamera
			}
			tracks = append(tracks, wire.OfferTrack{Mid: s.Mid, Source: source})
		}
	}
	return tracks
}

// checkTracks refuses track lists that cannot be published as they are.
func (r *Room) checkTracks(n *negotiation) *wire.Error {
	if len(n.tracks) == 0 {
		return nil
	}
	switch others := len(r.publications) - len(n.p.publications); {
	case !n.p.grants.Publish:
		return wire.NewError(wire.CodeForbidden, "this participant may not publish",
			"join with a token that has the canPublish grant, or offer no tracks")
	case n.p.grants.Hidden:
		return wire.NewError(wire.CodeForbidden, "a hidden participant cannot publish", "join visibly")
	case len(n.tracks) > wire.MaxPublications:
		return wire.NewError(wire.CodeLimit, "too many tracks", "publish at most 16")
	case others+len(n.tracks) > MaxRoomPublications:
		return wire.NewError(wire.CodeLimit, "this room has too many publications", "unpublish something first")
	}
	seen := map[string]bool{}
	for _, t := range n.tracks {
		s := n.sections[t.Mid]
		if s == nil {
			return badTrack(t.Mid, "names no m-line of the offer")
		}
		if seen[t.Mid] {
			return badTrack(t.Mid, "is named twice")
		}
		seen[t.Mid] = true
		if !ofKind(t.Source, s.Kind) {
			return badTrack(t.Mid, "has a source that does not fit its kind")
		}
		if !n.p.mayPublish(t.Source) {
			return wire.NewError(wire.CodeForbidden, "this participant may not publish "+string(t.Source),
				"join with a token that has it in canPublishSources")
		}
		if !isText(t.Name, wire.MaxNameBytes) {
			return badName("name of track " + t.Mid)
		}
		if refused := checkLayers(t, s); refused != nil {
			return refused
		}
	}
	return nil
}

func badTrack(mid, what string) *wire.Error {
	return wire.NewError(wire.CodeBadRequest, "track \""+mid+"\" "+what,
		"name each sending m-line once by its mid, with a source of its kind")
}

func ofKind(s wire.Source, k sdp.Kind) bool {
	switch s {
	case wire.SourceMicrophone, wire.SourceScreenAudio:
		return k == sdp.Audio
	case wire.SourceCamera, wire.SourceScreen:
		return k == sdp.Video
	case wire.SourceOther:
		return k == sdp.Audio || k == sdp.Video
	}
	return false
}

// dropTracks withdraws what the offer does not publish any more, and returns what it keeps, by mid.
func (r *Room) dropTracks(n *negotiation) map[string]*publication {
	kept := map[string]*publication{}
	for _, t := range n.tracks {
		pub := n.p.publicationOn(t.Mid)
		if pub != nil && sends(n.sections[t.Mid]) && pub.is(t, n.results[t.Mid]) {
			kept[t.Mid] = pub
		}
	}
	for _, pub := range slices.Clone(n.p.publications) {
		if kept[pub.mid] != pub {
			r.withdraw(pub)
		}
	}
	return kept
}

func (p *participant) publicationOn(mid string) *publication {
	for _, pub := range p.publications {
		if pub.mid == mid {
			return pub
		}
	}
	return nil
}

// is tells whether the track is still what was published. Another codec is another publication: some may not decode it.
func (pub *publication) is(t wire.OfferTrack, result *sdp.Negotiated) bool {
	return pub.Source == t.Source && pub.Encrypted == t.Encrypted && pub.codec.Matches(result.Codec()) && pub.sameLayers(t, result)
}

// commitTracks starts Producers for what is new, and for what was kept where the Transport is new.
func (r *Room) commitTracks(n *negotiation, kept map[string]*publication) []wire.AnswerTrack {
	answered := []wire.AnswerTrack{}
	for _, t := range n.tracks {
		pub := kept[t.Mid]
		switch {
		case !sends(n.sections[t.Mid]):
			answered = append(answered, wire.AnswerTrack{Mid: t.Mid})
			continue
		case pub == nil:
			pub = newPublication(n.p, t, n.results[t.Mid])
			r.startProducer(pub, n.results[t.Mid])
			r.publish(pub)
		case n.opened:
			r.startProducer(pub, n.results[t.Mid])
			r.unsettleSubscribers(pub)
		}
		answered = append(answered, wire.AnswerTrack{Mid: t.Mid, Publication: pub.ID})
	}
	return answered
}

func newPublication(p *participant, t wire.OfferTrack, result *sdp.Negotiated) *publication {
	kind := wire.KindAudio
	if result.Kind == sdp.Video {
		kind = wire.KindVideo
	}
	codec := result.Codec()
	pub := &publication{owner: p, mid: t.Mid, codec: codec, Publication: wire.Publication{
		Kind: kind, Source: t.Source, Name: t.Name, Codec: codec.Name, Muted: t.Muted, Encrypted: t.Encrypted,
	}}
	pub.layer(t, result)
	return pub
}

func (r *Room) startProducer(pub *publication, result *sdp.Negotiated) {
	pub.producer, pub.ranked = r.nextID(), false
	r.emit(StartProducer{
		Transport: pub.owner.transport.id, Mid: pub.mid, Section: *result, Producer: pub.producer, Encrypted: pub.Encrypted,
		Microphone: pub.Source == wire.SourceMicrophone, Encodings: pub.encodings,
	})
}

// unsettleSubscribers has the slots filled anew that the publication fills: its Producer is another one.
func (r *Room) unsettleSubscribers(pub *publication) {
	for _, p := range r.participants {
		if p.subscriptions[pub] != nil {
			r.unsettle(p)
		}
	}
}
