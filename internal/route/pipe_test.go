package route_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// span is a room on two shards: a Producer and a Consumer on the near one, a mirror and a Consumer on the far one.
type span struct {
	*testing.T
	near, far   *route.Router
	producer    *route.Producer
	mirror      *route.Producer
	here, there *route.Consumer
	now         time.Time
	spare       *route.PipeBatch
	drops       drop.Counts
}

const farShard = 5

func newSpan(t *testing.T, cfg route.ProducerConfig, takes []sdp.Codec) *span {
	s := &span{T: t, near: route.NewRouter(), far: route.NewRouter(), now: start, spare: route.NewPipeBatch()}
	cfg.ID, cfg.Clock = 1, new(route.Clock)
	s.producer, s.mirror = s.near.Add(cfg), s.far.Mirror(cfg)
	consumer := func(p *route.Producer) *route.Consumer {
		c := route.NewConsumer(cfg.Kind, takes)
		c.Assign(s.now, p, 1)
		c.Ready(1)
		return c
	}
	s.here, s.there = consumer(s.producer), consumer(s.mirror)
	s.wish()
	return s
}

// wish takes the far side's wishes to the near one, and returns them.
func (s *span) wish() []route.Wish {
	s.Helper()
	all := s.far.Wishes(s.now, nil)
	for _, w := range all {
		if !s.near.Wish(s.now, farShard, w) {
			s.Errorf("%+v: there is no such Producer", w)
		}
	}
	return all
}

// out is a packet as a subscriber gets it.
type out struct {
	rtp.Header
	Payload, Level, Orientation, Dependency string
}

// cross takes what has come to the far side, and returns what both subscribers get.
func (s *span) cross() (here, there []out) {
	s.Helper()
	for _, p := range s.near.Pipes() {
		if p.To() != farShard {
			s.Errorf("a pipe to shard %d", p.To())
		}
		b, dropped := p.Swap(s.spare)
		s.drops[drop.PipeFull] += uint64(dropped)
		s.far.Deliver(b, &s.drops)
		s.spare = b
	}
	here, there = s.take(s.here), s.take(s.there)
	s.near.EndBatch()
	s.far.EndBatch()
	return here, there
}

func (s *span) take(c *route.Consumer) (all []out) {
	for i := range c.Producer().Pending() {
		var h rtp.Header
		p := &c.Producer().Pending()[i]
		if _, r := c.Forward(s.now, p, &h); r == drop.None {
			payload := p.Payload
			if c.Producer().Kind() == sdp.Audio {
				payload = c.Wrap(p, &h)
			}
			all = append(all, out{h, string(payload), string(p.AudioLevel), string(p.Orientation), string(p.Dependency)})
		}
	}
	return all
}

func (s *span) add(index int64, b []byte) {
	s.Helper()
	var in rtp.Packet
	if r := in.Parse(append(b, make([]byte, 16)...)[:len(b)]); r != drop.None {
		s.Fatal(r)
	}
	if r := s.producer.Encoding(0).Add(s.now, &in, index); r != drop.None && r != drop.NotLoudest {
		s.Fatal(r)
	}
}

func same(t *testing.T, here, there []out) {
	t.Helper()
	if len(here) != len(there) {
		t.Fatalf("%d packets here, %d there", len(here), len(there))
	}
	for i := range here {
		if here[i] != there[i] {
			t.Errorf("packet %d\nhere  %+v\nthere %+v", i, here[i], there[i])
		}
	}
}

var theirVP8 = []sdp.Codec{{Name: "vp8", PayloadType: 120, ClockRate: 90000, RTX: 121}}

// A subscriber on another shard gets what one beside the publisher gets: numbers, timestamps, ids, extensions and bytes.
func TestPipeChangesNothing(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8, Extensions: sdp.Extensions{VideoOrientation: 9, DependencyDescriptor: 13}}, theirVP8)
	for i, x := range []struct {
		index      int64
		first, key bool
	}{{70000, true, true}, {70001, false, false}, {70003, true, false}, {70002, false, false}} {
		b := frame(uint16(x.index), uint32(i)*3000, 7+uint16(i), x.first, x.key)
		h := rtp.AppendHeader(nil, rtp.Header{
			PayloadType: 96, SequenceNumber: uint16(x.index), Timestamp: uint32(i) * 3000, SSRC: 77, Marker: i == 3,
		}, []rtp.Extension{{ID: 9, B: []byte{byte(i)}}, {ID: 4, B: []byte("mid")}})
		s.add(x.index, append(h, b[12:]...))
	}
	here, there := s.cross()
	if len(here) != 4 || here[0].PayloadType != 120 || here[3].Orientation != "\x03" || !here[3].Marker {
		t.Errorf("%+v", here)
	}
	same(t, here, there)
	s.add(70004, frame(70004&0xffff, 9000, 11, true, false)) // and into batches that were used
	here, there = s.cross()
	same(t, here, there)
	if s.drops != (drop.Counts{}) {
		t.Errorf("drops %v", s.drops)
	}
}

// Audio crosses with its level, and a far Floor ranks as the near one does.
func TestPipeCarriesLevels(t *testing.T) {
	cfg := route.ProducerConfig{Kind: sdp.Audio, Codecs: opus, Extensions: sdp.Extensions{AudioLevel: 10}, Microphone: true}
	s := newSpan(t, cfg, []sdp.Codec{{Name: "opus", PayloadType: 63, ClockRate: 48000, Channels: 2}})
	choir := []*route.Producer{s.producer}
	for id := uint64(2); id <= 4; id++ {
		cfg.ID, cfg.Clock = id, new(route.Clock)
		s.far.Mirror(cfg)
		choir = append(choir, s.near.Add(cfg))
	}
	for id := uint64(1); id <= 4; id++ {
		s.near.Rank(id, true)
		s.far.Rank(id, true)
	}
	s.wish()
	passed := 0
	for i := range 300 { // first the others, then the one who is subscribed to, then the others again
		for k, p := range choir {
			level := byte(127)
			if (i >= 100 && i < 200) == (k == 0) {
				level = 20
			}
			b := rtp.AppendHeader(nil, rtp.Header{PayloadType: 111, SequenceNumber: uint16(i), Timestamp: uint32(i) * 960}, []rtp.Extension{{ID: 10, B: []byte{level}}})
			s.producer = p
			s.add(int64(1000+i), append(b, 0x78, byte(i)))
		}
		here, there := s.cross()
		same(t, here, there)
		passed += len(here)
		s.now = s.now.Add(20 * time.Millisecond)
	}
	if passed < 90 || passed > 200 {
		t.Errorf("%d packets passed", passed)
	}
}

// A far subscriber's repairs come from the far side's own cache.
func TestRepairBeyondPipe(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8}, theirVP8)
	s.add(10, frame(10, 1000, 7, true, true))
	s.cross()
	var (
		buf [route.RepairBytes]byte
		p   route.Packet
		h   rtp.Header
	)
	if r := s.there.Resend(s.now, 10, 50*time.Millisecond, buf[:], &p, &h); r != drop.None {
		t.Fatal(r)
	}
	if h.PayloadType != 121 || binary.BigEndian.Uint16(p.Payload) != 10 || !bytes.Equal(p.Payload[2:], frame(10, 1000, 7, true, true)[12:]) {
		t.Errorf("type %d, payload %x", h.PayloadType, p.Payload)
	}
}

// Nothing crosses that nobody wants on the far side; requests for key frames are merged as they are here.
func TestWishes(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8}, theirVP8)
	if due := s.near.KeyFrameRequests(s.now, nil); len(due) != 1 {
		t.Error("the far subscriber's key frame is not asked for")
	}
	if due := s.far.KeyFrameRequests(s.now, nil); len(due) != 0 {
		t.Error("there is no publisher on the far side")
	}
	s.add(10, frame(10, 1000, 7, true, true))
	if _, there := s.cross(); len(there) != 1 {
		t.Fatalf("%d packets", len(there))
	}
	if again := s.wish(); len(again) != 0 {
		t.Errorf("wishes %+v although nothing has changed", again)
	}
	wishes := 0
	for range 160 { // 1.6 s of requests, after one at their beginning
		s.there.RequestKeyFrame()
		wishes += len(s.wish())
		s.now = s.now.Add(10 * time.Millisecond)
	}
	if wishes != 3 {
		t.Errorf("%d wishes in 1.6 s", wishes)
	}
	s.there.Clear()
	if w := s.wish(); len(w) != 1 || w[0].Watched {
		t.Errorf("wishes %+v after nobody watches", w)
	}
	s.add(11, frame(11, 4000, 8, true, true))
	if n := s.near.Pipes()[0].Pending(); n != 0 || s.far.NextKeyFrameRequest() != (time.Time{}) {
		t.Errorf("%d packets for nobody", n)
	}
	if s.near.Wish(s.now, farShard, route.Wish{Producer: 2}) {
		t.Error("there is no Producer 2")
	}
}

// Wishes are repeated, and count no longer than the far side is heard of: what was lost comes right by itself.
func TestWishesExpire(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8}, theirVP8)
	pending := func() int {
		s.add(s.now.Unix(), frame(uint16(s.now.Unix()), 0, 0, true, true))
		n := s.near.Pipes()[0].Pending()
		s.cross()
		return n
	}
	begin := s.now
	for s.now.Sub(begin) < time.Minute {
		if pending() != 1 {
			t.Fatalf("nothing crosses after %v", s.now.Sub(begin))
		}
		s.now = s.far.NextWish()
		if w := s.wish(); len(w) != 1 || !w[0].Watched {
			t.Fatalf("wishes %+v", w)
		}
	}
	s.now = s.now.Add(11 * time.Second)
	if pending() != 0 {
		t.Error("the wish of a shard that is silent still counts")
	}
	s.wish()
	if pending() != 1 {
		t.Error("nothing crosses after the wish was repeated")
	}
}

// Sender reports are the same on both sides, to the tick, also when the publisher's clock turns out to be off by something else.
func TestPipeKeepsTheLine(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8}, theirVP8)
	theirs := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, delay := range []time.Duration{40, 60, 20, 500} {
		s.now = s.now.Add(time.Second)
		at := theirs.Add(time.Duration(i) * time.Second)
		s.producer.Encoding(0).Timeline().Observe(at, uint32(i)*90000, s.now.Add(delay*time.Millisecond))
		s.add(int64(10+i), frame(uint16(10+i), uint32(i)*90000, uint16(i), true, true))
		s.cross()
		here, packets, octets, ok := s.here.Report(s.now.Add(time.Second))
		there, packets2, octets2, ok2 := s.there.Report(s.now.Add(time.Second))
		if !ok || !ok2 || here != there || packets != packets2 || octets != octets2 {
			t.Errorf("report %d: %d and %d, %v, %v", i, here, there, ok, ok2)
		}
	}
}

// A publisher that goes on with another stream is followed on the far side too.
func TestRestartCrosses(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8}, theirVP8)
	s.add(70000, frame(70000&0xffff, 1000, 7, true, true))
	s.cross()
	s.producer.Encoding(0).Restart()
	s.now = s.now.Add(time.Second)
	s.add(50, frame(50, 9000, 100, true, false))
	s.add(51, frame(51, 12000, 101, true, true))
	here, there := s.cross()
	if len(here) != 1 || here[0].SequenceNumber != 70001&0xffff {
		t.Errorf("%+v", here)
	}
	same(t, here, there)
}

// What a batch has no room for is dropped and counted, and what was lost on the way is not waited for: a key frame is asked for,
// and what was told is told again.
func TestPipeLimits(t *testing.T) {
	for name, size := range map[string]int{"packets": 20, "bytes": 4000} {
		t.Run(name, func(t *testing.T) {
			s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8}, theirVP8)
			s.near.KeyFrameRequests(s.now, nil)
			s.add(1, frame(1, 0, 0, true, true))
			fits := route.MaxPipePackets
			if size > 20 {
				fits = route.MaxPipeBytes/(size+40) + 1
			}
			s.now = s.now.Add(time.Second)
			for i := range fits + 10 {
				s.add(int64(2+i), append(frame(uint16(2+i), 3000, 1, true, false), make([]byte, size)...))
			}
			pipe := s.near.Pipes()[0]
			if pipe.Pending() != fits+11 {
				t.Errorf("%d packets", pipe.Pending())
			}
			if due := s.near.KeyFrameRequests(s.now, nil); len(due) != 1 {
				t.Error("no key frame is asked for")
			}
			b, dropped := pipe.Swap(route.NewPipeBatch())
			if dropped < 8 || b.Packets()+dropped != fits+11 {
				t.Errorf("%d packets and %d dropped", b.Packets(), dropped)
			}
		})
	}
}

func TestLostOnPipe(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8}, theirVP8)
	s.near.KeyFrameRequests(s.now, nil)
	s.producer.Encoding(0).Timeline().Observe(start, 0, s.now)
	s.add(1, frame(1, 0, 0, true, true))
	b, _ := s.near.Pipes()[0].Swap(s.spare)
	s.near.Lost(farShard, b)
	s.spare = b
	s.now = s.now.Add(time.Second)
	if due := s.near.KeyFrameRequests(s.now, nil); len(due) != 1 {
		t.Error("no key frame is asked for")
	}
	s.near.EndBatch()
	s.add(2, frame(2, 3000, 1, true, true))
	s.cross()
	if _, _, _, ok := s.there.Report(s.now); !ok {
		t.Error("the sender report that was lost is not told again")
	}
}

// What comes for a Producer that has gone, or is none of another shard's, is dropped.
func TestDeliverToNobody(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8}, theirVP8)
	s.add(1, frame(1, 0, 0, true, true))
	b, _ := s.near.Pipes()[0].Swap(s.spare)
	s.far.Remove(1)
	s.far.Deliver(b, &s.drops)
	s.near.Deliver(b, &s.drops)
	if s.drops[drop.Unpublished] != 2 {
		t.Errorf("drops %v", s.drops)
	}
}

// Formats of one codec stay apart on a Pipe, as far as there are payload types; what no table has does not cross.
func TestCanonicalPayloadTypes(t *testing.T) {
	var codecs []sdp.Codec
	for i := range 20 {
		codecs = append(codecs, sdp.Codec{
			Name: "h264", PayloadType: uint8(100 + i), ClockRate: 90000, Parameters: fmt.Sprintf("packetization-mode=1;profile-level-id=42e0%02x", i),
		})
	}
	codecs = append(codecs, sdp.Codec{Name: "theora", PayloadType: 99, ClockRate: 90000}, sdp.Codec{Name: "vp8", PayloadType: 35, ClockRate: 90000, RTX: 36})
	p := route.NewRouter().Mirror(route.ProducerConfig{ID: 1, Kind: sdp.Video, Codecs: codecs})
	seen := map[uint8]string{}
	for _, c := range p.Codecs() {
		if other, dup := seen[c.PayloadType]; dup {
			t.Errorf("%d is %s and %s", c.PayloadType, other, c.Parameters)
		}
		seen[c.PayloadType] = c.Name + c.Parameters
	}
	if len(seen) != 17 || seen[98] != "vp8" {
		t.Errorf("%v", seen)
	}
}

// Crossing a Pipe allocates nothing once its batches have grown.
func TestPipeAllocatesNothing(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8}, theirVP8)
	key, delta := frame(1, 0, 0, true, true), append(frame(2, 0, 1, true, false), make([]byte, 1200)...)
	buf := make([]byte, 2048)
	index := int64(1)
	step := func(b []byte) {
		for range 5 {
			var in rtp.Packet
			in.Parse(buf[:copy(buf, b)])
			s.producer.Encoding(0).Add(s.now, &in, index)
			index++
		}
		batch, _ := s.near.Pipes()[0].Swap(s.spare)
		s.far.Deliver(batch, &s.drops)
		for i := range s.mirror.Pending() {
			var h rtp.Header
			s.there.Forward(s.now, &s.mirror.Pending()[i], &h)
		}
		s.spare = batch
		s.near.EndBatch()
		s.far.EndBatch()
	}
	for range 3 {
		step(key)
	}
	if n := testing.AllocsPerRun(100, func() { step(delta) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A mirror that has fewer Encodings than its original drops what is of none of them.
func TestDeliverToNoEncoding(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8, Encodings: make([]route.EncodingConfig, 2)}, theirVP8)
	s.far.Remove(1)
	s.far.Mirror(route.ProducerConfig{ID: 1, Kind: sdp.Video, Codecs: vp8})
	s.producer.Encoding(1).Timeline().Observe(s.now, 0, s.now)
	var in rtp.Packet
	b := frame(1, 0, 1, true, true)
	in.Parse(append(b, make([]byte, 16)...)[:len(b)])
	s.producer.Encoding(1).Add(s.now, &in, 1)
	batch, _ := s.near.Pipes()[0].Swap(s.spare)
	if s.far.Deliver(batch, &s.drops); s.drops[drop.Unpublished] != 1 {
		t.Errorf("drops %v", s.drops)
	}
}

// Encodings cross side by side: numbers, clocks, restarts and requests for key frames are each Encoding's own.
func TestEncodingsCross(t *testing.T) {
	s := newSpan(t, route.ProducerConfig{Kind: sdp.Video, Codecs: vp8, Encodings: make([]route.EncodingConfig, 2)}, theirVP8)
	for _, c := range []*route.Consumer{s.here, s.there} {
		c.SetTarget(route.Layer{Encoding: 1})
	}
	asked := func() (all []uint8) {
		s.wish()
		for _, e := range s.near.KeyFrameRequests(s.now, nil) {
			all = append(all, e.Index())
		}
		slices.Sort(all)
		return all
	}
	if got := asked(); !slices.Equal(got, []uint8{0, 1}) {
		t.Errorf("asks for %v", got)
	}
	put := func(encoding uint8, index int64, ts uint32, key bool) {
		var in rtp.Packet
		b := frame(uint16(index), ts, uint16(index), true, key)
		in.Parse(append(b, make([]byte, 16)...)[:len(b)])
		s.producer.Encoding(encoding).Add(s.now, &in, index)
	}
	for i := range int64(2) {
		s.producer.Encoding(uint8(i)).Timeline().Observe(s.now, uint32(i)*70_000, s.now)
		put(uint8(i), 500*(i+1), uint32(i)*70_000, true)
	}
	here, there := s.cross()
	if len(here) != 1 || here[0].SequenceNumber != 1000 {
		t.Errorf("%+v", here)
	}
	same(t, here, there)
	for _, c := range []*route.Consumer{s.here, s.there} {
		c.SetTarget(route.Layer{})
	}
	s.now = s.now.Add(time.Second)
	if got := asked(); !slices.Equal(got, []uint8{0}) {
		t.Errorf("asks for %v", got)
	}
	s.producer.Encoding(1).Restart()
	put(1, 7, 0, true)
	put(0, 501, 90_000, true)
	here, there = s.cross()
	if len(here) != 1 || here[0].Timestamp != 70_000+90_000 || here[0].SequenceNumber != 1001 {
		t.Errorf("%+v", here)
	}
	same(t, here, there)
}
