package route_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// studio is a publisher of VP8 simulcast with three temporal layers, as libwebrtc sends it, whose packets get lost and are
// repaired.
type studio struct {
	random   *rand.Rand
	router   *route.Router
	producer *route.Producer
	now      time.Time
	loss     int // in a thousand
	cameras  []*camera
	late     []*shot
}

// camera is one encoding.
type camera struct {
	index   int64
	ts      uint32
	picture uint16
	tl0     uint8
	phase   int
	keyAt   time.Time // when a key frame that was asked for comes; zero: none was
	base    *picture  // newest of T0, T1
	middle  *picture
	off     bool
	packets int // of a frame
}

// picture is one frame and what it depends on.
type picture struct {
	encoding, packets int
	temporal          uint8
	key               bool
	refs              []*picture
	late              bool // one of its packets was lost
}

type shot struct {
	encoding int
	index    int64
	bytes    []byte
	picture  *picture
	part     int
	due      time.Time
}

const tick = time.Second / 30

func newStudio(seed uint64, loss int) *studio {
	s := &studio{random: rand.New(rand.NewPCG(seed, 7)), router: route.NewRouter(), now: start, loss: loss}
	s.producer = s.router.Add(route.ProducerConfig{ID: 1, Kind: sdp.Video, Codecs: vp8, Clock: new(route.Clock), Encodings: []route.EncodingConfig{
		{RID: "q", Width: 320, Height: 180}, {RID: "h", Width: 640, Height: 360}, {RID: "f", Width: 1280, Height: 720},
	}})
	for i := range 3 {
		c := &camera{
			index: 1<<16 + int64(s.random.IntN(60000)), ts: s.random.Uint32(), picture: uint16(s.random.IntN(1 << 15)), packets: 1 + 2*i, keyAt: start,
		}
		s.cameras = append(s.cameras, c)
		s.producer.Encoding(uint8(i)).Timeline().Observe(start, c.ts, start)
	}
	return s
}

// patterns of three temporal layers over eight pictures; sync are those that depend on the base layer alone.
var (
	temporal = [8]uint8{0, 2, 1, 2, 0, 2, 1, 2}
	sync     = [8]bool{1: true, 2: true}
)

// step shows one picture of every encoding, and returns what arrives meanwhile.
func (s *studio) step() (arrived []*shot) {
	s.now = s.now.Add(tick)
	due := func(x *shot) bool { return !x.due.After(s.now) }
	for _, x := range s.late {
		if due(x) {
			arrived = append(arrived, x)
		}
	}
	s.late = slices.DeleteFunc(s.late, due)
	for i, c := range s.cameras {
		c.ts += 3000
		if c.off {
			continue
		}
		for _, x := range s.shoot(i, c) {
			if s.random.IntN(1000) < s.loss {
				x.due, x.picture.late = s.now.Add(time.Duration(1+s.random.IntN(300))*time.Millisecond), true
				s.late = append(s.late, x)
			} else {
				arrived = append(arrived, x)
			}
		}
	}
	return arrived
}

func (s *studio) shoot(encoding int, c *camera) []*shot {
	p := &picture{encoding: encoding, packets: 1 + s.random.IntN(2*c.packets)}
	if !c.keyAt.IsZero() && !c.keyAt.After(s.now) {
		p.key, c.phase, c.keyAt = true, 0, time.Time{}
	}
	p.temporal = temporal[c.phase]
	switch p.temporal {
	case 0:
		c.tl0++
		if !p.key {
			p.refs = []*picture{c.base}
		}
		c.base = p
	case 1:
		p.refs = []*picture{c.base}
		if !sync[c.phase] {
			p.refs = append(p.refs, c.middle)
		}
		c.middle = p
	case 2:
		p.refs = []*picture{c.base}
		if !sync[c.phase] {
			p.refs = append(p.refs, c.middle)
		}
	}
	c.picture = (c.picture + 1) & 0x7fff
	var shots []*shot
	for part := range p.packets {
		c.index++
		shots = append(shots, &shot{encoding: encoding, index: c.index, picture: p, part: part, bytes: c.packet(p, part)})
	}
	c.phase = (c.phase + 1) % len(temporal)
	return shots
}

// packet writes one RTP packet. Its payload ends with the index, which tells it from all others.
func (c *camera) packet(p *picture, part int) []byte {
	h := rtp.Header{PayloadType: 96, SequenceNumber: uint16(c.index), Timestamp: c.ts, SSRC: 1, Marker: part == p.packets-1}
	b := rtp.AppendHeader(nil, h, nil)
	first, layer, frame := byte(0x80), p.temporal<<6, byte(0x11)
	if part == 0 {
		first |= 0x10
	}
	if sync[c.phase] {
		layer |= 0x20
	}
	if p.key {
		frame = 0x10
	}
	b = append(b, first, 0xE0, 0x80|byte(c.picture>>8), byte(c.picture), c.tl0, layer, frame, 2, 0, 0x9d, 1, 0x2a, 0, 0, 0, 0)
	size := 180 << p.encoding
	binary.LittleEndian.PutUint16(b[len(b)-4:], uint16(size*16/9))
	binary.LittleEndian.PutUint16(b[len(b)-2:], uint16(size))
	b = binary.BigEndian.AppendUint64(b, uint64(c.index))
	return append(b, make([]byte, 100)...)
}

// add gives the Producer what has arrived.
func (s *studio) add(arrived []*shot) {
	for _, x := range arrived {
		var in rtp.Packet
		if r := in.Parse(append(slices.Clone(x.bytes), make([]byte, 16)...)[:len(x.bytes)]); r != drop.None {
			panic(r)
		}
		if r := s.producer.Encoding(uint8(x.encoding)).Add(s.now, &in, x.index); r != drop.None {
			panic(r)
		}
	}
}

// settle ends a batch, and has the publisher hear what it is asked for: key frames come 60 ms later.
func (s *studio) settle() (asked []uint8) {
	s.router.EndBatch()
	s.router.Settle(s.now)
	for _, e := range s.router.KeyFrameRequests(s.now, nil) {
		asked = append(asked, e.Index())
		if c := s.cameras[e.Index()]; c.keyAt.IsZero() {
			c.keyAt = s.now.Add(60 * time.Millisecond)
		}
	}
	return asked
}
