package meter

import (
	"slices"
	"time"
)

// Media is what came of one kind, since Begin.
type Media struct {
	Tracks   int // that carried something
	Packets  int // with repairs
	Lost     int // packets that neither came nor were repaired
	Repaired int
	Bytes    int64 // of RTP packets, without those of others below
	Delay    Histogram

	// of video
	Frames  int        // that could be shown
	Sizes   [Sizes]int // frames of each encoding
	Freezes int
	Frozen  time.Duration
	Watched time.Duration // time in which there was a picture; Frozen is part of it
}

// picture adds what a picture has counted.
func (m *Media) picture(p *picture) {
	m.Frames += p.count
	m.sizes(p.sizes)
	m.Freezes += p.freezes
	m.Frozen += p.frozen
	m.Watched += p.watched
}

func (m *Media) sizes(frames [Sizes]int) {
	for i, n := range frames {
		m.Sizes[i] += n
	}
}

// Merge adds what o has.
func (m *Media) Merge(o *Media) {
	m.Tracks += o.Tracks
	m.Packets += o.Packets
	m.Lost += o.Lost
	m.Repaired += o.Repaired
	m.Bytes += o.Bytes
	m.Delay.Merge(&o.Delay)
	m.Frames += o.Frames
	m.sizes(o.Sizes)
	m.Freezes += o.Freezes
	m.Frozen += o.Frozen
	m.Watched += o.Watched
}

// Result is what a Receiver has measured.
type Result struct {
	Span         time.Duration // since Begin
	Sound, Video Media
	// FirstPictures and FirstSounds are the times that publications took to be seen or heard, since they were waited for.
	FirstPictures, FirstSounds []time.Duration
	// Unseen and Unheard count publications that the server says to forward, of which nothing came to be seen or heard.
	Unseen, Unheard int
	// Misdirected packets are of another room, or of another participant than the slot's.
	Misdirected int
}

// Result tells what was measured up to now. It changes nothing, so it can be asked for again.
func (r *Receiver) Result(now time.Time) Result {
	out := Result{Span: now.Sub(r.begun), Sound: r.sound, Video: r.video, Misdirected: r.misdirected}
	for _, s := range r.slots {
		m := &out.Sound
		if p := s.picture; p.next != 0 || p.count > 0 {
			p.pause(now)
			out.Video.picture(&p)
		}
		if s.video {
			m = &out.Video
		}
		if s.numbers.received > 0 {
			m.Tracks++
		}
		m.Packets += s.numbers.received
		m.Lost += s.numbers.lost()
		m.Repaired += s.numbers.repaired
	}
	for _, p := range r.publications {
		switch {
		case !p.expected || !p.active || p.seen:
		case p.video:
			out.Unseen++
		default:
			out.Unheard++
		}
	}
	out.FirstPictures, out.FirstSounds = slices.Clone(r.firstPictures), slices.Clone(r.firstSounds)
	return out
}
