package sdp

import (
	"slices"
	"strconv"
	"strings"
)

// Matches tells whether a stream of codec c is one of codec o too, as far as a decoder cares: the same name and clock, and
// parameters that describe the same bitstream format. It maps payload types between a publisher and a subscriber.
func (c Codec) Matches(o Codec) bool {
	if c.Name != o.Name || c.ClockRate != o.ClockRate || max(c.Channels, 1) != max(o.Channels, 1) {
		return false
	}
	switch c.Name {
	case "vp9":
		return number(c.Parameters, "profile-id") == number(o.Parameters, "profile-id")
	case "av1":
		return number(c.Parameters, "profile") == number(o.Parameters, "profile")
	case "h264":
		return h264Profile(c.Parameters) == h264Profile(o.Parameters) &&
			number(c.Parameters, "packetization-mode") == number(o.Parameters, "packetization-mode")
	case "red": // its blocks have payload types of their own
		return c.Carries() == o.Carries()
	}
	return true
}

// parameter gives a value of a format's parameters ("a=1;b=2"); names are compared without case.
func parameter(parameters, name string) string {
	for _, p := range strings.Split(parameters, ";") {
		if k, v, ok := strings.Cut(p, "="); ok && strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// number is a parameter that counts from 0, which is also its default: H.264's packetization-mode, VP9's profile-id, AV1's profile.
func number(parameters, name string) int {
	v := parameter(parameters, name)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 8)
	if err != nil {
		return -1
	}
	return int(n)
}

// h264Profile gives the profile of profile-level-id (RFC 6184 §8.1) as its profile_idc; 0: none that is served. Constrained
// baseline counts as baseline: decoders in browsers are the same for both.
func h264Profile(parameters string) uint8 {
	id := parameter(parameters, "profile-level-id")
	if id == "" {
		return 0x42 // RFC 6184 §8.1: the default is baseline at level 1
	}
	n, err := strconv.ParseUint(id, 16, 24)
	if err != nil || len(id) != 6 {
		return 0
	}
	idc, constraints := uint8(n>>16), uint8(n>>8)
	switch {
	case idc == 0x42:
		return 0x42
	case idc == 0x4d && constraints&0x80 != 0, idc == 0x58 && constraints&0xc0 == 0xc0:
		return 0x42 // other spellings of constrained baseline (RFC 6184 §8.1, table 5)
	case idc == 0x4d, idc == 0x64:
		return idc
	}
	return 0
}

// accept gives the codecs of an offered m-line that the server forwards, in the offer's order, as an answer states them.
func accept(s *Section, role Role) []Codec {
	var accepted []Codec
	for _, c := range s.Codecs {
		if !forwarded(s.Kind, c) && !s.redundant(c) {
			continue
		}
		c.Parameters = answerParameters(c)
		if s.Kind == Audio || collidesWithRTCP(c.RTX) {
			c.RTX = 0
		}
		c.Feedback = answerFeedback(s.Kind, role, c)
		accepted = append(accepted, c)
	}
	return accepted
}

// collidesWithRTCP: payload types 64–95 look like RTCP on a shared port (RFC 5761 §4).
func collidesWithRTCP(pt uint8) bool { return pt >= 64 && pt <= 95 }

// forwarded tells whether the server forwards this format.
func forwarded(kind Kind, c Codec) bool {
	if collidesWithRTCP(c.PayloadType) {
		return false
	}
	if kind == Audio {
		return c.Name == "opus" && c.ClockRate == 48000 && c.Channels == 2
	}
	if c.ClockRate != 90000 {
		return false
	}
	switch c.Name {
	case "vp8", "av1":
		return true
	case "vp9": // 4:2:0 with 8 bits, and with 10 or 12
		profile := number(c.Parameters, "profile-id")
		return profile == 0 || profile == 2
	case "h264": // single-NAL mode would forbid FU-A, which every encoder needs above 1200 bytes
		return h264Profile(c.Parameters) != 0 && number(c.Parameters, "packetization-mode") == 1
	}
	return false
}

// redundant tells whether a format carries one that the server forwards several times over (RFC 2198).
func (s *Section) redundant(c Codec) bool {
	return s.Kind == Audio && c.IsRED() && c.ClockRate == 48000 && c.Channels == 2 && !collidesWithRTCP(c.PayloadType) &&
		slices.ContainsFunc(s.Codecs, func(o Codec) bool { return o.PayloadType == c.Carries() && forwarded(s.Kind, o) })
}

// IsRED tells whether the format is no codec of its own but carries another with redundancy (RFC 2198).
func (c Codec) IsRED() bool { return c.Name == "red" }

// Carries gives the payload type of the blocks of a format with redundancy; 0: they differ, or there is none. The format's
// parameters list it once for each block that there may be (RFC 2198 §5).
func (c Codec) Carries() uint8 {
	var inner uint64
	for i, text := range strings.Split(c.Parameters, "/") {
		pt, err := strconv.ParseUint(strings.TrimSpace(text), 10, 7)
		if err != nil || i > 0 && pt != inner {
			return 0
		}
		inner = pt
	}
	return uint8(inner)
}

// answerParameters states a format's parameters in an answer. Those that must be equal on both sides are repeated; those
// that say what the author can receive (VP8's max-fs) are left out, because the server can forward anything.
func answerParameters(c Codec) string {
	switch c.Name {
	case "vp8":
		return ""
	case "vp9":
		if v := parameter(c.Parameters, "profile-id"); v != "" {
			return "profile-id=" + v
		}
		return ""
	case "opus":
		return opusParameters(c.Parameters)
	}
	return c.Parameters
}

// opusParameters repeats what is offered, with in-band FEC asked for (RFC 7587 §6.1).
func opusParameters(offered string) string {
	var kept []string
	for _, p := range strings.Split(offered, ";") {
		p = strings.TrimSpace(p)
		if p != "" && !strings.HasPrefix(p, "useinbandfec=") {
			kept = append(kept, p)
		}
	}
	return strings.Join(append(kept, "useinbandfec=1"), ";")
}

// answerFeedback gives the feedback messages (RFC 4585 §4.2) that both sides will use. The receiver's own estimate (goog-remb) is
// what a slot's client may send that has no transport-wide feedback; audio has no retransmission in browsers. What a slot
// sends can be asked for again only where there is RTX: a packet that is repeated as it was is a replay to SRTP (RFC 3711
// §3.3.2). A publisher without RTX may encrypt such packets anew, so it is still asked.
func answerFeedback(kind Kind, role Role, c Codec) []string {
	var accepted []string
	for _, f := range c.Feedback {
		var ok bool
		switch f {
		case "nack":
			ok = kind == Video && (role != RoleSend || c.RTX != 0)
		case "nack pli", "ccm fir":
			ok = kind == Video
		case "transport-cc":
			ok = true
		case "goog-remb":
			ok = role == RoleSend
		}
		if ok && !slices.Contains(accepted, f) {
			accepted = append(accepted, f)
		}
	}
	return accepted
}
