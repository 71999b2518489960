package rtp

// SequenceUnwrapper extends 16-bit sequence numbers to 64 bits. The low 16 bits of a result are the number itself; results are
// never negative. Reordering by up to 32,767 packets yields the numbers that order would have given.
type SequenceUnwrapper struct{ highest int64 }

// Unwrap returns the extended number nearest to the highest one so far.
func (u *SequenceUnwrapper) Unwrap(x uint16) int64 {
	if u.highest == 0 {
		u.highest = 1<<16 + int64(x) // room for earlier packets that arrive later
		return u.highest
	}
	v := u.highest + int64(int16(x-uint16(u.highest)))
	u.highest = max(u.highest, v)
	return v
}
