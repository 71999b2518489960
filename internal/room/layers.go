package room

import (
	"regexp"
	"slices"

	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// A video publication may have several sizes: encodings of simulcast, or spatial layers of one stream. Subscribers say how large a
// picture they show, and the publisher is told what of it somebody wants.

// scalabilityModes are those of W3C WebRTC-SVC with up to three layers of each sort.
var scalabilityModes = regexp.MustCompile(`^[LS][1-3]T[1-3](h|_KEY|_KEY_SHIFT)?$`)

// checkLayers refuses encodings that are not those of the m-line.
func checkLayers(t wire.OfferTrack, s *sdp.Section) *wire.Error {
	if len(t.Encodings) > wire.MaxEncodings {
		return wire.NewError(wire.CodeLimit, "too many encodings", "send at most 3")
	}
	if s.Kind != sdp.Video && (len(t.Encodings) > 0 || t.ScalabilityMode != "") {
		return badTrack(t.Mid, "is no video and has layers")
	}
	if t.ScalabilityMode != "" && !scalabilityModes.MatchString(t.ScalabilityMode) {
		return badTrack(t.Mid, "has a scalabilityMode that is none")
	}
	if len(t.Encodings) > 0 && t.ScalabilityMode != "" && spatialLayers(t.ScalabilityMode) > 1 {
		return badTrack(t.Mid, "has both encodings and spatial layers")
	}
	seen := map[string]bool{}
	for _, e := range t.Encodings {
		if seen[e.RID] || !slices.Contains(s.RIDs, e.RID) {
			return badTrack(t.Mid, "names a rid twice, or one that its m-line does not send")
		}
		seen[e.RID] = true
	}
	return nil
}

// acceptedEncodings returns the encodings that an answer has accepted, the lowest first where the client has listed them; none: one
// stream.
func acceptedEncodings(t wire.OfferTrack, result *sdp.Negotiated) []wire.OfferEncoding {
	var all []wire.OfferEncoding
	if len(t.Encodings) == 0 {
		for _, rid := range result.RIDs {
			all = append(all, wire.OfferEncoding{RID: rid})
		}
		return all
	}
	for _, e := range t.Encodings {
		if slices.Contains(result.RIDs, e.RID) {
			all = append(all, e)
		}
	}
	return all
}

// spatialLayers returns how many a scalabilityMode has.
func spatialLayers(mode string) int {
	if mode == "" {
		return 1
	}
	return int(mode[1] - '0')
}

// layer gives a new publication the layers that were negotiated for it.
func (pub *publication) layer(t wire.OfferTrack, result *sdp.Negotiated) {
	pub.mode, pub.encodings = t.ScalabilityMode, acceptedEncodings(t, result)
	pub.Width, pub.Height = t.Width, t.Height
	switch {
	case len(pub.encodings) > 1:
		pub.Layers = wire.LayersSimulcast
	case spatialLayers(pub.mode) > 1:
		pub.Layers = wire.LayersSVC
	}
	if n := len(pub.encodings); n > 0 && pub.Width == 0 {
		pub.Width, pub.Height = pub.encodings[n-1].Width, pub.encodings[n-1].Height
	}
	pub.told = pub.sizes()
}

// sameLayers reports whether a track still has the layers of the publication.
func (pub *publication) sameLayers(t wire.OfferTrack, result *sdp.Negotiated) bool {
	return pub.mode == t.ScalabilityMode && slices.EqualFunc(pub.encodings, acceptedEncodings(t, result),
		func(a, b wire.OfferEncoding) bool { return a.RID == b.RID })
}

// sizes returns how many sizes the publication has.
func (pub *publication) sizes() int { return max(len(pub.encodings), spatialLayers(pub.mode)) }

// size returns one of them, the smallest first; 0: unknown.
func (pub *publication) size(i int) (width, height uint16) {
	if len(pub.encodings) > 0 {
		return pub.encodings[i].Width, pub.encodings[i].Height
	}
	halvings := pub.sizes() - 1 - i
	return pub.Width >> halvings, pub.Height >> halvings
}

// reach returns how many of its sizes are needed to fill a place: all up to the smallest one that is enough. The lower ones are
// what a subscriber gets whose network does not carry more.
func (pub *publication) reach(w route.Want) int {
	for i := range pub.sizes() {
		if width, height := pub.size(i); w.Enough(width, height) {
			return i + 1
		}
	}
	return pub.sizes()
}

// wish notes that somebody may want something else of a publication than before.
func (r *Room) wish(pub *publication) {
	if pub.Kind == wire.KindVideo && !pub.wished {
		pub.wished = true
		r.wished = append(r.wished, pub)
	}
}

// settleWishes tells publishers what is wanted of their publications, where that has changed.
func (r *Room) settleWishes() {
	for _, pub := range r.wished {
		pub.wished = false
		if pub.producer == 0 || r.sessions[pub.owner.session] != pub.owner {
			continue
		}
		if n := r.wanted(pub); n != pub.told {
			pub.told = n
			r.tell(pub.owner, wire.TypeEncodings, pub.shownEncodings())
		}
	}
	clear(r.wished)
	r.wished = r.wished[:0]
}

// wanted returns how many of a publication's sizes somebody wants.
func (r *Room) wanted(pub *publication) (most int) {
	for _, p := range r.participants {
		if s := p.subscriptions[pub]; s != nil && s.line != nil && !s.want.Paused {
			most = max(most, pub.reach(s.want))
		}
	}
	return most
}

// shownEncodings tells the publisher what is wanted.
func (pub *publication) shownEncodings() wire.Encodings {
	e := wire.Encodings{Publication: pub.ID, Active: []string{}}
	switch {
	case len(pub.encodings) > 0:
		for _, x := range pub.encodings[:pub.told] {
			e.Active = append(e.Active, x.RID)
		}
	case pub.told > 0:
		e.Active = append(e.Active, "")
		if pub.Layers == wire.LayersSVC {
			e.Spatial = pub.told
		}
	}
	return e
}

// shownWishes are what is wanted of the participant's publications.
func (p *participant) shownWishes() []wire.Encodings {
	shown := []wire.Encodings{}
	for _, pub := range p.publications {
		if pub.Kind == wire.KindVideo {
			shown = append(shown, pub.shownEncodings())
		}
	}
	return shown
}

// use notes how the participant uses what it subscribes to, and tells the media plane.
func (r *Room) use(p *participant, s *subscription, c Subscribe) {
	before := s.want
	if c.Width != nil {
		s.want.Width = *c.Width
	}
	if c.Height != nil {
		s.want.Height = *c.Height
	}
	if c.Priority != nil {
		s.want.Priority = *c.Priority
	}
	if c.Paused != nil {
		s.want.Paused = *c.Paused
	}
	if s.want == before {
		return
	}
	r.wish(s.publication)
	if s.want.Priority != before.Priority || s.want.Paused != before.Paused {
		r.unsettle(p) // others may come first now
	}
	if s.line == nil {
		return
	}
	r.setStatus(p, s, wire.SubscriptionActive, "")
	if s.line.producer == s.publication.producer { // else it is yet to be assigned
		r.prefer(p, s.line)
	}
}

// prefer tells the media plane how what fills the m-line is used.
func (r *Room) prefer(p *participant, l *line) {
	r.emit(Prefer{Transport: p.transport.id, Mid: l.mid, Want: l.filled.want})
}
