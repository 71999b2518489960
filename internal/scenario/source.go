package scenario

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// Source is what a client sends on one m-line: VP8-like video, a key frame every three seconds and when asked for, or Opus-like
// audio, 50 packets a second. The last six bytes of each payload name the source and count its packets.
type Source struct {
	// static after construction
	client *Client
	kind   wire.Source
	number uint16 // index in Plan.sources
	video  bool
	track  *webrtc.TrackLocalStaticRTP
	line   *webrtc.RTPTransceiver
	first  uint16 // sequence number of packet 0
	// of a simulcast; nil: it is a whole source
	layered *Encoding

	// owned by the plan
	published bool
	stop      chan struct{} // nil: paused
	running   sync.WaitGroup

	// owned by the goroutine that sends; by the plan while paused
	count   uint32
	frame   uint16
	time    uint32
	lastKey time.Time

	// atomic
	wantKey atomic.Bool
	asked   atomic.Int32  // times, for a key frame
	told    atomic.Uint32 // the loss that the server has reported last, of 256
	level   atomic.Int32  // −dBov that packets of audio tell; silent: they tell none

	// guarded by client.mu
	publications []string
	ssrc         []uint32 // one for each PeerConnection
}

const (
	keyInterval = 3 * time.Second
	tagBytes    = 6
)

// Publish offers one more source, and sends once it is connected.
func (c *Client) Publish(kind wire.Source) *Source {
	c.plan.Helper()
	s := c.newSource(kind)
	c.negotiating <- struct{}{}
	c.sources = append(c.sources, s)
	s.attach()
	c.lines = append(c.lines, func() { s.attach() })
	c.negotiate(nil)
	<-c.negotiating
	c.Connected()
	s.Resume()
	return s
}

func (c *Client) newSource(kind wire.Source) *Source {
	s := &Source{client: c, kind: kind, video: kind == wire.SourceCamera || kind == wire.SourceScreen, first: uint16(rand.Uint32()), published: true}
	s.level.Store(silent)
	p := c.plan
	p.mu.Lock()
	defer p.mu.Unlock()
	s.number = uint16(len(p.sources))
	p.sources = append(p.sources, s)
	return s
}

// attach adds the source to the client's PeerConnection.
func (s *Source) attach() {
	p := s.client.plan
	p.Helper()
	mime, id := webrtc.MimeTypeOpus, "audio"
	if s.video {
		mime, id = webrtc.MimeTypeVP8, "video"
	}
	var err error
	if s.track, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime}, id, string(s.kind)); err != nil {
		p.Fatal(err)
	}
	init := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}
	if s.line, err = s.client.pc.AddTransceiverFromTrack(s.track, init); err != nil {
		p.Fatal(err)
	}
	s.client.mu.Lock()
	s.ssrc = append(s.ssrc, uint32(s.line.Sender().GetParameters().Encodings[0].SSRC))
	s.client.mu.Unlock()
	go s.hear(s.line.Sender()) // ends with the PeerConnection
}

// hear notes requests for key frames, and reports. Pion answers those for repairs while somebody reads.
func (s *Source) hear(sender *webrtc.RTPSender) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.PictureLossIndication:
				s.wantKey.Store(true)
				s.asked.Add(1)
			case *rtcp.ReceiverReport:
				for _, r := range p.Reports {
					if r.SSRC == uint32(sender.GetParameters().Encodings[0].SSRC) {
						s.told.Store(uint32(r.FractionLost))
					}
				}
			}
		}
	}
}

func (s *Source) named(publication string) {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	s.publications = append(s.publications, publication)
}

// silent is the level of a source that tells none.
const silent = -1

// Say lets packets of audio tell from now on how loud they are, in −dBov: 0 is as loud as it gets, 127 is silence (RFC 6464).
func (s *Source) Say(level int) { s.level.Store(int32(level)) }

// ToldLoss is the loss that the server has reported last, from 0 to 1.
func (s *Source) ToldLoss() float64 { return float64(s.told.Load()) / 256 }

// ranks tells whether the source has ever told how loud it is: then it is heard only while it is among the loudest.
func (s *Source) ranks() bool { return s.level.Load() != silent }

// Kind is what it shows or sounds like.
func (s *Source) Kind() wire.Source { return s.kind }

// Publication is the newest name that the room gave it.
func (s *Source) Publication() string {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.publications[len(s.publications)-1]
}

// Asked tells how often it was asked for a key frame.
func (s *Source) Asked() int { return int(s.asked.Load()) }

// Unpublish withdraws it and stops sending.
func (s *Source) Unpublish() {
	s.client.plan.Helper()
	s.Pause()
	s.published = false
	s.client.Do(wire.TypeUnpublish, wire.Unpublish{Publication: s.Publication()})
}

// Republish offers it again, as a new publication on the same m-line.
func (s *Source) Republish() {
	s.client.plan.Helper()
	s.published = true
	s.client.Offer()
	s.jump()
	s.Resume()
}

// jump leaves numbers out, so that what follows can be told from what was before a new publication.
func (s *Source) jump() { s.count += 100 }

// Published reports whether it is offered now.
func (s *Source) Published() bool { return s.published }

// Resume sends, until Pause.
func (s *Source) Resume() {
	s.stop = make(chan struct{})
	stop := s.stop
	s.running.Go(func() { s.run(stop) })
}

// Pause stops sending; the publication stays.
func (s *Source) Pause() {
	if s.stop != nil {
		close(s.stop)
		s.running.Wait()
		s.stop = nil
	}
}

func (s *Source) run(stop chan struct{}) {
	interval := 20 * time.Millisecond
	if s.video {
		interval = time.Second / 30
	}
	time.Sleep(time.Duration(rand.Int64N(int64(interval)))) // clients are not in step
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-ticker.C:
			if s.video {
				s.picture(now)
			} else {
				s.write(append(make([]byte, 0, 64), 0x78, 1, 2, 3), true)
				s.time += 960
			}
		}
	}
}

// picture sends a frame: three packets, seven of a key frame (RFC 7741).
func (s *Source) picture(now time.Time) {
	packets, key := 3, s.wantKey.Swap(false) || now.Sub(s.lastKey) >= keyInterval
	if key {
		packets, s.lastKey = 7, now
	}
	for i := range packets {
		b := append(make([]byte, 0, 256), 0x80, 0x80, 0x80|byte(s.frame>>8), byte(s.frame))
		if i == 0 {
			b[0] |= 0x10 // S: a partition begins
		}
		switch {
		case i == 0 && key:
			b = append(b, 0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1)
		default:
			b = append(b, 0x11, 2, 0, 1)
		}
		s.write(b[:len(b)+150], i == packets-1)
	}
	s.frame++
	s.time += 3000
}

// tell puts a level into a header.
func (s *Source) tell(h *rtp.Header, level byte) {
	for _, x := range s.line.Sender().GetParameters().HeaderExtensions {
		if x.URI == sdp.URIAudioLevel {
			if err := h.SetExtension(uint8(x.ID), []byte{level}); err != nil {
				panic(err)
			}
		}
	}
}

func (s *Source) write(payload []byte, marker bool) {
	payload = binary.BigEndian.AppendUint16(payload, s.number)
	payload = binary.BigEndian.AppendUint32(payload, s.count)
	h := rtp.Header{Version: 2, SequenceNumber: s.first + uint16(s.count), Timestamp: s.time, Marker: marker}
	s.count++
	if level := s.level.Load(); level != silent && !s.video {
		s.tell(&h, byte(level))
	}
	_ = s.track.WriteRTP(&rtp.Packet{Header: h, Payload: payload}) // fails only after the PeerConnection was closed
}
