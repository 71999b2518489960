package media

import (
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/sdp"
)

// A room may have Transports on several shards. Its Producers live where their Transports do; where others watch them they have
// mirrors, and a Pipe from the one shard to the other carries the packets. Everything that crosses is a copy or a message:
//
//	PipeBatch   packets, by a channel, from the near side of a Pipe to the far one; used again afterwards
//	wishes      by mail, from the far side to the near one: repeated, and void when they are not
//	gone        by mail, from the near side to the far one: the Producer has ended

// Mirror lets a Producer of another shard fill slots on this one. It is given again before each use: where the mirror is there
// already, or nobody of the room is here, it does nothing.
type Mirror struct {
	Room       RoomID
	Producer   ProducerID
	Shard      int            // where the Producer is
	Section    sdp.Negotiated // the m-line that feeds it
	Encrypted  bool
	Microphone bool
	Encodings  []Encoding
}

// Span tells on which shards a room has Transports; the first tells of its speakers. A room that was not told of is on this shard
// alone.
type Span struct {
	Room   RoomID
	Shards []int
}

func (Mirror) about() TransportID { return 0 }
func (Span) about() TransportID   { return 0 }

// wishes are those of one room on one shard, about Producers of another.
type wishes struct {
	room RoomID
	from int // shard
	list []route.Wish
}

// cross takes a batch that has come by a Pipe. It reports false where this shard does not keep up: the batch is then still the
// caller's. Safe for concurrent use.
func (s *Shard) cross(b *route.PipeBatch) bool {
	select {
	case s.pipes <- b:
		return true
	default:
		return false
	}
}

// receivePiped gives what has come by a Pipe to the mirrors of its room.
func (s *Shard) receivePiped(b *route.PipeBatch) {
	r := s.rooms[RoomID(b.Room)]
	if r == nil {
		s.drops[drop.Unpublished] += uint64(b.Packets())
		return
	}
	defer s.recover(nil)
	s.counts.Piped += uint64(b.Packets())
	r.router.Deliver(b, &s.drops)
	s.feed(r)
}

// ship sends what waits to cross.
func (s *Shard) ship(r *room) {
	for _, p := range r.router.Pipes() {
		if p.Pending() == 0 {
			continue
		}
		b, dropped := p.Swap(s.sparePiped())
		s.drops[drop.PipeFull] += uint64(dropped)
		b.Room = uint64(r.id)
		if !s.peers[p.To()].cross(b) {
			s.drops[drop.PipeFull] += uint64(b.Packets())
			r.router.Lost(p.To(), b)
			s.recyclePiped(b)
		}
	}
}

func (s *Shard) sparePiped() *route.PipeBatch {
	select {
	case b := <-s.spare:
		return b
	default:
		return route.NewPipeBatch()
	}
}

func (s *Shard) recyclePiped(b *route.PipeBatch) {
	select {
	case s.spare <- b:
	default:
	}
}

// mirror makes the mirror of a Producer.
func (s *Shard) mirror(now time.Time, c Mirror) {
	r := s.rooms[c.Room]
	if r == nil || s.producers[c.Producer] != nil {
		return
	}
	p := r.router.Mirror(producerConfig(c.Producer, c.Section, c.Encrypted, c.Microphone, c.Encodings))
	r.homes[p] = c.Shard
	s.producers[c.Producer] = r
	s.mirrors++
	s.wish(now, r)
}

// wish tells other shards what is wanted of their Producers.
func (s *Shard) wish(now time.Time, r *room) {
	if len(r.homes) == 0 {
		return
	}
	r.wishes = r.router.Wishes(now, r.wishes[:0])
	for len(r.wishes) > 0 {
		home := r.homeOf(r.wishes[0])
		mine := wishes{room: r.id, from: s.index}
		others := r.wishes[:0]
		for _, w := range r.wishes {
			if r.homeOf(w) == home {
				mine.list = append(mine.list, w)
			} else {
				others = append(others, w)
			}
		}
		r.wishes = others
		s.peers[home].mail.put(letter{wishes: &mine}) // where it does not fit, it is repeated
	}
	s.agenda.soon(&r.task, r.router.NextWish())
}

func (r *room) homeOf(w route.Wish) int { return r.homes[r.router.Producer(w.Producer)] }

// wished does what another shard wishes, and tells it which Producers have ended.
func (s *Shard) wished(now time.Time, w *wishes) {
	r := s.rooms[w.room]
	var gone []ProducerID
	for _, x := range w.list {
		if r == nil || !r.router.Wish(now, w.from, x) {
			gone = append(gone, ProducerID(x.Producer))
		}
	}
	if len(gone) > 0 {
		s.peers[w.from].mail.put(letter{gone: gone})
	}
}

// forgetMirrors ends the mirrors whose originals have ended.
func (s *Shard) forgetMirrors(gone []ProducerID) {
	for _, id := range gone {
		if r := s.producers[id]; r != nil && r.router.Producer(uint64(id)).IsMirror() {
			s.unpublish(id)
		}
	}
}

// closeMirrors ends the mirrors of a room that has nobody here any more, and tells the shards that fed them.
func (s *Shard) closeMirrors(r *room) {
	for len(r.homes) > 0 {
		var home int
		for _, home = range r.homes {
			break
		}
		w := wishes{room: r.id, from: s.index}
		for p, h := range r.homes {
			if h == home {
				w.list = append(w.list, route.Wish{Producer: p.ID()})
				s.unpublish(ProducerID(p.ID()))
			}
		}
		s.peers[home].mail.put(letter{wishes: &w})
	}
}

// span notes whether the room is elsewhere too. The first of its shards speaks for it.
func (s *Shard) span(c Span) {
	if r := s.rooms[c.Room]; r != nil {
		r.speakers.silence(len(c.Shards) > 0 && c.Shards[0] != s.index)
	}
}
