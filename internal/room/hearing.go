package room

import (
	"github.com/parley-rtc/parley/internal/voice"
	"github.com/parley-rtc/parley/wire"
)

// Microphones are ranked: of those in a room only the loudest pass. But whoever listens to no more than pass at once shall hear all
// of them, however loud the others are that he does not listen to: the viewer of one speaker, an interpreter's audience. A
// microphone is therefore ranked only while everybody who listens to it listens to more than that.

// microphones are those in the participant's slots.
func (p *participant) microphones() []*publication {
	var all []*publication
	for _, s := range p.slots {
		if s.audio != nil && s.audio.filled != nil && s.audio.filled.publication.Source == wire.SourceMicrophone {
			all = append(all, s.audio.filled.publication)
		}
	}
	return all
}

// hear notes which microphones a participant listens to now, and ranks those for which that makes a difference.
func (r *Room) hear(p *participant, now []*publication) {
	before := p.hears
	p.hears = now
	count(before, -1)
	count(now, 1)
	for _, pub := range before {
		r.rank(pub)
	}
	for _, pub := range now {
		r.rank(pub)
	}
}

func count(heard []*publication, by int) {
	for _, pub := range heard {
		pub.listeners += by
		if len(heard) <= voice.Places {
			pub.alone += by
		}
	}
}

func (r *Room) rank(pub *publication) {
	ranked := pub.listeners > 0 && pub.alone == 0
	if pub.producer != 0 && ranked != pub.ranked {
		pub.ranked = ranked
		r.emit(Rank{Producer: pub.producer, Ranked: ranked})
	}
}
