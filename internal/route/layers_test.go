package route_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/nack"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

var vp9 = []sdp.Codec{{Name: "vp9", PayloadType: 98, ClockRate: 90000, RTX: 99}}

// svc is one packet of VP9 with layers (RFC 9628): a frame of spatial layer s, which ends the picture if last.
type svc struct {
	seq                uint16
	ts                 uint32
	s, t               uint8
	predicted, between bool // P, D
	up, last           bool // U, marker
}

func (x svc) bytes() []byte {
	flag := func(on bool, bit byte) byte {
		if on {
			return bit
		}
		return 0
	}
	b := rtp.AppendHeader(nil, rtp.Header{PayloadType: 98, SequenceNumber: x.seq, Timestamp: x.ts, SSRC: 1, Marker: x.last}, nil)
	b = append(b, 0x80|0x20|0x08|0x04|flag(x.predicted, 0x40), 0x80|byte(x.ts>>20)&0x7f, byte(x.ts/3000),
		x.t<<5|x.s<<1|flag(x.up, 0x10)|flag(x.between, 1), 7)
	return append(b, 1, 2, 3, byte(x.seq))
}

// frames yields pictures of three spatial layers, T0 and T1 in turn, of which those in keys are key pictures.
func frames(from, pictures int, keys ...int) (all []svc) {
	for n := range pictures {
		key := slices.Contains(keys, n)
		for s := range uint8(3) {
			x := svc{seq: uint16(from), ts: uint32((from-1)/3) * 3000, s: s, t: uint8(n % 2), predicted: !key, between: s > 0, up: n%2 == 0, last: s == 2}
			all, from = append(all, x), from+1
		}
	}
	return all
}

type layered struct {
	seq    uint16
	index  int64
	marker bool
	empty  bool
}

// forwardAll forwards packets one after the other, each in a batch of its own, and returns what goes out.
func forwardAll(t *testing.T, r *route.Router, c *route.Consumer, packets ...svc) (out []layered) {
	t.Helper()
	for _, x := range packets {
		add(t, c.Producer(), 1<<16+int64(x.seq), x.bytes())
		var h rtp.Header
		if empty, reason := c.Forward(start, &c.Producer().Pending()[0], &h); reason == drop.None {
			out = append(out, layered{h.SequenceNumber, int64(x.seq), h.Marker, empty})
		}
		r.EndBatch()
	}
	return out
}

func spatial(t *testing.T) (*route.Router, *route.Consumer) {
	t.Helper()
	r := route.NewRouter()
	p := r.Add(route.ProducerConfig{ID: 1, Kind: sdp.Video, Codecs: vp9, Clock: new(route.Clock)})
	c := route.NewConsumer(sdp.Video, vp9)
	c.Assign(start, p, 1)
	c.Ready(1)
	return r, c
}

// Within one encoding, a spatial layer is left at the next picture and entered at a key picture or where it depends on the layers
// below only; the marker ends the highest layer that is sent; and numbers have no hole.
func TestSpatialLayers(t *testing.T) {
	r, c := spatial(t)
	c.SetTarget(route.Layer{Spatial: 1, Temporal: 1})
	forwardAll(t, r, c, frames(1, 1, 0)...)
	steps := []struct {
		name    string
		target  route.Layer
		packets []svc
		want    []layered
	}{
		{"stays", route.Layer{Spatial: 1, Temporal: 1}, frames(4, 1), []layered{{3, 4, false, false}, {4, 5, true, false}}},
		{"down at once", route.Layer{Spatial: 0, Temporal: 1}, frames(7, 1), []layered{{5, 7, true, false}}},
		{"up waits", route.Layer{Spatial: 2, Temporal: 1}, frames(10, 1), []layered{{6, 10, true, false}}},
		{"up by a key picture", route.Layer{Spatial: 2, Temporal: 1}, frames(13, 1, 0), []layered{{7, 13, false, false}, {8, 14, false, false}, {9, 15, true, false}}},
		{"not in the middle of a picture", route.Layer{Spatial: 2, Temporal: 1}, frames(16, 1)[:1], []layered{{10, 16, false, false}}},
		{"but with the next", route.Layer{Spatial: 0, Temporal: 1}, frames(16, 2)[1:], []layered{{11, 17, false, false}, {12, 18, true, false}, {13, 19, true, false}}},
		{"steps up", route.Layer{Spatial: 2, Temporal: 1}, []svc{
			{22, 21000, 0, 0, true, false, true, false},
			{23, 21000, 1, 0, false, true, true, false},
			{24, 21000, 2, 0, true, true, true, true},
			{25, 24000, 0, 0, true, false, true, false},
			{26, 24000, 1, 0, true, true, true, false},
			{27, 24000, 2, 0, false, true, true, true},
		}, []layered{{14, 22, true, false}, {15, 23, true, false}, {16, 25, false, false}, {17, 26, true, false}, {18, 27, true, false}}},
		{"fewer pictures", route.Layer{Spatial: 2, Temporal: 0}, frames(28, 2)[3:], nil},
		{"late, of a layer that is left out", route.Layer{Spatial: 1, Temporal: 0}, []svc{
			{34, 33000, 0, 0, true, false, true, false},
			{37, 36000, 0, 0, true, false, true, false},
			{36, 33000, 2, 0, true, true, true, true},
			{35, 33000, 1, 0, true, true, true, false},
		}, []layered{{22, 34, false, false}, {25, 37, false, false}, {24, 36, false, true}, {23, 35, true, false}}},
	}
	for _, x := range steps {
		c.SetTarget(x.target)
		if got := forwardAll(t, r, c, x.packets...); !slices.Equal(got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
		for _, l := range x.want {
			var (
				buf [route.RepairBytes]byte
				p   route.Packet
				h   rtp.Header
			)
			reason := c.Resend(start.Add(time.Second), l.seq, 0, buf[:], &p, &h)
			if reason != drop.None || h.Marker != l.marker || (len(p.Payload) == 2) != l.empty {
				t.Errorf("%s: %d again: %v, %+v, %d bytes", x.name, l.seq, reason, h, len(p.Payload))
			}
		}
	}
}

// A wish for a higher spatial layer asks for a key frame at once, and again until there is one; a lower one asks for nothing.
func TestSpatialLayersAskForKeyFrames(t *testing.T) {
	r, c := spatial(t)
	asked := func(after time.Duration) bool { return len(r.KeyFrameRequests(start.Add(after), nil)) > 0 }
	c.SetTarget(route.Layer{Spatial: 1, Temporal: 1})
	asked(0)
	forwardAll(t, r, c, frames(1, 1, 0)...)
	c.SetTarget(route.Layer{Spatial: 0, Temporal: 1})
	forwardAll(t, r, c, frames(4, 1)...)
	if asked(time.Second) {
		t.Error("asks in order to go down")
	}
	c.SetTarget(route.Layer{Spatial: 2, Temporal: 1})
	if !asked(time.Second) {
		t.Error("does not ask in order to go up")
	}
	forwardAll(t, r, c, frames(7, 1)...)
	if asked(time.Second+499*time.Millisecond) || !asked(time.Second+500*time.Millisecond) {
		t.Error("asks too early, or not again")
	}
	forwardAll(t, r, c, frames(10, 1, 0)...)
	if forwardAll(t, r, c, frames(13, 1)...); asked(time.Minute) {
		t.Error("asks for what has come")
	}
}

// A subscriber gets the smallest layer that is as large as its place, and all of it where it does not say; unknown sizes are not
// enough for anything.
func TestChoose(t *testing.T) {
	layers := []route.LayerRate{
		{Layer: route.Layer{Encoding: 0}, Width: 320, Height: 180},
		{Layer: route.Layer{Encoding: 0, Temporal: 2}, Width: 320, Height: 180},
		{Layer: route.Layer{Encoding: 1}, Width: 640, Height: 360},
		{Layer: route.Layer{Encoding: 2}, Width: 1280, Height: 720},
	}
	for _, x := range []struct {
		width, height uint16
		want          uint8
	}{{0, 0, 2}, {100, 100, 0}, {320, 180, 0}, {321, 181, 1}, {321, 180, 0}, {0, 360, 1}, {4000, 3000, 2}} {
		want := route.Layer{Encoding: x.want, Spatial: 0, Temporal: 3}
		if got := route.Choose(layers, route.Want{Width: x.width, Height: x.height}); got != want {
			t.Errorf("%d × %d: %+v", x.width, x.height, got)
		}
	}
	if got := route.Choose([]route.LayerRate{{}, {Layer: route.Layer{Spatial: 1}}}, route.Want{Width: 1}); got.Spatial != 1 {
		t.Errorf("of unknown sizes: %+v", got)
	}
	if got := route.Choose(nil, route.Want{}); got != (route.Layer{Spatial: 3, Temporal: 3}) {
		t.Errorf("of none: %+v", got)
	}
}

// Layers are those that come, with the rates, sizes and frame rates that they have, the lower ones included.
func TestLayersAreMeasured(t *testing.T) {
	s := newStudio(1, 0)
	for range 60 {
		s.add(s.step())
		s.settle()
	}
	layers := s.producer.Layers(s.now)
	if len(layers) != 9 {
		t.Fatalf("%d layers: %+v", len(layers), layers)
	}
	var before route.LayerRate
	for i, l := range layers {
		if want := (route.Layer{Encoding: uint8(i / 3), Temporal: uint8(i % 3)}); l.Layer != want {
			t.Errorf("layer %d: %+v", i, l)
		}
		if fps := []float64{7.5, 15, 30}[i%3]; l.FPS < fps*0.9 || l.FPS > fps*1.1 {
			t.Errorf("layer %+v: %.1f frames a second, want %.1f", l.Layer, l.FPS, fps)
		}
		if height := uint16(180 << (i / 3)); l.Height != height || l.Width != height*16/9 {
			t.Errorf("layer %+v: %d × %d", l.Layer, l.Width, l.Height)
		}
		if i%3 > 0 && l.Bitrate <= before.Bitrate {
			t.Errorf("layer %+v costs %d, the one below %d", l.Layer, l.Bitrate, before.Bitrate)
		}
		before = l
	}
	// 30 pictures of 1 to 10 packets of 124 bytes
	if top := layers[8].Bitrate; top < 100_000 || top > 300_000 {
		t.Errorf("the highest layer costs %d", top)
	}
}

// Encodings ascend by the size of their pictures, in whatever order the publisher lists them.
func TestLayersAscendBySize(t *testing.T) {
	r := route.NewRouter()
	p := r.Add(route.ProducerConfig{ID: 1, Kind: sdp.Video, Codecs: vp8, Clock: new(route.Clock), Encodings: []route.EncodingConfig{{RID: "2"}, {RID: "0"}, {RID: "1"}}})
	for i, height := range []uint16{720, 180, 360} {
		b := frame(1, 0, 0, true, true)
		binary.LittleEndian.PutUint16(b[len(b)-4:], height*16/9)
		binary.LittleEndian.PutUint16(b[len(b)-2:], height)
		var in rtp.Packet
		in.Parse(append(b, make([]byte, 16)...)[:len(b)])
		p.Encoding(uint8(i)).Add(start, &in, 1<<16)
	}
	var heights []uint16
	for _, l := range p.Layers(start) {
		heights = append(heights, l.Height)
	}
	if !slices.Equal(heights, []uint16{180, 360, 720}) {
		t.Errorf("heights %v", heights)
	}
}

// Limits: no more Encodings than three, whatever is configured.
func TestMaxEncodings(t *testing.T) {
	p := route.NewRouter().Add(route.ProducerConfig{ID: 1, Kind: sdp.Video, Clock: new(route.Clock), Encodings: make([]route.EncodingConfig, route.MaxEncodings+1)})
	if p.Encodings() != route.MaxEncodings {
		t.Errorf("%d encodings", p.Encodings())
	}
}

// A layer is gone when others have shown pictures for a while and it none; when all fall silent, nothing is gone. Subscribers are
// given what is there, and come back when it does.
func TestLayersComeAndGo(t *testing.T) {
	s := newStudio(2, 0)
	w := watch(t, s)
	run := func(pictures int) {
		for range pictures {
			w.take(s.step())
			s.settle()
		}
	}
	got := func() uint8 { l, _ := w.consumer.Current(); return l.Encoding }
	run(30)
	if got() != 2 {
		t.Errorf("begins with encoding %d", got())
	}
	s.cameras[2].off = true
	run(12)
	if n := len(s.producer.Layers(s.now)); n != 9 {
		t.Errorf("%d layers after 0.4 s", n)
	}
	run(18)
	if n := len(s.producer.Layers(s.now)); n != 6 || got() != 1 {
		t.Errorf("%d layers after 1 s, encoding %d", n, got())
	}
	s.cameras[0].off, s.cameras[1].off = true, true
	s.now = s.now.Add(time.Minute)
	run(3)
	if n := len(s.producer.Layers(s.now)); n != 6 {
		t.Errorf("%d layers in silence", n)
	}
	for _, c := range s.cameras {
		c.off = false
	}
	run(9)
	if got() != 2 {
		t.Errorf("encoding %d after all have come back", got())
	}
	w.consumer.SetWant(s.now, route.Want{Width: 300})
	run(30)
	if got() != 0 {
		t.Errorf("encoding %d for a small place", got())
	}
	w.check(0)
}

// While nothing is sent, nothing is asked for; what comes after a pause begins with a key frame, and numbers go on.
func TestPause(t *testing.T) {
	s := newStudio(3, 0)
	w := watch(t, s)
	run := func(pictures int) {
		for range pictures {
			w.take(s.step())
			s.settle()
		}
	}
	run(20)
	w.consumer.SetWant(s.now, route.Want{Paused: true})
	if w.consumer.Producer() != nil || !s.producer.Watched() {
		t.Error("flows while it is paused, or is forgotten")
	}
	before := len(w.got)
	for range 30 {
		s.add(s.step())
		if asked := s.settle(); len(asked) > 0 {
			t.Errorf("asked for key frames of %v", asked)
		}
	}
	w.consumer.RequestKeyFrame()
	w.consumer.SetWant(s.now, route.Want{})
	if asked := s.settle(); len(asked) != 1 || asked[0] != 2 {
		t.Errorf("asks for %v", asked)
	}
	if run(20); len(w.got) == before {
		t.Error("does not go on")
	}
	w.consumer.Assign(s.now, s.producer, 2)
	w.consumer.SetWant(s.now, route.Want{Paused: true})
	if w.consumer.Ready(2); w.consumer.Producer() != nil {
		t.Error("a subscription that is paused flows when its slot is blanked")
	}
	w.consumer.Pause()
	w.consumer.SetTarget(route.Layer{})
	if w.consumer.Producer() == nil || w.consumer.Target() != (route.Layer{}) || w.consumer.Want().Paused == false {
		t.Error("a target does not end a pause")
	}
}

// On the way down to another encoding, only the base temporal layer flows until its key frame comes.
func TestDownToAnotherEncoding(t *testing.T) {
	s := newStudio(4, 0)
	w := watch(t, s)
	for range 30 {
		w.take(s.step())
		s.settle()
	}
	w.consumer.SetTarget(route.Layer{Encoding: 0, Temporal: 2})
	s.router.KeyFrameRequests(s.now, nil) // and the publisher does not hear it
	before := len(w.got)
	for range 16 {
		w.take(s.step())
		s.router.EndBatch()
	}
	base := 0
	for _, o := range w.got {
		if o.number > w.last[w.run]-int64(len(w.got)-before) {
			base++
			if o.shot.encoding != 2 || o.shot.picture.temporal != 0 {
				t.Errorf("number %d is of encoding %d, T%d", o.number, o.shot.encoding, o.shot.picture.temporal)
			}
		}
	}
	if base == 0 {
		t.Error("nothing flows meanwhile")
	}
}

// Where a decoder is never offered a way up to a temporal layer, it is taken up by a key frame after 3 s.
func TestTemporalLayerWithoutSwitchPoint(t *testing.T) {
	r, c := spatial(t)
	at := start
	step := func(x svc) {
		add(t, c.Producer(), 1<<16+int64(x.seq), x.bytes())
		var h rtp.Header
		c.Forward(at, &c.Producer().Pending()[0], &h)
		r.EndBatch()
		at = at.Add(tick)
	}
	asked := func() bool { return len(r.KeyFrameRequests(at.Add(time.Minute), nil)) > 0 }
	step(svc{seq: 1, ts: 3000})
	c.SetTarget(route.Layer{})
	seq := uint16(2)
	pictures := func(n int) {
		for range n {
			step(svc{seq: seq, ts: 3000 * uint32(seq), t: uint8(seq % 2), predicted: true, last: true})
			seq++
		}
	}
	pictures(10)
	c.SetTarget(route.Layer{Temporal: 1})
	if pictures(88); asked() {
		t.Error("asks before 3 s")
	}
	if pictures(4); !asked() {
		t.Error("does not ask after 3 s")
	}
}

// Encodings are asked for key frames one by one.
func TestKeyFrameRequestsOfEncodings(t *testing.T) {
	s := newStudio(5, 0)
	w := watch(t, s)
	other := watch(t, s)
	if asked := s.settle(); len(asked) != 1 || asked[0] != 0 {
		t.Errorf("asks for %v before anything is known", asked)
	}
	for range 30 {
		w.take(s.step())
		s.settle()
	}
	w.consumer.RequestKeyFrame()
	other.consumer.SetTarget(route.Layer{Encoding: 1})
	s.now = s.now.Add(time.Second)
	asked := s.settle()
	slices.Sort(asked)
	if !slices.Equal(asked, []uint8{1, 2}) {
		t.Errorf("asks for %v", asked)
	}
	if next := s.router.NextKeyFrameRequest(); next != s.now.Add(500*time.Millisecond) {
		t.Errorf("asks again at %v", next)
	}
}

// Neither choosing layers nor leaving them out allocates.
func TestLayersAllocateNothing(t *testing.T) {
	s := newStudio(6, 0)
	w := watch(t, s)
	for range 30 {
		w.take(s.step())
		s.settle()
	}
	w.consumer.SetTarget(route.Layer{Encoding: 2})
	shots, i := s.step(), 0
	for range 200 {
		shots = append(shots, s.step()...)
	}
	buf := make([]byte, 1500)
	n := testing.AllocsPerRun(300, func() {
		x := shots[i]
		i++
		var in rtp.Packet
		in.Parse(buf[:copy(buf, x.bytes)])
		s.producer.Encoding(uint8(x.encoding)).Add(s.now, &in, x.index)
		var h rtp.Header
		w.consumer.Forward(s.now, &s.producer.Pending()[0], &h)
		s.producer.Layers(s.now)
		s.router.EndBatch()
		s.router.Settle(s.now)
	})
	if n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// A key frame that had to be repaired is older than what has been sent meanwhile. Timestamps neither go back, nor does the line
// from them to the publisher's clock move.
func TestTimestampsOverLateKeyFrame(t *testing.T) {
	r := route.NewRouter()
	p := r.Add(route.ProducerConfig{ID: 1, Kind: sdp.Video, Codecs: vp8, Clock: new(route.Clock), Encodings: make([]route.EncodingConfig, 2)})
	for i := range uint8(2) { // their timestamps differ by 500,000
		p.Encoding(i).Timeline().Observe(start, 10_000+500_000*uint32(i), start)
	}
	c := assigned(start, p)
	forward := func(encoding uint8, index int64, ts uint32, key bool) (out uint32, ok bool) {
		defer r.EndBatch()
		var in rtp.Packet
		b := frame(uint16(index), ts, uint16(index), true, key)
		in.Parse(append(b, make([]byte, 16)...)[:len(b)])
		p.Encoding(encoding).Add(start, &in, index)
		var h rtp.Header
		_, reason := c.Forward(start.Add(time.Second), &p.Pending()[0], &h)
		return h.Timestamp, reason == drop.None
	}
	c.SetTarget(route.Layer{})
	forward(0, 1, 10_000, true)
	for i := range uint32(5) {
		forward(0, int64(2+i), 13_000+3000*i, false)
	}
	c.SetTarget(route.Layer{Encoding: 1})
	forward(1, 71, 513_000, false) // behind the missing key frame
	late, ok := forward(1, 70, 510_000, true)
	if !ok || late != 25_001 {
		t.Errorf("the late key frame goes out at %d (%v), what was sent before at 25000", late, ok)
	}
	for i, want := range []uint32{25_006, 25_009, 25_012, 25_015, 28_000} {
		if got, _ := forward(1, int64(72+i), 516_000+3000*uint32(i), false); got != want {
			t.Errorf("picture %d goes out at %d, want %d", i, got, want)
		}
	}
	if ts, _, _, ok := c.Report(start.Add(time.Second)); !ok || ts != 100_000 {
		t.Errorf("the line is at %d, want 100000", ts)
	}
}

// An encoding that has to begin before its first sender report begins as well as the time since the last packet tells. What is
// wrong with that ends with it: the line is that of the publisher's clock.
func TestLineComesBack(t *testing.T) {
	r := route.NewRouter()
	p := r.Add(route.ProducerConfig{ID: 1, Kind: sdp.Video, Codecs: vp8, Clock: new(route.Clock), Encodings: make([]route.EncodingConfig, 2)})
	c := assigned(start, p)
	forward := func(at time.Duration, encoding uint8, index int64, ts uint32) (out uint32) {
		defer r.EndBatch()
		var in rtp.Packet
		b := frame(uint16(index), ts, uint16(index), true, true)
		in.Parse(append(b, make([]byte, 16)...)[:len(b)])
		p.Encoding(encoding).Add(start.Add(at), &in, index)
		var h rtp.Header
		c.SetTarget(route.Layer{Encoding: encoding})
		if _, reason := c.Forward(start.Add(at), &p.Pending()[0], &h); reason != drop.None {
			t.Fatal(reason)
		}
		c.Report(start.Add(at))
		return h.Timestamp
	}
	p.Encoding(0).Timeline().Observe(start, 0, start)
	forward(0, 0, 1, 0)
	// A picture of 1 s comes 60 ms late, and nobody knows.
	if got := forward(1060*time.Millisecond, 1, 100, 590_000); got != 95_400 {
		t.Errorf("without a report: %d", got)
	}
	p.Encoding(1).Timeline().Observe(start.Add(2*time.Second), 680_000, start.Add(2*time.Second))
	if got := forward(3*time.Second, 0, 2, 270_000); got != 270_000 {
		t.Errorf("back: %d", got)
	}
	if got := forward(4*time.Second, 1, 101, 860_000); got != 360_000 {
		t.Errorf("with a report: %d", got)
	}
	// The publisher's clock is set back by an hour: the line goes on.
	hour := time.Hour
	p.Encoding(1).Timeline().Observe(start.Add(5*time.Second-hour), 950_000, start.Add(5*time.Second))
	p.Encoding(0).Timeline().Observe(start.Add(5*time.Second-hour), 450_000, start.Add(5*time.Second))
	if got := forward(6*time.Second, 0, 3, 540_000); got != 540_000 {
		t.Errorf("after the clock was set: %d", got)
	}
}

// Where so much is asked for again that it cannot all be sent, pictures on which others depend go out, and the others do not.
func TestWhatNothingDependsOnIsRepairedLast(t *testing.T) {
	r, c := spatial(t)
	c.SetTarget(route.Layer{Spatial: 2, Temporal: 1})
	temporal := map[uint16]uint8{}
	for _, x := range frames(1, 30, 0) {
		add(t, c.Producer(), 1<<16+int64(x.seq), append(x.bytes(), make([]byte, 1000)...))
		var h rtp.Header
		if _, reason := c.Forward(start, &c.Producer().Pending()[0], &h); reason != drop.None {
			t.Fatal(reason)
		}
		temporal[h.SequenceNumber] = x.t
		r.EndBatch()
	}
	repaired := [2]int{}
	for round := range nack.MaxTries {
		for number, layer := range temporal {
			var (
				buf [route.RepairBytes]byte
				p   route.Packet
				h   rtp.Header
			)
			if c.Resend(start.Add(time.Duration(20+20*round)*time.Millisecond), number, 0, buf[:], &p, &h) == drop.None {
				repaired[layer]++
			}
		}
	}
	// 128 KiB may be saved up, of which the upper layer gets half at most.
	if sum := repaired[0] + repaired[1]; sum < 120 || sum > 130 || repaired[1] > 64 || repaired[0] < 64 {
		t.Errorf("%d and %d packets of the two layers", repaired[0], repaired[1])
	}
}
