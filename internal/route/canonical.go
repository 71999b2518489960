package route

import (
	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// On a Pipe, payload types and header extension ids are the same whoever publishes. A codec of which there are several formats
// (profiles, packetization modes) has as many payload types, given out in the order in which the publisher lists the formats.
var canonicalTypes = [...]struct{ first, count uint8 }{
	codec.Opus: {96, 2},
	codec.VP8:  {98, 2},
	codec.VP9:  {100, 4},
	codec.H264: {104, 16},
	codec.AV1:  {120, 4},
	codec.RED:  {124, 1}, // what is inside keeps the publisher's payload type
}

// canonicalExtensions are those that a Pipe carries. All others are between two neighbours only.
var canonicalExtensions = sdp.Extensions{AudioLevel: 1, VideoOrientation: 2, DependencyDescriptor: 3}

// canonical returns the codecs as a Pipe has them, without RTX and feedback, and relates the publisher's payload types to theirs; 0:
// there is none.
func canonical(codecs []sdp.Codec) (out []sdp.Codec, types [128]uint8) {
	var used [len(canonicalTypes)]uint8
	for _, c := range codecs {
		k, ok := codec.Parse(c.Name)
		if !ok || used[k] == canonicalTypes[k].count || c.PayloadType > 127 {
			continue
		}
		t := canonicalTypes[k].first + used[k]
		used[k]++
		types[c.PayloadType] = t
		c.PayloadType, c.RTX, c.Feedback = t, 0, nil
		out = append(out, c)
	}
	return out, types
}

// canonicalHeader appends the header that a packet has on a Pipe. Its SSRC is 0: the Producer says which stream it is.
func canonicalHeader(dst []byte, in *rtp.Packet, payloadType uint8, number uint16, ids *sdp.Extensions) []byte {
	var (
		list [3]rtp.Extension
		n    int
	)
	for _, x := range [...]struct{ theirs, ours uint8 }{
		{ids.AudioLevel, canonicalExtensions.AudioLevel},
		{ids.VideoOrientation, canonicalExtensions.VideoOrientation},
		{ids.DependencyDescriptor, canonicalExtensions.DependencyDescriptor},
	} {
		if b := in.Extension(x.theirs); len(b) > 0 {
			list[n] = rtp.Extension{ID: x.ours, B: b}
			n++
		}
	}
	return rtp.AppendHeader(dst, rtp.Header{
		PayloadType: payloadType, Marker: in.Marker(), SequenceNumber: number, Timestamp: in.Timestamp(),
	}, list[:n])
}
