// Package codec reads and patches what stands in front of the coded media: RTP payload descriptors and the dependency
// descriptor. From them come key frames, frame boundaries, and the ids that have to go on without a jump when a slot changes
// its source.
//
// Coded media itself is looked at in two places only, where nothing else tells a key frame or its size: the beginning of a VP8
// frame, and H.264 NAL headers and sequence parameter sets. Encrypted media is never looked at.
package codec

import "github.com/parley-rtc/parley/internal/drop"

// Kind is a payload format.
type Kind uint8

// Kinds.
const (
	Opus Kind = iota + 1
	VP8
	VP9
	H264
	AV1
	RED // Opus with redundancy
)

var kinds = [...]struct {
	name  string
	clock uint32
}{Opus: {"opus", 48000}, VP8: {"vp8", 90000}, VP9: {"vp9", 90000}, H264: {"h264", 90000}, AV1: {"av1", 90000}, RED: {"red", 48000}}

// Parse returns the kind with the given encoding name, in lower case as sdp.Codec has it; false for any other codec.
func Parse(name string) (Kind, bool) {
	for k := Opus; k <= RED; k++ {
		if kinds[k].name == name {
			return k, true
		}
	}
	return 0, false
}

// String returns the encoding name in lower case.
func (k Kind) String() string {
	if k < Opus || k > RED {
		return "unknown"
	}
	return kinds[k].name
}

// ClockRate returns the rate of RTP timestamps in Hz.
func (k Kind) ClockRate() uint32 {
	if k < Opus || k > RED {
		return 0
	}
	return kinds[k].clock
}

// Video reports whether k needs key frames.
func (k Kind) Video() bool { return k >= VP8 && k <= AV1 }

// Frame is what one packet tells about its frame. With spatial layers it is the layer's frame; the marker bit ends the picture.
type Frame struct {
	// Start and End are the frame's first and last packet. Without a dependency descriptor, H.264 and AV1 tell a start only
	// where they tell a key frame.
	Start, End bool
	// Key: a decoder can begin with this packet. Audio always can. H.264 may say so at the parameter sets and again at the
	// picture that follows them.
	Key bool
	// Spatial and Temporal are its layer. Frames depend on none of a higher layer.
	Spatial, Temporal uint8
	// Switch has a bit for each temporal layer of its spatial layer with which a decoder that has had this frame's layer can
	// go on from here.
	Switch uint8
	// Step: it depends on lower layers only, so that a decoder that has had those can begin its layer here.
	Step bool
	IDs  IDs

	layered bool  // VP8's payload descriptor has told the layer, and more truly than its dependency descriptor does
	next    uint8 // what follows in the payload: VP8's coded frame; VP9's scalability structure, 0: none
}

// Inspect reads a packet's descriptors: its payload without padding, and its dependency descriptor element or nil. Where there
// is a dependency descriptor it decides; else the payload descriptor does and, unless the media is encrypted, the fallback to
// coded media. It reads what the publisher sent, so it comes before any IDs are patched. Layers that only a dependency
// descriptor tells need what earlier ones have told: see Stream.
func Inspect(kind Kind, payload []byte, marker bool, descriptor []byte, encrypted bool) (Frame, drop.Reason) {
	var f Frame
	var ok bool
	switch kind {
	case VP8:
		f, ok = inspectVP8(payload, encrypted)
		f.End = marker
	case VP9:
		f, ok = inspectVP9(payload)
		f.End = f.End || marker
	case H264:
		f, ok = inspectH264(payload, encrypted)
		f.End = marker
	case AV1:
		f, ok = inspectAV1(payload)
		f.End = marker
	default:
		return Frame{Start: true, End: true, Key: true}, drop.None
	}
	if !ok {
		return Frame{}, drop.RtpMalformed
	}
	if len(descriptor) >= descriptorSize {
		f.describe(descriptor)
	}
	return f, drop.None
}
