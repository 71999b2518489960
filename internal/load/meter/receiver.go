// Package meter tells how well media arrives at one client: when the first picture is there, what is lost, late, or stands still. It
// also says what a browser would ask for: repairs and key frames.
package meter

import (
	"time"

	"github.com/parley-rtc/parley/internal/load/source"
)

// Packet is a received packet, or the one that a repair has in it.
type Packet struct {
	Mid     string // slot that it came by
	Video   bool
	Seq     uint16
	Size    int // in bytes, with RTP header
	Repair  bool
	Stamp   source.Stamp
	Stamped bool // otherwise somebody else sent it
}

// Want is what to ask for.
type Want struct {
	Repairs []uint16 // sequence numbers, valid until the next packet
	Key     bool
}

// Receiver measures one client.
type Receiver struct {
	// static after construction
	joining time.Time       // when it began to join
	room    map[uint32]bool // ids of the sources in its room

	// owned by the caller, who makes one call at a time
	begun        time.Time
	publications map[string]*publication
	slots        map[string]*slot
	sound, video Media
	misdirected  int
	asked        []uint16

	firstPictures, firstSounds []time.Duration
}

// publication is what another participant sends.
type publication struct {
	source   uint32
	video    bool
	expected bool // it has stamps
	active   bool // the server says that it fills a slot
	since    time.Time
	seen     bool // or heard
}

// slot is a receiving m-line.
type slot struct {
	video         bool
	numbers       sequence
	current, last *publication
	filled        time.Time
	picture       picture
}

// NewReceiver returns one for a client that begins to join now. room has the ids of the sources that it may get.
func NewReceiver(now time.Time, room map[uint32]bool) *Receiver {
	return &Receiver{joining: now, begun: now, room: room, publications: map[string]*publication{}, slots: map[string]*slot{}}
}

// Publish notes a publication of another participant. One that was there before the client joined is waited for since the client began
// to join, another since now.
func (r *Receiver) Publish(now time.Time, id string, of uint32, video, before bool) {
	if r.publications[id] != nil || len(r.publications) == maxKnown {
		return
	}
	p := &publication{source: of, video: video, expected: r.room[of], since: now}
	if before {
		p.since = r.joining
	}
	r.publications[id] = p
}

// Unpublish notes that a publication is gone.
func (r *Receiver) Unpublish(now time.Time, id string) {
	if p := r.publications[id]; p != nil {
		p.active = false
		for _, s := range r.slots {
			if s.current == p {
				r.fill(now, s, nil)
			}
		}
		delete(r.publications, id)
	}
}

// Subscription notes whether the server forwards a publication. While it does not, its picture may stand still.
func (r *Receiver) Subscription(now time.Time, id string, active bool) {
	p := r.publications[id]
	if p == nil {
		return
	}
	p.active = active
	for _, s := range r.slots {
		if s.current == p && !active {
			s.picture.pause(now)
		}
	}
}

// Fill notes that a slot has a new publication; none if the id is empty.
func (r *Receiver) Fill(now time.Time, mid, id string) {
	if s := r.slot(mid); s != nil {
		r.fill(now, s, r.publications[id])
	}
}

func (r *Receiver) fill(now time.Time, s *slot, p *publication) {
	if s.current == p {
		return
	}
	s.picture.pause(now)
	r.video.picture(&s.picture)
	s.picture = picture{begun: r.begun}
	s.last, s.current, s.filled = s.current, p, now
}

func (r *Receiver) slot(mid string) *slot {
	s := r.slots[mid]
	if s == nil && len(r.slots) < maxKnown {
		s = &slot{picture: picture{begun: r.begun}}
		r.slots[mid] = s
	}
	return s
}

// Packet takes in a packet.
func (r *Receiver) Packet(now time.Time, p Packet) Want {
	s := r.slot(p.Mid)
	if s == nil || !s.numbers.note(now, p.Seq, p.Repair, p.Video) {
		return Want{}
	}
	s.video = p.Video
	m := &r.sound
	if p.Video {
		m = &r.video
	}
	m.Bytes += int64(p.Size)
	var want Want
	if p.Stamped {
		m.Delay.Add(now.Sub(p.Stamp.Sent))
		want.Key = r.stamped(now, s, p)
	}
	if p.Video {
		r.asked = s.numbers.asks(now, r.asked[:0])
		want.Repairs = r.asked
	}
	return want
}

// stamped looks at what a packet shows or sounds like.
func (r *Receiver) stamped(now time.Time, s *slot, p Packet) (wantKey bool) {
	switch c := s.current; {
	case !r.room[p.Stamp.Source]:
		r.misdirected++
	case c == nil || c.source != p.Stamp.Source:
		// Media and messages take different ways: what was sent before the slot changed may come after the event.
		late := s.last != nil && s.last.source == p.Stamp.Source && now.Sub(s.filled) < afterglow
		if c != nil && !late {
			r.misdirected++
		}
	case p.Video:
		wantKey = s.picture.packet(now, p.Stamp)
		if s.picture.next != 0 {
			r.first(now, c)
		}
	default:
		r.first(now, c)
	}
	return wantKey
}

// first notes that a publication is seen or heard.
func (r *Receiver) first(now time.Time, p *publication) {
	took := now.Sub(p.since)
	switch {
	case p.seen:
	case p.video && len(r.firstPictures) < maxKnown:
		r.firstPictures = append(r.firstPictures, took)
	case !p.video && len(r.firstSounds) < maxKnown:
		r.firstSounds = append(r.firstSounds, took)
	}
	p.seen = true
}

// Begin starts to count anew. Who waits for a first picture goes on waiting.
func (r *Receiver) Begin(now time.Time) {
	r.begun, r.sound, r.video, r.misdirected = now, Media{}, Media{}, 0
	for _, s := range r.slots {
		s.numbers.begin()
		s.picture.begin(now)
	}
}
