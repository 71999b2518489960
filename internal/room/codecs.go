package room

import (
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// What a publisher should prefer, best first: VP8 is what every client encodes cheaply and decodes.
var (
	audioCodecs = []string{"opus"}
	videoCodecs = []string{"vp8", "vp9", "h264", "av1"}
)

func allCodecs() wire.Codecs {
	return wire.Codecs{Audio: slices.Clone(audioCodecs), Video: slices.Clone(videoCodecs)}
}

// commonCodecs are those that every visible participant with slots of a kind can decode.
func (r *Room) commonCodecs() wire.Codecs {
	return wire.Codecs{Audio: r.common(wire.KindAudio, audioCodecs), Video: r.common(wire.KindVideo, videoCodecs)}
}

func (r *Room) common(kind wire.Kind, all []string) []string {
	codecs := []string{}
	for _, name := range all {
		if !slices.ContainsFunc(r.participants, func(p *participant) bool { return p.lacks(kind, name) }) {
			codecs = append(codecs, name)
		}
	}
	return codecs
}

// lacks tells whether the participant counts for the common codecs of a kind and none of its slots can take this one.
func (p *participant) lacks(kind wire.Kind, name string) bool {
	if p.grants.Hidden {
		return false
	}
	counts := false
	for _, s := range p.slots {
		l := s.line(kind)
		if l == nil || !l.open {
			continue
		}
		counts = true
		for _, c := range l.codecs {
			if c.Name == name {
				return false
			}
		}
	}
	return counts
}

// settleCodecs tells the common codecs where they have changed.
func (r *Room) settleCodecs() {
	if !r.recodec {
		return
	}
	r.recodec = false
	codecs := r.commonCodecs()
	if slices.Equal(codecs.Audio, r.codecs.Audio) && slices.Equal(codecs.Video, r.codecs.Video) {
		return
	}
	r.codecs = codecs
	r.change(wire.TypeCodecs, codecs, nil)
}
