package meter

import (
	"time"

	"github.com/parley-rtc/parley/internal/rtp"
)

// sequence is the register of one received stream: which numbers came, and which are to be asked for.
type sequence struct {
	unwrap  rtp.SequenceUnwrapper
	started bool
	highest int64
	seen    [window / 64]uint64 // bits of the last numbers
	base    int64               // numbers count from here on

	received, repaired int
	missing            []missing     // to be asked for, by number
	roundTrip          time.Duration // of repairs; 0: unknown
}

// missing is a number that did not come.
type missing struct {
	number int64
	asked  time.Time
	tries  int
}

func (s *sequence) bit(n int64) (word *uint64, mask uint64) {
	at := uint64(n) % window
	return &s.seen[at/64], 1 << (at % 64)
}

// note counts a number, and tells whether it came for the first time.
func (s *sequence) note(now time.Time, seq uint16, repair, ask bool) bool {
	n := s.unwrap.Unwrap(seq)
	if !s.started {
		s.started, s.highest, s.base = true, n-1, n
	}
	if n <= s.highest-window {
		return false
	}
	for i := max(s.highest+1, n-window+1); i <= n; i++ {
		word, mask := s.bit(i)
		*word &^= mask
		if i < n && ask && len(s.missing) < maxMissing {
			s.missing = append(s.missing, missing{number: i})
		}
	}
	s.highest = max(s.highest, n)
	word, mask := s.bit(n)
	if *word&mask != 0 {
		return false
	}
	*word |= mask
	s.found(now, n, repair)
	if n >= s.base {
		s.received++
		if repair {
			s.repaired++
		}
	}
	return true
}

// found takes a number off the list.
func (s *sequence) found(now time.Time, n int64, repair bool) {
	for i, m := range s.missing {
		if m.number != n {
			continue
		}
		if repair && m.tries == 1 {
			s.roundTrip = (now.Sub(m.asked) + 3*max(s.roundTrip, minRoundTrip)) / 4
		}
		s.missing = append(s.missing[:i], s.missing[i+1:]...)
		return
	}
}

// asks appends the numbers to ask for now. As browsers do, it asks at once, again after a round trip, and a limited number of times.
func (s *sequence) asks(now time.Time, dst []uint16) []uint16 {
	again := s.roundTrip * 3 / 2
	if s.roundTrip == 0 {
		again = firstRoundTrip
	}
	kept := s.missing[:0]
	for _, m := range s.missing {
		switch {
		case m.tries > 0 && now.Sub(m.asked) < again:
		case m.tries == maxAsks || m.number <= s.highest-window:
			continue
		default:
			m.asked = now
			m.tries++
			dst = append(dst, uint16(m.number))
		}
		kept = append(kept, m)
	}
	s.missing = kept
	return dst
}

// begin forgets what was counted. Numbers on their way count no more.
func (s *sequence) begin() {
	s.received, s.repaired, s.base = 0, 0, s.highest+1
}

// lost is how many numbers did not come, neither by themselves nor by repair.
func (s *sequence) lost() int {
	if !s.started {
		return 0
	}
	return int(s.highest+1-s.base) - s.received
}
