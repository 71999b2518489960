package room

import (
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// speak tells who speaks. Producers that have ended meanwhile are passed over, and of several microphones of one participant the
// first counts.
func (r *Room) speak(c Speakers) {
	is := wire.Speakers{Speaking: []string{}}
	for _, producer := range c.Speaking {
		if p := r.producing(producer); p != nil && !slices.Contains(is.Speaking, p.identity) {
			is.Speaking = append(is.Speaking, p.identity)
		}
	}
	if p := r.producing(c.Dominant); p != nil {
		is.Dominant = p.identity
	}
	r.setSpeakers(is)
}

// producing finds whose publication feeds a Producer, or nil.
func (r *Room) producing(producer uint64) *participant {
	for _, pub := range r.publications {
		if pub.producer == producer {
			return pub.owner
		}
	}
	return nil
}

// silence takes somebody who leaves out of those who speak.
func (r *Room) silence(p *participant) {
	is := wire.Speakers{
		Dominant: r.speakers.Dominant,
		Speaking: slices.DeleteFunc(slices.Clone(r.speakers.Speaking), func(i string) bool { return i == p.identity }),
	}
	if is.Dominant == p.identity {
		is.Dominant = ""
	}
	r.setSpeakers(is)
}

func (r *Room) setSpeakers(is wire.Speakers) {
	if is.Dominant == r.speakers.Dominant && slices.Equal(is.Speaking, r.speakers.Speaking) {
		return
	}
	before := r.speakers
	r.speakers = is
	r.change(wire.TypeSpeakers, is, nil)
	r.turns(before)
}

// turns notes who has begun to speak or to lead since, and lets those look at their slots for whom it may make a difference.
func (r *Room) turns(before wire.Speakers) {
	now := r.turn
	for _, identity := range r.speakers.Speaking {
		if !slices.Contains(before.Speaking, identity) {
			r.turn++
			r.identities[identity].spoke = r.turn
		}
	}
	if leader := r.identities[r.speakers.Dominant]; leader != nil && r.speakers.Dominant != before.Dominant {
		r.turn++
		leader.spoke, leader.led = r.turn, r.turn
	}
	if r.turn == now {
		return
	}
	for _, p := range r.participants {
		if p.lastN > 0 || len(p.waiting) > 0 {
			r.unsettle(p)
		}
	}
}
