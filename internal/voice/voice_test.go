package voice_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/voice"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// Levels in −dBov, as RFC 6464 has them.
const (
	loud   = 10
	speech = 25
	soft   = 40
	room   = 70
	none   = -1 // no packet at all
)

// scene is a Floor and its Voices, each of which sends a packet every 20 ms unless its level is none. As in speech, one packet in
// 25 is soft, unless they are steady.
type scene struct {
	*testing.T
	floor  voice.Floor
	now    time.Time
	voices []*voice.Voice
	levels []int
	steady bool
	sent   int
	passed []bool // the last packet of each
}

func newScene(t *testing.T, voices int) *scene {
	s := &scene{T: t, now: start}
	for i := range voices {
		s.voices = append(s.voices, voice.New(uint64(i+1)))
		s.levels = append(s.levels, room)
		s.passed = append(s.passed, false)
		s.floor.Join(s.voices[i])
	}
	return s
}

// say sets what the Voices sound like, until it is said again.
func (s *scene) say(levels ...int) { copy(s.levels, levels) }

// pass lets time pass, in packets of 20 ms, and calls look after each.
func (s *scene) pass(d time.Duration, look func()) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.now = s.now.Add(20 * time.Millisecond)
		if next := s.floor.Next(); !next.IsZero() && !next.After(s.now) {
			s.floor.Tick(s.now)
		}
		s.sent++
		for i, v := range s.voices {
			level := s.levels[i]
			if !s.steady && s.sent%25 == 0 && level != none {
				level = max(level, room)
			}
			if level != none {
				s.passed[i] = s.floor.Hear(s.now, v, []byte{byte(level)})
			}
		}
		if look != nil {
			look()
		}
	}
}

func (s *scene) heard(want ...bool) {
	s.Helper()
	if !slices.Equal(s.passed, want) {
		s.Errorf("after %v: heard %v, want %v", s.now.Sub(start), s.passed, want)
	}
}

func (s *scene) dominant() uint64 {
	id, _ := s.floor.Ranking(nil)
	return id
}

func (s *scene) speaking() []uint64 {
	_, ids := s.floor.Ranking(nil)
	return ids
}

// until returns how long it takes until done reports true, at most a minute.
func (s *scene) until(done func() bool) time.Duration {
	began := s.now
	for !done() && s.now.Sub(began) < time.Minute {
		s.pass(20*time.Millisecond, nil)
	}
	return s.now.Sub(began)
}

// With no more Voices than places everybody passes, however soft.
func TestFewPassAlways(t *testing.T) {
	s := newScene(t, voice.Places)
	s.say(loud, 127, 127)
	s.pass(10*time.Second, func() { s.heard(true, true, true) })
}

// Whoever begins to speak while somebody with a place is silent is heard from the first packet on.
func TestWordsAreHeardFromTheirBeginning(t *testing.T) {
	s := newScene(t, 8)
	s.pass(5*time.Second, nil)
	for i := range s.voices {
		s.levels[i] = speech
		s.pass(20*time.Millisecond, nil)
		if !s.passed[i] {
			t.Errorf("the first packet of %d is not heard", i+1)
		}
		s.pass(2*time.Second, nil)
		s.levels[i] = room
		s.pass(time.Second, nil)
	}
}

// A Voice keeps its place through pauses between words, and through what is soft at their end, while others want to be heard.
func TestPausesKeepThePlace(t *testing.T) {
	s := newScene(t, 6)
	s.say(speech, speech, speech)
	s.pass(3*time.Second, nil)
	s.say(speech, speech, speech, speech, speech, speech)
	for range 5 {
		s.say(room)
		s.pass(780*time.Millisecond, func() { s.heard(true, true, true, false, false, false) })
		s.say(speech)
		s.pass(time.Second, func() { s.heard(true, true, true, false, false, false) })
	}
	s.say(room)
	s.pass(840*time.Millisecond, nil)
	if s.passed[0] || !s.passed[3] && !s.passed[4] && !s.passed[5] {
		t.Errorf("nobody took the place of the silent one: %v", s.passed)
	}
}

// Where everybody with a place speaks, somebody as loud has to wait; somebody clearly louder is heard within half a second, in place
// of the softest.
func TestLouderDisplacesTheSoftest(t *testing.T) {
	s := newScene(t, 4)
	s.say(speech, speech-3, soft, room)
	s.pass(3*time.Second, nil)
	s.say(speech, speech-3, soft, soft-4)
	s.pass(10*time.Second, func() { s.heard(true, true, true, false) })
	s.say(speech, speech-3, soft, speech)
	took := s.until(func() bool { return s.passed[3] })
	if took < 300*time.Millisecond || took > 600*time.Millisecond {
		t.Errorf("displaced after %v", took)
	}
	s.pass(10*time.Second, func() { s.heard(true, true, false, true) })
}

// Eight people who talk all at once, each as loud as the other and changing all the time, do not chop one another's words: places
// change seldom.
func TestManyTalkersDoNotFlap(t *testing.T) {
	s := newScene(t, 8)
	changes, before, n := 0, slices.Clone(s.passed), 0
	s.pass(time.Minute, func() {
		n++
		for i := range s.levels {
			s.levels[i] = 20 + (n/10*7+i*5)%12 // 20 to 31, another one every 200 ms
		}
		if !slices.Equal(before, s.passed) {
			changes++
			before = slices.Clone(s.passed)
		}
		count := 0
		for _, p := range s.passed {
			if p {
				count++
			}
		}
		if count != voice.Places && n > 1 {
			t.Fatalf("%d are heard", count)
		}
	})
	if changes > 30 {
		t.Errorf("%d changes in a minute", changes)
	}
}

// A publisher that never tells levels passes and takes no place of its own doing; once it has told one, a packet without counts as
// silence.
func TestWithoutLevels(t *testing.T) {
	s := newScene(t, 5)
	mute := s.voices[4]
	for range 100 {
		s.pass(20*time.Millisecond, nil)
	}
	untold := voice.New(9)
	s.floor.Join(untold)
	for range 1000 {
		s.now = s.now.Add(20 * time.Millisecond)
		if !s.floor.Hear(s.now, untold, nil) {
			t.Fatal("who tells no level is not heard")
		}
	}
	if s.floor.Hear(s.now, mute, nil) {
		t.Error("a packet without a level took a place")
	}
	if !s.floor.Hear(s.now, voice.New(10), nil) {
		t.Error("who is on no floor is held back")
	}
}

// A Voice that is listened to alone passes in any case and leaves its place to others; when it is no longer, the rule holds again.
func TestAlways(t *testing.T) {
	s := newScene(t, 4)
	s.say(speech, speech, speech)
	s.pass(2*time.Second, nil)
	s.floor.SetAlways(s.voices[0], true)
	s.pass(20*time.Millisecond, nil)
	s.heard(true, true, true, true)
	s.floor.SetAlways(s.voices[0], false)
	s.pass(20*time.Millisecond, nil)
	s.heard(true, true, true, false)
}

// Places of those who leave go to others; who has left is not ranked.
func TestLeave(t *testing.T) {
	s := newScene(t, 5)
	s.say(speech, speech, speech, speech, room)
	s.pass(2*time.Second, nil)
	if s.dominant() == 0 || len(s.speaking()) != 4 {
		t.Fatalf("dominant %d, speaking %v", s.dominant(), s.speaking())
	}
	s.floor.Changed()
	leaver := s.voices[s.dominant()-1]
	s.floor.Leave(leaver)
	s.floor.Leave(leaver)
	if s.dominant() != 0 || len(s.speaking()) != 3 || !s.floor.Changed() {
		t.Errorf("dominant %d, speaking %v", s.dominant(), s.speaking())
	}
	s.pass(20*time.Millisecond, nil)
	count := 0
	for i, p := range s.passed {
		if p && s.voices[i] != leaver {
			count++
		}
	}
	if count != voice.Places {
		t.Errorf("%d of the others are heard", count)
	}
}

// Who speaks is known after 200 ms or so, and no longer speaks 0.8 s after the last word, with or without packets in between. Then
// the Floor rests.
func TestSpeakingBeginsAndEnds(t *testing.T) {
	for _, after := range []int{room, none} {
		s := newScene(t, 2)
		s.pass(2*time.Second, nil)
		s.say(speech, room)
		if took := s.until(func() bool { return slices.Equal(s.speaking(), []uint64{1}) }); took > 300*time.Millisecond {
			t.Errorf("speaks after %v", took)
		}
		s.pass(2*time.Second, nil)
		s.say(after, after)
		took := s.until(func() bool { return len(s.speaking()) == 0 })
		if took < 800*time.Millisecond || took > time.Second {
			t.Errorf("is silent after %v", took)
		}
		if s.dominant() != 1 {
			t.Errorf("the dominant speaker is forgotten in a pause: %d", s.dominant())
		}
		s.pass(10*time.Second, nil)
		if rests := s.floor.Next().IsZero(); rests != (after == none) {
			t.Errorf("rests: %v", rests)
		}
	}
}

// How long it takes to become dominant, by what was before.
func TestDominant(t *testing.T) {
	for _, c := range []struct {
		name        string
		first       time.Duration // that 1 talks
		pause       time.Duration // in which nobody does
		least, most time.Duration
	}{
		{"at the beginning", 0, 0, 300 * time.Millisecond, 600 * time.Millisecond},
		{"after a long pause", time.Minute, 10 * time.Second, 300 * time.Millisecond, 700 * time.Millisecond},
		{"of somebody who has just begun", 2 * time.Second, 0, 600 * time.Millisecond, 1200 * time.Millisecond},
		{"of somebody who has talked for long", time.Minute, 0, time.Second, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, 3)
			s.say(speech, room, room)
			s.pass(c.first, nil)
			s.say(room, room, room)
			s.pass(c.pause, nil)
			s.say(room, speech, room)
			took := s.until(func() bool { return s.dominant() == 2 })
			if took < c.least || took > c.most {
				t.Errorf("dominant after %v, want %v to %v", took, c.least, c.most)
			}
		})
	}
}

// Coughs, remarks and laughter do not make anybody dominant, however loud.
func TestRemarksDoNotLead(t *testing.T) {
	s := newScene(t, 4)
	s.say(speech, room, room, room)
	s.pass(20*time.Second, nil)
	for _, remark := range []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, 800 * time.Millisecond} {
		s.say(speech, loud)
		s.pass(remark, nil)
		s.say(speech, room, loud, loud)
		s.pass(remark, nil)
		s.say(room, room, loud, room) // into a short pause
		s.pass(remark/2, nil)
		s.say(speech, room, room, room)
		s.pass(5*time.Second, func() {
			if s.dominant() != 1 {
				t.Fatalf("%d is dominant after remarks of %v", s.dominant(), remark)
			}
		})
	}
}

// Two who talk at once do not take turns in being dominant.
func TestTwoAtOnce(t *testing.T) {
	s := newScene(t, 2)
	changes, before, n := 0, uint64(0), 0
	s.pass(time.Minute, func() {
		n++
		a, b := speech, speech
		if n%37 < 8 {
			a = room
		}
		if n%53 < 9 {
			b = room
		}
		s.say(a, b)
		if s.dominant() != before {
			changes, before = changes+1, s.dominant()
		}
	})
	if changes != 1 {
		t.Errorf("dominant changed %d times", changes)
	}
}

// A noisy background is no speech once it has been heard for a while; speech above it is, and so is what is louder than any
// background.
func TestBackground(t *testing.T) {
	s := newScene(t, 1)
	s.steady = true
	s.say(40)
	s.pass(12*time.Second, nil)
	if len(s.speaking()) != 0 {
		t.Error("a background speaks")
	}
	s.say(28)
	s.pass(time.Second, nil)
	if len(s.speaking()) != 1 {
		t.Error("speech above a background is not heard")
	}
	s = newScene(t, 1)
	s.steady = true
	s.say(20)
	s.pass(time.Minute, nil)
	if len(s.speaking()) != 1 {
		t.Error("somebody who never pauses is taken for a background")
	}
}

// Packets of 60 ms tell as much as packets of 20 ms; the order of speaking is that of beginning.
func TestOrder(t *testing.T) {
	s := newScene(t, 3)
	s.say(room, room, speech)
	s.pass(time.Second, nil)
	s.say(speech, room, speech)
	s.pass(time.Second, nil)
	if got := fmt.Sprint(s.speaking()); got != "[3 1]" {
		t.Errorf("speaking %s", got)
	}
}

// Beyond the limit of Voices, the next one passes unranked.
func TestTooMany(t *testing.T) {
	var f voice.Floor
	for i := range 1024 {
		f.Join(voice.New(uint64(i + 1)))
	}
	extra := voice.New(2000)
	f.Join(extra)
	for i := range 100 {
		if !f.Hear(start.Add(time.Duration(i)*20*time.Millisecond), extra, []byte{10}) {
			t.Fatal("held back")
		}
	}
	if _, speaking := f.Ranking(nil); len(speaking) != 0 {
		t.Error("ranked")
	}
	f.Leave(extra)
}

// A pause of hours costs no more than one of seconds.
func TestLongPause(t *testing.T) {
	s := newScene(t, 2)
	s.say(speech, room)
	s.pass(2*time.Second, nil)
	s.now = s.now.Add(300 * time.Hour)
	s.floor.Tick(s.now)
	if len(s.speaking()) != 0 || !s.floor.Next().IsZero() {
		t.Errorf("speaking %v, next %v", s.speaking(), s.floor.Next())
	}
}

// Hearing and ranking allocate nothing.
func TestHearAllocatesNothing(t *testing.T) {
	s := newScene(t, 8)
	s.say(speech, speech, speech, speech, speech, speech, speech, speech)
	s.pass(2*time.Second, nil)
	ids, level := make([]uint64, 0, 8), []byte{speech}
	n := testing.AllocsPerRun(1000, func() {
		s.now = s.now.Add(20 * time.Millisecond)
		for _, v := range s.voices {
			s.floor.Hear(s.now, v, level)
		}
		s.floor.Ranking(ids)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHear(b *testing.B) {
	var f voice.Floor
	voices := make([]*voice.Voice, 8)
	for i := range voices {
		voices[i] = voice.New(uint64(i + 1))
		f.Join(voices[i])
	}
	now, level := start, []byte{speech}
	for i := range b.N {
		if i%8 == 0 {
			now = now.Add(20 * time.Millisecond)
		}
		f.Hear(now, voices[i%8], level)
	}
}
