package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	pionice "github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/codec"
)

// Payload types.
const (
	payloadVideo = 96
	payloadRTX   = 97
	payloadOpus  = 111
)

const (
	audioLevel  = "urn:ietf:params:rtp-hdrext:ssrc-audio-level" // RFC 6464
	transportCC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)

var videoCodecs = map[codec.Kind]webrtc.RTPCodecCapability{
	codec.VP8:  {MimeType: webrtc.MimeTypeVP8},
	codec.VP9:  {MimeType: webrtc.MimeTypeVP9, SDPFmtpLine: "profile-id=0"},
	codec.H264: {MimeType: webrtc.MimeTypeH264, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"},
	codec.AV1:  {MimeType: webrtc.MimeTypeAV1, SDPFmtpLine: "profile=0"},
}

// capability is the codec of pictures as m-lines have it. Where none are sent, slots take VP8.
func (p *Plan) capability() webrtc.RTPCodecCapability {
	kind, some := p.codec()
	if !some {
		kind = codec.VP8
	}
	c := videoCodecs[kind]
	c.ClockRate = 90000
	c.RTCPFeedback = []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}, {Type: "transport-cc"}}
	return c
}

var opus = webrtc.RTPCodecCapability{
	MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
	RTCPFeedback: []webrtc.RTCPFeedback{{Type: "transport-cc"}},
}

// engine knows one codec of pictures, with RTX, and Opus.
func (p *Plan) engine() (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	rtx := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: "apt=" + strconv.Itoa(payloadVideo)}
	for _, c := range []struct {
		kind webrtc.RTPCodecType
		c    webrtc.RTPCodecParameters
	}{
		{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecParameters{PayloadType: payloadVideo, RTPCodecCapability: p.capability()}},
		{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecParameters{PayloadType: payloadRTX, RTPCodecCapability: rtx}},
		{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecParameters{PayloadType: payloadOpus, RTPCodecCapability: opus}},
	} {
		if err := m.RegisterCodec(c.c, c.kind); err != nil {
			return nil, err
		}
	}
	for _, e := range []struct {
		uri  string
		kind webrtc.RTPCodecType
	}{{transportCC, webrtc.RTPCodecTypeVideo}, {transportCC, webrtc.RTPCodecTypeAudio}, {audioLevel, webrtc.RTPCodecTypeAudio}} {
		if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: e.uri}, e.kind); err != nil {
			return nil, err
		}
	}
	return m, webrtc.ConfigureSimulcastExtensionHeaders(m)
}

// connection makes a PeerConnection that does what a browser's does for the server: it answers requests for repairs, reports, and sends
// transport-wide feedback. Requests for repairs are those of package meter: pion's go on when the repair has come.
func (c *client) connection(ctx context.Context) (*webrtc.PeerConnection, error) {
	m, err := c.plan.engine()
	if err != nil {
		return nil, err
	}
	quiet := &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}
	answer, err := nack.NewResponderInterceptor(nack.WithResponderLoggerFactory(quiet))
	if err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	registry.Add(tap{client: c})
	registry.Add(answer)
	if err := webrtc.ConfigureRTCPReports(registry); err != nil {
		return nil, err
	}
	if err := webrtc.ConfigureTWCCHeaderExtensionSender(m, registry); err != nil {
		return nil, err
	}
	if err := webrtc.ConfigureTWCCSenderWithOptions(m, registry, twcc.WithLoggerFactory(quiet)); err != nil {
		return nil, err
	}
	var s webrtc.SettingEngine
	s.LoggerFactory = quiet
	s.SetICEMulticastDNSMode(pionice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true)
	// One socket for each client, on the interface that leads to the server.
	local := c.target.local()
	s.SetIPFilter(func(ip net.IP) bool { return address(ip) == local })
	s.SetRemoteIPFilter(func(ip net.IP) bool { return c.target.allowed(address(ip)) })
	s.SetICEMaxBindingRequests(maxChecks)
	config, err := c.settle(ctx, &s)
	if err != nil {
		return nil, err
	}
	return webrtc.NewAPI(webrtc.WithSettingEngine(s), webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(registry)).NewPeerConnection(config)
}

// nudge makes pion look at its pairs, and nominate the first that works, as soon as a browser would. By itself it looks every 200 ms,
// which would be most of the time that a join takes. It also looks when there is a new candidate: these are for ICE-TCP, which is off,
// and nothing is ever sent to them.
func (c *client) nudge() {
	wait := firstNudge
	for port := range nudges {
		select {
		case <-c.up:
			return
		case <-c.lost():
			return
		case <-time.After(wait):
		}
		wait *= 2
		_ = c.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: fmt.Sprintf("candidate:1 1 tcp 1 127.0.0.1 %d typ host tcptype passive", port+1)})
	}
}

func address(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// line is what a received SSRC belongs to.
type line struct {
	mid    string
	video  bool
	repair bool
	ssrc   uint32 // of the stream that is repaired, or of itself
}

// lines reads from an answer which SSRCs its m-lines send.
func lines(answer string) (map[uint32]line, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(answer); err != nil {
		return nil, err
	}
	all := map[uint32]line{}
	for _, m := range d.MediaDescriptions {
		mid, _ := m.Attribute("mid")
		video := m.MediaName.Media == "video"
		for _, a := range m.Attributes {
			switch a.Key {
			case "ssrc":
				text, _, _ := strings.Cut(a.Value, " ")
				if n, err := strconv.ParseUint(text, 10, 32); err == nil && all[uint32(n)] == (line{}) {
					all[uint32(n)] = line{mid, video, false, uint32(n)}
				}
			case "ssrc-group":
				fields := strings.Fields(a.Value)
				if len(fields) != 3 || fields[0] != "FID" {
					continue
				}
				first, err := strconv.ParseUint(fields[1], 10, 32)
				second, err2 := strconv.ParseUint(fields[2], 10, 32)
				if err == nil && err2 == nil {
					all[uint32(second)] = line{mid, video, true, uint32(first)}
				}
			}
		}
	}
	return all, nil
}

// tap is an interceptor that sees every packet when it comes, repairs too. What pion's readers return is late: repairs wait for the
// next packet there.
type tap struct {
	interceptor.NoOp
	client *client
}

// NewInterceptor implements interceptor.Factory.
func (t tap) NewInterceptor(string) (interceptor.Interceptor, error) { return &t, nil }

// BindRemoteStream implements interceptor.Interceptor.
func (t *tap) BindRemoteStream(_ *interceptor.StreamInfo, r interceptor.RTPReader) interceptor.RTPReader {
	return interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, a, err := r.Read(b, a)
		var p rtp.Packet
		if err == nil && p.Unmarshal(b[:n]) == nil {
			t.client.arrived(time.Now(), &p, n)
		}
		return n, a, err
	})
}

// BindLocalStream implements interceptor.Interceptor. Pion repeats packets with the RTP stream id of the original; in a stream of repairs
// it belongs into another header extension (RFC 8852 §3.2).
func (t *tap) BindLocalStream(info *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	var rid, repaired uint8
	for _, e := range info.RTPHeaderExtensions {
		switch e.URI {
		case sdp.SDESRTPStreamIDURI:
			rid = uint8(e.ID)
		case sdp.SDESRepairRTPStreamIDURI:
			repaired = uint8(e.ID)
		}
	}
	if rid == 0 || repaired == 0 {
		return w
	}
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if v := h.GetExtension(rid); v != nil && h.PayloadType == payloadRTX {
			if err := errors.Join(h.DelExtension(rid), h.SetExtension(repaired, v)); err != nil {
				return 0, err
			}
		}
		return w.Write(h, payload, a)
	})
}

// unwrap returns the number and payload of the packet that a repair has in it (RFC 4588 §4).
func unwrap(p *rtp.Packet) (seq uint16, payload []byte, ok bool) {
	if len(p.Payload) < 2 {
		return 0, nil, false // a probe
	}
	return binary.BigEndian.Uint16(p.Payload), p.Payload[2:], true
}
