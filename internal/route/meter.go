package route

import (
	"time"

	"github.com/parley-rtc/parley/internal/codec"
)

// Rates are gathered in slices, of which the oldest gives way to a new one: of so long a time that a key frame does not stand out.
const (
	meterSlice  = 250 * time.Millisecond
	meterSlices = 13 // the last one is under way
)

// settledAfter is how long a rate has been measured that can be relied on. What came in less counts as if it had come in that time: a
// stream begins with a key frame.
const settledAfter = time.Second

// cells is how many layers one encoding is told apart into; cell is the place of one.
const cells = codec.SpatialLayers * codec.TemporalLayers

func cell(spatial, temporal uint8) int { return int(spatial)*codec.TemporalLayers + int(temporal) }

// meter measures what arrives of each layer of one encoding.
type meter struct {
	bytes  [meterSlices][cells]uint32
	frames [meterSlices][cells]uint16
	slice  int
	filled int       // slices before the present one that count
	since  time.Time // when the present one began; zero: nothing has arrived
}

// add counts one packet.
func (m *meter) add(now time.Time, cell, size int, ends bool) {
	m.advance(now)
	m.bytes[m.slice][cell] += uint32(size)
	if ends {
		m.frames[m.slice][cell]++
	}
}

// advance begins new slices up to now.
func (m *meter) advance(now time.Time) {
	age := now.Sub(m.since)
	if age < meterSlice {
		return
	}
	if age > meterSlices*meterSlice {
		*m = meter{since: now}
		return
	}
	for ; age >= meterSlice; age -= meterSlice {
		m.slice = (m.slice + 1) % meterSlices
		m.bytes[m.slice], m.frames[m.slice] = [cells]uint32{}, [cells]uint16{}
		m.filled = min(m.filled+1, meterSlices-1)
		m.since = m.since.Add(meterSlice)
	}
}

// sums returns bytes and frames of each layer by itself, and the time in which they came.
func (m *meter) sums(now time.Time) (bytes, frames [cells]uint32, span time.Duration) {
	m.advance(now)
	for slice := range m.bytes {
		for i := range bytes {
			bytes[i] += m.bytes[slice][i]
			frames[i] += uint32(m.frames[slice][i])
		}
	}
	return bytes, frames, max(time.Duration(m.filled)*meterSlice+now.Sub(m.since), settledAfter)
}
