package scenario

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/wire"
)

// Simulcast is a camera that is sent in three encodings of VP8, each with three temporal layers as libwebrtc makes them: 30 pictures a
// second, key frames when asked for and when an encoding begins. It obeys the event encodings as the SDK does: what is wanted is sent
// at once, what is not any more for one second.
type Simulcast struct {
	// static after construction
	client    *Client
	line      *webrtc.RTPTransceiver
	encodings []*Encoding // the lowest first
	filler    int         // bytes of each packet that mean nothing
	keyTimes  int         // as many packets as others key frames have

	// guarded by mu
	mu      sync.Mutex
	wanted  []string
	shown   uint32    // pictures
	lowerAt time.Time // zero: nothing is to be switched off

	stop    chan struct{}
	running sync.WaitGroup
}

// Encoding is one size of a Simulcast. Its packets carry its number among the plan's sources, as those of a Source do.
type Encoding struct {
	// static after construction
	*Source
	rid           string
	width, height uint16
	packets       int // of a picture
	track         *webrtc.TrackLocalStaticRTP

	// guarded by Simulcast.mu
	active bool
	sentAt time.Time // when the last picture was

	// owned by the goroutine that sends
	picture uint16
	tl0     uint8
	phase   int
}

// Extensions that tell encodings apart. Pion knows that of mids.
const (
	extensionMid = "urn:ietf:params:rtp-hdrext:sdes:mid"
	extensionRID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
	idRID        = 12
)

// temporalPattern is the temporal layer of each of eight pictures; syncPattern marks those that depend on the base layer alone.
var (
	temporalPattern = [8]uint8{0, 2, 1, 2, 0, 2, 1, 2}
	syncPattern     = [8]bool{1: true, 2: true}
)

// PublishSimulcast offers a camera in three encodings, and sends once it is connected. The client must have Options.Simulcast.
func (c *Client) PublishSimulcast() *Simulcast { return c.publishSimulcast([3]int{1, 3, 5}, 100, 1) }

// PublishLarge is PublishSimulcast at 0.15, 0.6 and 1.75 Mb/s, all headers included, and with key frames that are five times as large as
// other pictures.
func (c *Client) PublishLarge() *Simulcast { return c.publishSimulcast([3]int{1, 4, 12}, 500, 5) }

func (c *Client) publishSimulcast(packets [3]int, filler, keyTimes int) *Simulcast {
	p := c.plan
	p.Helper()
	s := &Simulcast{client: c, wanted: []string{"q", "h", "f"}, filler: filler, keyTimes: keyTimes, stop: make(chan struct{})}
	for i, rid := range s.wanted {
		e := &Encoding{
			Source: &Source{client: c, kind: wire.SourceCamera, video: true, first: uint16(rand.Uint32())},
			rid:    rid, width: 320 << i, height: 180 << i, packets: packets[i], active: true,
		}
		e.time, e.layered = rand.Uint32(), e
		p.mu.Lock()
		e.number = uint16(len(p.sources))
		p.sources = append(p.sources, e.Source)
		p.mu.Unlock()
		s.encodings = append(s.encodings, e)
	}
	c.negotiating <- struct{}{}
	s.attach()
	c.mu.Lock()
	c.simulcast = s
	c.mu.Unlock()
	c.negotiate(nil)
	<-c.negotiating
	c.Connected()
	s.running.Go(s.run)
	return s
}

func (s *Simulcast) attach() {
	p := s.client.plan
	p.Helper()
	for i, e := range s.encodings {
		var err error
		e.track, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "video", "camera", webrtc.WithRTPStreamID(e.rid))
		if err == nil && i == 0 {
			s.line, err = s.client.pc.AddTransceiverFromTrack(e.track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		} else if err == nil {
			err = s.line.Sender().AddEncoding(e.track)
		}
		if err != nil {
			p.Fatal(err)
		}
	}
	for i, e := range s.encodings {
		s.client.mu.Lock()
		e.ssrc = append(e.ssrc, uint32(s.line.Sender().GetParameters().Encodings[i].SSRC))
		s.client.mu.Unlock()
		go s.hear(e) // ends with the PeerConnection
	}
}

func (s *Simulcast) hear(e *Encoding) {
	for {
		packets, _, err := s.line.Sender().ReadSimulcastRTCP(e.rid)
		if err != nil {
			return
		}
		for _, p := range packets {
			if _, ok := p.(*rtcp.PictureLossIndication); ok {
				e.wantKey.Store(true)
			}
		}
	}
}

// describe puts the simulcast into an offer: pion sends several encodings, and does not say so. A nil Simulcast leaves the offer as it
// is.
func (s *Simulcast) describe(offer string) string {
	if s == nil {
		return offer
	}
	lines := fmt.Sprintf("a=mid:%s\r\na=extmap:%d %s\r\n", s.line.Mid(), idRID, extensionRID)
	var rids []string
	for _, e := range s.encodings {
		lines += "a=rid:" + e.rid + " send\r\n"
		rids = append(rids, e.rid)
	}
	lines += "a=simulcast:send " + strings.Join(rids, ";") + "\r\n"
	return strings.Replace(offer, "a=mid:"+s.line.Mid()+"\r\n", lines, 1)
}

// offered is what an offer says of it.
func (s *Simulcast) offered() wire.OfferTrack {
	t := wire.OfferTrack{Mid: s.line.Mid(), Source: wire.SourceCamera}
	for _, e := range s.encodings {
		t.Encodings = append(t.Encodings, wire.OfferEncoding{RID: e.rid, Width: e.width, Height: e.height})
	}
	return t
}

func (s *Simulcast) named(publication string) {
	for _, e := range s.encodings {
		e.Source.named(publication)
	}
}

// Publication is the name that the room gave it.
func (s *Simulcast) Publication() string { return s.encodings[0].Publication() }

// told takes the event encodings.
func (s *Simulcast) told(e wire.Encodings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted, s.lowerAt = e.Active, time.Now().Add(time.Second)
	for _, x := range s.encodings {
		if slices.Contains(s.wanted, x.rid) && !x.active {
			x.active = true
			x.wantKey.Store(true)
		}
	}
}

// Sends reports which encodings have sent a picture within the last 100 ms.
func (s *Simulcast) Sends() (rids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.encodings {
		if time.Since(e.sentAt) < 100*time.Millisecond {
			rids = append(rids, e.rid)
		}
	}
	return rids
}

// Pause stops sending, for good.
func (s *Simulcast) Pause() {
	if s.stop != nil {
		close(s.stop)
		s.running.Wait()
		s.stop = nil
	}
}

func (s *Simulcast) run() {
	ticker := time.NewTicker(time.Second / 30)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-ticker.C:
			s.capture(now)
		}
	}
}

// capture shows one picture to every encoder that is on.
func (s *Simulcast) capture(now time.Time) {
	s.mu.Lock()
	lower := !s.lowerAt.IsZero() && !now.Before(s.lowerAt)
	var active []*Encoding
	for _, e := range s.encodings {
		if lower {
			e.active = slices.Contains(s.wanted, e.rid)
		}
		if e.active {
			e.sentAt = now
			active = append(active, e)
		}
	}
	if lower {
		s.lowerAt = time.Time{}
	}
	s.shown++
	shown := s.shown
	s.mu.Unlock()
	for _, e := range active {
		e.encode(s, shown)
	}
	for _, e := range s.encodings {
		e.time += 3000
	}
}

// encode sends one picture (RFC 7741).
func (e *Encoding) encode(s *Simulcast, shown uint32) {
	key := e.wantKey.Swap(false) || e.count == 0
	if key {
		e.phase = 0
	}
	temporal := temporalPattern[e.phase]
	if temporal == 0 {
		e.tl0++
	}
	e.picture = (e.picture + 1) & 0x7fff
	packets := e.packets
	if key {
		packets *= s.keyTimes
	}
	for part := range packets {
		b := []byte{0x80, 0xE0, 0x80 | byte(e.picture>>8), byte(e.picture), e.tl0, temporal << 6, 0x11, 2, 0, 0x9d, 1, 0x2a, 0, 0, 0, 0}
		if part == 0 {
			b[0] |= 0x10 // S: a partition begins
		}
		if syncPattern[e.phase] {
			b[5] |= 0x20
		}
		if key {
			b[6] = 0x10
		}
		binary.LittleEndian.PutUint16(b[12:], e.width)
		binary.LittleEndian.PutUint16(b[14:], e.height)
		b = binary.BigEndian.AppendUint32(append(b, byte(part)), shown)
		e.send(s, append(b, make([]byte, s.filler)...), part == packets-1)
	}
	e.phase = (e.phase + 1) % len(temporalPattern)
}

// send writes one packet with the names of its m-line and stream, as browsers do at first.
func (e *Encoding) send(s *Simulcast, payload []byte, marker bool) {
	payload = binary.BigEndian.AppendUint16(payload, e.number)
	payload = binary.BigEndian.AppendUint32(payload, e.count)
	h := rtp.Header{Version: 2, SequenceNumber: e.first + uint16(e.count), Timestamp: e.time, Marker: marker}
	for _, x := range s.line.Sender().GetParameters().HeaderExtensions {
		if x.URI == extensionMid {
			_ = h.SetExtension(uint8(x.ID), []byte(s.line.Mid()))
		}
	}
	_ = h.SetExtension(idRID, []byte(e.rid))
	e.count++
	_ = e.track.WriteRTP(&rtp.Packet{Header: h, Payload: payload}) // fails only after the PeerConnection was closed
}
