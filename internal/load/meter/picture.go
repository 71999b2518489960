package meter

import (
	"time"

	"github.com/parley-rtc/parley/internal/load/source"
)

// picture puts the frames of one publication together as a browser does, and tells when each would be shown: when it is complete and
// all that it builds on has been. A frame builds on the one before of the same encoding, a key frame on none.
type picture struct {
	encoding uint8
	next     uint32 // number of the frame to be shown next; 0: a key frame
	frames   [maxFrames]frame
	blocked  time.Time // since when packets have come without a frame to show; zero: not so
	asked    time.Time // for a key frame

	shown     time.Time // when the last frame was; zero: none since Begin or a pause
	count     int       // frames shown
	sizes     [Sizes]int
	intervals [averaged]time.Duration
	measured  int // intervals ever
	freezes   int
	frozen    time.Duration
	watched   time.Duration
	begun     time.Time // what lies before does not count
}

// averaged is the number of intervals that a freeze is compared with (W3C, webrtc-stats, freezeCount).
const averaged = 30

// frame is one that is being put together; number 0: none.
type frame struct {
	number     uint32
	encoding   uint8
	key        bool
	got, parts uint16
}

func (f *frame) complete() bool { return f.number != 0 && f.got == f.parts }

// packet takes in a packet that was not there before. It tells whether a key frame should be asked for.
func (p *picture) packet(now time.Time, s source.Stamp) (wantKey bool) {
	if f := p.frame(s); f != nil {
		f.got++
		if f.complete() {
			p.advance(now)
		}
	}
	switch {
	case p.idle():
		p.blocked = time.Time{}
	case p.blocked.IsZero():
		p.blocked = now
	case now.Sub(p.blocked) >= patience && now.Sub(p.asked) >= keyAgain:
		p.asked = now
		return true
	}
	return false
}

// idle reports whether no frame waits.
func (p *picture) idle() bool {
	for i := range p.frames {
		if p.frames[i].number != 0 {
			return false
		}
	}
	return true
}

// frame returns the one that a stamp belongs to; nil if it is of no use any more.
func (p *picture) frame(s source.Stamp) *frame {
	var free, oldest *frame
	for i := range p.frames {
		f := &p.frames[i]
		switch {
		case f.number == s.Frame && f.encoding == s.Encoding:
			return f
		case f.number == 0:
			free = f
		case oldest == nil || f.number < oldest.number:
			oldest = f
		}
	}
	if s.Frame < p.next && (s.Encoding == p.encoding || !s.Key) {
		return nil
	}
	if free == nil {
		free = oldest
	}
	*free = frame{number: s.Frame, encoding: s.Encoding, key: s.Key, parts: s.Parts}
	return free
}

// advance shows what can be shown.
func (p *picture) advance(now time.Time) {
	for again := true; again; {
		again = false
		for i := range p.frames {
			f := p.frames[i]
			follows := p.next != 0 && f.number == p.next && f.encoding == p.encoding
			if !f.complete() || !follows && !f.key {
				continue
			}
			fresh := f.number >= p.next
			p.encoding, p.next = f.encoding, max(p.next, f.number+1)
			p.forget()
			if fresh {
				p.show(now)
			}
			again = true
		}
	}
}

// forget drops frames that are of no use any more.
func (p *picture) forget() {
	for i := range p.frames {
		if f := &p.frames[i]; f.number < p.next && (f.encoding == p.encoding || !f.key) {
			*f = frame{}
		}
	}
	p.blocked = time.Time{}
}

func (p *picture) show(now time.Time) {
	p.count++
	p.sizes[min(p.encoding, Sizes-1)]++
	if !p.shown.IsZero() {
		p.wait(now)
		p.intervals[p.measured%averaged] = now.Sub(p.shown)
		p.measured++
	}
	p.shown = now
}

// wait counts the time since the last frame, which is a freeze if it was long: three times the average, or 150 ms more than that
// (W3C, webrtc-stats, freezeCount and totalFreezesDuration).
func (p *picture) wait(now time.Time) {
	var sum time.Duration
	n := min(p.measured, averaged)
	for _, d := range p.intervals[:n] {
		sum += d
	}
	average := sum / time.Duration(max(n, 1))
	since := p.shown
	if since.Before(p.begun) {
		since = p.begun
	}
	p.watched += now.Sub(since)
	if now.Sub(p.shown) >= max(3*average, average+150*time.Millisecond) {
		p.freezes++
		p.frozen += now.Sub(since)
	}
}

// begin forgets what was counted.
func (p *picture) begin(now time.Time) {
	p.sizes = [Sizes]int{}
	p.count, p.freezes, p.frozen, p.watched, p.begun = 0, 0, 0, 0, now
}

// pause ends counting until another frame is shown: nothing is expected until then. What stood still up to now is a freeze.
func (p *picture) pause(now time.Time) {
	if !p.shown.IsZero() {
		p.wait(now)
	}
	p.shown = time.Time{}
}
