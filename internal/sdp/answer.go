package sdp

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/parley-rtc/parley/internal/datagram"
)

// Answer writes the server's answer to an offer. A mid without a decision in l.Sections becomes inactive; an m-line that was
// rejected in the offer stays so. An m-line that shall be received, and has no codec that the server forwards, is an error;
// elsewhere such an m-line is rejected. Errors are *Error, or *NotSupported where l.Setup is anything but "passive" (or empty).
func (o *Offer) Answer(l *Local) (*Answer, error) {
	if err := l.check(o); err != nil {
		return nil, err
	}
	a := &Answer{Sections: make([]Negotiated, 0, len(o.Sections))}
	sections := make([]answered, 0, len(o.Sections))
	for i := range o.Sections {
		s := &o.Sections[i]
		x, err := decide(s, l.Sections[s.Mid])
		if err != nil {
			return nil, withMid(err, s.Mid)
		}
		sections = append(sections, x)
		a.Sections = append(a.Sections, x.Negotiated)
	}
	a.SDP = o.write(l, sections)
	return a, nil
}

// Offer would start a negotiation from the server's side. Browsers always offer here; for other carriers it is not built:
// it answers [ErrNotSupported].
func (l *Local) Offer() (*Offer, error) { return nil, ErrNotSupported }

// check finds what the caller got wrong.
func (l *Local) check(o *Offer) error {
	if !credential(l.ICE.Ufrag, minUfragBytes) || !credential(l.ICE.Pwd, minPwdBytes) {
		return refuse("the server's ICE credentials are too short or too long", "")
	}
	if _, strong, err := parseFingerprint(l.Fingerprint.Algorithm + " " + l.Fingerprint.Value); err != nil || !strong {
		return refuse("the server's fingerprint is not usable", "")
	}
	if l.Setup != "passive" && l.Setup != "" {
		return &NotSupported{What: "answering with a=setup:" + l.Setup}
	}
	for _, c := range l.Candidates {
		if _, err := netip.ParseAddr(c.Address); err != nil {
			return refuse("the server's candidate "+c.Address+" is no address", "")
		}
	}
	for mid := range l.Sections {
		if !slices.ContainsFunc(o.Sections, func(s Section) bool { return s.Mid == mid }) {
			return &Error{Reason: "the offer has no such m-line", Mid: mid}
		}
	}
	return nil
}

// answered is an m-line with everything that its answer says.
type answered struct {
	Negotiated
	local      LocalSection
	extensions []Extension
}

// decide makes the role of one m-line concrete.
func decide(s *Section, l LocalSection) (answered, error) {
	x := answered{Negotiated: Negotiated{Mid: s.Mid, Kind: s.Kind, Role: l.Role}, local: l}
	switch {
	case s.Rejected || s.Kind == 0:
		if l.Role != RoleInactive && l.Role != RoleReject {
			return x, refuse("the client has stopped this m-line", "")
		}
		x.Role = RoleReject
	case s.Kind == Application:
		return x.data(s)
	case l.Role == RoleData:
		return x, refuse("data channels need an application m-line", "")
	}
	if x.Role == RoleReject {
		return x, nil
	}
	if err := x.direction(s); err != nil {
		return x, err
	}
	x.Codecs, x.ReducedRTCP = accept(s, x.Role), s.ReducedRTCP
	if len(x.Codecs) == 0 {
		if x.Role == RoleReceive {
			return x, &Error{
				Reason: "no codec that the server forwards", NoCodec: true,
				Next: "offer opus for audio; vp8, vp9, av1 or h264 with packetization-mode=1 for video",
			}
		}
		x.Negotiated = Negotiated{Mid: s.Mid, Kind: s.Kind, Role: RoleReject}
		return x, nil
	}
	if !slices.ContainsFunc(x.Codecs, func(c Codec) bool { return c.RTX != 0 }) {
		x.RTXSSRC = 0
	}
	x.Extensions, x.extensions = acceptExtensions(s, x.Role)
	x.RIDs = x.simulcast(s)
	return x, nil
}

// simulcast accepts the encodings that the client offers to send, where it can say which packet belongs to which (RFC 8853 §6.6).
// One by itself is no choice.
func (x *answered) simulcast(s *Section) []string {
	if x.Role != RoleReceive || x.Extensions.Mid == 0 || x.Extensions.RID == 0 || len(s.RIDs) < 2 {
		return nil
	}
	return s.RIDs[:min(len(s.RIDs), maxEncodings)]
}

func (x answered) data(s *Section) (answered, error) {
	switch {
	case x.Role == RoleInactive || x.Role == RoleReject:
		x.Role = RoleReject // there is no inactive data channel
	case x.Role != RoleData:
		return x, refuse("an application m-line carries data channels only", "")
	case !s.ReceivesData:
		return x, refuse("data channels by "+s.Protocol+" are not understood", "offer UDP/DTLS/SCTP webrtc-datachannel")
	}
	return x, nil
}

// direction checks that the client offers what the role needs, and notes who sends what.
func (x *answered) direction(s *Section) error {
	switch x.Role {
	case RoleReceive:
		if s.Direction != SendOnly && s.Direction != SendRecv {
			return refuse("the client does not send on it", "offer it sendonly")
		}
		x.SSRCs, x.RTX, x.CNAME = s.SSRCs, s.RTX, s.CNAME
	case RoleSend:
		if s.Direction != RecvOnly && s.Direction != SendRecv {
			return refuse("the client does not receive on it", "offer it recvonly")
		}
		if x.local.SSRC == 0 || x.local.StreamID == "" {
			return refuse("a slot needs a stream and an SSRC", "")
		}
		x.SSRC, x.CNAME = x.local.SSRC, x.local.CNAME
		if s.Kind == Video {
			x.RTXSSRC = x.local.RTXSSRC
		}
	case RoleInactive:
	default:
		return refuse(fmt.Sprintf("role %d is unknown", x.Role), "")
	}
	return nil
}

// String implements fmt.Stringer: the value of a=candidate (RFC 8839 §5.1, RFC 6544 §4.5).
func (c Candidate) String() string {
	s := fmt.Sprintf("candidate:%s 1 %s %d %s %d typ host", c.Foundation, c.Proto, c.Priority, c.Address, c.Port)
	if c.Proto == datagram.TCP {
		s += " tcptype passive"
	}
	return s
}
