package sdp

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-rtc/parley/internal/datagram"
)

// writer appends lines.
type writer struct {
	b strings.Builder
}

func (w *writer) line(parts ...string) {
	for _, p := range parts {
		w.b.WriteString(p)
	}
	w.b.WriteString("\r\n")
}

// write puts an answer's text together. Everything that describes the transport is repeated in each accepted m-line, as
// browsers do it; candidates are in the one that carries the BUNDLE group (RFC 8843 §7.3.1).
func (o *Offer) write(l *Local, sections []answered) string {
	bundle := o.accepted(sections)
	var w writer
	w.line("v=0")
	w.line(fmt.Sprintf("o=- %d %d IN IP4 127.0.0.1", l.SessionID, l.Version))
	w.line("s=-")
	w.line("t=0 0")
	if l.ICE.Lite {
		w.line("a=ice-lite")
	}
	if o.ICE2 { // RFC 8445 §10. An agent of RFC 5245, which does not know the option, learns nothing by it
		w.line("a=ice-options:ice2")
	}
	if len(bundle) > 0 {
		w.line("a=group:BUNDLE ", strings.Join(bundle, " "))
	}
	for i := range sections {
		s, x := &o.Sections[i], &sections[i]
		switch x.Role {
		case RoleReject:
			w.rejected(s)
		case RoleData:
			w.application(s, l)
		default:
			w.media(s, x, l)
		}
		if x.Role != RoleReject && x.Mid == bundle[0] {
			w.candidates(l)
		}
	}
	return w.b.String()
}

// accepted gives the mids of the answer's BUNDLE group in the order of the offer's.
func (o *Offer) accepted(sections []answered) []string {
	var all []string
	for _, x := range sections {
		if x.Role != RoleReject {
			all = append(all, x.Mid)
		}
	}
	if len(o.Bundle) == 0 {
		return all
	}
	var ordered []string
	for _, mid := range o.Bundle {
		if slices.Contains(all, mid) && !slices.Contains(ordered, mid) {
			ordered = append(ordered, mid)
		}
	}
	return ordered
}

// mline gives media, protocol and formats of an m-line.
func (s *Section) mline() (media, protocol string, formats []string) {
	media, protocol, formats = s.Media, s.Protocol, s.Formats
	if media == "" {
		media = map[Kind]string{Audio: "audio", Video: "video", Application: "application"}[s.Kind]
	}
	if protocol == "" {
		protocol = "UDP/TLS/RTP/SAVPF"
		if s.Kind == Application {
			protocol = "UDP/DTLS/SCTP"
		}
	}
	if len(formats) == 0 {
		for _, c := range s.Codecs {
			formats = append(formats, strconv.Itoa(int(c.PayloadType)))
		}
		if s.Kind == Application {
			formats = []string{"webrtc-datachannel"}
		}
	}
	return media, protocol, formats
}

// rejected writes an m-line with port 0 (RFC 3264 §6). Its formats mean nothing, but one is needed.
func (w *writer) rejected(s *Section) {
	media, protocol, formats := s.mline()
	format := "0"
	if len(formats) > 0 {
		format = formats[0]
	}
	w.line("m=", media, " 0 ", protocol, " ", format)
	w.line("c=IN IP4 0.0.0.0")
	if s.Kind != Application {
		w.line("a=inactive")
	}
	if s.Mid != "" {
		w.line("a=mid:", s.Mid)
	}
}

// start writes the m-line, the default candidate (RFC 8839 §4.2.1.2) and the transport.
func (w *writer) start(s *Section, l *Local, formats []string) {
	media, protocol, _ := s.mline()
	port, family, address := "9", "IP4", "0.0.0.0"
	if i := slices.IndexFunc(l.Candidates, func(c Candidate) bool { return c.Proto == datagram.UDP }); i >= 0 {
		c := l.Candidates[i]
		port, address = strconv.Itoa(int(c.Port)), c.Address
		if ip, err := netip.ParseAddr(address); err == nil && ip.Is6() {
			family = "IP6"
		}
	}
	w.line("m=", media, " ", port, " ", protocol, " ", strings.Join(formats, " "))
	w.line("c=IN ", family, " ", address)
	w.line("a=mid:", s.Mid)
	w.line("a=ice-ufrag:", l.ICE.Ufrag)
	w.line("a=ice-pwd:", l.ICE.Pwd)
	w.line("a=fingerprint:", l.Fingerprint.Algorithm, " ", l.Fingerprint.Value)
	w.line("a=setup:passive")
}

func (w *writer) candidates(l *Local) {
	for _, c := range l.Candidates {
		w.line("a=", c.String())
	}
	w.line("a=end-of-candidates")
}

func (w *writer) application(s *Section, l *Local) {
	_, _, formats := s.mline()
	w.start(s, l, formats[:1])
	port, size := l.SCTPPort, l.MaxMessage
	if port == 0 {
		port = DefaultSCTPPort
	}
	if size == 0 {
		size = DefaultMaxMessage
	}
	w.line("a=sctp-port:", strconv.Itoa(int(port)))
	w.line("a=max-message-size:", strconv.FormatUint(uint64(size), 10))
}

func (w *writer) media(s *Section, x *answered, l *Local) {
	w.start(s, l, formats(x.Codecs))
	w.line("a=", map[Role]string{RoleReceive: "recvonly", RoleSend: "sendonly", RoleInactive: "inactive"}[x.Role])
	w.line("a=rtcp-mux")
	if x.ReducedRTCP {
		w.line("a=rtcp-rsize")
	}
	if s.MixedHeaders {
		w.line("a=extmap-allow-mixed")
	}
	for _, e := range x.extensions {
		limit := map[Direction]string{SendOnly: "/sendonly", RecvOnly: "/recvonly", SendRecv: "/sendrecv"}[e.Direction]
		w.line("a=extmap:", strconv.Itoa(int(e.ID)), limit, " ", e.URI)
	}
	for _, c := range x.Codecs {
		w.codec(s.Kind, c)
	}
	for _, rid := range x.RIDs {
		w.line("a=rid:", rid, " recv")
	}
	if len(x.RIDs) > 0 {
		w.line("a=simulcast:recv ", strings.Join(x.RIDs, ";"))
	}
	if x.Role == RoleSend {
		w.sources(x)
	}
}

// formats lists payload types as the m-line has them, each codec's RTX behind it.
func formats(codecs []Codec) []string {
	var list []string
	for _, c := range codecs {
		list = append(list, strconv.Itoa(int(c.PayloadType)))
		if c.RTX != 0 {
			list = append(list, strconv.Itoa(int(c.RTX)))
		}
	}
	return list
}

// encodingNames spells codecs as their registrations do.
var encodingNames = map[string]string{"opus": "opus", "red": "red", "vp8": "VP8", "vp9": "VP9", "h264": "H264", "av1": "AV1"}

func (w *writer) codec(kind Kind, c Codec) {
	pt, rate := strconv.Itoa(int(c.PayloadType)), strconv.FormatUint(uint64(c.ClockRate), 10)
	channels := ""
	if kind == Audio {
		channels = "/" + strconv.Itoa(int(c.Channels))
	}
	w.line("a=rtpmap:", pt, " ", encodingNames[c.Name], "/", rate, channels)
	for _, f := range c.Feedback {
		w.line("a=rtcp-fb:", pt, " ", f)
	}
	if c.Parameters != "" {
		w.line("a=fmtp:", pt, " ", c.Parameters)
	}
	if c.RTX != 0 {
		rtx := strconv.Itoa(int(c.RTX))
		w.line("a=rtpmap:", rtx, " rtx/", rate)
		w.line("a=fmtp:", rtx, " apt=", pt)
	}
}

// sources writes what a slot sends: its place in a stream (RFC 8830), its SSRC and that of RTX (RFC 5576).
func (w *writer) sources(x *answered) {
	track := x.local.TrackID
	if track == "" {
		track = x.Mid
	}
	w.line("a=msid:", x.local.StreamID, " ", track)
	ssrc, rtx := strconv.FormatUint(uint64(x.SSRC), 10), strconv.FormatUint(uint64(x.RTXSSRC), 10)
	if x.RTXSSRC != 0 {
		w.line("a=ssrc-group:FID ", ssrc, " ", rtx)
	}
	w.line("a=ssrc:", ssrc, " cname:", x.CNAME)
	if x.RTXSSRC != 0 {
		w.line("a=ssrc:", rtx, " cname:", x.CNAME)
	}
}
