package codec

import (
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// Size is that of a picture, in pixels; zero: not known.
type Size struct{ Width, Height uint16 }

// Stream is what one encoding's packets have told so far, and later ones rely on: the sizes of its spatial layers, and the
// dependency descriptor's template structure. The zero value is ready; the first structure allocates.
type Stream struct {
	sizes  [SpatialLayers]Size
	frames rtp.SequenceUnwrapper // of the dependency descriptor's frame numbers
	deps   *dependencies         // nil: no structure yet
}

// Inspect is Inspect for a packet that the publisher sent, with all that can be told of its layer. Packets may come in any order:
// what an older one tells is not believed over what a newer one has told.
func (s *Stream) Inspect(kind Kind, payload []byte, marker bool, descriptor []byte, encrypted bool) (Frame, drop.Reason) {
	f, r := Inspect(kind, payload, marker, descriptor, encrypted)
	if r != drop.None {
		return f, r
	}
	if len(descriptor) >= descriptorSize {
		s.depend(&f, descriptor)
	}
	switch {
	case kind == VP9 && f.next != 0 && f.Start:
		s.sizesVP9(payload[f.next:])
	case !f.Key || encrypted:
	case kind == VP8:
		s.resize(sizeVP8(payload[f.next:]))
	case kind == H264:
		s.resize(sizeH264(payload))
	}
	return f, drop.None
}

// Size returns the size of a spatial layer's pictures, where it has been told.
func (s *Stream) Size(spatial uint8) Size {
	if spatial >= SpatialLayers {
		return Size{}
	}
	return s.sizes[spatial]
}

// Active reports whether the publisher sends a layer, as far as it says so: the dependency descriptor's active decode targets.
func (s *Stream) Active(spatial, temporal uint8) bool {
	if s.deps == nil || spatial >= SpatialLayers || temporal >= TemporalLayers {
		return true
	}
	target := s.deps.target[spatial][temporal]
	return target < 0 || s.deps.active&(1<<target) != 0
}

// resize notes the size of the only spatial layer, where it could be read.
func (s *Stream) resize(size Size) {
	if size != (Size{}) {
		s.sizes[0] = size
	}
}
