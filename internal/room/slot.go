package room

import (
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// slot is a pair of receiving m-lines that share one MediaStream and one CNAME, so that lips follow voices; or one m-line,
// which then is for screens.
type slot struct {
	audio, video *line // one of them may be nil
}

// line is one receiving m-line.
type line struct {
	// static after construction
	mid   string
	kind  wire.Kind
	local sdp.LocalSection

	// owned by the room
	open       bool        // the last offer receives on it
	codecs     []sdp.Codec // negotiated
	filled     *subscription
	producer   uint64 // told to the media plane
	generation uint64 // of the last change
}

func (s *slot) line(kind wire.Kind) *line {
	if kind == wire.KindAudio {
		return s.audio
	}
	return s.video
}

// lines lists those that there are.
func (s *slot) lines() []*line {
	switch {
	case s.audio == nil:
		return []*line{s.video}
	case s.video == nil:
		return []*line{s.audio}
	}
	return []*line{s.audio, s.video}
}

func (s *slot) free() bool {
	return (s.audio == nil || s.audio.filled == nil) && (s.video == nil || s.video.filled == nil)
}

// fits tells whether the m-line can carry the publication, be it free or not. Comparing codecs reads their parameters: where
// many slots are looked at, what is cheaper is asked first.
func (l *line) fits(pub *publication) bool {
	return l != nil && l.open && l.kind == pub.Kind && matches(l.codecs, pub.codec)
}

func (l *line) shown(generation uint64) wire.Slot {
	w := wire.Slot{Mid: l.mid, Generation: generation}
	if l.filled != nil {
		w.Identity, w.Publication = l.filled.publication.owner.identity, l.filled.publication.ID
	}
	return w
}

func (p *participant) lines() []*line {
	var all []*line
	for _, s := range p.slots {
		all = append(all, s.lines()...)
	}
	return all
}

func (p *participant) shownSlots() []wire.Slot {
	shown := []wire.Slot{}
	for _, l := range p.lines() {
		shown = append(shown, l.shown(l.generation))
	}
	return shown
}

// place finds the m-line for a publication, or nil. A microphone and a camera of one participant go to the same pair, and
// nothing else goes there; the sound of a screen takes a pair of its own; pictures of a screen take video-only slots.
func (p *participant) place(pub *publication) *line {
	if pub.Source == wire.SourceMicrophone || pub.Source == wire.SourceCamera {
		if s := p.beside(pub); s != nil {
			if l := s.line(pub.Kind); l.fits(pub) {
				return l
			}
			return nil
		}
	}
	for _, s := range p.slots {
		if l := s.line(pub.Kind); s.free() && p.suits(s, pub) && l.fits(pub) {
			return l
		}
	}
	return nil
}

// beside finds the pair that holds the other half of what the publication's participant sends, with this half free.
func (p *participant) beside(pub *publication) *slot {
	for _, s := range p.slots {
		if s.audio == nil || s.video == nil {
			continue
		}
		this, other := s.audio, s.video
		half := wire.SourceCamera
		if pub.Kind == wire.KindVideo {
			this, other = s.video, s.audio
			half = wire.SourceMicrophone
		}
		if this.filled == nil && other.filled != nil &&
			other.filled.publication.owner == pub.owner && other.filled.publication.Source == half {
			return s
		}
	}
	return nil
}

// suits tells whether a free slot is of the sort that the publication goes to.
func (p *participant) suits(s *slot, pub *publication) bool {
	if pub.Kind == wire.KindAudio || p.carrier == WHEP {
		return true
	}
	return (pub.Source == wire.SourceCamera) == (s.audio != nil)
}

// decodes tells whether any m-line of the participant could carry the publication. Where it has none of that kind, nobody
// knows, and the answer is yes.
func (p *participant) decodes(pub *publication) bool {
	known := false
	for _, s := range p.slots {
		l := s.line(pub.Kind)
		if l.fits(pub) {
			return true
		}
		known = known || l != nil && l.open
	}
	return !known
}

// unsettle has a participant's slots looked at before Apply returns.
func (r *Room) unsettle(p *participant) {
	if !p.unsettled {
		p.unsettled = true
		r.unsettled = append(r.unsettled, p)
	}
}

// settle brings slots, subscriptions and common codecs in line with what Apply has changed, and tells the difference.
func (r *Room) settle() {
	r.settleCodecs()
	for _, p := range r.unsettled {
		p.unsettled = false
		if r.sessions[p.session] == p && p.transport != nil {
			r.fill(p)
			r.assign(p)
			r.hear(p, p.microphones())
			r.grow(p)
		}
	}
	r.unsettled = r.unsettled[:0]
}

// fill puts waiting subscriptions into slots, and tells what became of each subscription.
func (r *Room) fill(p *participant) {
	p.choose(r.publications)
	p.lineUp()
	p.placeWaiting()
	p.promote()
	for _, l := range p.lines() {
		if l.filled != nil {
			r.setStatus(p, l.filled, wire.SubscriptionActive, "")
		}
	}
	pairs, _ := p.slotCounts()
	for _, s := range p.waiting {
		switch {
		case !p.decodes(s.publication):
			r.setStatus(p, s, wire.SubscriptionUnsupportedCodec, "")
		case s.left, paired(s.publication) && pairs == wire.MaxSlotPairs:
			r.setStatus(p, s, wire.SubscriptionPending, wire.PendingLastN)
		default:
			r.setStatus(p, s, wire.SubscriptionPending, "")
		}
	}
}

// placeWaiting puts waiting subscriptions into slots that are free, in the order in which they wait. One that finds its place can make a
// place beside it for another that was passed over, so it goes on until nothing moves.
func (p *participant) placeWaiting() {
	for moved := true; moved; {
		waiting := p.waiting[:0]
		for _, s := range p.waiting {
			if l := p.place(s.publication); l != nil && !s.left {
				l.filled, s.line = s, l
				continue
			}
			waiting = append(waiting, s)
		}
		moved = len(waiting) < len(p.waiting) && len(waiting) > 0
		clear(p.waiting[len(waiting):])
		p.waiting = waiting
	}
}

// assign tells the media plane and the client which m-lines carry something else now.
func (r *Room) assign(p *participant) {
	for _, l := range p.lines() {
		var producer uint64
		if l.filled != nil {
			producer = l.filled.publication.producer
		}
		if l.producer == producer {
			continue
		}
		p.generation++
		l.producer, l.generation = producer, p.generation
		r.emit(Assign{
			Transport: p.transport.id, Mid: l.mid, Generation: l.generation, Producer: producer,
			Immediate: p.carrier == WHEP,
		})
		if producer != 0 && l.filled.want != route.DefaultWant {
			r.prefer(p, l)
		}
		r.tell(p, wire.TypeSlot, l.shown(l.generation))
	}
}

// grow asks for more slots where subscriptions wait for them. The pool doubles, so that a full room takes few offers.
func (r *Room) grow(p *participant) {
	if p.carrier != WS || p.transport.failed {
		return
	}
	pairs, videos := p.slotCounts()
	needPairs, needVideos := p.missing()
	want := wire.GrowSlots{
		Pairs:  doubled(pairs, pairs+needPairs, firstPairs, wire.MaxSlotPairs),
		Videos: doubled(videos, videos+needVideos, 1, MaxVideoSlots),
	}
	if want.Pairs > max(pairs, p.asked.Pairs) || want.Videos > max(videos, p.asked.Videos) {
		p.asked = want
		r.tell(p, wire.TypeGrowSlots, want)
	}
}

// slotCounts counts pairs and video-only slots.
func (p *participant) slotCounts() (pairs, videos int) {
	for _, s := range p.slots {
		if s.audio != nil {
			pairs++
		} else {
			videos++
		}
	}
	return pairs, videos
}

// missing counts the slots that the pending subscriptions need.
func (p *participant) missing() (pairs, videos int) {
	type halves struct{ microphones, cameras int }
	owners := map[*participant]halves{}
	for _, s := range p.waiting {
		if s.status != wire.SubscriptionPending || s.left {
			continue
		}
		pub := s.publication
		h := owners[pub.owner]
		switch {
		case pub.Source == wire.SourceMicrophone:
			h.microphones++
		case pub.Source == wire.SourceCamera:
			h.cameras++
		case pub.Kind == wire.KindAudio:
			pairs++
		default:
			videos++
		}
		owners[pub.owner] = h
	}
	for _, h := range owners {
		pairs += max(h.microphones, h.cameras)
	}
	return pairs, videos
}

// doubled doubles have, which starts at first, until it reaches need or most.
func doubled(have, need, first, most int) int {
	if need <= have {
		return have
	}
	n := max(have, first)
	for n < need {
		n *= 2
	}
	return max(have, min(n, most))
}

// slotReady passes on that a slot is blanked. An old generation is of a change that another has overtaken.
func (r *Room) slotReady(c SlotReady) *wire.Error {
	p, refused := r.member(c.Session)
	if refused != nil {
		return refused
	}
	for _, l := range p.lines() {
		if l.mid == c.Mid {
			if l.generation == c.Generation && l.producer != 0 {
				r.emit(OpenSlot{Transport: p.transport.id, Mid: c.Mid, Generation: c.Generation})
			}
			return nil
		}
	}
	return wire.NewError(wire.CodeNotFound, "no slot has the mid "+c.Mid, "acknowledge the slots of your last offer")
}
