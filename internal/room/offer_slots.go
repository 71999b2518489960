package room

import (
	"strconv"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// impliedSlots pairs the receiving m-lines of a WHEP offer: the first audio with the first video, and so on.
func (n *negotiation) impliedSlots() []wire.OfferSlot {
	var audios, videos []string
	for i := range n.sdp.Sections {
		switch s := &n.sdp.Sections[i]; {
		case !receives(s):
		case s.Kind == sdp.Audio:
			audios = append(audios, s.Mid)
		case s.Kind == sdp.Video:
			videos = append(videos, s.Mid)
		}
	}
	slots := make([]wire.OfferSlot, max(len(audios), len(videos)))
	for i, mid := range audios {
		slots[i].Audio = mid
	}
	for i, mid := range videos {
		slots[i].Video = mid
	}
	return slots
}

// prepareSlots keeps the slots of the Transport that there is, and makes those that the offer adds.
func (r *Room) prepareSlots(n *negotiation, offered []wire.OfferSlot) *wire.Error {
	var have []*slot
	if !n.opened {
		have = n.p.slots
	}
	if refused := checkSlots(n, have, offered); refused != nil {
		return refused
	}
	n.slots = append(n.slots, have...)
	used := n.ssrcs()
	for i := len(have); i < len(offered); i++ {
		n.slots = append(n.slots, r.newSlot(i, offered[i], used))
	}
	for _, s := range n.slots {
		for _, l := range s.lines() {
			if receives(n.sections[l.mid]) {
				n.local.Sections[l.mid] = l.local
			}
		}
	}
	return nil
}

func checkSlots(n *negotiation, have []*slot, offered []wire.OfferSlot) *wire.Error {
	if len(offered) < len(have) {
		return badSlot("some of the slots before are missing")
	}
	used := map[string]bool{}
	for _, t := range n.tracks {
		used[t.Mid] = true
	}
	pairs := 0
	for i, o := range offered {
		if i < len(have) && have[i].offered() != o {
			return badSlot("slot " + strconv.Itoa(i) + " has other m-lines than before")
		}
		if o == (wire.OfferSlot{}) {
			return badSlot("slot " + strconv.Itoa(i) + " names no m-line")
		}
		if o.Audio != "" {
			pairs++
		}
		if !n.usable(o.Audio, sdp.Audio, used) || !n.usable(o.Video, sdp.Video, used) {
			return badSlot("slot " + strconv.Itoa(i) + " names an m-line that is missing, of the other kind, or named twice")
		}
	}
	if pairs > wire.MaxSlotPairs || len(offered)-pairs > MaxVideoSlots {
		return wire.NewError(wire.CodeLimit, "too many slots", "offer at most 24 pairs and 8 video-only slots")
	}
	return nil
}

// usable tells whether a slot may use the m-line, if it names one.
func (n *negotiation) usable(mid string, kind sdp.Kind, used map[string]bool) bool {
	if mid == "" {
		return true
	}
	s := n.sections[mid]
	if s == nil || s.Kind != kind || used[mid] {
		return false
	}
	used[mid] = true
	return true
}

func badSlot(what string) *wire.Error {
	return wire.NewError(wire.CodeBadRequest, what, "list all slots of the connection in the same order, new ones at the end")
}

func (s *slot) offered() wire.OfferSlot {
	var o wire.OfferSlot
	if s.audio != nil {
		o.Audio = s.audio.mid
	}
	if s.video != nil {
		o.Video = s.video.mid
	}
	return o
}

// newSlot fixes what its m-lines carry for their life: one MediaStream and one CNAME, so that browsers synchronise them.
func (r *Room) newSlot(i int, o wire.OfferSlot, used map[uint32]bool) *slot {
	name := "slot-" + strconv.Itoa(i)
	shared := sdp.LocalSection{Role: sdp.RoleSend, StreamID: name, CNAME: r.token(nameLetters, 16)}
	s := &slot{}
	if o.Audio != "" {
		audio := shared
		audio.TrackID, audio.SSRC = name+"-audio", r.freeSSRC(used)
		s.audio = &line{mid: o.Audio, kind: wire.KindAudio, local: audio}
	}
	if o.Video != "" {
		video := shared
		video.TrackID, video.SSRC, video.RTXSSRC = name+"-video", r.freeSSRC(used), r.freeSSRC(used)
		s.video = &line{mid: o.Video, kind: wire.KindVideo, local: video}
	}
	return s
}

// freeSSRC returns one that the RTP session does not use (RFC 3550 §8.1), and takes it.
func (r *Room) freeSSRC(used map[uint32]bool) uint32 {
	for {
		if ssrc := uint32(r.random.Uint64()); ssrc != 0 && !used[ssrc] {
			used[ssrc] = true
			return ssrc
		}
	}
}

// ssrcs are those that the Transport uses already, on either side.
func (n *negotiation) ssrcs() map[uint32]bool {
	used := map[uint32]bool{}
	for i := range n.sdp.Sections {
		for _, ssrc := range n.sdp.Sections[i].SSRCs {
			used[ssrc] = true
		}
		for _, rtx := range n.sdp.Sections[i].RTX {
			used[rtx] = true
		}
	}
	for _, s := range n.slots {
		for _, l := range s.lines() {
			used[l.local.SSRC], used[l.local.RTXSSRC] = true, true
		}
	}
	return used
}

// commitSlots opens and closes m-lines as negotiated. What a line cannot carry any more waits for another slot.
func (r *Room) commitSlots(n *negotiation) {
	p := n.p
	p.slots = n.slots
	for _, l := range p.lines() {
		result := n.results[l.mid]
		l.open, l.codecs = result != nil && result.Role == sdp.RoleSend, nil
		if l.open {
			l.codecs = result.Codecs
		}
	}
	p.waiting = p.waiting[:0]
	for _, pub := range r.publications {
		s := p.subscriptions[pub]
		if s == nil || !s.wanted {
			continue
		}
		if s.line != nil && (n.opened || !s.line.fits(pub)) {
			s.vacate()
		}
		if s.line == nil {
			p.waiting = append(p.waiting, s)
		}
	}
}
