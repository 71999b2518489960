package sdp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// sectionParser gathers an m-line's attributes in one pass; finish then puts together what needs all of them.
type sectionParser struct {
	s          Section
	rtcpMux    bool
	bundleOnly bool
	maps       map[uint8]rtpmap   // a=rtpmap
	parameters map[uint8]string   // a=fmtp
	feedback   map[uint8][]string // a=rtcp-fb
	everyone   []string           // a=rtcp-fb:*
	secondary  map[uint32]bool    // SSRCs of RTX and FEC
	rids       []string           // a=rid:… send
	simulcast  []string           // a=simulcast:send …
}

type rtpmap struct {
	name      string
	clockRate uint32
	channels  uint8
}

func parseSection(m *sdp.MediaDescription, mixed bool) (Section, error) {
	p := &sectionParser{
		s: Section{
			Media: m.MediaName.Media, Protocol: strings.Join(m.MediaName.Protos, "/"), Formats: m.MediaName.Formats,
			Direction: SendRecv, MaxMessage: DefaultMaxMessage, SCTPPort: DefaultSCTPPort, MixedHeaders: mixed,
			RTX: map[uint32]uint32{},
		},
		maps: map[uint8]rtpmap{}, parameters: map[uint8]string{}, feedback: map[uint8][]string{}, secondary: map[uint32]bool{},
	}
	for _, a := range m.Attributes {
		if len(a.Value) > maxValueBytes {
			return p.s, withMid(badLine(a.Key, a.Value), p.s.Mid)
		}
		if err := p.attribute(a.Key, a.Value); err != nil {
			return p.s, withMid(err, p.s.Mid)
		}
	}
	err := p.finish(m.MediaName.Port.Value)
	return p.s, withMid(err, p.s.Mid)
}

func (p *sectionParser) attribute(key, value string) error {
	switch key {
	case "mid":
		return p.mid(value)
	case "sendrecv", "sendonly", "recvonly", "inactive":
		p.s.Direction, _ = parseDirection(key)
	case "rtcp-mux":
		p.rtcpMux = true
	case "rtcp-rsize":
		p.s.ReducedRTCP = true
	case "bundle-only":
		p.bundleOnly = true
	case "extmap-allow-mixed":
		p.s.MixedHeaders = true
	case "rtpmap":
		return p.rtpmap(value)
	case "fmtp":
		return p.fmtp(value)
	case "rtcp-fb":
		return p.rtcpFeedback(value)
	case "extmap":
		return p.extmap(value)
	case "msid":
		return p.msid(value)
	case "ssrc":
		return p.ssrc(value)
	case "ssrc-group":
		return p.ssrcGroup(value)
	case "rid":
		return p.rid(value)
	case "simulcast":
		return p.simulcastLine(value)
	case "sctp-port":
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil || n == 0 {
			return badLine(key, value)
		}
		p.s.SCTPPort = uint16(n)
	case "max-message-size":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return badLine(key, value)
		}
		p.s.MaxMessage = uint32(min(n, 1<<32-1))
	}
	return nil
}

func parseDirection(word string) (Direction, bool) {
	switch word {
	case "inactive":
		return Inactive, true
	case "sendonly":
		return SendOnly, true
	case "recvonly":
		return RecvOnly, true
	case "sendrecv":
		return SendRecv, true
	}
	return Inactive, false
}

func (p *sectionParser) mid(value string) error {
	if !token(value) || p.s.Mid != "" {
		return badLine("mid", value)
	}
	if len(value) > maxMidBytes {
		return &Error{
			Reason: fmt.Sprintf("this a=mid is longer than the %d bytes that a header extension carries", maxMidBytes),
			Next:   "use shorter ones, such as numbers", Line: shorten("a=mid:" + value),
		}
	}
	p.s.Mid = value
	return nil
}

// payloadType splits "PT rest".
func payloadType(value string) (pt uint8, rest string, ok bool) {
	number, rest, _ := strings.Cut(value, " ")
	n, err := strconv.ParseUint(number, 10, 7)
	return uint8(n), strings.TrimSpace(rest), err == nil
}

func (p *sectionParser) rtpmap(value string) error {
	pt, rest, ok := payloadType(value)
	fields := strings.Split(rest, "/")
	if !ok || len(fields) < 2 || len(fields) > 3 || !token(fields[0]) {
		return badLine("rtpmap", value)
	}
	rate, err := strconv.ParseUint(fields[1], 10, 32)
	if err != nil || rate == 0 {
		return badLine("rtpmap", value)
	}
	m := rtpmap{name: strings.ToLower(fields[0]), clockRate: uint32(rate)}
	if p.s.Media == "audio" {
		m.channels = 1
	}
	if len(fields) == 3 {
		channels, err := strconv.ParseUint(fields[2], 10, 8)
		if err != nil {
			return badLine("rtpmap", value)
		}
		m.channels = uint8(channels)
	}
	if _, twice := p.maps[pt]; twice {
		return badLine("rtpmap", value)
	}
	p.maps[pt] = m
	return nil
}

func (p *sectionParser) fmtp(value string) error {
	pt, rest, ok := payloadType(value)
	if !ok {
		return badLine("fmtp", value)
	}
	if before := p.parameters[pt]; before != "" {
		rest = before + ";" + rest
	}
	if len(rest) > maxValueBytes {
		return badLine("fmtp", value)
	}
	p.parameters[pt] = rest
	return nil
}

func (p *sectionParser) rtcpFeedback(value string) error {
	if rest, ok := strings.CutPrefix(value, "* "); ok {
		if len(p.everyone) == maxFeedback {
			return badLine("rtcp-fb", value)
		}
		p.everyone = append(p.everyone, rest)
		return nil
	}
	pt, rest, ok := payloadType(value)
	if !ok || len(p.feedback[pt]) == maxFeedback {
		return badLine("rtcp-fb", value)
	}
	p.feedback[pt] = append(p.feedback[pt], rest)
	return nil
}

// extmap reads "ID[/direction] URI [parameters]" (RFC 8285 §8). Ids that no header can carry are a way to offer more
// extensions than fit; such a one is left alone.
func (p *sectionParser) extmap(value string) error {
	fields := strings.Fields(value)
	if len(fields) < 2 {
		return badLine("extmap", value)
	}
	number, word, limited := strings.Cut(fields[0], "/")
	id, err := strconv.ParseUint(number, 10, 16)
	if err != nil || id == 0 || len(p.s.Extensions) == maxExtensions {
		return badLine("extmap", value)
	}
	e := Extension{ID: uint8(id), URI: fields[1]}
	if limited {
		var ok bool
		if e.Direction, ok = parseDirection(word); !ok {
			return badLine("extmap", value)
		}
	}
	if id > 255 || id == 15 || limited && e.Direction == Inactive {
		return nil
	}
	if slices.ContainsFunc(p.s.Extensions, func(x Extension) bool { return x.ID == e.ID }) {
		return badLine("extmap", value)
	}
	p.s.Extensions = append(p.s.Extensions, e)
	return nil
}

// msid reads "stream track" (RFC 8830 §2); "-" is no stream. A track in several streams keeps the first.
func (p *sectionParser) msid(value string) error {
	stream, track, _ := strings.Cut(value, " ")
	if stream == "" {
		return badLine("msid", value)
	}
	if p.s.StreamID != "" || p.s.TrackID != "" {
		return nil
	}
	if stream != "-" {
		p.s.StreamID = stream
	}
	p.s.TrackID = track
	return nil
}

// ssrc reads "SSRC attribute[:value]" (RFC 5576 §4.1).
func (p *sectionParser) ssrc(value string) error {
	number, rest, _ := strings.Cut(value, " ")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return badLine("ssrc", value)
	}
	if err := p.addSSRC(uint32(n)); err != nil {
		return err
	}
	name, v, _ := strings.Cut(rest, ":")
	switch name {
	case "cname":
		if p.s.CNAME == "" {
			p.s.CNAME = v
		}
	case "msid": // the older way to tell it; a=msid follows or precedes with the same words in today's browsers
		return p.msid(v)
	}
	return nil
}

func (p *sectionParser) addSSRC(ssrc uint32) error {
	if slices.Contains(p.s.SSRCs, ssrc) {
		return nil
	}
	if len(p.s.SSRCs) == maxSSRCs {
		return refuse(fmt.Sprintf("more than %d a=ssrc", maxSSRCs), "")
	}
	p.s.SSRCs = append(p.s.SSRCs, ssrc)
	return nil
}

// ssrcGroup reads "semantics SSRC…" (RFC 5576 §4.2): FID pairs a stream with its RTX.
func (p *sectionParser) ssrcGroup(value string) error {
	fields := strings.Fields(value)
	if len(fields) == 0 {
		return badLine("ssrc-group", value)
	}
	pairs := fields[0] == "FID" || fields[0] == "FEC-FR"
	if !pairs {
		return nil
	}
	if len(fields) != 3 {
		return badLine("ssrc-group", value)
	}
	primary, err1 := strconv.ParseUint(fields[1], 10, 32)
	second, err2 := strconv.ParseUint(fields[2], 10, 32)
	if err1 != nil || err2 != nil || primary == second {
		return badLine("ssrc-group", value)
	}
	for _, ssrc := range []uint64{primary, second} {
		if err := p.addSSRC(uint32(ssrc)); err != nil {
			return err
		}
	}
	p.secondary[uint32(second)] = true
	if fields[0] == "FID" {
		p.s.RTX[uint32(primary)] = uint32(second)
	}
	return nil
}

// rid reads "id send|recv [restrictions]" (RFC 8851 §10).
func (p *sectionParser) rid(value string) error {
	fields := strings.Fields(value)
	if len(fields) < 2 || !token(fields[0]) {
		return badLine("rid", value)
	}
	if fields[1] != "send" {
		return nil
	}
	if len(p.rids) == maxRIDs {
		return refuse(fmt.Sprintf("more than %d a=rid", maxRIDs), "send fewer simulcast encodings")
	}
	p.rids = append(p.rids, fields[0])
	return nil
}

// simulcastLine reads "send a;~b,c recv …" (RFC 8853 §5.1): alternatives by comma, of which the first counts, ~ for paused.
func (p *sectionParser) simulcastLine(value string) error {
	fields := strings.Fields(value)
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] != "send" {
			continue
		}
		for _, encoding := range strings.Split(fields[i+1], ";") {
			first, _, _ := strings.Cut(encoding, ",")
			p.simulcast = append(p.simulcast, strings.TrimPrefix(first, "~"))
		}
	}
	if len(p.simulcast) > maxRIDs {
		return badLine("simulcast", value)
	}
	return nil
}

func (p *sectionParser) finish(port int) error {
	p.s.Rejected = port == 0 && !p.bundleOnly
	switch p.s.Media {
	case "audio":
		p.s.Kind = Audio
	case "video":
		p.s.Kind = Video
	case "application":
		p.s.Kind = Application
		p.s.ReceivesData = strings.HasSuffix(p.s.Protocol, "/DTLS/SCTP") && slices.Contains(p.s.Formats, "webrtc-datachannel")
		p.s.Direction = SendRecv
		return nil
	default:
		return nil // no kind of ours: it can only be rejected
	}
	p.s.SSRCs = slices.DeleteFunc(p.s.SSRCs, func(ssrc uint32) bool { return p.secondary[ssrc] })
	for _, rid := range p.simulcast {
		if slices.Contains(p.rids, rid) {
			p.s.RIDs = append(p.s.RIDs, rid)
		}
	}
	if p.s.Rejected {
		return nil
	}
	if !strings.HasSuffix(p.s.Protocol, "RTP/SAVPF") && !strings.HasSuffix(p.s.Protocol, "RTP/SAVP") {
		return refuse("transport "+p.s.Protocol+" is not DTLS-SRTP", "offer UDP/TLS/RTP/SAVPF")
	}
	if !p.rtcpMux {
		return refuse("no a=rtcp-mux: RTP and RTCP share one port", `create the RTCPeerConnection with rtcpMuxPolicy "require"`)
	}
	return p.codecs()
}

// staticTypes are the payload types that need no a=rtpmap (RFC 3551 §6), as far as browsers offer them.
var staticTypes = map[uint8]rtpmap{0: {"pcmu", 8000, 1}, 8: {"pcma", 8000, 1}, 9: {"g722", 8000, 1}, 13: {"cn", 8000, 1}}

// codecs puts the formats of the m-line together, in its order, RTX with the codec that it repeats (RFC 4588 §8.1).
func (p *sectionParser) codecs() error {
	rtx := map[uint8]uint8{}
	seen := map[uint8]bool{}
	for _, format := range p.s.Formats {
		n, err := strconv.ParseUint(format, 10, 7)
		pt := uint8(n)
		if err != nil || seen[pt] {
			return refuse("format "+format+" of the m-line is no payload type, or there twice", "")
		}
		seen[pt] = true
		m, ok := p.maps[pt]
		if !ok {
			if m, ok = staticTypes[pt]; !ok {
				continue
			}
		}
		if m.name == "rtx" {
			apt, err := strconv.ParseUint(parameter(p.parameters[pt], "apt"), 10, 7)
			if _, twice := rtx[uint8(apt)]; err == nil && !twice {
				rtx[uint8(apt)] = pt
			}
			continue
		}
		p.s.Codecs = append(p.s.Codecs, Codec{
			Name: m.name, PayloadType: pt, ClockRate: m.clockRate, Channels: m.channels,
			Parameters: p.parameters[pt], Feedback: append(slices.Clone(p.feedback[pt]), p.everyone...),
		})
	}
	for i := range p.s.Codecs {
		p.s.Codecs[i].RTX = rtx[p.s.Codecs[i].PayloadType]
	}
	return nil
}

// token tells whether s is a token (RFC 8866 §9): one word of ASCII without the characters that structure SDP lines.
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]`, r)
	})
}
