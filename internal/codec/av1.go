package codec

// inspectAV1 reads the aggregation header (RTP Payload Format For AV1 §4.4):
//
//	|Z|Y| W |N|-|-|-|      Z: continues an OBU of the packet before; N: first packet of a coded video sequence
func inspectAV1(b []byte) (Frame, bool) {
	if len(b) < 2 {
		return Frame{}, false
	}
	key := b[0]&0x88 == 0x08 // N; Z with it would be a contradiction
	return Frame{Start: key, Key: key}, true
}

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
//	|T|A|D|F|C|  …  |      extended fields, where there are any: T: a template dependency structure follows
//
// A structure comes with the first packet of a coded video sequence, so it marks a key frame.
func (f *Frame) describe(d []byte) {
	f.Start, f.End = d[0]&0x80 != 0, d[0]&0x40 != 0
	f.Key = f.Start && len(d) > descriptorSize && d[descriptorSize]&0x80 != 0
	f.IDs.described = true
	f.IDs.FrameNumber = uint16(d[frameNumberAt])<<8 | uint16(d[frameNumberAt+1])
}
