package load

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/load/source"
	"github.com/parley-rtc/parley/wire"
)

// sender is one encoding that a client sends.
type sender struct {
	// static after construction
	line  *webrtc.RTPTransceiver
	track *webrtc.TrackLocalStaticRTP
	rid   string

	// owned by the goroutine that sends
	source     *source.Source
	silent     bool // nothing was sent of the last frame
	seq        uint16
	extensions []extension

	// atomic
	wantKey atomic.Bool
	paused  atomic.Bool // nobody wants it
}

// extension is a header extension that pion leaves to the application.
type extension struct {
	id    uint8
	value []byte
}

// speaking is the level of a voice: 30 dB below the loudest, with voice activity (RFC 6464).
const speaking = 0x80 | 30

// addSenders adds microphone and camera.
func (c *client) addSenders() error {
	if c.plan.Audio {
		s := source.New(source.Config{ID: source.ID(c.room, c.identity, false), Codec: codec.Opus, Bitrate: audioBitrate})
		if err := c.addSender(opus, "", s); err != nil {
			return err
		}
	}
	kind, some := c.plan.codec()
	if !some {
		return nil
	}
	for i, e := range c.plan.encodings() {
		s := source.New(source.Config{
			ID: source.ID(c.room, c.identity, true), Codec: kind, Encoding: uint8(i), Bitrate: e.bitrate,
			FPS: c.plan.FPS, Width: e.width, Height: e.height,
		})
		if err := c.addSender(c.plan.capability(), e.rid, s); err != nil {
			return err
		}
	}
	return nil
}

// addSender adds an encoding: a new m-line, or with a rid one more of the last.
func (c *client) addSender(capability webrtc.RTPCodecCapability, rid string, from *source.Source) error {
	s := &sender{source: from, rid: rid, seq: uint16(rand.Uint32())}
	id := "audio"
	var options []func(*webrtc.TrackLocalStaticRTP)
	if from.Config().Codec.Video() {
		id = "video"
	}
	if rid != "" {
		options = append(options, webrtc.WithRTPStreamID(rid))
	}
	var err error
	if s.track, err = webrtc.NewTrackLocalStaticRTP(capability, id, c.identity, options...); err != nil {
		return err
	}
	if from.Config().Encoding > 0 {
		s.line = c.sending[len(c.sending)-1].line
		err = s.line.Sender().AddEncoding(s.track)
	} else {
		s.line, err = c.pc.AddTransceiverFromTrack(s.track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	}
	c.sending = append(c.sending, s)
	return err
}

// tracks names the sending m-lines.
func (c *client) tracks() []wire.OfferTrack {
	var all []wire.OfferTrack
	for _, s := range c.sending {
		switch config := s.source.Config(); {
		case !config.Codec.Video():
			all = append(all, wire.OfferTrack{Mid: s.line.Mid(), Source: wire.SourceMicrophone})
		case config.Encoding == 0:
			all = append(all, wire.OfferTrack{Mid: s.line.Mid(), Source: wire.SourceCamera})
			fallthrough
		default:
			t := &all[len(all)-1]
			t.Width, t.Height = config.Width, config.Height // at last those of the largest
			if s.rid != "" {
				t.Encodings = append(t.Encodings, wire.OfferEncoding{
					RID: s.rid, Width: config.Width, Height: config.Height, MaxBitrate: uint32(config.Bitrate),
				})
			}
		}
	}
	return all
}

// send starts sending, until the client leaves: frames when they are due, each at once.
func (c *client) send() {
	var audio, video []*sender
	for _, s := range c.sending {
		s.extensions = s.extend()
		c.work.Go(s.listen)
		if s.source.Config().Codec.Video() {
			video = append(video, s)
		} else {
			audio = append(audio, s)
		}
	}
	for _, kind := range [][]*sender{audio, video} {
		if len(kind) > 0 {
			c.work.Go(func() { c.film(kind) })
		}
	}
}

// film sends the encodings of one track.
func (c *client) film(encodings []*sender) {
	interval := encodings[0].source.Config().Interval()
	due := time.Now().Add(rand.N(interval)) // clients are not in step
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for number := uint32(1); ; number++ {
		select {
		case <-c.leaving:
			return
		case <-timer.C:
		}
		now := time.Now()
		bytes := 0
		for _, s := range encodings {
			bytes += s.frame(now, number)
		}
		c.mu.Lock()
		c.late.Add(now.Sub(due))
		c.sent += int64(bytes)
		c.mu.Unlock()
		if due = due.Add(interval); now.Sub(due) > 10*interval {
			due = now // a machine that was away so long does not catch up: the burst would say nothing about the server
		}
		timer.Reset(time.Until(due))
	}
}

// frame sends one frame, if somebody wants it, and returns its bytes.
func (s *sender) frame(now time.Time, number uint32) (bytes int) {
	if s.paused.Load() {
		s.silent = true
		return 0
	}
	if s.silent {
		s.silent = false
		s.source.Begin()
	}
	if s.wantKey.Swap(false) {
		s.source.RequestKey()
	}
	for _, p := range s.source.Frame(now, number) {
		out := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: s.seq, Timestamp: p.Timestamp, Marker: p.Marker}, Payload: p.Payload}
		for _, e := range s.extensions {
			_ = out.Header.SetExtension(e.id, e.value) // fails only for ids and lengths that are not used here
		}
		s.seq++
		bytes += out.MarshalSize()
		_ = s.track.WriteRTP(&out) // fails only after the PeerConnection was closed
	}
	return bytes
}

// encodings notes what is wanted of a publication.
func (c *client) encodings(e wire.Encodings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted[e.Publication] = e.Active
	c.direct()
}

// direct lets senders send what is wanted, as far as it is known whose it is: the event may come before the answer. Called with mu held.
func (c *client) direct() {
	for publication, mid := range c.published {
		active, told := c.wanted[publication]
		for _, s := range c.sending {
			if told && s.line.Mid() == mid {
				s.paused.Store(!slices.Contains(active, s.rid))
			}
		}
	}
}

// extend lists the header extensions that were agreed on. Without simulcast, SSRCs tell m-lines apart.
func (s *sender) extend() []extension {
	var all []extension
	for _, e := range s.line.Sender().GetParameters().HeaderExtensions {
		switch {
		case e.URI == audioLevel:
			all = append(all, extension{uint8(e.ID), []byte{speaking}})
		case e.URI == sdp.SDESMidURI && s.rid != "":
			all = append(all, extension{uint8(e.ID), []byte(s.line.Mid())})
		case e.URI == sdp.SDESRTPStreamIDURI && s.rid != "":
			all = append(all, extension{uint8(e.ID), []byte(s.rid)})
		}
	}
	return all
}

// listen notes requests for key frames until the PeerConnection is closed. Pion answers those for repairs while somebody reads.
func (s *sender) listen() {
	read := s.line.Sender().ReadRTCP
	if s.rid != "" {
		read = func() ([]rtcp.Packet, interceptor.Attributes, error) { return s.line.Sender().ReadSimulcastRTCP(s.rid) }
	}
	for {
		packets, _, err := read()
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				s.wantKey.Store(true)
			}
		}
	}
}
