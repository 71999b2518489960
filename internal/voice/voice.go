// Package voice decides who is heard in a room and who leads the conversation, from the levels that publishers send beside their
// audio (RFC 6464). Coded audio is never looked at.
//
// A Floor has the Voices of one room and a few places. Voices that have a place pass; with no more Voices than places, all do.
//
//	Floor.Hear(voice, level)   for each packet: may it pass?
//	Floor.Tick(now)            ten times a second: scores, who speaks, who is dominant
//	Floor.Ranking()            the outcome, once Floor.Changed says so
//
// The first loud packet of a Voice takes the place of one that has been silent for a while, so that the beginning of a word is not
// lost; where everybody with a place speaks, a louder one must stay louder for some time. A Voice keeps its place through its
// pauses. Silence is no packets or soft ones alike, so discontinuous transmission needs nothing of its own.
//
// Nothing here is safe for concurrent use: a Floor belongs to the shard's loop.
package voice

import (
	"slices"
	"time"
)

// Voice is one microphone.
type Voice struct {
	// static after construction
	id uint64

	// owned by loop
	always   bool // passes in any case, and takes no place
	levelled bool // has told a level at least once
	open     bool // has a place
	joined   bool // is on a Floor
	lastLoud time.Time
	ground   ground
	tally    tally
	ahead    int // ticks for which it has been louder than the softest with a place
	score    score
	speaking bool
}

// New returns a Voice that is on no Floor yet.
func New(id uint64) *Voice { return &Voice{id: id} }

// SetAlways lets a Voice pass in any case, or no longer. It then takes no place from others.
func (f *Floor) SetAlways(v *Voice, always bool) {
	v.always = always
	if always && v.open {
		f.leavePlace(v)
		f.refill()
	}
	if !always {
		f.refill()
	}
}

// Floor is a room as far as voices go.
type Floor struct {
	// owned by loop
	voices   []*Voice
	places   [Places]*Voice
	speaking []*Voice // in the order in which they began
	dominant *Voice
	changed  bool
	next     time.Time // of the next tick; zero: the Floor rests
	heardAt  time.Time
}

// Join puts a Voice on the Floor.
func (f *Floor) Join(v *Voice) {
	if len(f.voices) >= maxVoices {
		v.always = true
		return
	}
	v.joined = true
	f.voices = append(f.voices, v)
	f.refill()
}

// Leave takes a Voice off the Floor.
func (f *Floor) Leave(v *Voice) {
	i := slices.Index(f.voices, v)
	if i < 0 {
		return
	}
	f.voices = slices.Delete(f.voices, i, i+1)
	v.joined = false
	f.leavePlace(v)
	f.hush(v)
	if f.dominant == v {
		f.dominant, f.changed = nil, true
	}
	f.refill()
}

// Hear takes the level of a packet, a header extension element as it was received, and reports whether the packet may pass. One
// without a level counts as silence, and passes as long as its Voice has never told any.
func (f *Floor) Hear(now time.Time, v *Voice, level []byte) bool {
	if !v.joined {
		return true
	}
	f.wake(now)
	if len(level) == 0 {
		return v.open || v.always || !v.levelled
	}
	v.levelled = true
	if v.hear(now, 127-level[0]&0x7f) && !v.open && !v.always {
		f.claim(now, v)
	}
	return v.open || v.always
}

// hear notes a loudness and reports whether it stands out as speech.
func (v *Voice) hear(now time.Time, loudness uint8) bool {
	v.ground.hear(now, loudness)
	isLoud := loudness >= v.ground.threshold()
	if isLoud {
		v.lastLoud = now
	}
	v.tally.hear(loudness, isLoud)
	return isLoud
}

// quiet reports whether a Voice has said nothing for so long that it is not only a pause.
func (v *Voice) quiet(now time.Time) bool { return now.Sub(v.lastLoud) > hangOver }

// claim gives v the place of whoever has been silent for longest, if that is long enough.
func (f *Floor) claim(now time.Time, v *Voice) {
	at := -1
	for i, o := range f.places {
		if o == nil {
			at = i
			break
		}
		if o.quiet(now) && (at < 0 || o.lastLoud.Before(f.places[at].lastLoud)) {
			at = i
		}
	}
	if at >= 0 {
		f.give(at, v)
	}
}

// give gives v a place and takes it from whoever had it.
func (f *Floor) give(at int, v *Voice) {
	if o := f.places[at]; o != nil {
		o.open, o.ahead = false, 0
	}
	f.places[at], v.open, v.ahead = v, true, 0
}

func (f *Floor) leavePlace(v *Voice) {
	if v.open {
		f.places[slices.Index(f.places[:], v)], v.open = nil, false
	}
}

// refill gives places that nobody has to those who spoke last.
func (f *Floor) refill() {
	for at, o := range f.places {
		if o != nil {
			continue
		}
		var best *Voice
		for _, v := range f.voices {
			if !v.open && !v.always && (best == nil || v.lastLoud.After(best.lastLoud)) {
				best = v
			}
		}
		if best == nil {
			return
		}
		f.give(at, best)
	}
}

// Changed reports whether the ranking has changed since the call before.
func (f *Floor) Changed() bool {
	changed := f.changed
	f.changed = false
	return changed
}

// Ranking returns who leads the conversation, 0 for nobody, also through pauses of everybody; and appends to dst who speaks now, in
// the order in which they began.
func (f *Floor) Ranking(dst []uint64) (dominant uint64, speaking []uint64) {
	for _, v := range f.speaking {
		dst = append(dst, v.id)
	}
	if f.dominant != nil {
		dominant = f.dominant.id
	}
	return dominant, dst
}
