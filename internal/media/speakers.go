package media

import (
	"slices"
	"time"
)

// speakers is what a room was told of who speaks.
type speakers struct {
	told    Speakers
	toldAt  time.Time
	changed bool // since
	ids     []uint64
}

// rank tells the room who speaks, where that has changed, and at most every speakersPause.
func (s *Shard) rank(now time.Time, r *room) {
	floor, k := r.router.Floor(), &r.speakers
	floor.Tick(now)
	s.soon(floor.Next())
	k.changed = floor.Changed() || k.changed
	if !k.changed {
		return
	}
	if next := k.toldAt.Add(speakersPause); now.Before(next) {
		s.soon(next)
		return
	}
	k.changed = false
	var dominant uint64
	dominant, k.ids = floor.Ranking(k.ids[:0])
	is := Speakers{Dominant: ProducerID(dominant)}
	for _, id := range k.ids {
		is.Speaking = append(is.Speaking, ProducerID(id))
	}
	if is.Dominant == k.told.Dominant && slices.Equal(is.Speaking, k.told.Speaking) || len(r.endpoints) == 0 {
		return
	}
	k.told, k.toldAt = is, now
	r.endpoints[0].spec.Events.Post(Event{Speakers: &is}) // all Transports of a room have its sink
}
