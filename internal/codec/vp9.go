package codec

import "encoding/binary"

// inspectVP9 reads the VP9 payload descriptor (RFC 9628 §4.2):
//
//	|I|P|L|F|B|E|V|Z|      P: inter-picture predicted; B, E: a layer's frame starts, ends; V: a scalability structure is there
//	|M| PICTURE ID  |      I; with M a second byte: 15 bits
//	| TID |U| SID |D|      L: layer indices; U: higher temporal layers may begin after it; D: inter-layer predicted
//	|   TL0PICIDX   |      L and not F (flexible mode)
//	| P_DIFF      |N|      P and F, up to three while N
//	  scalability structure: V
func inspectVP9(b []byte) (Frame, bool) {
	if len(b) < 1 {
		return Frame{}, false
	}
	flags := b[0]
	f := Frame{Start: flags&0x08 != 0, End: flags&0x04 != 0}
	f.Key = f.Start && flags&0x40 == 0
	at := 1
	if flags&0x80 != 0 {
		if at = f.IDs.readPictureID(b, at); at == 0 {
			return Frame{}, false
		}
	}
	if flags&0x20 != 0 {
		if at = f.layersVP9(b, at); at == 0 {
			return Frame{}, false
		}
	}
	if flags&0x50 == 0x50 {
		for range 3 {
			if len(b) <= at {
				return Frame{}, false
			}
			at++
			if b[at-1]&1 == 0 {
				break
			}
		}
	}
	if flags&0x02 != 0 {
		f.next = uint8(at)
	}
	return f, len(b) > at
}

// layersVP9 reads the layer indices at b[at:], and TL0PICIDX where it is there, and returns what follows; 0 if cut off.
func (f *Frame) layersVP9(b []byte, at int) int {
	if len(b) <= at {
		return 0
	}
	f.Spatial, f.Temporal = min(b[at]>>1&7, SpatialLayers-1), min(b[at]>>5, TemporalLayers-1)
	if b[at]&0x10 != 0 { // U
		f.Switch = 0xFF << f.Temporal
	}
	// Only the base layer's frame stands by itself: those above are predicted from it, or do not carry the picture.
	f.Step = f.Spatial > 0 && b[0]&0x40 == 0
	f.Key = f.Key && b[at]&0x0F == 0
	if b[0]&0x10 != 0 {
		return at + 1
	}
	return f.IDs.readTL0PicIdx(b, at+1)
}

// sizesVP9 reads the sizes of spatial layers from a scalability structure (RFC 9628 §4.2.1):
//
//	| N_S |Y|G|-|-|-|      N_S: spatial layers, less one; Y: each has its size here
//	| WIDTH (16)    |
//	| HEIGHT (16)   |
func (s *Stream) sizesVP9(b []byte) {
	const sizes = 0x10
	if len(b) == 0 || b[0]&sizes == 0 || len(b) < 1+4*(int(b[0]>>5)+1) {
		return
	}
	s.sizes = [SpatialLayers]Size{}
	for i := range min(int(b[0]>>5)+1, SpatialLayers) {
		s.sizes[i] = Size{binary.BigEndian.Uint16(b[1+4*i:]), binary.BigEndian.Uint16(b[3+4*i:])}
	}
}
