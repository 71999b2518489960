package bwe

import "time"

// standing finds queues that stay: the slope of a delay that is high and constant is zero, so delays are content with a buffer that is
// full for good. Whether it is this sender that fills it is tried, as with losses: where it does not drain although less is sent,
// others fill it, and yielding to them further would only starve this one.
type standing struct {
	base      [baseParts]time.Duration // the least delay of each part of the last time, newest first; it has an unknown constant in it
	turned    time.Duration            // when a part began
	delay     time.Duration            // smoothed
	since     time.Duration            // when the queue was found too long; 0: it is not
	tried     time.Duration            // when less was sent because of it; 0: it was not
	tolerated time.Duration            // what others fill
	known     bool
}

const (
	baseParts = 3
	basePart  = 10 * time.Second
	// A queue longer than tooLong beyond what is tolerated, for longer than standTime, is one that stays.
	tooLong   = 80 * time.Millisecond
	standTime = 300 * time.Millisecond
	// drainTime is what a queue gets to drain to half.
	drainTime = 2500 * time.Millisecond
)

func (s *standing) add(now, sent, arrival time.Duration) {
	delay := arrival - sent
	if !s.known {
		*s = standing{known: true, turned: now, delay: delay}
		for i := range s.base {
			s.base[i] = delay
		}
	}
	if now-s.turned > basePart {
		copy(s.base[1:], s.base[:])
		s.base[0], s.turned = delay, now
	}
	s.base[0] = min(s.base[0], delay)
	s.delay += (delay - s.delay) / 16
}

// queue returns how long packets wait beyond the least that was seen.
func (s *standing) queue() time.Duration {
	return s.delay - min(s.base[0], s.base[1], s.base[2])
}

// check returns what the queue says: overuse where less is to be sent because of it, underuse while it is waited for to drain, or else
// that there is nothing to say.
func (s *standing) check(now time.Duration) usage {
	queue := s.queue()
	s.tolerated = min(s.tolerated, queue)
	if queue <= s.tolerated+tooLong {
		s.since, s.tried = 0, 0
		return normal
	}
	if s.since == 0 {
		s.since = now
	}
	switch {
	case now-s.since < standTime:
		return normal
	case s.tried == 0:
		s.tried = now
		return overuse
	case now-s.tried > drainTime:
		s.tolerated, s.since, s.tried = queue, 0, 0
		return normal
	}
	return underuse
}
