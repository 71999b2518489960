package scenario

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	pionice "github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// slot is a pair of receiving m-lines, or a video-only one.
type slot struct{ audio, video *webrtc.RTPTransceiver }

const (
	payloadVP8, payloadRTX, payloadOpus, payloadRED = 96, 97, 111, 63
	transportCC                                     = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)

// engine knows VP8 with repairs, and Opus with levels, and with redundancy where it is wanted.
func engine(o Options) (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.URIAudioLevel}, webrtc.RTPCodecTypeAudio); err != nil {
		return nil, err
	}
	feedback := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}}
	for _, c := range []struct {
		kind webrtc.RTPCodecType
		c    webrtc.RTPCodecParameters
	}{
		{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecParameters{PayloadType: payloadVP8, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeVP8, ClockRate: 90000, RTCPFeedback: feedback,
		}}},
		{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecParameters{PayloadType: payloadRTX, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: fmt.Sprintf("apt=%d", payloadVP8),
		}}},
		{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecParameters{PayloadType: payloadOpus, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
		}}},
	} {
		if o.NoRTX && c.c.PayloadType == payloadRTX {
			continue
		}
		if err := m.RegisterCodec(c.c, c.kind); err != nil {
			return nil, err
		}
	}
	if !o.RED {
		return m, nil
	}
	return m, m.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: payloadRED, RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: "audio/red", ClockRate: 48000, Channels: 2, SDPFmtpLine: fmt.Sprintf("%d/%d", payloadOpus, payloadOpus),
	}}, webrtc.RTPCodecTypeAudio)
}

// api is pion with what a browser has: answers to requests for repairs, reports, transport-wide feedback. Its own requests are
// those of repair.go: pion's go on when the repair has come.
func (c *Client) api() (*webrtc.API, error) {
	m, err := engine(c.options)
	if err != nil {
		return nil, err
	}
	if c.options.Simulcast {
		if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: extensionMid}, webrtc.RTPCodecTypeVideo); err != nil {
			return nil, err
		}
	}
	answer, err := nack.NewResponderInterceptor()
	if err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	registry.Add(tapFactory{c})
	registry.Add(answer)
	if err := webrtc.ConfigureRTCPReports(registry); err != nil {
		return nil, err
	}
	if err := webrtc.ConfigureTWCCHeaderExtensionSender(m, registry); err != nil {
		return nil, err
	}
	if c.options.Feedback {
		if err := webrtc.ConfigureTWCCSender(m, registry); err != nil {
			return nil, err
		}
	}
	var s webrtc.SettingEngine
	s.SetICEMulticastDNSMode(pionice.MulticastDNSModeDisabled)
	s.SetNet(c.net)
	s.LoggerFactory = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}
	return webrtc.NewAPI(webrtc.WithSettingEngine(s), webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(registry)), nil
}

func (c *Client) newConnection() {
	c.plan.Helper()
	api, err := c.api()
	if err != nil {
		c.plan.Fatal(err)
	}
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		c.plan.Fatal(err)
	}
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { drain(t) })
	c.stopAsking = make(chan struct{})
	c.asking.Go(func() { c.ask(pc, c.stopAsking) })
	c.mu.Lock()
	c.pc = pc
	c.current, c.generations, c.early = map[string]*reception{}, map[string]uint64{}, map[string][]fill{}
	c.mu.Unlock()
}

// addSlots adds pairs and video-only slots, to be offered.
func (c *Client) addSlots(pairs, videos int) {
	c.plan.Helper()
	add := func(kind webrtc.RTPCodecType) *webrtc.RTPTransceiver {
		t, err := c.pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
		if err != nil {
			c.plan.Error(err)
		}
		return t
	}
	for i := range pairs + videos {
		line := func() {
			s := &slot{video: add(webrtc.RTPCodecTypeVideo)}
			if i < pairs {
				s.audio = add(webrtc.RTPCodecTypeAudio)
			}
			c.slots = append(c.slots, s)
		}
		line()
		c.lines = append(c.lines, line)
	}
}

// grow answers grow-slots with as many slots as the client is willing to have.
func (c *Client) grow(g wire.GrowSlots) {
	c.negotiating <- struct{}{}
	defer func() { <-c.negotiating }()
	pairs, videos := 0, 0
	for _, s := range c.slots {
		if s.audio != nil {
			pairs++
		} else {
			videos++
		}
	}
	more := max(0, min(g.Pairs, c.options.MaxPairs)-pairs)
	if c.isClosing() || more == 0 && g.Videos <= videos {
		return
	}
	c.addSlots(more, max(0, g.Videos-videos))
	c.negotiate(nil)
}

// Offer negotiates what the client has now.
func (c *Client) Offer() {
	c.plan.Helper()
	c.negotiating <- struct{}{}
	defer func() { <-c.negotiating }()
	c.negotiate(nil)
}

// RestartICE negotiates new credentials.
func (c *Client) RestartICE() {
	c.plan.Helper()
	c.negotiating <- struct{}{}
	defer func() { <-c.negotiating }()
	c.negotiate(&webrtc.OfferOptions{ICERestart: true})
}

// negotiate offers and takes the answer. The caller holds negotiating.
func (c *Client) negotiate(o *webrtc.OfferOptions) {
	c.plan.Helper()
	offer, err := c.pc.CreateOffer(o)
	if err == nil {
		err = c.pc.SetLocalDescription(offer)
	}
	if err != nil {
		c.plan.Errorf("%s: offer: %v", c.Name, err)
		return
	}
	if c.whip != nil {
		c.whip.negotiate(c, offer.SDP)
		return
	}
	request := wire.Offer{SDP: c.simulcast.describe(offer.SDP)}
	var published []interface{ named(string) }
	for _, s := range c.sources {
		if s.published {
			request.Tracks = append(request.Tracks, wire.OfferTrack{Mid: s.line.Mid(), Source: s.kind})
			published = append(published, s)
		}
	}
	if c.simulcast != nil {
		request.Tracks = append(request.Tracks, c.simulcast.offered())
		published = append(published, c.simulcast)
	}
	for _, s := range c.slots {
		o := wire.OfferSlot{Video: s.video.Mid()}
		if s.audio != nil {
			o.Audio = s.audio.Mid()
		}
		request.Slots = append(request.Slots, o)
	}
	m := c.request(wire.TypeOffer, request)
	if c.isClosing() || c.over(m) {
		c.unanswered = true
		return
	}
	if m.Type != wire.TypeAnswer {
		c.plan.Errorf("%s: offer answered by %s %s", c.Name, m.Type, m.Body)
		return
	}
	answer := body[wire.Answer](m)
	for i, p := range answer.Publications {
		published[i].named(p.Publication)
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.SDP}); err != nil {
		c.plan.Errorf("%s: answer: %v\n%s", c.Name, err, answer.SDP)
	}
}

// over tells whether a request came too late: the session had ended meanwhile.
func (c *Client) over(m wire.Message) bool {
	if m.Type != wire.TypeError || body[wire.Error](m).Code != wire.CodeSessionExpired {
		return false
	}
	time.Sleep(time.Second)
	return c.Ended() != nil
}

// learn finds the SSRCs of the slots in an answer. Called with mu held, before the slot events that follow the answer.
func (c *Client) learn(description string) {
	mid, kind := "", ""
	for line := range strings.Lines(description) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "m="):
			kind, _, _ = strings.Cut(line[2:], " ")
		case strings.HasPrefix(line, "a=mid:"):
			mid = line[6:]
		case strings.HasPrefix(line, "a=ssrc-group:FID "):
			ssrcs := strings.Fields(line)[1:]
			c.reception(ssrcs[0], mid, kind).rtx = number(ssrcs[1])
		case strings.HasPrefix(line, "a=ssrc:"):
			ssrc, _, _ := strings.Cut(line[7:], " ")
			if n := number(ssrc); !slices.ContainsFunc(c.all(), func(r *reception) bool { return r.rtx == n }) {
				c.reception(ssrc, mid, kind)
			}
		}
	}
}

func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

// Connected waits until media can flow.
func (c *Client) Connected() {
	c.plan.Helper()
	for range 600 {
		if c.pc.ConnectionState() == webrtc.PeerConnectionStateConnected {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.plan.Fatalf("%s: not connected after 30 s: %v", c.Name, c.pc.ConnectionState())
}

// Reconnect replaces a PeerConnection that has failed by one with the same m-lines.
func (c *Client) Reconnect() {
	c.plan.Helper()
	c.negotiating <- struct{}{}
	defer func() { <-c.negotiating }()
	for _, s := range c.sources {
		s.Pause()
	}
	c.disconnect()
	c.newConnection()
	c.slots = nil
	for _, again := range c.lines {
		again()
	}
	c.negotiate(nil)
	c.Connected()
	for _, s := range c.sources {
		if s.published {
			s.jump()
			s.Resume()
		}
	}
}
