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
	silent  bool // another shard of the room tells
	again   bool // it did until now: what it told last is not known here
	ids     []uint64
}

// silence lets another shard tell the room who speaks, or this one: one of them does, all know the same.
func (k *speakers) silence(silent bool) {
	if k.silent && !silent {
		k.changed, k.again = true, true
	}
	k.silent = silent
}

// rank tells the room who speaks, where that has changed, and at most every speakersPause.
func (s *Shard) rank(now time.Time, r *room) {
	floor, k := r.router.Floor(), &r.speakers
	floor.Tick(now)
	s.within(r, floor.Next())
	k.changed = floor.Changed() || k.changed
	if !k.changed || k.silent {
		return
	}
	if next := k.toldAt.Add(speakersPause); now.Before(next) {
		s.agenda.soon(&r.task, next)
		return
	}
	k.changed = false
	var dominant uint64
	dominant, k.ids = floor.Ranking(k.ids[:0])
	is := Speakers{Dominant: ProducerID(dominant)}
	for _, id := range k.ids {
		is.Speaking = append(is.Speaking, ProducerID(id))
	}
	if is.Dominant == k.told.Dominant && slices.Equal(is.Speaking, k.told.Speaking) && !k.again || len(r.endpoints) == 0 {
		return
	}
	k.told, k.toldAt, k.again = is, now, false
	r.endpoints[0].spec.Events.Post(Event{Speakers: &is}) // all Transports of a room have its sink
}
