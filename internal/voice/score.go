package voice

import (
	"slices"
	"time"
)

// Who is dominant follows the idea of Volfin and Cohen ("Dominant speaker identification for multipoint videoconferencing", 2012):
// speech activity is looked at over an immediate, a medium and a long time, and somebody becomes dominant only when he is ahead
// in all three, each with a margin of its own. Here, activity is the part of a tick's packets that are loud, its three times are
// exponential averages, and margins are ratios of them; their likelihoods of sub-band activity would need the coded audio.
//
// Whoever takes over from somebody who has talked for minutes is dominant after 1.6 s, after a pause of everybody within 0.6 s;
// a cough, a "mhm" and a remark into somebody's sentence change nothing.
const (
	immediateShare = 1.0 / 3 // of a tick in each average: 0.3 s,
	mediumShare    = 1.0 / 10
	longShare      = 1.0 / 40

	begins       = 0.5 // immediate activity of somebody who begins to speak
	leadsAtLeast = 0.3 // medium activity of whoever becomes dominant,
	leadsMedium  = 1.5 // how many times the dominant one's it is,
	leadsLong    = 0.5 // and the same of the long activity
)

// score is the speech activity of a Voice, from 0 to 1, over three times, and how loud its speech is, silence left out.
type score struct {
	immediate, medium, long float32
	loudness                float32
}

// add takes the activity of one tick.
func (s *score) add(activity float32) {
	s.immediate += (activity - s.immediate) * immediateShare
	s.medium += (activity - s.medium) * mediumShare
	s.long += (activity - s.long) * longShare
}

// beats reports whether s is so far ahead of the dominant Voice's score that it takes its place.
func (s *score) beats(d *score) bool {
	return s.medium >= leadsAtLeast && s.immediate > d.immediate &&
		s.medium > leadsMedium*d.medium && s.long > leadsLong*d.long
}

// tally counts the packets of one tick, and sums the loudness of those that are loud.
type tally struct{ packets, loud, sum int }

func (t *tally) hear(loudness uint8, isLoud bool) {
	t.packets++
	if isLoud {
		t.loud++
		t.sum += int(loudness)
	}
}

// settle takes one tick's tally into the score, and as many ticks of silence as have passed since.
func (v *Voice) settle(silent int) {
	t, s := &v.tally, &v.score
	if t.loud > 0 {
		loudness := float32(t.sum) / float32(t.loud)
		if v.speaking {
			loudness = s.loudness + (loudness-s.loudness)*immediateShare
		}
		s.loudness = loudness
	}
	s.add(float32(t.loud) / float32(max(t.packets, 1)))
	for range silent {
		s.add(0)
	}
	*t = tally{}
}

// ground is the background of a Voice: the softest that was heard within the last lowTime to twice lowTime. Speech has pauses.
type ground struct {
	low, before uint8
	since       time.Time
}

func (g *ground) hear(now time.Time, loudness uint8) {
	if now.Sub(g.since) > lowTime {
		g.before, g.low, g.since = g.low, loudness, now
	}
	g.low = min(g.low, loudness)
}

// threshold is the loudness from which a packet counts as speech.
func (g *ground) threshold() uint8 {
	return min(max(min(g.low, g.before)+aboveGround, softest), loudest)
}

// wake lets time go on: it catches up with ticks, and starts them after a rest.
func (f *Floor) wake(now time.Time) {
	f.heardAt = now
	if f.next.IsZero() {
		f.next = now.Add(tick)
		return
	}
	f.Tick(now)
}

// Next returns when Tick has something to do; zero: not before the next packet.
func (f *Floor) Next() time.Time { return f.next }

// Tick brings scores up to now.
func (f *Floor) Tick(now time.Time) {
	if f.next.IsZero() || now.Before(f.next) {
		return
	}
	silent := min(int(now.Sub(f.next)/tick), maxSilent)
	for _, v := range f.voices {
		v.settle(silent)
		f.judge(now, v)
	}
	f.displace()
	f.lead()
	f.next = f.next.Add(tick * time.Duration(1+int(now.Sub(f.next)/tick)))
	if now.Sub(f.heardAt) > restTime {
		f.next = time.Time{}
	}
}

// judge decides whether v speaks.
func (f *Floor) judge(now time.Time, v *Voice) {
	switch {
	case v.speaking && v.quiet(now):
		f.hush(v)
	case !v.speaking && v.score.immediate >= begins && !v.quiet(now):
		v.speaking, f.changed = true, true
		f.speaking = append(f.speaking, v)
	}
}

func (f *Floor) hush(v *Voice) {
	if v.speaking {
		v.speaking, f.changed = false, true
		f.speaking = slices.DeleteFunc(f.speaking, func(o *Voice) bool { return o == v })
	}
}

// displace gives the place of the softest to somebody who has been louder for some time.
func (f *Floor) displace() {
	softest := 0
	for i, o := range f.places {
		if o == nil {
			return // there is room
		}
		if o.score.loudness < f.places[softest].score.loudness {
			softest = i
		}
	}
	need := f.places[softest].score.loudness + displaceBy
	var best *Voice
	for _, v := range f.voices {
		if v.open || v.always {
			continue
		}
		if !v.speaking || v.score.loudness < need {
			v.ahead = 0
			continue
		}
		if v.ahead++; v.ahead >= displaceFor && (best == nil || v.score.loudness > best.score.loudness) {
			best = v
		}
	}
	if best != nil {
		f.give(softest, best)
	}
}

// lead makes somebody dominant who is ahead of the dominant one.
func (f *Floor) lead() {
	var nobody score
	dominant := &nobody
	if f.dominant != nil {
		dominant = &f.dominant.score
	}
	var best *Voice
	for _, v := range f.speaking {
		if v != f.dominant && v.score.beats(dominant) && (best == nil || v.score.medium > best.score.medium) {
			best = v
		}
	}
	if best != nil {
		f.dominant, f.changed = best, true
	}
}
