package srtp

const windowWords = WindowSize/64 + 1 // one word is being filled while WindowSize older numbers are still known

// Source is what a Context knows about one SSRC: the newest packet index, which counts on where the sequence number wraps (RFC 3711
// §3.3.1), and which of the last WindowSize indices were used.
type Source struct {
	// static after construction
	c    *Context
	ssrc uint32

	// owned by the Transport's loop
	started bool
	newest  uint64
	seen    [windowWords]uint64 // bit i%64 of word i/64%windowWords: index i was used
}

// estimate returns the index that a packet with this sequence number most likely has: the one closest to the newest.
func (s *Source) estimate(seq uint16) uint64 {
	if !s.started {
		return uint64(seq)
	}
	index := s.newest + uint64(int64(int16(seq-uint16(s.newest))))
	if int64(index) < 0 { // before the first roll-over there is nothing to go back to
		return uint64(seq)
	}
	return index
}

// unseen reports whether index is neither used nor too old to tell.
func (s *Source) unseen(index uint64) bool {
	switch {
	case !s.started || index > s.newest:
		return true
	case s.newest-index >= WindowSize:
		return false
	}
	return s.seen[index/64%windowWords]&(1<<(index%64)) == 0
}

// mark notes that index is used. The caller has checked that it was unseen.
func (s *Source) mark(index uint64) {
	if !s.started {
		s.started, s.newest = true, index
	}
	if index > s.newest {
		from, to := s.newest/64, index/64
		for w := from + 1; w <= to && w <= from+windowWords; w++ {
			s.seen[w%windowWords] = 0
		}
		s.newest = index
	}
	s.seen[index/64%windowWords] |= 1 << (index % 64)
}

// take uses up the index of a packet to be sealed. It reports false if that was done before.
func (s *Source) take(seq uint16) (index uint64, ok bool) {
	index = s.estimate(seq)
	if index > maxIndex || !s.unseen(index) {
		return 0, false
	}
	s.mark(index)
	return index, true
}
