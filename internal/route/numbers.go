package route

import (
	"math/bits"

	"github.com/parley-rtc/parley/internal/nack"
)

// numbers turns a source's indices into a Consumer's outgoing numbers: index plus an offset that falls by one for each packet
// that is left out. Numbers of packets that have not come are kept free, since nobody knows yet what they carry.
type numbers struct {
	offset int64 // for what comes next
	newest int64 // highest index so far, sent or left out
	last   int64 // index that was left out last
	// leftOut has a bit for each of the last nack.Window indices, at index mod nack.Window; it is all zero where last is further
	// back.
	leftOut [nack.Window / 64]uint64
}

// begin starts another source, whose packet with this index goes out as number.
func (n *numbers) begin(index, number int64) {
	*n = numbers{offset: number - index, newest: index, last: index - nack.Window}
}

// next returns the number of a packet that is newer than all others.
func (n *numbers) next(index int64) int64 {
	if n.newest-n.last >= nack.Window { // nothing was left out that still counts, as in most streams
		n.newest = index
	} else {
		n.advance(index)
	}
	return index + n.offset
}

// leave leaves out a packet that is newer than all others.
func (n *numbers) leave(index int64) {
	n.advance(index)
	word, bit := position(index)
	n.leftOut[word] |= bit
	n.last = index
	n.offset--
}

// advance makes index the newest. Those between were not left out.
func (n *numbers) advance(index int64) {
	if index-n.newest > nack.Window {
		clear(n.leftOut[:])
	} else {
		for i := n.newest + 1; i <= index; i++ {
			word, bit := position(i)
			n.leftOut[word] &^= bit
		}
	}
	n.newest = index
}

// late returns the number that was kept for an older packet. It is not ok for one that was left out, or is too old.
func (n *numbers) late(index int64) (number int64, ok bool) {
	if index <= n.newest-nack.Window || n.left(index) {
		return 0, false
	}
	return index + n.offset + n.leftAfter(index), true
}

// index returns the index that a number belongs to, the inverse of late.
func (n *numbers) index(number int64) (index int64, ok bool) {
	// Where more was left out after it, an index is lower. Each step finds some of them.
	for index = number - n.offset; ; {
		if index > n.newest || index <= n.newest-nack.Window {
			return 0, false
		}
		lower := number - n.offset - n.leftAfter(index)
		if lower == index {
			break
		}
		index = lower
	}
	for n.left(index) {
		index--
	}
	return index, index > n.newest-nack.Window
}

func (n *numbers) left(index int64) bool {
	word, bit := position(index)
	return n.leftOut[word]&bit != 0
}

// leftAfter counts what was left out after index, which is one of the last nack.Window.
func (n *numbers) leftAfter(index int64) (count int64) {
	for i := index + 1; i <= n.newest; {
		word, bit := position(i)
		mask := ^(bit - 1) // from i to the end of its word
		end := i | 63
		if end > n.newest {
			mask &= ^uint64(0) >> (end - n.newest)
			end = n.newest
		}
		count += int64(bits.OnesCount64(n.leftOut[word] & mask))
		i = end + 1
	}
	return count
}

func position(index int64) (word int, bit uint64) {
	return int(index) & (nack.Window - 1) >> 6, 1 << (index & 63)
}
