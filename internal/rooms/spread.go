package rooms

import (
	"slices"

	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/room"
	"github.com/parley-rtc/parley/internal/sdp"
)

// spread is where a room's media lives: each Transport on one shard, for its life. A small room is on its home alone. One that grows
// goes on to others, and is joined by Pipes: whatever fills a slot on another shard than its publisher's has a mirror there.
type spread struct {
	// static after construction
	id     media.RoomID
	home   int // shard
	from   int // slots that a shard gets before the room goes on to another
	places *places

	// owned by the actor's loop
	transports map[media.TransportID]*placed
	producers  map[media.ProducerID]*produced
	shards     []presence // by number
	told       []int      // shards, of one another
}

// presence is what of the room is on one shard.
type presence struct{ transports, slots int }

// placed is a Transport.
type placed struct {
	shard int
	slots map[string]bool // mids that are filled; nil: its place is given up
}

// produced is a Producer.
type produced struct {
	transport media.TransportID
	mirror    media.Mirror // what makes it known on other shards
	ranked    bool
}

// order is a command and the shard that it is for.
type order struct {
	shard   int
	command media.Command
}

func newSpread(id media.RoomID, p *places, from int) *spread {
	return &spread{
		id: id, home: p.least(1), from: from, places: p, shards: make([]presence, len(p.load)),
		transports: map[media.TransportID]*placed{}, producers: map[media.ProducerID]*produced{},
	}
}

// place returns where the next Transport goes: home, or where the room is already, until that has enough of it; then to the shard
// with the least load. So a shard has much of a room, or nothing.
func (s *spread) place() int {
	if s.shards[s.home].slots < s.from {
		return s.home
	}
	for i, x := range s.shards {
		if x.transports > 0 && x.slots < s.from {
			return i
		}
	}
	return s.places.least(0)
}

// orders tells who is given what so that an effect comes about, of which c is the command; and notes what will be.
func (s *spread) orders(e room.Effect, c media.Command) []order {
	switch c := c.(type) {
	case media.OpenTransport:
		return s.open(c, e.(room.OpenTransport).Shard)
	case media.CloseTransport:
		return s.close(c)
	case media.Publish:
		return s.publish(c, e.(room.StartProducer).Section)
	case media.Unpublish:
		return s.unpublish(c)
	case media.Rank:
		return s.rank(c)
	case media.Assign:
		return s.assign(c)
	}
	if t := s.transports[media.About(c)]; t != nil {
		return []order{{t.shard, c}}
	}
	return nil
}

func (s *spread) open(c media.OpenTransport, shard int) []order {
	s.transports[c.Transport] = &placed{shard: shard, slots: map[string]bool{}}
	s.shards[shard].transports++
	s.places.add(shard, 1)
	orders := []order{{shard, c}}
	if s.shards[shard].transports == 1 {
		orders = append(orders, s.span()...)
		orders = append(orders, s.introduce(shard)...)
	}
	return orders
}

// span tells the shards of the room of one another, where there is or was more than one.
func (s *spread) span() (orders []order) {
	all := s.present()
	if len(all) > 1 || len(s.told) > 1 {
		for _, shard := range all {
			orders = append(orders, order{shard, media.Span{Room: s.id, Shards: all}})
		}
	}
	s.told = all
	return orders
}

// present lists the shards that the room has Transports on.
func (s *spread) present() (all []int) {
	for i, x := range s.shards {
		if x.transports > 0 {
			all = append(all, i)
		}
	}
	return all
}

// introduce makes the microphones of other shards known to one: all shards rank all microphones.
func (s *spread) introduce(shard int) (orders []order) {
	for _, id := range s.sorted() {
		if p := s.producers[id]; p.mirror.Microphone && p.mirror.Shard != shard {
			orders = append(orders, order{shard, p.mirror}, order{shard, media.Rank{Producer: id, Ranked: p.ranked}})
		}
	}
	return orders
}

func (s *spread) sorted() []media.ProducerID {
	all := make([]media.ProducerID, 0, len(s.producers))
	for id := range s.producers {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

func (s *spread) close(c media.CloseTransport) []order {
	t := s.transports[c.Transport]
	if t == nil {
		return nil
	}
	delete(s.transports, c.Transport)
	for id, p := range s.producers {
		if p.transport == c.Transport {
			delete(s.producers, id)
		}
	}
	return append([]order{{t.shard, c}}, s.vacate(t)...)
}

// failed notes that a shard has closed a Transport by itself. Where it was the last of the room there, the shard has forgotten all
// it knew of the room, and is told again if another Transport was opened meanwhile.
func (s *spread) failed(id media.TransportID) []order {
	t := s.transports[id]
	if t == nil || t.slots == nil {
		return nil
	}
	orders := s.vacate(t)
	if s.shards[t.shard].transports > 0 && len(s.told) > 1 {
		orders = append(orders, order{t.shard, media.Span{Room: s.id, Shards: s.told}})
		orders = append(orders, s.introduce(t.shard)...)
	}
	return orders
}

// vacate gives up a Transport's place, once.
func (s *spread) vacate(t *placed) []order {
	if t.slots == nil {
		return nil
	}
	x := &s.shards[t.shard]
	x.transports--
	x.slots -= len(t.slots)
	s.places.add(t.shard, -1-len(t.slots))
	t.slots = nil
	if x.transports > 0 {
		return nil
	}
	return s.span()
}

func (s *spread) publish(c media.Publish, section sdp.Negotiated) []order {
	t := s.transports[c.Transport]
	if t == nil {
		return nil
	}
	p := &produced{transport: c.Transport, mirror: media.Mirror{
		Room: s.id, Producer: c.Producer, Shard: t.shard, Section: section, Encrypted: c.Encrypted, Microphone: c.Microphone,
		Encodings: c.Encodings,
	}}
	s.producers[c.Producer] = p
	orders := []order{{t.shard, c}}
	for _, shard := range s.present() {
		if c.Microphone && shard != t.shard {
			orders = append(orders, order{shard, p.mirror})
		}
	}
	return orders
}

func (s *spread) unpublish(c media.Unpublish) []order {
	p := s.producers[c.Producer]
	if p == nil {
		return nil
	}
	delete(s.producers, c.Producer)
	return []order{{p.mirror.Shard, c}} // it tells those that have mirrors
}

// rank goes to every shard: all rank all microphones.
func (s *spread) rank(c media.Rank) (orders []order) {
	p := s.producers[c.Producer]
	if p == nil {
		return nil
	}
	p.ranked = c.Ranked
	for _, shard := range s.present() {
		orders = append(orders, order{shard, c})
	}
	return orders
}

func (s *spread) assign(c media.Assign) []order {
	t := s.transports[c.Transport]
	if t == nil {
		return nil
	}
	if t.slots != nil {
		before := len(t.slots)
		if c.Producer == 0 {
			delete(t.slots, c.Mid)
		} else {
			t.slots[c.Mid] = true
		}
		s.shards[t.shard].slots += len(t.slots) - before
		s.places.add(t.shard, len(t.slots)-before)
	}
	if p := s.producers[c.Producer]; p != nil && p.mirror.Shard != t.shard {
		return []order{{t.shard, p.mirror}, {t.shard, c}}
	}
	return []order{{t.shard, c}}
}

// end gives up all places.
func (s *spread) end() {
	for _, t := range s.transports {
		s.vacate(t)
	}
	s.places.add(s.home, -1)
}
