package codec

import "math/bits"

// descriptorSize is the length of a dependency descriptor's mandatory fields; frameNumberAt is where the frame number stands.
const (
	descriptorSize = 3
	frameNumberAt  = 1
)

// describe lets a dependency descriptor decide (RTP Payload Format For AV1, appendix A.8.1):
//
//	|S|E| template  |      start and end of frame
//	| frame_number  |
//	| (16 bits)     |
//	|T|A|D|F|C|  …  |      extended fields, where there are any: T: a template dependency structure follows; A: active decode
//	                       targets; D, F, C: decode target indications, frame differences, chains of this frame's own
//
// A structure comes with the first packet of a coded video sequence, so it marks a key frame.
func (f *Frame) describe(d []byte) {
	f.Start, f.End = d[0]&0x80 != 0, d[0]&0x40 != 0
	f.Key = f.Start && f.Spatial == 0 && len(d) > descriptorSize && d[descriptorSize]&0x80 != 0
	f.IDs.described = true
	f.IDs.FrameNumber = uint16(d[frameNumberAt])<<8 | uint16(d[frameNumberAt+1])
}

// switchIndication is the decode target indication of a frame from which on a decoder can decode the target, provided that it
// can decode the frame (appendix A.4).
const switchIndication = 2

// dependencies is a template dependency structure, and which of its decode targets are active.
type dependencies struct {
	number    int64  // of the frame that told it, unwrapped
	activeAt  int64  // of the frame that told active
	active    uint32 // decode targets that the publisher sends
	offset    uint8  // the id of the first template
	templates uint8
	targets   uint8
	chains    uint8
	template  [maxTemplates]template
	// target has the decode target of each layer; -1: there is none.
	target [SpatialLayers][TemporalLayers]int8
}

// template is what frames of one kind have in common.
type template struct {
	spatial, temporal uint8
	// within: the frame depends on nothing outside its own picture. Frame numbers count layers' frames, so what lies further
	// back than its spatial layer is of an earlier picture.
	within      bool
	indications indications
}

// indications has two bits for each decode target, the first in the lowest.
type indications uint64

func (x indications) of(target int8) uint8 { return uint8(x>>(2*target)) & 3 }

// depend adds what a dependency descriptor tells of the frame's layer. What cannot be understood, because the structure that it
// refers to is missing, tells nothing: such a frame counts as one of the base layer.
func (s *Stream) depend(f *Frame, d []byte) {
	r := bitReader{b: d, at: 8 * descriptorSize}
	var structure, active, ownIndications, ownDiffs bool
	if len(d) > descriptorSize {
		structure, active, ownIndications, ownDiffs = r.flag(), r.flag(), r.flag(), r.flag()
		r.skip(1) // chains of its own stand last, and are not needed
	}
	number := s.frames.Unwrap(f.IDs.FrameNumber)
	if structure {
		s.learn(&r, number)
	}
	deps := s.deps
	if deps == nil || structure && deps.number != number {
		return
	}
	if active {
		deps.activate(r.bits(int(deps.targets)), number)
	}
	index := (d[0] - deps.offset) & (maxTemplates - 1)
	if index >= deps.templates {
		return
	}
	t := deps.template[index]
	if ownIndications {
		t.indications = r.indications(deps.targets)
	}
	if ownDiffs {
		t.within = r.ownDiffs(t.spatial)
	}
	if !r.failed {
		f.place(deps, &t)
	}
}

// place sets the frame's layer, and what may begin with it.
func (f *Frame) place(deps *dependencies, t *template) {
	if t.spatial > 0 {
		f.Key = false // the structure came with the picture's upper layer again
	}
	if f.layered {
		return
	}
	f.Spatial, f.Temporal, f.Switch = t.spatial, t.temporal, 0
	for temporal, target := range deps.target[t.spatial] {
		if target >= 0 && t.indications.of(target) == switchIndication {
			f.Switch |= 1 << temporal
		}
	}
	f.Step = t.spatial > 0 && t.within && f.Switch&(1<<t.temporal) != 0
}

// learn reads a structure, and keeps it if it is not older than the one that is known.
func (s *Stream) learn(r *bitReader, number int64) {
	if s.deps != nil && number < s.deps.number {
		return
	}
	var next dependencies
	var sizes [SpatialLayers]Size
	next.read(r, &sizes)
	if r.failed {
		return
	}
	next.number, next.activeAt = number, number
	if s.deps == nil {
		s.deps = new(dependencies)
	}
	*s.deps = next
	if sizes[0] != (Size{}) {
		s.sizes = sizes
	}
}

// activate notes which decode targets are sent, unless a newer frame has told it.
func (d *dependencies) activate(mask uint32, number int64) {
	if number >= d.activeAt {
		d.active, d.activeAt = mask, number
	}
}

// read reads a template_dependency_structure (appendix A.8.2).
func (d *dependencies) read(r *bitReader, sizes *[SpatialLayers]Size) {
	d.offset = uint8(r.bits(6))
	d.targets = uint8(r.bits(5)) + 1
	d.active = uint32(1<<d.targets - 1)
	highest := d.readLayers(r)
	for i := range d.templates {
		d.template[i].indications = r.indications(d.targets)
	}
	for i := range d.templates {
		d.template[i].within = r.diffs(d.template[i].spatial)
	}
	d.readChains(r)
	d.place()
	if !r.flag() { // resolutions_present_flag
		return
	}
	for i := range highest + 1 {
		width, height := r.bits(16), r.bits(16)
		if width < 1<<16-1 && height < 1<<16-1 {
			sizes[min(i, SpatialLayers-1)] = Size{uint16(width + 1), uint16(height + 1)}
		}
	}
}

// readLayers reads template_layers, and returns the highest spatial layer.
func (d *dependencies) readLayers(r *bitReader) (spatial uint8) {
	const (
		nextTemporal = 1
		nextSpatial  = 2
		noMore       = 3
	)
	temporal := uint8(0)
	for !r.failed {
		if d.templates == maxTemplates || spatial >= SpatialLayers {
			r.failed = true
			return 0
		}
		d.template[d.templates] = template{spatial: spatial, temporal: min(temporal, TemporalLayers-1)}
		d.templates++
		switch r.bits(2) {
		case nextTemporal:
			temporal++
		case nextSpatial:
			spatial, temporal = spatial+1, 0
		case noMore:
			return spatial
		}
	}
	return 0
}

// readChains reads template_chains. Chains tell whether a decode target is still whole; a subscriber's decoder finds that out by
// itself, and asks for a key frame.
func (d *dependencies) readChains(r *bitReader) {
	d.chains = uint8(r.nonSymmetric(uint32(d.targets) + 1))
	if d.chains == 0 {
		return
	}
	for range d.targets {
		r.nonSymmetric(uint32(d.chains))
	}
	r.skip(4 * int(d.chains) * int(d.templates))
}

// place finds the layer of each decode target: the highest of the frames that it needs (decode_target_layers).
func (d *dependencies) place() {
	for s := range d.target {
		for t := range d.target[s] {
			d.target[s][t] = -1
		}
	}
	for target := range int8(d.targets) {
		var spatial, temporal uint8
		for i := range d.templates {
			if t := &d.template[i]; t.indications.of(target) != 0 {
				spatial, temporal = max(spatial, t.spatial), max(temporal, t.temporal)
			}
		}
		d.target[spatial][temporal] = target
	}
}

// indications reads those of one frame or template.
func (r *bitReader) indications(targets uint8) (x indications) {
	for i := range targets {
		x |= indications(r.bits(2)) << (2 * i)
	}
	return x
}

// diffs reads the frame differences of a template, and reports whether all stay within the picture of a frame of this spatial
// layer.
func (r *bitReader) diffs(spatial uint8) bool {
	within := true
	for r.flag() {
		within = r.bits(4)+1 <= uint32(spatial) && within
	}
	return within
}

// ownDiffs does the same for frame_fdiffs.
func (r *bitReader) ownDiffs(spatial uint8) bool {
	within := true
	for n := r.bits(2); n != 0; n = r.bits(2) {
		within = r.bits(int(4*n))+1 <= uint32(spatial) && within
	}
	return within
}

// bitReader reads bits, the highest of each byte first. Beyond the end it fails, and yields zeros.
type bitReader struct {
	b      []byte
	at     int // bits read
	failed bool
}

// bits reads a number of up to 32 bits.
func (r *bitReader) bits(n int) (x uint32) {
	if r.at+n > 8*len(r.b) {
		r.failed, r.at = true, 8*len(r.b)
		return 0
	}
	for n > 0 {
		free := 8 - r.at&7
		take := min(free, n)
		x = x<<take | uint32(r.b[r.at>>3]>>(free-take))&(1<<take-1)
		r.at, n = r.at+take, n-take
	}
	return x
}

func (r *bitReader) flag() bool { return r.bits(1) != 0 }

func (r *bitReader) skip(n int) {
	if r.at += n; r.at > 8*len(r.b) {
		r.failed, r.at = true, 8*len(r.b)
	}
}

// nonSymmetric reads ns(n): a number below n, where n is no power of two with some of them a bit shorter (appendix A.8).
func (r *bitReader) nonSymmetric(n uint32) uint32 {
	w := bits.Len32(n)
	short := uint32(1)<<w - n
	v := r.bits(w - 1)
	if v < short {
		return v
	}
	return v<<1 - short + r.bits(1)
}
